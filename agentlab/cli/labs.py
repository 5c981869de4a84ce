"""What the verbs about a running lab share: which lab is meant, and how times and sizes are shown."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from agentlab.cli.options import seconds
from agentlab.errors import AgentLabError
from agentlab.lab.client import LabClient
from agentlab.lab.places import DEFAULT_FILE

FileArgument = Annotated[Path, typer.Argument(metavar="[FILE]", help="The lab file.", show_default=True)]
FileOption = Annotated[Path, typer.Option("--file", "-f", metavar="FILE", help="The lab file.", show_default=True)]
Simulated = Annotated[
    bool, typer.Option("--simulated", help="A dry run: every instrument that declares a stand-in is replaced by it.")
]
StartLimit = Annotated[
    float | None,
    typer.Option(
        "--timeout", parser=seconds(), metavar="SECONDS", help="Limit for the whole start.", show_default="as each unit has"
    ),
]
DEFAULT = Path(DEFAULT_FILE)


def complete_units(ctx: typer.Context, incomplete: str) -> list[str]:
    """Give the units of the running lab that begin so, for the shell's completion."""
    try:
        with LabClient(ctx.params.get("file") or DEFAULT) as client:
            names = [*(str(row["name"]) for row in client.status()), *client.info()["groups"]] if client.is_up() else []
    except AgentLabError:  # it ends just now, or is another user's
        return []
    return [name for name in names if name.startswith(incomplete)]


def age(since: float | None, now: float | None = None) -> str:
    """Give how long ago something was, in two or three signs and a unit."""
    if not since:
        return ""
    seconds = max(0.0, (time.time() if now is None else now) - since)
    for size, letter in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds / size:.0f}{letter}" if seconds >= 10 * size else f"{seconds / size:.1f}{letter}"
    return f"{seconds:.0f}s"


def moment(when: float | None) -> str:
    """Give a time as people here read it, to the second."""
    return datetime.fromtimestamp(when).astimezone().isoformat(" ", "seconds") if when else ""


def size(count: float | None) -> str:
    """Give a number of bytes in MB, with a digit where it is small."""
    if count is None:
        return ""
    return f"{count / 1e6:.1f}" if count < 1e7 else f"{count / 1e6:.0f}"


def first_line(text: object) -> str:
    """Give the first line of a text that may hold a traceback; the rest of it is in the log."""
    lines = str(text or "").strip().splitlines()
    return lines[0] if lines else ""


def log_of(row: dict[str, Any]) -> str:
    """Give the unit under which the log has what a unit says of its failure: a service speaks through its daemon."""
    return str(row.get("daemon") or row["unit"])


def ending(row: dict[str, Any]) -> str:
    """Give how a process ended, in a few words."""
    if row.get("signal"):
        return f"killed by {row['signal']}"
    code = row.get("exitcode")
    return "" if code is None else f"exit code {code}"
