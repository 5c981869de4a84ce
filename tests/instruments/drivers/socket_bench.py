"""A driver for the bench device that is a class like any other: a socket, properties, methods."""

from __future__ import annotations

import socket
from typing import Annotated

from agentlab.instruments import Range, Unit


class DeafBench:
    """The bench supply on a bare socket; what takes long must be waited for."""

    def __init__(self, host: str, port: int, timeout: float = 0.3) -> None:
        self._place = (host, port)
        self._timeout = timeout
        self._socket = socket.create_connection(self._place, timeout)
        self._replies = self._socket.makefile("rb")

    def _write(self, text: str) -> None:
        self._socket.sendall(text.encode() + b"\n")

    def _query(self, text: str) -> str:
        self._write(text)
        line = self._replies.readline()
        if not line.endswith(b"\n"):
            raise ConnectionResetError("the bench closed the connection")
        return line.decode("ascii").strip()

    @property
    def voltage(self) -> Annotated[float, Unit("V"), Range(0, 30)]:
        """The output voltage."""
        return float(self._query("VOLT?"))

    @voltage.setter
    def voltage(self, value: float) -> None:
        self._write(f"VOLT {value:g}")

    @property
    def current(self) -> Annotated[float, Unit("A")]:
        """The output current."""
        return float(self._query("CURR?"))

    @property
    def late(self) -> Annotated[float, Unit("V")]:
        """A reading that is never there in time."""
        return float(self._query("LATE?"))

    def identity(self) -> str:
        """Give what the device says it is."""
        return self._query("*IDN?")

    def echo(self, text: str) -> str:
        """Give back `text`."""
        return self._query(f"ECHO? {text}")

    def slow(self, seconds: float) -> float:
        """Take some seconds."""
        self._socket.settimeout(seconds + 1.0)
        try:
            return float(self._query(f"SLOW? {seconds:g}"))
        finally:
            self._socket.settimeout(self._timeout)

    def safe(self) -> None:
        """Take the voltage away."""
        self._write("VOLT 0")

    def close(self) -> None:
        """Close the socket."""
        self._replies.close()
        self._socket.close()


class SocketBench(DeafBench):
    """The same, and what takes long can be ended."""

    def abort(self) -> None:
        """End a slow action, over a second connection."""
        with socket.create_connection(self._place, self._timeout) as second:
            second.sendall(b"ABOR\n")
