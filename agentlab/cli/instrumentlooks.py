"""Finding all instruments of a lab and asking them at once: for ``instruments``, ``who``, ``estop`` and ``ps``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentlab.cli.options import LAB_FILE, nameserver
from agentlab.errors import AgentLabError, nearest
from agentlab.nameserver.client import NameServerClient
from agentlab.runtime.calling import Caller
from agentlab.settings import NAMESERVER_VARIABLE

KIND = "instrument"
PATIENCE = 1.0
"""Seconds that an instrument has to say how it is."""
MOST_AT_ONCE = 256


@dataclass(frozen=True)
class Place:
    """An instrument, and where its agent is.

    Attributes:
        name: Its name.
        uri: Where its agent answers; None: it does not run, as far as anybody knows.
        state: Of its unit, where a lab runs it; empty: nobody supervises it.
        reason: Why it is in that state.
    """

    name: str
    uri: str | None
    state: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Answer:
    """What an instrument has answered.

    Attributes:
        place: The instrument.
        value: What it gave; None where there is an error.
        error: Why there is no answer, or what it raised.
    """

    place: Place
    value: Any = None
    error: AgentLabError | str | None = None


def instruments_of(nsaddr: str | None, file: Path | None = None) -> dict[str, Place]:
    """Give all instruments that a lab's supervisor or a name server knows, by name.

    The supervisor is asked too where there is one: it knows those whose agents do not run, and where all are though no name
    server is up.

    Raises:
        LabError: the lab that is meant does not run.
        NameServerError: no name server answers, and no lab's supervisor either.
    """
    try:
        found, addresses = _supervised(nsaddr, file)
    except AgentLabError:
        if file is not None:
            raise
        return _registered(nameserver(None, None))  # which knows where else to look, and what to say
    if addresses is None:
        return _registered(nameserver(nsaddr, file))
    for address in addresses:
        try:
            registered = _registered(address)
        except AgentLabError:  # it is just going: the supervisor knows the most
            continue
        for name, place in registered.items():
            known = found.get(name)
            if known is None or known.uri is None:
                found[name] = place
    return dict(sorted(found.items()))


def supervised(nsaddr: str | None, file: Path | None = None) -> dict[str, Place]:
    """Give the instruments of the lab's supervisor, without asking any name server; none where no supervisor is asked."""
    try:
        return _supervised(nsaddr, file)[0]
    except AgentLabError:
        return {}


def _supervised(nsaddr: str | None, file: Path | None) -> tuple[dict[str, Place], list[str] | None]:
    """Give what the lab's supervisor knows, and its name servers; None for these: there is no lab file to go by."""
    given = nsaddr or (os.environ.get(NAMESERVER_VARIABLE) if file is None else None)
    lab_file = file if file is not None else Path(LAB_FILE)
    if given or not lab_file.is_file():
        return {}, None
    from agentlab.lab.client import LabClient  # all this is needed for labs alone

    with LabClient(lab_file) as lab:
        rows, addresses = lab.status(), lab.info()["nameservers"]
    return {row["name"]: _of_unit(row) for row in rows if row["kind"] == KIND}, [one for one in addresses.values() if one]


def _of_unit(row: Mapping[str, Any]) -> Place:
    return Place(row["name"], row.get("uri"), row["state"], str(row.get("reason") or "").partition("\n")[0])


def _registered(address: str) -> dict[str, Place]:
    with NameServerClient(address) as names:
        found = names.list()
    kinds = {name: one.metadata.get("kind") for name, one in found.items()}
    return {name: Place(name, found[name].uri) for name in sorted(found) if kinds[name] == KIND}


def chosen(places: Mapping[str, Place], names: Sequence[str]) -> tuple[list[Place], list[str]]:
    """Give the instruments of these names, all where there is none, and what is wrong with the other names."""
    if not names:
        return list(places.values()), []
    wanted = dict.fromkeys(names)
    wrong = [f"there is no instrument {name!r}{nearest(name, places)}" for name in wanted if name not in places]
    return [places[name] for name in wanted if name in places], wrong


def ask_all(
    places: Iterable[Place],
    ask: Callable[[Caller], Any],
    note: Callable[[str], Callable[[float | None], Mapping[str, Any]]] | None = None,
) -> list[Answer]:
    """Ask all of some instruments at once, each in a thread of its own, and give the answers in their order.

    Args:
        places: The instruments.
        ask: Asks one, with a limit of its own.
        note: Gives what is sent along with the calls of a URI, such as who calls.
    """
    todo = list(places)
    if not todo:
        return []

    def one(place: Place) -> Answer:
        if place.uri is None:
            why = f": {place.reason}" if place.reason else ""
            return Answer(place, error=f"its agent does not run ({place.state or 'unknown'}{why})")
        caller = Caller(place.name, place.uri, None, kind=KIND)
        caller.note = None if note is None else note(place.uri)
        try:
            return Answer(place, ask(caller))
        except AgentLabError as error:
            return Answer(place, error=error)
        except Exception as error:  # noqa: BLE001 - whatever it answers: told in a line, and the others are not harmed
            return Answer(place, error=f"{type(error).__name__}: {error}")
        finally:
            caller.close()

    with ThreadPoolExecutor(min(len(todo), MOST_AT_ONCE), "agentlab-ask") as pool:
        return list(pool.map(one, todo))


def lock_of(caller: Caller) -> Any:
    """Ask an instrument who owns it."""
    return caller.call("lock_info", (), {}, safe=False, timeout=PATIENCE)


def status_of(caller: Caller, timeout: float = PATIENCE) -> dict[str, Any]:
    """Ask an instrument how it is; answered also in the middle of a long call."""
    found: dict[str, Any] = caller.call("status", (), {}, safe=False, timeout=timeout)
    return found
