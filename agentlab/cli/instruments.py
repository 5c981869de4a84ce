"""``agentlab instruments``: how all instruments are, and what they measured last."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentlab.cli.instrumentlooks import PATIENCE, Answer, ask_all, instruments_of, status_of
from agentlab.cli.options import File, Interval, NsAddr, as_json, as_json_line
from agentlab.cli.tables import printable, show, since_text, table
from agentlab.instruments.model.reading import Reading
from agentlab.runtime.calling import Caller

if TYPE_CHECKING:
    from rich.table import Table

COLUMNS = ("name", "state", "owner", "last readings")
MOST_READINGS = 6
"""Readings of one instrument that the table shows."""
LONGEST_READING = 60
"""Characters of one of them."""


def instruments(
    nsaddr: NsAddr = None,
    file: File = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on showing them, until Ctrl-C.")] = False,
    interval: Interval = 1.0,
    count: Annotated[
        int | None, typer.Option("--count", "-n", min=1, metavar="N", help="End after so many looks.", show_default="none")
    ] = None,
    as_text_for_programs: Annotated[
        bool, typer.Option("--json", help="Print JSON, for programs; with --watch a line for each look.")
    ] = False,
) -> None:
    """Show state, owner and last readings of all instruments. No device is asked for it.

    States: connecting; online; busy (an action runs); offline (the device is not there); fault (its driver failed); safe
    (latched: see reset). One that does not answer is silent, one whose agent does not run has the state of its unit.
    """
    if not watch and count is None:
        _print(_rows(nsaddr, file), as_lines_of_json=False, as_json_text=as_text_for_programs)
        return
    with contextlib.suppress(KeyboardInterrupt):  # the usual way to end it
        if sys.stdout.isatty() and not as_text_for_programs and count is None:
            _live(nsaddr, file, interval)
        looks = 0
        while count is None or looks < count:
            if looks:
                time.sleep(interval)
            looks += 1
            _print(_rows(nsaddr, file), as_lines_of_json=True, as_json_text=as_text_for_programs)
            sys.stdout.flush()


def _print(rows: list[dict[str, Any]], *, as_lines_of_json: bool, as_json_text: bool) -> None:
    if as_json_text:
        print(as_json_line({"time": time.time(), "rows": rows}) if as_lines_of_json else as_json(rows))
    elif not rows:
        print("there is no instrument")
    else:
        show(_table(rows))


def _live(nsaddr: str | None, file: Any, interval: float) -> None:
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(highlight=False), auto_refresh=False, screen=True) as live:
        while True:
            live.update(_table(_rows(nsaddr, file)), refresh=True)
            time.sleep(interval)


def _rows(nsaddr: str | None, file: Any) -> list[dict[str, Any]]:
    return [_row(answer) for answer in ask_all(instruments_of(nsaddr, file).values(), _look)]


def _look(caller: Caller) -> dict[str, Any]:
    status = status_of(caller)
    return {**status, "readings": caller.call("snapshot", (False,), {}, safe=False, timeout=PATIENCE)}


def _row(answer: Answer) -> dict[str, Any]:
    place = answer.place
    if answer.error is None:
        return {"name": place.name, "no_answer": None, **answer.value}
    state = "silent" if place.uri is not None else place.state or "silent"
    return {"name": place.name, "state": state, "owner": "", "readings": {}, "no_answer": str(answer.error)}


def _table(rows: list[dict[str, Any]]) -> Table:
    return table(COLUMNS, ([row["name"], str(row["state"]), str(row.get("owner") or "-"), _story(row)] for row in rows))


def _story(row: dict[str, Any]) -> str:
    """Give the last readings with their units; before them, why the instrument is not as it should be."""
    readings = [one for plain in row["readings"].values() if (one := Reading.from_dict(plain)).value is not None]
    readings.sort(key=lambda one: one.sequence == 0)  # those that are polled first
    texts = [_short(f"{one.name} {one}") for one in readings[:MOST_READINGS]]
    more = len(readings) - MOST_READINGS
    shown = ", ".join(texts) + (f" and {more} more" if more > 0 else "")
    why = row["no_answer"] or (row.get("reason") if row["state"] not in ("online", "busy") else "")
    hangs = row.get("hangs")
    doing = f"{row['action']} runs{_progress(row)}" if row["state"] == "busy" and row.get("action") else ""
    if isinstance(hangs, dict) and hangs.get("text") != why:  # before the device was ever there, that is the reason, too
        doing = str(hangs.get("text"))
    return "; ".join(str(part) for part in (why, _latch(row), doing, shown) if part) or "-"


def _latch(row: dict[str, Any]) -> str:
    """Give since when it is latched, by whom, and why; empty: it is not. A device that is away shows no other sign of it."""
    latch = row.get("latch")
    if not isinstance(latch, dict):
        return ""
    since = f" since {since_text(latch['since'], time.time())}" if latch.get("since") else ""
    return f"latched{since} by {latch['by'] or 'somebody'}: {latch['reason']}"


def _short(text: str) -> str:
    text = printable(text[: LONGEST_READING + 1])
    return text if len(text) <= LONGEST_READING else f"{text[: LONGEST_READING - 3]}..."


def _progress(row: dict[str, Any]) -> str:
    progress = row.get("progress")
    done = "" if progress is None else f", {100 * progress:.0f} %"
    elapsed = row.get("elapsed")
    return f" since {elapsed:.1f} s{done}" if elapsed is not None else done
