"""Asking the one of a name, agent or service, on behalf of a verb: what it raises becomes a line and an exit code."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from agentlab.cli.door import FAILED, MISTAKE, say
from agentlab.cli.options import LAB_FILE, nameserver
from agentlab.errors import (
    AgentStoppedError,
    CommunicationError,
    ConfigurationError,
    ConnectionLostError,
    RefusedError,
    nearest,
)
from agentlab.nameserver.client import NameServerClient
from agentlab.runtime.calling import Caller
from agentlab.settings import NAMESERVER_VARIABLE

COMMON = frozenset(("get_attr", "set_attr", "info", "ping", "is_running"))
"""What every service has, unless its class has methods of these names."""


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

        Raises:
            AgentStoppedError: it is a service that does not run, which may be the reason; the text says why it does not.
        """
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
        if self._caller.kind != "agent":
            return COMMON
        from agentlab.agent.agent import Agent  # for this alone

        return COMMON.union(dir(Agent), ("name", "host", "nsaddr"))

    def check_public(self, name: str) -> None:
        """Refuse a name that is not public."""
        if name.startswith("_"):
            raise mistake(f"{name!r} of {self.name!r} is private; only names without a leading underscore are for others")


def mistake(text: str) -> typer.Exit:
    """Say what the user did wrong; give what to raise."""
    say(text)
    return typer.Exit(MISTAKE)


@contextmanager
def peer(name: str, nsaddr: str | None, file: Path | None = None) -> Iterator[Peer]:
    """Give the one of a name for the time of a block.

    Args:
        name: Its name.
        nsaddr: As the option gives it.
        file: As the option gives it.

    Raises:
        UnknownNameError: nobody has it.
        NameServerUnavailableError: no name server answers.
        LabError: the lab that is meant does not run.
    """
    with NameServerClient(nameserver(nsaddr, file)) as names:
        found = names.lookup(name)
    caller = Caller(name, found.uri, None, kind=str(found.metadata.get("kind", "agent")))
    try:
        yield Peer(caller, _cure(name, nsaddr, file))
    finally:
        caller.close()


def _cure(name: str, nsaddr: str | None, file: Path | None) -> str:
    """Give the command that tells what has become of somebody."""
    if file is not None:
        return f"agentlab status {name} --file {file}"
    of_lab = not nsaddr and NAMESERVER_VARIABLE not in os.environ and Path(LAB_FILE).is_file()
    return f"agentlab status {name}" if of_lab else "agentlab ls"


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
