"""``agentlab reset``: let instruments be set again after their safe state."""

from __future__ import annotations

from typing import Annotated

import typer

from agentlab.cli.completion import complete_instrument
from agentlab.cli.door import FAILED, mistake, say
from agentlab.cli.instrumentlooks import PATIENCE, ask_all, chosen, instruments_of
from agentlab.cli.options import File, Json, NsAddr, as_json
from agentlab.cli.reservations import note_for


def reset(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME...", help="Instruments.", show_default=False, autocompletion=complete_instrument),
    ],
    nsaddr: NsAddr = None,
    file: File = None,
    as_text_for_programs: Json = False,
) -> None:
    """Let instruments be set again after an emergency stop or another safe state. Nothing is set back."""
    places, wrong = chosen(instruments_of(nsaddr, file), names)
    if wrong:
        raise mistake("; ".join(wrong))
    answers = ask_all(places, lambda caller: caller.call("reset", (), {}, safe=False, timeout=PATIENCE), note_for)
    if as_text_for_programs:
        print(as_json([{"name": a.place.name, "error": None if a.error is None else str(a.error)} for a in answers]))
    else:
        for answer in answers:
            if answer.error is None:
                print(f"{answer.place.name} can be set again")
            else:
                say(f"{answer.place.name} was not reset: {answer.error}")
    if any(answer.error is not None for answer in answers):
        raise typer.Exit(FAILED)
