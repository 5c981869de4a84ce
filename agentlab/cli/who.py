"""``agentlab who``: who owns which instrument."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from agentlab.cli.completion import complete_instrument
from agentlab.cli.door import FAILED, mistake
from agentlab.cli.instrumentlooks import Answer, ask_all, chosen, instruments_of, lock_of
from agentlab.cli.options import File, Json, NsAddr, as_json
from agentlab.cli.tables import show, since_text, table

COLUMNS = ("name", "owner", "since", "until", "waiting", "reason")


def who(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...", help="Instruments; all without it.", show_default=False, autocompletion=complete_instrument
        ),
    ] = None,
    nsaddr: NsAddr = None,
    file: File = None,
    as_text_for_programs: Json = False,
) -> None:
    """Show who owns the instruments, since when, until when unless renewed, why, and who waits for them."""
    places, wrong = chosen(instruments_of(nsaddr, file), names or [])
    if wrong:
        raise mistake("; ".join(wrong))
    answers = ask_all(places, lock_of)
    if as_text_for_programs:
        print(as_json([_row(answer) for answer in answers]))
    elif not answers:
        print("there is no instrument")
    else:
        show(table(COLUMNS, map(_texts, answers)))
    if names and any(answer.error is not None for answer in answers):
        raise typer.Exit(FAILED)


def _row(answer: Answer) -> dict[str, Any]:
    said: dict[str, Any] = {"error": str(answer.error)} if answer.error is not None else dict(answer.value)
    return {"name": answer.place.name, **said}


def _texts(answer: Answer) -> list[str]:
    if answer.error is not None:
        return [answer.place.name, "?", "-", "-", "-", str(answer.error)]
    info, now = answer.value, time.time()
    if not info["owner"]:
        return [answer.place.name, "-", "-", "-", "-", "to be locked before a set" if info.get("required") else ""]
    waiting = ", ".join(info["queue"]) or "-"
    return [
        answer.place.name,
        info["owner"],
        since_text(info["since"], now),
        since_text(info["until"], now),
        waiting,
        info["reason"],
    ]
