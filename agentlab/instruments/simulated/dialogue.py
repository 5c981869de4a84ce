"""What a simulated device answers to a line of text, as SCPI devices do. No socket here."""

from __future__ import annotations

import math
import threading
from collections import deque
from typing import Any

from agentlab.errors import AgentLabError, CancelledCallError
from agentlab.instruments.drivers.introspection import look_at_class
from agentlab.instruments.simulated.base import SimulatedDevice
from agentlab.instruments.simulated.devices import COMMANDS, KINDS, Call, Property
from agentlab.instruments.simulated.world import World

_MOST_ERRORS = 20
_NO_ERROR = '0,"No error"'


class Dialogue:
    """One simulated device with its commands; many connections may share it, each in a thread of its own.

    A device does one command after the other; ``ABOR`` and commands that are marked urgent are done in between. A line may
    hold several commands with ``;`` between them, whose replies come in one line. What it does not understand it does not
    answer, and notes for ``SYST:ERR?``.

    Args:
        kind: Its kind, of :data:`~agentlab.instruments.simulated.devices.KINDS`.
        world: Where it stands.
    """

    def __init__(self, kind: str, world: World) -> None:
        self.device: SimulatedDevice = KINDS[kind](world=world)
        self._commands = COMMANDS[kind]
        self._parameters = look_at_class(KINDS[kind]).parameters
        self._mutex = threading.Lock()
        self._errors: deque[str] = deque(maxlen=_MOST_ERRORS)

    def answer(self, line: str) -> str | None:
        """Give the reply to a line, without its end; None: there is none. Blocks as long as the device takes."""
        replies = [self._one(part.strip()) for part in line.split(";") if part.strip()]
        said = [reply for reply in replies if reply is not None]
        return ";".join(said) if said else None

    def _one(self, command: str) -> str | None:
        header, _, argument = command.partition(" ")
        header, argument = header.upper(), argument.strip()
        if header == "ABOR":
            self._abort()
            return None
        found = self._commands.get(header.removesuffix("?"))
        if isinstance(found, Call) and found.urgent:
            getattr(self.device, found.name)()
            return None
        try:
            with self._mutex:
                self.device.cancelled = False
                return self._common(header) if header.startswith("*") or found is None else self._do(found, header, argument)
        except CancelledCallError:
            return None
        except (AgentLabError, ValueError, TypeError, ArithmeticError) as error:  # also WARM? 1e999
            self._errors.append(f'-222,"Data out of range;{error}"'.replace("\n", " "))
            return None

    def _common(self, header: str) -> str | None:
        if header == "*IDN?":
            return self.device.identity()
        if header == "*OPC?":
            waits = getattr(self.device, "wait", None)
            if waits is not None:
                waits()
            return "1"
        if header == "SYST:ERR?":
            return self._errors.popleft() if self._errors else _NO_ERROR
        if header == "*CLS":
            self._errors.clear()
        else:
            self._errors.append(f'-113,"Undefined header;{header}"')
        return None

    def _do(self, what: Property | Call, header: str, argument: str) -> str | None:
        if isinstance(what, Call):
            found = getattr(self.device, what.name)(*[float(one) for one in argument.split(",") if one])
            return _text(found) if header.endswith("?") else None
        parameter = self._parameters[what.name]
        if header.endswith("?"):
            return _text(getattr(self.device, what.name))
        value = parameter.check(argument)
        if what.setter:
            getattr(self.device, what.setter)(value)
        else:
            setattr(self.device, what.name, value)
        return None

    def _abort(self) -> None:
        self.device.cancelled = True
        ends = getattr(self.device, "abort", None)
        if ends is not None:
            ends()


def _text(value: Any) -> str:
    """Give a value as SCPI writes it."""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, (list, tuple)):
        return ",".join(map(_text, value))
    if not isinstance(value, float):
        return str(value)
    if math.isfinite(value):
        return f"{value:.9E}"
    return "9.91E37" if math.isnan(value) else "9.9E37" if value > 0 else "-9.9E37"
