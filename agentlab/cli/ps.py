"""``agentlab ps``: the units of a running lab."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import psutil
import typer

from agentlab.cli.labs import DEFAULT, age, first_line, size
from agentlab.cli.options import Json, as_json
from agentlab.cli.tables import printable, show
from agentlab.errors import ConfigurationError
from agentlab.lab.client import LabClient

if TYPE_CHECKING:
    from rich.table import Table

LONGEST_NAME = 24
"""Characters of a unit's name that stand in one line, so that the table fits 80."""
LONGEST_REASON = 48
UP = ("running", "suspected")
WELL = ("online", "busy")
"""States of an instrument of which nothing needs to be said."""
_AFTER = {
    "running": "started again",
    "suspected": "started again, now suspected",
    "backoff": "to be started again",
    "waiting": "to be started again",
    "starting": "being started again",
    "failed": "not started again",
    "done": "not started again",
}


def ps(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="The lab file; lab.yml.", show_default=False)] = None,
    as_option: Annotated[Path | None, typer.Option("--file", "-f", metavar="FILE", help="The same.", show_default=False)] = None,
    as_text_for_programs: Json = False,
) -> None:
    """List the units of a running lab: state, process, how long so, restarts, CPU and memory, and why.

    CPU is a process's average since it began, in percent of one core; memory is what it holds itself, in MB. Of an
    instrument its own state is shown too, where it is not as it should be: offline, fault, safe, silent.
    """
    if file is not None and as_option is not None:
        raise ConfigurationError(f"{file} and --file {as_option} both say which lab; give one of them")
    with LabClient(file or as_option or DEFAULT) as client:
        rows = [{**row, **usage(row.get("pid"))} for row in client.status()]
    look_at_instruments(rows)
    if as_text_for_programs:
        print(as_json(rows))
    elif not rows:
        print("the lab has no units")
    else:
        show(_table(rows))


def look_at_instruments(rows: list[dict[str, Any]]) -> None:
    """Add the own state of each instrument that runs."""
    running = {row["name"]: row for row in rows if row["kind"] == "instrument" and row["state"] in UP and row.get("uri")}
    if not running:
        return
    from agentlab.cli.instrumentlooks import Place, ask_all, status_of  # for instruments alone

    for answer in ask_all([Place(name, row["uri"]) for name, row in running.items()], status_of):
        row = running[answer.place.name]
        row["instrument"] = {"state": "silent", "reason": str(answer.error)} if answer.error is not None else answer.value


def state_text(row: dict[str, Any]) -> str:
    """Give the state of a unit; of an instrument with its own, unless all is well."""
    own = (row.get("instrument") or {}).get("state")
    return str(row["state"]) if own in (None, *WELL) else f"{row['state']}, {own}"


def usage(pid: int | None) -> dict[str, float | None]:
    """Give what a process uses: ``cpu`` in percent of a core since it began, ``rss`` in bytes; None where it has ended."""
    if not pid:
        return {"cpu": None, "rss": None}
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            spent, began = process.cpu_times(), process.create_time()
            cpu = 100.0 * (spent.user + spent.system) / max(time.time() - began, 0.01)
            return {"cpu": round(cpu, 1), "rss": process.memory_info().rss}
    except psutil.Error:
        return {"cpu": None, "rss": None}


def _table(rows: list[dict[str, Any]]) -> Table:
    from rich.table import Table

    reasons = [why(row) for row in rows]
    explained = any(reasons)
    table = Table(box=None, pad_edge=False, expand=explained)
    table.add_column("unit", overflow="fold", max_width=LONGEST_NAME)
    table.add_column("state", no_wrap=True)
    for heading in ("pid", "since", "restarts", "%CPU", "MB"):
        table.add_column(heading, justify="right", no_wrap=True)
    if explained:
        table.add_column("last reason", overflow="fold", ratio=1)  # what the others leave of the width
    for row, reason in zip(rows, reasons, strict=True):
        cells = (
            str(row["unit"]),
            state_text(row),
            str(row.get("pid") or ""),
            age(row.get("since")),
            str(row.get("restarts") or 0),
            "" if row["cpu"] is None else f"{row['cpu']:.1f}",
            size(row["rss"]),
        )
        table.add_row(*cells, *([reason] if explained else []))
    return table


def why(row: dict[str, Any]) -> str:
    """Give why a unit is in its state in a few words, the cause first; ``agentlab status`` gives the whole."""
    reason, cause = first_line(row.get("reason")), str(row.get("cause") or "")
    if cause:
        text = f"{cause}; {_AFTER.get(row['state'], row['state'])}" if "given up" not in reason else f"{cause}; given up"
    else:
        text = reason.partition("; agentlab ")[0]  # the cure is for who asks about the unit
    text = printable(text)
    return text if len(text) <= LONGEST_REASON else f"{text[: LONGEST_REASON - 3].rstrip()}..."
