"""What the verbs about a running lab share: which lab is meant, how times and sizes are shown, how a start is followed."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Self

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from agentlab.lab.client import LabClient
from agentlab.lab.places import DEFAULT_FILE

FileArgument = Annotated[Path, typer.Argument(metavar="[FILE]", help="The lab file.", show_default=True)]
FileOption = Annotated[Path, typer.Option("--file", metavar="FILE", help="The lab file.", show_default=True)]
Simulated = Annotated[
    bool, typer.Option("--simulated", help="A dry run: every instrument that declares a stand-in is replaced by it.")
]
DEFAULT = Path(DEFAULT_FILE)


def complete_units(ctx: typer.Context, incomplete: str) -> list[str]:
    """Give the units of the running lab that begin so, for the shell's completion."""
    with LabClient(ctx.params.get("file") or DEFAULT) as client:
        names = [*(str(row["name"]) for row in client.status()), *client.info()["groups"]] if client.is_up() else []
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


class Following:
    """Shows what happens to units while a lab starts or stops: a line each that changes on a terminal, plain lines elsewhere.

    Args:
        console: Where; one that is no terminal gets plain lines.
        quiet: Show nothing.
    """

    WORKING = frozenset(("starting", "stopping", "restarting", "suspected"))
    WELL = frozenset(("ready", "stopped", "recovered", "ended"))
    BAD = frozenset(("failed", "crashed", "hung", "given_up", "killed"))

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self._console = console
        self._quiet = quiet
        self._began: dict[str, float] = {}
        self._tasks: dict[str, TaskID] = {}
        self._progress: Progress | None = None
        if console.is_terminal and not quiet:
            state = TextColumn("{task.fields[state]}", markup=False)
            columns = (SpinnerColumn(finished_text="*"), TextColumn("{task.description}"), state)
            self._progress = Progress(*columns, TimeElapsedColumn(), console=console)

    def __enter__(self) -> Self:
        if self._progress is not None:
            self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._progress is not None:
            self._progress.stop()

    def __call__(self, event: dict[str, Any]) -> None:
        """Show an event of a unit."""
        unit, what, text = str(event["unit"]), str(event["event"]), first_line(event.get("text"))
        if self._quiet or unit == "lab" or what not in self.WORKING | self.WELL | self.BAD:
            return
        if self._progress is not None:
            self._on_terminal(self._progress, unit, what, text)
        else:
            self._plain(unit, what, text)

    def _on_terminal(self, progress: Progress, unit: str, what: str, text: str) -> None:
        task = self._tasks.get(unit)
        if task is None:
            from rich.markup import escape

            task = self._tasks[unit] = progress.add_task(escape(unit), total=1.0, state="")
        state = f"{what.replace('_', ' ')}{': ' if text else ''}{text}"
        if what in self.WORKING:
            progress.reset(task, state=state)
        else:
            progress.update(task, completed=1.0, state=state)

    def _plain(self, unit: str, what: str, text: str) -> None:
        now = time.monotonic()
        if what in self.WORKING:
            self._began[unit] = now
            if not text:
                return
        took = f" ({now - self._began[unit]:.2f} s)" if what in ("ready", "stopped") and unit in self._began else ""
        line = f"{unit}: {what.replace('_', ' ')}{took}{': ' if text else ''}{text}"
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)
