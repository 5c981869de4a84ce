"""``agentlab estop``: every instrument into its safe state, now."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from agentlab.cli.completion import complete_instrument
from agentlab.cli.door import FAILED, MISTAKE, say
from agentlab.cli.instrumentlooks import Answer, Place, ask_all, chosen, instruments_of, status_of, supervised
from agentlab.cli.options import File, Json, NsAddr, as_json, seconds
from agentlab.cli.reservations import note_of_user
from agentlab.errors import AgentLabError
from agentlab.runtime.calling import Caller

LIMIT = 3.0
"""Seconds that an instrument has to say that it has latched."""
_LOOK = 0.05  # nobody announces that a safe state is reached
_AWAY = frozenset(("connecting", "offline", "fault"))
"""States of a device that is made safe when it is back: nobody waits for that here."""
_LOOK_AGAIN = 0.1
_COMING = frozenset(("starting", "waiting", "backoff", "stopping"))
"""States of units that will be there in a moment."""
_Stopped = dict[str, tuple[Place, dict[str, Any]]]
"""Name -> where it was, and how far its safe state has come."""
_OVER = frozenset(("stopped", "done"))
"""States of units whose safe state came with their end."""


def estop(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...", help="Instruments; all without it.", show_default=False, autocompletion=complete_instrument
        ),
    ] = None,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="What others are told.")] = "emergency stop",
    wait: Annotated[
        float,
        typer.Option("--wait", parser=seconds(), metavar="SECONDS", help="How long to look whether the safe states are reached."),
    ] = 2.0,
    nsaddr: NsAddr = None,
    file: File = None,
    as_text_for_programs: Json = False,
) -> None:
    """Bring all instruments of the lab into their safe states at once, also those in the middle of a long call.

    It is latched: nothing can be set until agentlab reset. Of each it is said whether it is safe, or what that waits for.
    The exit code is 1 when one could not be reached, or has not reached its safe state. A wrong name keeps none of the others
    from being stopped.
    """
    deadline = time.monotonic() + wait
    stopped: _Stopped = {}
    _stop(chosen(supervised(nsaddr, file), names or [])[0], reason, stopped, named=bool(names))  # before any name server is asked
    unasked = ""
    try:
        wrong = _stop_the_rest(
            stopped, lambda: chosen(instruments_of(nsaddr, file), names or []), reason, deadline, named=bool(names)
        )
    except AgentLabError as error:
        if not stopped:
            raise
        _follow(stopped, deadline)
        wrong, unasked = [], f"whether there are more could not be asked: {error}"
    rows = [stopped[name][1] for name in (names or sorted(stopped)) if name in stopped]
    rows = list({row["name"]: row for row in rows}.values())
    if as_text_for_programs:
        print(as_json([{key: value for key, value in row.items() if key != "over"} for row in rows]))
    elif rows or not wrong:
        _tell(rows)
    for text in (*wrong, *filter(None, [unasked])):
        say(text)
    if unasked or any(row["error"] or row["failed"] or row["pending"] for row in rows):
        raise typer.Exit(FAILED)
    if wrong:
        raise typer.Exit(MISTAKE)


def _stop_the_rest(
    stopped: _Stopped, find: Callable[[], tuple[list[Place], list[str]]], reason: str, deadline: float, *, named: bool
) -> list[str]:
    """Stop whoever is not stopped yet, and look until all are safe; give what is wrong with the names.

    Who is started again meanwhile may know of no latch, and is stopped again.
    """
    is_last = False
    while True:
        places, wrong = find()
        fresh = _stop(places, reason, stopped, named=named)
        coming = any(place.uri is None and place.state in _COMING for place in places) and time.monotonic() < deadline
        if is_last and not fresh and not coming:
            return wrong
        _follow(stopped, deadline)
        is_last = not coming or time.monotonic() > deadline + LIMIT
        time.sleep(_LOOK_AGAIN if coming else 0.0)


def _stop(places: Sequence[Place], reason: str, stopped: _Stopped, *, named: bool) -> bool:
    """Stop those of which none was stopped yet; tell whether there was any."""
    fresh = []
    for place in places:
        before = stopped.get(place.name)
        is_new = before is None or (place.uri is not None and place.uri != before[0].uri)
        if is_new and (named or place.uri is not None or place.state not in _OVER):
            fresh.append(place)
    asked = ask_all(
        fresh, lambda caller: caller.call("estop", (reason,), {}, safe=False, timeout=LIMIT), lambda _: note_of_user("estop")
    )
    stopped.update({answer.place.name: (answer.place, _row(answer)) for answer in asked})
    return bool(fresh)


def _row(answer: Answer) -> dict[str, Any]:
    said = answer.value if isinstance(answer.value, dict) else {}
    return {
        "name": answer.place.name,
        "latched": bool(said.get("latched")),
        "aborted": bool(said.get("aborted")),
        "pending": said.get("pending"),
        "safe": False,
        "failed": [],
        "over": False,
        "error": None if answer.error is None else str(answer.error),
    }


def _follow(stopped: _Stopped, deadline: float) -> None:
    """Look until all that have latched are safe, or the time is over."""
    while True:
        left = {place: row for place, row in stopped.values() if row["latched"] and not row["over"]}
        look = functools.partial(_look, limit=max(0.2, deadline - time.monotonic()))
        for answer in ask_all(left, look):
            if answer.error is None:
                left[answer.place] |= answer.value
        if all(row["over"] for row in left.values()) or time.monotonic() > deadline:
            return
        time.sleep(_LOOK)


def _look(caller: Caller, limit: float) -> dict[str, Any]:
    """Ask an instrument that has latched how far its safe state is."""
    status = status_of(caller, limit)
    has_one = bool(caller.call("describe", (), {}, safe=False, timeout=limit)["safe"])
    pending, failed = status["safe"]["pending"], list(status["safe"]["failed"])
    return {
        "over": pending is None or status["state"] in _AWAY,
        "safe": pending is None and not failed and has_one,
        "pending": pending,
        "failed": failed,
    }


def _tell(rows: list[dict[str, Any]]) -> None:
    if not rows:
        print("there is no instrument to stop")
    for row in rows:
        if row["error"]:
            say(f"{row['name']} was NOT reached: {row['error']}")
        elif row["safe"]:
            print(f"{row['name']}: safe{', the call that ran was ended' if row['aborted'] else ''}")
        elif row["failed"]:
            say(f"{row['name']} is latched, but NOT safe: {'; '.join(row['failed'])}")
        elif row["pending"]:
            print(f"{row['name']}: latched, its safe state is pending: {row['pending']}")
        else:
            print(f"{row['name']}: latched; it has no safe state")
