"""Finding whom a verb is about: the agent, service or instrument of a name, or of ``NAME.member``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from agentlab.cli.asking import INSTRUMENT, Peer
from agentlab.cli.completion import complete_instrument
from agentlab.cli.door import mistake
from agentlab.cli.options import LAB_FILE, nameserver
from agentlab.errors import ConfigurationError, LabError, NameServerError, UnknownNameError
from agentlab.nameserver.client import NameServerClient, Registration
from agentlab.runtime.calling import Caller
from agentlab.settings import NAMESERVER_VARIABLE

InstrumentName = Annotated[
    str, typer.Argument(metavar="NAME", help="An instrument.", show_default=False, autocompletion=complete_instrument)
]


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
    with NameServerClient(nameserver(nsaddr, file)) as names, _knowing_who_rests(name, nsaddr, file):
        found = names.lookup(name)
    with _peer_of(found, _cure(name, nsaddr, file)) as whom:
        yield whom


@contextmanager
def _knowing_who_rests(text: str, nsaddr: str | None, file: Path | None) -> Iterator[None]:
    """Let a block that finds nobody of a name say so where it is an instrument of the lab whose agent does not run."""
    try:
        yield
    except UnknownNameError:
        from agentlab.cli.instrumentlooks import supervised  # for this alone

        for place in supervised(nsaddr, file).values():
            if place.uri is None and (text == place.name or text.startswith(f"{place.name}.")):
                why = f": {place.reason}" if place.reason else ""
                cure = f"agentlab start {place.name}" if place.state == "stopped" else f"see agentlab status {place.name}"
                raise UnknownNameError(f"{place.name} does not run, it is {place.state}{why}; {cure}") from None
        raise


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
    with NameServerClient(nameserver(nsaddr, file)) as names, _knowing_who_rests(text, nsaddr, file):
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
        with NameServerClient(nameserver(nsaddr, file)) as names, _knowing_who_rests(text, nsaddr, file):
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
