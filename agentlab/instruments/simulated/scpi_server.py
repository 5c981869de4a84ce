"""A process with simulated devices behind TCP ports: one line a command, one line a reply, as SCPI devices on a network do.

By hand: ``python -m agentlab.instruments.simulated.scpi_server --device laser --device stage``; it prints ``laser
127.0.0.1:PORT`` for each, and takes ``unplug laser``, ``plug laser``, ``freeze laser`` and ``thaw laser`` as lines on stdin
or at its control port. In a program: :func:`~agentlab.instruments.simulated.bench.run_simulated`.

It serves this machine alone and asks nobody who he is: it is a stand-in for a device, and devices do not either.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from agentlab.errors import ConfigurationError, nearest
from agentlab.instruments.simulated.devices import kind_named
from agentlab.instruments.simulated.dialogue import Dialogue
from agentlab.instruments.simulated.world import World

if TYPE_CHECKING:
    from agentlab.runtime.link import ChildLink

TARGET = "agentlab.instruments.simulated.scpi_server:run_child"
_HOST = "127.0.0.1"
_LONGEST_LINE = 65536


class Port:
    """A TCP port on this machine that answers lines; it can be unplugged and comes back at the same number.

    Each connection has a thread. All methods may be called in any thread.

    Args:
        dialogue: What answers.
        number: The port; 0: a free one.
    """

    def __init__(self, dialogue: Dialogue, number: int = 0) -> None:
        self._dialogue = dialogue
        self._mutex = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._thawed = threading.Event()
        self._thawed.set()
        self._listener: socket.socket | None = None
        self.number = number
        self.plug()

    def plug(self) -> None:
        """Listen, if it does not yet."""
        with self._mutex:
            if self._listener is not None:
                return
            listener = socket.create_server((_HOST, self.number), backlog=50)
            self._listener, self.number = listener, listener.getsockname()[1]
        threading.Thread(target=self._listen, args=(listener,), daemon=True, name=f"port {self.number}").start()

    def unplug(self) -> None:
        """Close the port and every connection, as if the cable was pulled from a device that says goodbye."""
        with self._mutex:
            listener, self._listener = self._listener, None
            connections = list(self._connections)
        for one in [*([listener] if listener is not None else []), *connections]:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits in it
        if listener is not None:
            listener.close()

    def freeze(self) -> None:
        """Take commands, but answer none."""
        self._thawed.clear()

    def thaw(self) -> None:
        """Answer again, what was asked meanwhile too."""
        self._thawed.set()

    def _listen(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._mutex:
                if self._listener is not listener:  # unplugged just now
                    connection.close()
                    return
                self._connections.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True, name=f"connection {self.number}").start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with contextlib.suppress(OSError), connection, connection.makefile("rb") as lines:
                while line := lines.readline(_LONGEST_LINE):
                    reply = self._dialogue.answer(line.decode("ascii", "replace"))
                    self._thawed.wait()
                    if reply is not None:
                        connection.sendall(reply.encode("ascii", "replace") + b"\n")
        finally:
            with self._mutex:
                self._connections.discard(connection)


class Server:
    """The ports of some devices of one world.

    Args:
        devices: The kind of each, by name.
        ports: Port numbers by name; a free one for the others.
        seed: Of the world's noise.

    Raises:
        ConfigurationError: a kind that there is not.
        OSError: a port is taken.
    """

    def __init__(self, devices: Mapping[str, str], ports: Mapping[str, int] | None = None, seed: int = 1) -> None:
        world = World(seed)
        self.ports: dict[str, Port] = {}
        try:
            for name, kind in devices.items():
                self.ports[name] = Port(Dialogue(kind_named(kind), world), (ports or {}).get(name, 0))
        except BaseException:
            self.close()
            raise

    def obey(self, line: str) -> str:
        """Do what a line of control says, such as ``unplug laser``; give ``ok``, or what is wrong."""
        verb, _, name = line.strip().partition(" ")
        if verb not in ("unplug", "plug", "freeze", "thaw"):
            return f"no order is called {verb!r}{nearest(verb, ('unplug', 'plug', 'freeze', 'thaw'))}"
        if name not in self.ports:
            return f"no device is called {name!r}{nearest(name, self.ports)}"
        try:
            getattr(self.ports[name], verb)()
        except OSError as error:
            return f"{verb} {name}: {error}"
        return "ok"

    def close(self) -> None:
        """Close all ports and connections."""
        for port in self.ports.values():
            port.thaw()
            port.unplug()


class _Orders:
    """Looks like a dialogue, and takes orders for the server."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def answer(self, line: str) -> str:
        return self._server.obey(line)


def run_child(payload: bytes, link: ChildLink) -> None:
    """Serve as a child of :func:`~agentlab.runtime.child.start_child` until SIGTERM, or the parent's end."""
    asked = json.loads(payload)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    try:
        server = Server(asked["devices"], asked.get("ports"), asked.get("seed", 1))
    except (ConfigurationError, OSError) as error:
        link.failed(f"the simulated devices could not be served: {error}")
        return
    control = Port(_Orders(server))  # type: ignore[arg-type]
    link.ready(json.dumps({"control": control.number, "ports": {n: p.number for n, p in server.ports.items()}}).encode())
    ended.wait()
    control.unplug()
    server.close()


def main(arguments: list[str] | None = None) -> int:
    """Serve devices until Ctrl-C or SIGTERM; the end of stdin ends nothing."""
    parser = argparse.ArgumentParser(prog="python -m agentlab.instruments.simulated.scpi_server", description=__doc__)
    parser.add_argument(
        "--device", action="append", required=True, help="laser, stage, meter, supply, heater or thermometer; name=kind"
    )
    parser.add_argument(
        "--port", action="append", type=int, default=[], help="of the first device, the second, ...; 0: a free one"
    )
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    devices = {text.partition("=")[0]: text.rpartition("=")[2] for text in options.device}
    try:
        server = Server(devices, dict(zip(devices, options.port, strict=False)), options.seed)
    except (ConfigurationError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())

    def listen() -> None:
        for line in sys.stdin:
            _say(server.obey(line))

    with contextlib.suppress(KeyboardInterrupt):  # which may come as soon as somebody has read the ports
        for name, port in server.ports.items():
            _say(f"{name} {_HOST}:{port.number}")
        threading.Thread(target=listen, daemon=True, name="orders").start()
        ended.wait()
    server.close()
    return 0


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - it is run by hand, or by a program that reads this


if __name__ == "__main__":
    raise SystemExit(main())
