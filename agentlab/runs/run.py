"""One run: what is known of it, its rows, its plots, and its exports."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentlab.runs import export, figures, plot, terminal
from agentlab.runs.model import Column, RunInfo, State

if TYPE_CHECKING:
    from agentlab.runs.store import RunStore

Target = str | os.PathLike[str]


class Run:
    """A run of a store, whether it is over or still measured, by this process or another. It holds nothing open.

    Made by :func:`~agentlab.runs.scan.sweep` and :class:`~agentlab.runs.store.RunStore`. All that looks at rows or state
    blocks as long as the disk does, and raises :class:`~agentlab.errors.RunError` where the store cannot be read.
    """

    def __init__(self, store: RunStore, info: RunInfo) -> None:
        self.store = store
        self._info = info
        self._data: dict[str, Any] | None = None

    @property
    def id(self) -> int:
        """Its number in the store."""
        return self._info.id

    @property
    def name(self) -> str:
        """What the user called it; may be empty."""
        return self._info.name

    @property
    def info(self) -> RunInfo:
        """What is known of it by now; asks the store while it runs."""
        if self._info.is_running:
            self._info = self.store.info(self.id)
        return self._info

    @property
    def state(self) -> State:
        """``running``, ``done``, ``aborted`` (interrupted, or its process was killed) or ``failed``."""
        return self.info.state

    @property
    def heard(self) -> float:
        """When its newest row was measured, or when it was begun while it has none: seconds since 1970 of its machine's clock.

        That tells of a run of another machine whether its process still lives: nobody can see that from here.
        """
        rows = self.info.rows
        newest = next(self.store.rows(self.id, rows - 1), None) if rows else None
        return float(newest[0]) if newest is not None and isinstance(newest[0], int | float) else self.info.started

    @property
    def columns(self) -> tuple[Column, ...]:
        """Its columns with their units: the time, the axes, the readings."""
        return self._info.columns

    @property
    def data(self) -> dict[str, Any]:
        """All rows so far, as columns by name: arrays of numpy where that is installed, else lists.

        ``time`` is in seconds since 1970. Arrays that were read are stacked, their first axis is the row. A missing value is NaN.
        """
        if self._data is not None:
            return self._data
        info = self.info  # before the rows, so that none is missed when it ends between the two
        data = dict(zip((c.name for c in info.columns), self.store.columns(self.id, len(info.columns)), strict=True))
        if not info.is_running:
            self._data = data
        return data

    def __len__(self) -> int:
        return self.info.rows

    def __bool__(self) -> bool:
        return True  # also while it has no rows

    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[dict[str, Any]]:
        """Give rows in their order, each as values by name of the column.

        Args:
            start: Number of the first, from 0.
            stop: Number after the last; None: all that there are now.
        """
        names = [column.name for column in self.columns]
        return (dict(zip(names, row, strict=True)) for row in self.store.rows(self.id, start, stop))

    def follow(self, *, start: int = 0, timeout: float | None = None) -> Iterator[dict[str, Any]]:
        """Give rows as they come until the run ends; see :meth:`~agentlab.runs.store.RunStore.follow`."""
        return self.store.follow(self, start=start, timeout=timeout)

    @property
    def axes(self) -> dict[str, list[Any]]:
        """The values that each axis steps through, the outermost first, whether they were reached or not."""
        return dict(zip((column.name for column in self._info.axes), self.store.axes(self.id), strict=True))

    @property
    def snapshot(self) -> dict[str, Any]:
        """How the instruments were set at its start: instrument -> parameter -> value, unit, time, quality."""
        taken = self.store.snapshots(self.id)
        return taken[0][1] if taken else {}

    @property
    def snapshots(self) -> list[tuple[float, dict[str, Any]]]:
        """The same with its time, for the start and every time that it was resumed."""
        return self.store.snapshots(self.id)

    @property
    def remarks(self) -> list[tuple[int, str, str]]:
        """What is to be said of single values: number of the row, column, text.

        Such as why a value is missing, or how long the scan waited for its device before the row (``on_error="wait"``).
        """
        return self.store.remarks(self.id)

    # -------------------------------------------------------------------------------- to look at

    def plot(self, path: Target | None = None, *, y: str | None = None) -> Any:
        """Draw it: a line over one axis, a map in colours over two.

        Args:
            path: A file for the picture (``.png``); None: none is written.
            y: What to draw; None: the first reading that is a number.

        Returns:
            The picture (:class:`PIL.Image.Image`), 1000 by 620 pixels; a notebook shows it.

        Raises:
            RunError: there is nothing to draw, or the file cannot be written.
        """
        picture = plot.draw(figures.figure(self.info, self.data, self.axes, y))
        if path is not None:
            export.write(Path(path), lambda file: picture.save(file, "PNG", dpi=(144, 144)))
        return picture

    def text_plot(self, *, y: str | None = None, width: int = 78, height: int = 16, ascii_only: bool = False) -> str:
        """Draw it as text, for a terminal.

        Args:
            y: What to draw; None: the first reading that is a number.
            width: Characters of a line.
            height: Lines of the plot itself.
            ascii_only: Without dots of braille characters.

        Raises:
            RunError: there is nothing to draw.
        """
        lines = terminal.draw(figures.figure(self.info, self.data, self.axes, y), width=width, height=height)
        return "\n".join(map(terminal.as_ascii, lines) if ascii_only else lines)

    # -------------------------------------------------------------------------------- to take elsewhere

    def to_csv(self, path: Target) -> Path:
        """Write a table of text, with a heading of names and units. See :func:`agentlab.runs.export.to_csv`."""
        return export.to_csv(self, Path(path))

    def to_parquet(self, path: Target) -> Path:
        """Write a Parquet file. See :func:`agentlab.runs.export.to_parquet`."""
        return export.to_parquet(self, Path(path))

    def to_hdf5(self, path: Target) -> Path:
        """Write an HDF5 file. See :func:`agentlab.runs.export.to_hdf5`."""
        return export.to_hdf5(self, Path(path))

    def to_xarray(self) -> Any:
        """Give an xarray Dataset over the axes. See :func:`agentlab.runs.export.to_xarray`."""
        return export.to_xarray(self)

    def __repr__(self) -> str:
        info = self.info
        return f"<{info.title}: {info.state}, {info.rows} of {info.planned} points>"
