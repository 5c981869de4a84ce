"""Showing how the units of a lab start and stop, while they do."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from agentlab.cli.labs import first_line


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
