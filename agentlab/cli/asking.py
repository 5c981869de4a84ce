"""The one that a verb asks: its errors become a line and an exit code, and what it has is looked up for near names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import typer

from agentlab.cli.door import FAILED, mistake, say
from agentlab.errors import (
    AgentStoppedError,
    CommunicationError,
    ConnectionLostError,
    InstrumentError,
    LockedError,
    RefusedError,
    nearest,
)
from agentlab.runtime.calling import Caller

INSTRUMENT = "instrument"
PATIENCE = 10.0
"""Seconds; an instrument gives up sooner waiting for its driver."""
COMMON = frozenset(("get_attr", "set_attr", "info", "ping", "is_running"))
"""What every service has, unless its class has methods of these names."""
_IN_PYTHON = "lock it first: `with"
"""What a program is told of an instrument that only its owner may change; a shell has a verb for it."""


class Peer:
    """The one of a name. Its errors leave as :class:`typer.Exit`, after one line has said what is wrong.

    Args:
        caller: Calls it.
        cure: What to do where it has gone away during a call, such as ``agentlab ls``.
    """

    def __init__(self, caller: Caller, cure: str = "agentlab ls") -> None:
        self.name = caller.name
        self._caller = caller
        self._cure = cure
        self._parameters: dict[str, dict[str, Any]] | None = None
        self._whole = True

    @property
    def is_instrument(self) -> bool:
        """Whether it holds a device."""
        return self._caller.kind == INSTRUMENT

    @property
    def uri(self) -> str:
        """Where it is."""
        return self._caller.uri

    def speak_as(self, note: Callable[[float | None], Mapping[str, Any]]) -> None:
        """Send that along with each call from now on: who calls, and what proves it."""
        self._caller.note = note

    def parameters(self, timeout: float | None = None) -> dict[str, dict[str, Any]]:
        """Give what an instrument can be asked for and told, by name; of anything else nothing. No device is asked."""
        if not self.is_instrument:
            return {}
        if self._parameters is None:
            described = self.ask("describe", timeout=timeout)
            self._parameters = {one["name"]: one for one in described["parameters"]}
            self._whole = bool(described.get("whole", True))
        return self._parameters

    def parameter(self, name: str, timeout: float | None = None) -> dict[str, Any] | None:
        """Give a parameter of an instrument, also of one whose driver is just being loaded; None: it is none."""
        found = self.parameters(timeout).get(name)
        return found if found is not None or not self._has_loaded(name, timeout) else self.parameters(timeout).get(name)

    def has_method(self, name: str, timeout: float | None = None) -> bool:
        """Tell whether it has a public method of that name, also an instrument whose driver is just being loaded."""
        return name in self.methods(timeout) or (self._has_loaded(name, timeout) and name in self.methods(timeout))

    def _has_loaded(self, name: str, timeout: float | None) -> bool:
        """Wait for an instrument's driver to be loaded, or to have that name; tell whether there was anything to wait for."""
        self.parameters(timeout)
        if not self.is_instrument or self._whole:
            return False
        self.call("_await", (name,), safe=False, timeout=PATIENCE if timeout is None else timeout)
        self._parameters = None
        return True

    def ask(self, method: str, *args: Any, timeout: float | None = None) -> Any:
        """Ask what it answers beside its work. Raises what it raises."""
        return self._call(method, args, {}, safe=False, timeout=timeout)

    def _call(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any], *, safe: bool, timeout: float | None) -> Any:
        try:
            return self._caller.call(method, args, kwargs, safe=safe, timeout=timeout)
        except ConnectionLostError as error:
            raise ConnectionLostError(f"{str(error).partition(': see')[0]}: see {self._cure}") from None

    def call(
        self,
        method: str,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        safe: bool = True,
        timeout: float | None = None,
        shown: str = "",
    ) -> Any:
        """Call a method and give its result.

        Args:
            method: Its name.
            args: Its positional arguments.
            kwargs: Its named arguments.
            safe: Whether it is to run in the agent's loop.
            timeout: Seconds; None: as long as there are signs of life.
            shown: What was asked for, as the user would say it; empty: ``NAME.method()``.
        """
        try:
            return self._call(method, tuple(args), dict(kwargs or {}), safe=safe, timeout=timeout)
        except (CommunicationError, RefusedError, AgentStoppedError):
            raise
        except LockedError as error:
            text, known, _ = str(error).partition(_IN_PYTHON)
            raise LockedError(f"{text}lock it first: agentlab lock {self.name}" if known else text) from None
        except InstrumentError as error:
            if self.is_instrument:  # it says all by itself
                raise
            raise _told(shown or f"{self.name}.{method}()", error) from None
        except Exception as error:  # noqa: BLE001 - the method's own error, of whatever type: told in a line
            raise _told(shown or f"{self.name}.{method}()", error) from None

    def methods(self, timeout: float | None = None) -> list[str]:
        """Give the names of its public methods."""
        return list(self.ask("_describe", timeout=timeout)["methods"])

    def members(self, timeout: float | None = None) -> list[str]:
        """Give the names of its public methods and attributes."""
        return list(self.ask("_document", timeout=timeout))

    def attributes(self, timeout: float | None = None) -> list[str]:
        """Give the names of its public attributes."""
        methods = {*self.methods(timeout)}
        return [name for name in self.members(timeout) if name not in methods]

    def attribute(self, name: str, timeout: float | None = None) -> Any:
        """Give an attribute; what is none is the user's mistake."""
        self.check_public(name)
        if name not in self.members(timeout):
            raise self.unknown(name, "attribute", self.attributes, timeout)
        shown = f"reading {self.name}.{name}"
        is_value, value = self.call("_attribute", (name,), safe=False, timeout=timeout, shown=shown)
        if not is_value:
            raise mistake(f"{name!r} of {self.name!r} is a method; call it: agentlab call {self.name} {name}")
        return value

    def unknown(
        self, name: str, what: str, known: Callable[[float | None], list[str]], timeout: float | None = None
    ) -> Exception:
        """Say that it has no such thing, and what it has, its own before what all have; give what to raise.

        Of an instrument that is what its driver has.

        Raises:
            AgentStoppedError: it is a service that does not run, which may be the reason; the text says why it does not.
        """
        if self.is_instrument:  # what every agent has is not what somebody wanted who asks a device
            there = [one["name"] for key in ("actions", "parameters") for one in self.ask("describe", timeout=timeout)[key]]
            return mistake(f"{self.name!r} has no {what} {name!r}{nearest(name, there)}")
        self.check_runs(name, timeout)
        return mistake(f"{self.name!r} has no {what} {name!r}{nearest(name, known(timeout), last=self.common())}")

    def check_runs(self, name: str, timeout: float | None = None) -> None:
        """Let a service that does not run tell why: nobody knows what such a one has.

        Raises:
            AgentStoppedError: it does not run.
        """
        told = self.ask("_describe", timeout=timeout)
        if told.get("kind") == "service" and told.get("state") not in ("running", "starting"):
            self.call("_attribute", (name,), safe=False, timeout=timeout)

    def common(self) -> frozenset[str]:
        """Give what every agent has, or every service."""
        if self._caller.kind not in ("agent", INSTRUMENT):
            return COMMON
        from agentlab.agent.agent import Agent  # for this alone

        return COMMON.union(dir(Agent), ("name", "host", "nsaddr"))

    def check_public(self, name: str) -> None:
        """Refuse a name that is not public."""
        if name.startswith("_"):
            raise mistake(f"{name!r} of {self.name!r} is private; only names without a leading underscore are for others")


def _told(shown: str, error: Exception) -> typer.Exit:
    """Say what somebody's method raised; give what to raise."""
    say(f"{shown} raised {type(error).__name__}: {error}")
    return typer.Exit(FAILED)
