"""Asking the one of a name, agent or service, on behalf of a verb: what it raises becomes a line and an exit code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import typer

from agentlab.cli.door import FAILED, MISTAKE, say
from agentlab.cli.options import nameserver
from agentlab.errors import CommunicationError, ConfigurationError, RefusedError, nearest
from agentlab.nameserver.client import NameServerClient
from agentlab.runtime.calling import Caller


class Peer:
    """The one of a name. Its errors leave as :class:`typer.Exit`, after one line has said what is wrong.

    Args:
        caller: Calls it.
    """

    def __init__(self, caller: Caller) -> None:
        self.name = caller.name
        self._caller = caller

    def ask(self, method: str, *args: Any, timeout: float | None = None) -> Any:
        """Ask what it answers beside its work. Raises what it raises."""
        return self._caller.call(method, args, {}, safe=False, timeout=timeout)

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
            return self._caller.call(method, tuple(args), dict(kwargs or {}), safe=safe, timeout=timeout)
        except (CommunicationError, RefusedError):
            raise
        except Exception as error:  # noqa: BLE001 - the method's own error, of whatever type: told in a line
            say(f"{shown or f'{self.name}.{method}()'} raised {type(error).__name__}: {error}")
            raise typer.Exit(FAILED) from None

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
            raise mistake(f"{self.name!r} has no attribute {name!r}{nearest(name, self.attributes(timeout))}")
        shown = f"reading {self.name}.{name}"
        is_value, value = self.call("_attribute", (name,), safe=False, timeout=timeout, shown=shown)
        if not is_value:
            raise mistake(f"{name!r} of {self.name!r} is a method; call it: agentlab call {self.name} {name}")
        return value

    def check_public(self, name: str) -> None:
        """Refuse a name that is not public."""
        if name.startswith("_"):
            raise mistake(f"{name!r} of {self.name!r} is private; only names without a leading underscore are for others")


def mistake(text: str) -> typer.Exit:
    """Say what the user did wrong; give what to raise."""
    say(text)
    return typer.Exit(MISTAKE)


@contextmanager
def peer(name: str, nsaddr: str | None) -> Iterator[Peer]:
    """Give the one of a name for the time of a block.

    Raises:
        UnknownNameError: nobody has it.
        NameServerUnavailableError: no name server answers.
    """
    with NameServerClient(nameserver(nsaddr)) as names:
        uri = names.lookup(name).uri
    caller = Caller(name, uri, None)
    try:
        yield Peer(caller)
    finally:
        caller.close()


def split(text: str, what: str) -> tuple[str, str]:
    """Give name and member of ``NAME.member``.

    Args:
        text: As the user wrote it; names may have dots themselves.
        what: What comes after the dot, such as ``attribute``.

    Raises:
        ConfigurationError: it is not of that form.
    """
    name, dot, member = text.rpartition(".")
    if not (name and dot and member):
        raise ConfigurationError(f"{text!r} names no {what}; write NAME.{what}")
    return name, member
