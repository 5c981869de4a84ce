"""``agentlab up``: start a lab in the background."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from agentlab.cli.door import FAILED, INTERRUPTED, MISTAKE, say
from agentlab.cli.following import Following
from agentlab.cli.labs import DEFAULT, FileArgument, Simulated, StartLimit, first_line, log_of
from agentlab.cli.options import Json, as_json
from agentlab.cli.ps import WELL, look_at_instruments
from agentlab.cli.tables import printable
from agentlab.lab.client import LabClient

LOADING = 1.0
"""Seconds in which drivers are loaded and most devices have answered."""
_LOOK = 0.05
RUNNING = frozenset(("running", "suspected", "done", "elsewhere"))


def up(
    file: FileArgument = DEFAULT,
    keep_going: Annotated[bool, typer.Option("--keep-going", help="Go on without a unit that does not start.")] = False,
    foreground: Annotated[bool, typer.Option("--foreground", help="Stay here and run the lab until Ctrl-C.")] = False,
    timeout: StartLimit = None,
    simulated: Simulated = False,
    as_text_for_programs: Json = False,
) -> None:
    """Start the lab of a file, with a supervisor that runs in the background and keeps it up.

    The file is checked first: with a problem in it nothing is started. Where a unit does not start, everything is stopped
    again, unless --keep-going is given. A lab that is up already stays as it is. The exit code is 0 when all runs but what
    somebody has stopped, and 1 when a unit does not.
    """
    if foreground:
        from agentlab.cli.node import run_here

        run_here(file, keep_going=keep_going, timeout=timeout, simulated=simulated)
        return
    from agentlab.lab.launch import start_node_detached

    console = Console()
    try:
        with Following(console, quiet=as_text_for_programs) as show:
            info = start_node_detached(file, keep_going=keep_going, timeout=timeout, on_event=show, simulated=simulated)
    except KeyboardInterrupt:
        with LabClient(file) as client:
            goes_on = client.is_up()
        how = f"the lab goes on in the background: agentlab ps shows it, agentlab down {file} ends it"
        say(f"interrupted; {how if goes_on else 'nothing was started'}")
        raise typer.Exit(INTERRUPTED) from None
    if simulated and not info.get("simulated"):
        say(f"{file} is up already, with its real instruments; agentlab down {file} first")
        raise typer.Exit(MISTAKE)
    with LabClient(file) as client:
        rows = client.status()
    look_until_connected(rows)
    bad, idle = not_running(rows)
    if as_text_for_programs:
        print(as_json({**info, "units": rows}))
    else:
        _tell(file, info, rows)
        for line in unwell(rows):
            print(line)
        if idle:
            print(f"stopped, and left so: {', '.join(idle)}; agentlab start NAME starts one")
    if bad:
        for row in bad:
            say(f"{row['unit']} is not up: {first_line(row.get('reason')) or row['state']}; see agentlab logs {log_of(row)}")
        raise typer.Exit(FAILED)


def not_running(rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    """Give the rows of the units that should run and do not, and the names of those that somebody has stopped.

    What does not start with the lab, and was never started, is neither.
    """
    idle = [row for row in rows if row["state"] == "stopped" and "given up" not in str(row.get("reason"))]
    bad = [row for row in rows if row["state"] not in RUNNING and row not in idle]
    return bad, [str(row["unit"]) for row in idle if row.get("since") is not None]


def look_until_connected(rows: list[dict[str, Any]]) -> None:
    """Add the own state of each instrument that runs; a driver that is just being loaded gets a moment for it."""
    deadline = time.monotonic() + LOADING
    while True:
        look_at_instruments(rows)
        if not any(_own_state(row) == "connecting" for row in rows) or time.monotonic() > deadline:
            return
        time.sleep(_LOOK)


def unwell(rows: list[dict[str, Any]]) -> list[str]:
    """Give a line for each instrument whose agent runs, and whose device is not as it should be."""
    return [_unwell(row) for row in rows if _own_state(row) not in ("", *WELL)]


def _unwell(row: dict[str, Any]) -> str:
    own, state = row["instrument"], _own_state(row)
    latch = own.get("latch") or {}
    if state == "safe" and latch:
        return printable(f"{row['unit']} is latched in its safe state: {latch['reason']}; agentlab reset {row['name']} ends that")
    why = first_line(own.get("reason"))
    return printable(f"{row['unit']} is {'in fault' if state == 'fault' else state}{': ' if why else ''}{why}")


def _own_state(row: dict[str, Any]) -> str:
    return str((row.get("instrument") or {}).get("state") or "")


def _tell(file: Path, info: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    running = sum(row["state"] == "running" for row in rows)
    elsewhere = [f"{row['unit']} ({row['host']})" for row in rows if row["state"] == "elsewhere"]
    how = ("is up already" if info["already"] else "is up") + (", simulated" if info.get("simulated") else "")
    print(f"{file} {how}: {running} of {len(rows) - len(elsewhere)} units running, supervisor {info['pid']}")
    if elsewhere:
        print(f"elsewhere, left to the nodes there: {', '.join(elsewhere)}")
    for line in info.get("dry_run") or ():
        print(line)
    if info["already"] and info.get("changed"):
        print(f"{file} has changed since it was read; agentlab reload takes that over")
