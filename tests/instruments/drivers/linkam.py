"""The Linkam T95 temperature stage over PyVISA, in a class like any other; its replies are binary."""

from __future__ import annotations

from typing import Annotated

import pyvisa

from agentlab.instruments import Range, Unit


class LinkamT95:
    """A heating and cooling stage."""

    def __init__(self, address: str, timeout: float = 0.5) -> None:
        self._address, self._timeout = address, timeout
        self._manager = pyvisa.ResourceManager("@py")
        self._limit = 0.0
        self._resource = None
        self.reconnect()

    def reconnect(self) -> None:
        """Open the resource again; what was set is not forgotten."""
        if self._resource is not None:
            self._resource.close()
        self._resource = self._manager.open_resource(self._address, read_termination="\r", write_termination="\r")
        self._resource.timeout = self._timeout * 1000
        self._status()  # the first thing that a T95 must be told is T

    def _ask(self, command: str) -> bytes:
        self._resource.write(command)
        return self._resource.read_raw()

    def _status(self) -> bytes:
        reply = self._ask("T")
        if len(reply) != 11:
            raise ValueError(f"the stage answered {reply!r}, no status of 10 bytes")
        return reply

    @property
    def temperature(self) -> Annotated[float, Unit("degC")]:
        """The stage's temperature."""
        tenths = int(self._status()[6:10], 16)
        return (tenths - 0x10000 if tenths > 0x7FFF else tenths) / 10

    @property
    def limit(self) -> Annotated[float, Unit("degC"), Range(-196, 600)]:
        """Where it heats or cools to; the stage does not tell it."""
        return self._limit

    @limit.setter
    def limit(self, value: float) -> None:
        self._ask(f"L1{round(value * 10)}")
        self._limit = value

    @property
    def quiet(self) -> str:
        """What the stage never answers."""
        self._resource.write("NONSENSE")
        return self._resource.read()

    def start(self) -> None:
        """Heat or cool to the limit."""
        self._ask("S")

    def stop(self) -> None:
        """End heating or cooling."""
        self._ask("E")

    def identity(self) -> str:
        """Ask for the status, as a T95 has no identity."""
        return f"T95 {len(self._status())}"

    def close(self) -> None:
        """Close the resource."""
        self._resource.close()
        self._manager.close()
