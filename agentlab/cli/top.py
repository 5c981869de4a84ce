"""``agentlab top``: how everybody is, live."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentlab.cli.looks import PATIENCE, Look, registrations
from agentlab.cli.options import File, Interval, NsAddr, as_json_line, nameserver
from agentlab.cli.tables import bytes_text, count_text, rate_text, show, table

if TYPE_CHECKING:
    from rich.table import Table

COLUMNS = ("name", "state", "rate", "queue", "CPU %", "memory", "errors")
KEYS = ("handled", "rate", "calls", "queue", "cpu", "rss", "errors", "bad_messages", "lost", "pid", "busy")
FIRST = 0.5
"""Seconds between the two looks that the first figure of processor time takes, at most."""


def top(
    nsaddr: NsAddr = None,
    file: File = None,
    interval: Interval = 1.0,
    count: Annotated[
        int | None, typer.Option("--count", "-n", min=1, metavar="N", help="End after so many looks.", show_default="none")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="One look, as --count 1.")] = False,
    as_text_for_programs: Annotated[bool, typer.Option("--json", help="Print a line of JSON for each look.")] = False,
) -> None:
    """Show messages per second, queue, processor time, memory and errors of everybody, until Ctrl-C.

    Processor time and memory are those of the process: services of one daemon share one. The rate counts messages that
    are handled: who only publishes has 0.
    """
    looks = _looks(nameserver(nsaddr, file), interval, 1 if once else count)
    with contextlib.suppress(KeyboardInterrupt):  # the usual way to end it
        if as_text_for_programs:
            for when, rows in looks:
                print(as_json_line({"time": when, "rows": rows}), flush=True)
        elif sys.stdout.isatty() and not (once or count):
            _live(looks)
        else:
            for _, rows in looks:
                show(_table(rows))
                sys.stdout.flush()


def _live(looks: Iterator[tuple[float, list[dict[str, Any]]]]) -> None:
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(highlight=False), auto_refresh=False, screen=True) as live:
        for _, rows in looks:
            live.update(_table(rows), refresh=True)


def _looks(address: str, interval: float, count: int | None) -> Iterator[tuple[float, list[dict[str, Any]]]]:
    """Give the time and the rows of each look."""
    before: dict[str, tuple[float, int, float]] = {}
    with Look() as look:
        _rows(address, look, before, PATIENCE)
        time.sleep(min(interval, FIRST))
        due = time.monotonic()
        while True:
            yield time.time(), _rows(address, look, before, min(PATIENCE, max(interval, 0.2)))
            if count is not None:
                count -= 1
                if count <= 0:
                    return
            due = max(due + interval, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))


def _rows(address: str, look: Look, before: dict[str, tuple[float, int, float]], timeout: float) -> list[dict[str, Any]]:
    """Look at everybody once.

    Args:
        address: The name server.
        look: Asks.
        before: When, in which process, and at what processor time each was seen last; brought up to date.
        timeout: Seconds that each has to answer.
    """
    known = registrations(address)
    answers = look.ask(known.values(), "_vitals", timeout)
    now, rows = time.monotonic(), []
    for name, (state, vitals) in zip(known, answers, strict=True):
        if state == "-":
            continue
        if vitals is None:
            before.pop(name, None)
            rows.append({"name": name, "state": state, "cpu_percent": None, **dict.fromkeys(KEYS)})
            continue
        then, pid, cpu = before.get(name, (now, 0, 0.0))
        share = 100 * (vitals["cpu"] - cpu) / (now - then) if pid == vitals["pid"] and now > then else None
        before[name] = (now, vitals["pid"], vitals["cpu"])
        rows.append(
            {
                "name": name,
                "state": vitals["state"],
                "cpu_percent": None if share is None else round(max(0.0, share), 1),
                **{key: vitals.get(key) for key in KEYS},
            }
        )
    return rows


def _table(rows: list[dict[str, Any]]) -> Table:
    return table(
        COLUMNS,
        (
            [
                row["name"],
                row["state"],
                rate_text(row["rate"]),
                count_text(row["queue"]),
                "-" if row["cpu_percent"] is None else f"{row['cpu_percent']:.1f}",
                bytes_text(row["rss"]),
                count_text(row["errors"]),
            ]
            for row in rows
        ),
    )
