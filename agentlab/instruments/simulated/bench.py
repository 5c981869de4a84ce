"""Simulated devices behind real sockets, in a process of their own, from a program."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from agentlab.errors import AgentStartError, ConfigurationError, nearest
from agentlab.instruments.simulated.devices import kind_named
from agentlab.instruments.simulated.scpi_server import TARGET
from agentlab.runtime.child import Child, start_child

_HOST = "127.0.0.1"
_PATIENCE = 5.0


def run_simulated(
    devices: Iterable[str] | Mapping[str, str], *, seed: int = 1, ports: Mapping[str, int] | None = None
) -> SimulatedBench:
    """Start a process that serves simulated devices of one world, each at a TCP port of this machine.

    It ends with this process, or by :meth:`SimulatedBench.close`.

    Args:
        devices: Kinds (``laser``, ``stage``, ``meter``, ``supply``, ``heater``, ``thermometer``), or kinds by name.
        seed: Of all noise.
        ports: Port numbers by name; a free one for the others.

    Returns:
        The bench, ready. Use it in a ``with``.

    Raises:
        ConfigurationError: a kind that there is not.
        AgentStartError: a port is taken, or the process could not be started.
    """
    kinds = dict(devices) if isinstance(devices, Mapping) else {name: name for name in devices}
    for kind in kinds.values():
        kind_named(kind)
    order = {"devices": kinds, "seed": seed, "ports": dict(ports or {})}
    child = start_child(TARGET, json.dumps(order).encode(), name="simulated devices")
    said = json.loads(child.ready)
    return SimulatedBench(child, kinds, said["ports"], said["control"])


def table_path(kind: str) -> Path:
    """Give the file with the table of commands of a kind of simulated device, for ScpiDevice.

    Raises:
        ConfigurationError: a kind that there is not.
    """
    return Path(__file__).with_name("tables") / f"{kind_named(kind)}.yml"


def visa_sim() -> str:
    """Give the ``visa_library`` of the same devices in pyvisa-sim, at GPIB and USB addresses; it needs ``pyvisa-sim``.

    They keep what is set, and have no physics. ``tables/visa_sim.yml`` says which address each has: the supply has
    ``GPIB::1::INSTR``.
    """
    return f"{Path(__file__).with_name('tables') / 'visa_sim.yml'}@sim"


class SimulatedBench:
    """A process with simulated devices. Made by :func:`run_simulated`; its methods may be called in any thread.

    Attributes:
        ports: TCP port by name.
        addresses: VISA address by name: ``TCPIP::127.0.0.1::PORT::SOCKET``.
        tables: Path of the table of commands, by name.
    """

    def __init__(self, child: Child, kinds: Mapping[str, str], ports: Mapping[str, int], control: int) -> None:
        self._child, self._control = child, control
        self.ports = dict(ports)
        self.addresses = {name: f"TCPIP::{_HOST}::{port}::SOCKET" for name, port in ports.items()}
        self.tables = {name: str(table_path(kind)) for name, kind in kinds.items()}

    @property
    def pid(self) -> int | None:
        """The process."""
        return self._child.pid

    def unplug(self, name: str) -> None:
        """Pull a device's cable: its port and connections close. Pulling it twice is fine."""
        self._order("unplug", name)

    def plug(self, name: str) -> None:
        """Put the cable back: the device listens at the same port, in the state in which it was."""
        self._order("plug", name)

    def freeze(self, name: str) -> None:
        """Let a device take commands and answer none."""
        self._order("freeze", name)

    def thaw(self, name: str) -> None:
        """Let it answer again, also what it was asked meanwhile."""
        self._order("thaw", name)

    def close(self) -> None:
        """End the process and wait for it. Twice is fine."""
        self._child.stop()
        if not self._child.join(_PATIENCE):
            self._child.kill()
            self._child.join(_PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"SimulatedBench({self.addresses})"

    def _order(self, verb: str, name: str) -> None:
        if name not in self.ports:
            raise ConfigurationError(f"no simulated device is called {name!r}{nearest(str(name), self.ports)}")
        try:
            with contextlib.closing(socket.create_connection((_HOST, self._control), _PATIENCE)) as connection:
                connection.sendall(f"{verb} {name}\n".encode())
                with connection.makefile("rb") as lines:
                    said = lines.readline().decode().strip()
        except OSError as error:
            raise AgentStartError(f"the simulated devices do not take orders ({error}); their process has ended") from error
        if said != "ok":
            raise AgentStartError(f"{verb} {name} failed: {said or 'no answer'}")
