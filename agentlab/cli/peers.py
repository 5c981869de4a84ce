"""Asking the one of a name, agent or service, on behalf of a verb: what it raises becomes a line and an exit code."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from agentlab.cli.completion import complete_instrument
from agentlab.cli.door import FAILED, MISTAKE, say
from agentlab.cli.options import LAB_FILE, nameserver
from agentlab.errors import (
    AgentStoppedError,
    CommunicationError,
    ConfigurationError,
    ConnectionLostError,
    InstrumentError,
    LabError,
    LockedError,
    NameServerError,
    RefusedError,
    UnknownNameError,
    nearest,
)
from agentlab.nameserver.client import NameServerClient, Registration
from agentlab.runtime.calling import Caller
from agentlab.settings import NAMESERVER_VARIABLE

INSTRUMENT = "instrument"
PATIENCE = 10.0
"""Seconds; an instrument gives up sooner waiting for its driver."""
InstrumentName = Annotated[
    str, typer.Argument(metavar="NAME", help="An instrument.", show_default=False, autocompletion=complete_instrument)
]
_IN_PYTHON = "lock it first: `with"
"""What a program is told of an instrument that only its owner may change; a shell has a verb for it."""
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
        if found is None and self.is_instrument and not self._whole:
            self.call("_await", (name,), safe=False, timeout=PATIENCE if timeout is None else timeout)
            self._parameters = None
            found = self.parameters(timeout).get(name)
        return found

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
    with _peer_of(found, _cure(name, nsaddr, file)) as whom:
        yield whom


@contextmanager
def _peer_of(found: Registration, cure: str) -> Iterator[Peer]:
    caller = Caller(found.name, found.uri, None, kind=str(found.metadata.get("kind", "agent")))
    whom = Peer(caller, cure)
    if whom.is_instrument:
        from agentlab.cli.reservations import note_for  # for instruments alone

        whom.speak_as(note_for(found.uri))
    try:
        yield whom
    finally:
        caller.close()


@contextmanager
def member_peer(
    text: str, what: str, nsaddr: str | None, file: Path | None = None, *, alone: bool = False
) -> Iterator[tuple[Peer, str]]:
    """Give the one that ``NAME.member`` means, and the member, for the time of a block.

    Names may have dots, and so may parameters of instruments: ``dmm.ch_1.voltage``. The longest name that is there is meant.

    Args:
        text: As the user wrote it.
        what: What comes after the name, such as ``attribute``.
        nsaddr: As the option gives it.
        file: As the option gives it.
        alone: Whether the name of an instrument may stand alone; the member is empty then.

    Raises:
        ConfigurationError: it is not of that form.
        UnknownNameError, NameServerUnavailableError, LabError: as for :func:`peer`.
    """
    whole = _alone(text, nsaddr, file)
    if whole is not None:
        if not alone:
            raise mistake(f"{text!r} is an instrument; write {text}.PARAMETER: agentlab describe {text} lists what it has")
        with _peer_of(whole, _cure(text, nsaddr, file)) as whom:
            yield whom, ""
        return
    name, member = split(text, what)
    with NameServerClient(nameserver(nsaddr, file)) as names:
        found = names.find(name)
        first = name
        while found is None and "." in name:
            name, _, more = name.rpartition(".")
            member = f"{more}.{member}"
            candidate = names.find(name) if name else None
            found = candidate if candidate is not None and candidate.metadata.get("kind") == INSTRUMENT else None
        if found is None:
            found = names.lookup(first)  # which says that nobody is called so
    with _peer_of(found, _cure(found.name, nsaddr, file)) as whom:
        yield whom, member


def _alone(text: str, nsaddr: str | None, file: Path | None) -> Registration | None:
    """Give the instrument that a text without a member names; None: it is none, or nobody can be asked.

    Raises:
        UnknownNameError: nobody has that name; says who has one like it.
    """
    if "." in text.strip("."):  # also a name may have dots, but then who reads it cannot tell either
        return None
    try:
        with NameServerClient(nameserver(nsaddr, file)) as names:
            found = names.lookup(text)
    except UnknownNameError:
        raise
    except (NameServerError, LabError):
        return None
    return found if found.metadata.get("kind") == INSTRUMENT else None


@contextmanager
def instrument(name: str, nsaddr: str | None, file: Path | None = None) -> Iterator[Peer]:
    """Give the instrument of a name for the time of a block; anything else is the user's mistake. Raises as :func:`peer`."""
    with peer(name, nsaddr, file) as whom:
        if not whom.is_instrument:
            raise mistake(f"{name!r} is no instrument; agentlab instruments lists those that there are")
        yield whom


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
