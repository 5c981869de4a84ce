"""``agentlab reset``: let instruments be set again after their safe state."""

from __future__ import annotations

from typing import Annotated

import typer

from agentlab.cli.completion import complete_instrument
from agentlab.cli.door import FAILED, mistake, say
from agentlab.cli.instrumentlooks import PATIENCE, Place, ask_all, chosen, instruments_of, status_of
from agentlab.cli.options import File, Json, NsAddr, as_json
from agentlab.cli.reservations import note_for


def _latched(places: list[Place]) -> list[Place]:
    """Give the instruments that say that they are latched."""
    return [answer.place for answer in ask_all(places, status_of) if answer.error is None and answer.value["latch"]]


def reset(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...", help="Instruments, if not --all.", show_default=False, autocompletion=complete_instrument
        ),
    ] = None,
    nsaddr: NsAddr = None,
    file: File = None,
    every: Annotated[bool, typer.Option("--all", help="All that are latched.")] = False,
    as_text_for_programs: Json = False,
) -> None:
    """Let instruments be set again after an emergency stop or another safe state. Nothing is set back."""
    if every and names:
        raise mistake(f"--all and {' '.join(names)} both say which; give one of them")
    places, wrong = chosen(instruments_of(nsaddr, file), names or [])
    if wrong:
        raise mistake("; ".join(wrong))
    if not names:
        places = _latched(places)
        if not every:
            which = ", ".join(place.name for place in places)
            raise mistake(f"name what is to be reset, or give --all; latched: {which or 'nothing, as far as anybody answers'}")
    answers = ask_all(places, lambda caller: caller.call("reset", (), {}, safe=False, timeout=PATIENCE), note_for)
    if as_text_for_programs:
        print(as_json([{"name": a.place.name, "error": None if a.error is None else str(a.error)} for a in answers]))
    elif not answers:
        print("nothing is latched")
    else:
        for answer in answers:
            if answer.error is None:
                print(f"{answer.place.name} can be set again")
            else:
                say(f"{answer.place.name} was not reset: {answer.error}")
    if any(answer.error is not None for answer in answers):
        raise typer.Exit(FAILED)
