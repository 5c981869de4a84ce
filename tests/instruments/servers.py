"""Other people's simulated instruments, each server in a process of its own on loopback, ended by ``close``."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterable
from typing import Any

from lewis.core.control_client import ControlClient, ProtocolException

from agentlab.testing.waiting import wait_condition
from tests.conftest import ROOT

BENCH = {"class": "Bench", "package": "tests.instruments.bench_device"}
PACE = {"class": "Pace", "package": "gepace.simulator"}
LEWIS = ["-c", "0.005", "-e", "20", "-o", "none", "linkam_t95"]  # a turn of 5 ms, so 20 ms for a question; 20 times as fast
CRYOCON = {"class": "CryoCon", "package": "cryocon.simulator"}


def address_of(port: int) -> str:
    """Give the VISA address of a port on loopback."""
    return f"TCPIP::127.0.0.1::{port}::SOCKET"


def free_port() -> int:
    """Give a port on loopback that nobody has at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Sinstruments:
    """A sinstruments server with its devices; ``port[name]`` and ``address(name)`` say where they are.

    Args:
        devices: Name to what sinstruments' configuration file has for a device (class, package and its options).
    """

    def __init__(self, devices: dict[str, dict[str, Any]]) -> None:
        described = [{"name": name, **device} for name, device in devices.items()]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.instruments.serve_sinstruments", json.dumps(described)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.close()
            raise RuntimeError("the sinstruments server did not start")
        self.port: dict[str, int] = json.loads(line)
        missing = set(devices) - set(self.port)
        assert not missing, f"sinstruments could not make {missing}"

    def address(self, name: str) -> str:
        """Give the VISA address of a device."""
        return address_of(self.port[name])

    def order(self, *words: Any) -> Any:
        """Give the server one order; see :mod:`tests.instruments.serve_sinstruments`."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["value"]

    def close(self) -> None:
        """End the process; twice is fine."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        if not self.process.stdin.closed:
            self.process.stdin.close()
        try:
            self.process.wait(3.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(3.0)
        self.process.stdout.close()


class Lewis:
    """lewis' Linkam T95 temperature stage and its control client, which can pull the cable."""

    def __init__(self) -> None:
        self.port, self.control_port = free_port(), free_port()
        options = f"stream: {{bind_address: 127.0.0.1, port: {self.port}}}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lewis", "-p", options, "-r", f"127.0.0.1:{self.control_port}", *LEWIS],
            stdout=subprocess.DEVNULL,
        )
        self.client = ControlClient("127.0.0.1", str(self.control_port), timeout=500)
        try:
            assert wait_condition(self._up, timeout=10.0), "lewis did not start"
        except BaseException:
            self.close()
            raise

    def _up(self) -> bool:
        assert self.process.poll() is None, "lewis ended while it started"
        try:
            self.remote = self.client.get_object_collection()
        except ProtocolException:
            return False
        return bool(self.remote["interface"].is_connected("stream"))

    @property
    def address(self) -> str:
        """The VISA address of the stage."""
        return address_of(self.port)

    def unplug(self) -> None:
        """Pull the cable: the port closes, connections with it."""
        self.remote["interface"].disconnect()

    def plug(self) -> None:
        """Put the cable back."""
        self.remote["interface"].connect()

    def close(self) -> None:
        """End the process; twice is fine."""
        if not self.client._socket.closed:
            context = self.client._socket.context
            self.client._socket.close()
            context.term()
        self.process.terminate()
        try:
            self.process.wait(3.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(3.0)


def benches(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Describe as many devices of our own as there are names."""
    return {name: dict(BENCH) for name in names}
