"""How far a scan is: a bar with the time that is left, and its plot, on a terminal or in a notebook; nothing elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from agentlab.errors import RunError
from agentlab.runs import terminal
from agentlab.runs.figures import Curve, Map

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

RECENT = 200
"""Points whose pace tells how long the others will take."""
_NOT_SHOWN = (OSError, ValueError)
"""What a terminal raises that has gone, that was closed, or that cannot show a letter."""
_REFRESH = 4
"""Times a second that a terminal is drawn."""
_LIGHTLY = 10
"""A plot that took so long is left as it is for so many times as long: the processor is there to measure."""


class Pace:
    """Tells how long the rest takes, from how long the last points took. Pure: it is told the time.

    Args:
        total: Points of the whole scan.
        done: Points that are there already.
        now: Seconds, of any clock.
    """

    def __init__(self, total: int, done: int, now: float) -> None:
        self.total = total
        self.done = done
        self._marks: deque[tuple[float, int]] = deque([(now, done)], maxlen=RECENT)

    def advance(self, done: int, now: float) -> None:
        """Tell how many points are done by now."""
        self.done = done
        self._marks.append((now, done))

    def remaining(self, now: float) -> float | None:
        """Give the seconds that are left; None while nothing tells."""
        began, before = self._marks[0]
        last, done = self._marks[-1]
        if done <= before:
            return None
        left = (self.total - self.done) * (last - began) / (done - before)
        return max(0.0, left - (now - last))


def duration(seconds: float | None) -> str:
    """Give a time as 0:07, 12:30 or 3:05:00; dashes for None."""
    if seconds is None:
        return "-:--"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Display(Protocol):
    """What a scan tells how far it is."""

    def advance(self, done: int) -> None:
        """Tell how many points are done."""

    def wait(self, why: str) -> None:
        """Tell what it waits for; empty: it goes on."""

    def close(self) -> None:
        """End it; twice is fine."""


class Silent:
    """Shows nothing."""

    def advance(self, done: int) -> None:
        """Do nothing."""

    def wait(self, why: str) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def display(
    title: str, total: int, done: int, *, progress: bool, figure: Callable[[], Curve | Map] | None, console: Console | None = None
) -> Display:
    """Give what shows how far a scan is.

    Args:
        title: What is measured.
        total: Points of all of it.
        done: Points that are there already.
        progress: Whether a bar is wanted.
        figure: Gives what is to be drawn above the bar; None: no plot is wanted.
        console: Where; None: stderr.

    Returns:
        It draws from a thread of its own until it is closed. Where nobody would see it, it does nothing; a terminal that goes
        away, as one of a connection that is cut, never ends a scan.
    """
    if not progress and figure is None:
        return Silent()
    from rich.console import Console

    console = console or Console(stderr=True)
    if not (console.is_terminal or console.is_jupyter):
        return Silent()
    return _Shown(title, total, done, progress=progress, figure=figure, console=console)


class _Shown:
    """A bar and a plot that change in place."""

    def __init__(
        self, title: str, total: int, done: int, *, progress: bool, figure: Callable[[], Curve | Map] | None, console: Console
    ) -> None:
        from rich.live import Live

        self._title = title
        self._bar = progress
        self._figure = figure
        self._console = console
        self._began = time.monotonic()
        self._pace = Pace(total, done, self._began)
        self._why = ""
        self._not_before = 0.0
        self._drawn: tuple[int, RenderableType] | None = None
        self._live = Live(get_renderable=self._render, console=console, refresh_per_second=_REFRESH)
        with contextlib.suppress(*_NOT_SHOWN):
            self._live.start()

    def advance(self, done: int) -> None:
        self._pace.advance(done, time.monotonic())

    def wait(self, why: str) -> None:
        self._why = why

    def close(self) -> None:
        self._not_before = 0.0  # the last picture is the whole one
        with contextlib.suppress(*_NOT_SHOWN):
            self._live.stop()

    def _render(self) -> RenderableType:
        from rich.console import Group

        parts: list[Any] = []
        if self._figure is not None:
            parts.append(self._plot())
        if self._bar:
            parts.append(self._line())
        return Group(*parts)

    def _plot(self) -> RenderableType:
        from rich.text import Text

        done, began = self._pace.done, time.monotonic()
        if self._drawn is None or (self._drawn[0] != done and began >= self._not_before):
            lines: list[str] = []
            try:
                assert self._figure is not None
                lines = terminal.draw(self._figure(), width=max(30, min(78, self._console.width - 1)))
            except RunError as error:  # there is nothing to draw yet
                lines = [str(error)]
            if self._console.options.ascii_only:
                lines = [terminal.as_ascii(line) for line in lines]
            self._drawn = done, Text("\n".join(lines), no_wrap=True)
            now = time.monotonic()
            self._not_before = now + _LIGHTLY * (now - began)
        return self._drawn[1]

    def _line(self) -> RenderableType:
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        now, pace = time.monotonic(), self._pace
        line = Table.grid(padding=(0, 1))
        left = self._why or f"{duration(pace.remaining(now))} left"
        bar = ProgressBar(total=max(1, pace.total), completed=pace.done, width=max(10, min(30, self._console.width - 50)))
        line.add_row(self._title, bar, f"{pace.done}/{pace.total}", duration(now - self._began), left)
        return line
