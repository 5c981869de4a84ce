"""gepace's own client of the GE Pace pressure controller, as an instrument of ours: a class like any other."""

from __future__ import annotations

import socket
from typing import Annotated

from gepace.pace import Pace

from agentlab.instruments import Range, Unit


class _Connection:
    """What gepace wants of a connection: write, write_readline, close."""

    def __init__(self, host: str, port: int, timeout: float) -> None:
        self._socket = socket.create_connection((host, port), timeout)
        self._replies = self._socket.makefile("rb")

    def write(self, data: bytes) -> None:
        self._socket.sendall(data)

    def write_readline(self, data: bytes) -> bytes:
        self._socket.sendall(data)
        line = self._replies.readline()
        if not line:
            raise ConnectionResetError("the controller closed the connection")
        return line

    def close(self) -> None:
        self._replies.close()
        self._socket.close()


class PressureController:
    """One module of a GE Pace pressure controller."""

    def __init__(self, host: str, port: int, timeout: float = 0.5) -> None:
        self._pace = Pace(_Connection(host, port, timeout))
        self._module = self._pace[1]

    @property
    def pressure(self) -> Annotated[float, Unit("mbar")]:
        """The pressure that is measured."""
        return self._module.pressure()

    @property
    def setpoint(self) -> Annotated[float, Unit("mbar"), Range(0, 30)]:
        """The pressure that is wanted."""
        return self._module.src_pressure_setpoint()

    @setpoint.setter
    def setpoint(self, value: float) -> None:
        self._module.src_pressure_setpoint(value)

    def identity(self) -> str:
        """Give what the controller says it is."""
        return self._pace("*IDN?")

    @property
    def quiet(self) -> Annotated[float, Unit("mbar")]:
        """What the controller never answers: a command that is no question."""
        return float(self._pace._conn.write_readline(b":SYST:DATE 1\n"))

    def close(self) -> None:
        """Close the connection."""
        self._pace.close()
