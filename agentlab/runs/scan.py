"""Scans: set, wait, read, keep; point after point."""

from __future__ import annotations

import math
import numbers
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

from agentlab.errors import (
    BadReplyError,
    CommunicationError,
    ConfigurationError,
    DeviceTimeoutError,
    OfflineError,
    RunError,
    nearest,
)
from agentlab.runs import figures, snapshots
from agentlab.runs.codec import EXACT, is_number, pack
from agentlab.runs.condition import Condition, condition
from agentlab.runs.model import Axis, Column, RunInfo
from agentlab.runs.parts import MISSING, Reader, Target, checked_values, instrument_of, name_columns, read_axes, read_readers
from agentlab.runs.plain import plain_all
from agentlab.runs.progress import Display, display
from agentlab.runs.run import Run
from agentlab.runs.store import LAST, RunStore
from agentlab.runs.waiting import Wait
from agentlab.runs.writer import RunWriter

OnError = Literal["stop", "nan", "wait"]
PASSING = (OfflineError, DeviceTimeoutError, BadReplyError, CommunicationError, ConnectionError, TimeoutError)
"""Errors of a device that is away for a while: ``on_error="wait"`` waits for its return."""
_AGAIN = 0.2
"""Seconds between two attempts to measure a point."""
_LAST_DIGIT = 1e-12
"""Part by which numbers differ that are the same."""


def sweep(
    *axes: Any,
    reads: Any,
    delay: float = 0.0,
    until: Condition | str | None = None,
    snake: bool = False,
    name: str = "",
    store: RunStore | str | Path | None = None,
    progress: bool = True,
    plot: bool | str = False,
    snapshot: bool | Sequence[Any] = True,
    resume: Run | int | str | None = None,
    timeout: float | None = None,
    on_error: OnError = "stop",
    patience: float = 60.0,
) -> Run:
    """Set a parameter to one value after another, and read others at each: ``sweep(dac["v"], values, reads=[dmm["v"]])``.

    Several axes are pairs, the outermost first, which moves least often: ``sweep((x, xs), (y, ys), reads=[...])``. What is set
    and read are parameters of instruments (``proxy["voltage"]``), functions (``f(value)`` sets, ``f()`` reads), or devices as
    bluesky has them. A target of None sets nothing: ``sweep(None, range(100), reads=[...], delay=1)`` watches.

    Every row is in the store before the next point begins: a process that is killed has lost none. Other processes see the
    rows as they come. Blocks until the scan is over; runs in the calling thread.

    Args:
        *axes: A target and its values, or pairs of these.
        reads: What is read at each point, in this order: one reader or a list.
        delay: Seconds between setting and reading, at every point.
        until: Ends the scan when it is true of a row, which is kept: a function of the row (values by name), or a text such as
            ``dmm.voltage > 5 V``.
        snake: Scan every other line of inner axes backwards, so that none jumps.
        name: For people, and to find the run again.
        store: Where it is kept: a store or its file; None: the user's own, see :class:`~agentlab.runs.store.RunStore`.
        progress: Show a bar with the time that is left, on a terminal or in a notebook.
        plot: Show the plot while it is measured, the first reading that is a number, or the one of this name.
        snapshot: Keep with the run how all instruments that take part are set; further ones may be given as a list of proxies.
        resume: Go on with this run (it, its number, its name, or ``last``) after its last row. Axes and readers must be the
            same. A run that is done is given back as it is. Where there is no run yet, ``last`` and the scan's own `name` begin
            one.
        timeout: Seconds that setting one value may take; None: as long as the target itself says.
        on_error: When a value cannot be read: ``stop`` the scan, put ``nan`` into the row, or ``wait`` for the device
            to come back, and measure the point again (this covers setting too); the row gets a remark then.
        patience: Seconds that ``wait`` waits at most, at one point.

    Returns:
        The run: ``run.data``, ``run.plot()``, ``run.to_csv(...)``.

    Raises:
        TypeError: a target or reader is none, such as a number that was read already.
        ConfigurationError: values, condition or options are wrong; nothing was set.
        LimitError: a value is out of a parameter's limits, or of another type; nothing was set.
        RunError: the store cannot be written, or the run to resume does not fit.
        Exception: what setting or reading raised; the run is marked failed, its rows are kept.
        KeyboardInterrupt: Ctrl-C; the run is marked aborted, its rows are kept.
    """
    _check_options(delay, name, timeout, on_error, patience)
    found, readers = checked_values(read_axes(axes, timeout)), read_readers(reads)
    named, columns = name_columns(found, readers)
    all_columns = [Column("time", "s", "time"), *(Column(a.name, a.unit, "axis") for a in named), *columns]
    stop = None if until is None else condition(until, all_columns)
    _check_size(named)
    if isinstance(plot, str) and plot not in (names := [column.name for column in all_columns]):
        raise ConfigurationError(f"there is no column {plot!r} to plot{nearest(plot, names)}")
    kept = _store_of(store, resume)
    first = isinstance(resume, str) and resume in (LAST, name) and kept.find(resume) is None
    old = None if resume is None or first else _fitting(kept, resume, named, columns, bool(snake))
    if old is not None and old.state == "done":
        return old
    asked = [*(target.instrument for target, _ in found), *(reader.instrument for reader in readers)]
    asked += [] if isinstance(snapshot, bool) else [instrument_of(proxy) for proxy in snapshot]
    instruments = snapshots.take(asked) if snapshot is not False else {}
    pairs = [(target, axis) for (target, _), axis in zip(found, named, strict=True)]
    scan = _Scan(pairs, readers, delay, on_error, patience)
    writer: RunWriter | None = None
    try:  # not "with": Ctrl-C may come between opening the run and the first line of its block
        writer = kept.begin(name, named, columns, snake=bool(snake), instruments=instruments) if old is None else kept.resume(old)
        if old is not None:
            writer.take_snapshot(instruments)
        scan.measure(writer, kept.run(writer.id), stop if stop is None else (stop, until), progress=progress, plot=plot)
        writer.finish("done")
    except BaseException as error:
        if writer is not None:
            writer.fail(error)
            points = f"run {writer.id} in {str(kept.path)!r} has {writer.count} of {writer.grid.total} points"
            error.add_note(f"{points}; sweep(..., resume={writer.id}) goes on")
        raise
    return kept.run(writer.id)


def _store_of(store: RunStore | str | os.PathLike[str] | None, resume: Run | int | str | None) -> RunStore:
    """Give the store of a scan: of one that goes on, its own."""
    kept = store if isinstance(store, RunStore) else RunStore(store)
    if not isinstance(resume, Run):
        return kept
    if store is not None and kept.path.resolve() != resume.store.path.resolve():
        raise ConfigurationError(
            f"{resume.info.title} is in {str(resume.store.path)!r}, not in {str(kept.path)!r}; leave out the store"
        )
    return resume.store


def _check_options(delay: Any, name: Any, timeout: Any, on_error: Any, patience: Any) -> None:
    if on_error not in get_args(OnError):
        raise ConfigurationError(f"on_error is {on_error!r}; give one of {', '.join(map(repr, get_args(OnError)))}")
    if not isinstance(name, str):
        raise ConfigurationError(f"the name of the run is {name!r}; give a text")
    for key, value in (("delay", delay), ("patience", patience), ("timeout", 0 if timeout is None else timeout)):
        if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 <= float(value) < math.inf:
            raise ConfigurationError(f"{key} is {value!r}; give seconds, 0 or more")


def _check_size(axes: Sequence[Axis]) -> None:
    if (points := math.prod(len(axis.values) for axis in axes)) > EXACT:
        raise ConfigurationError(f"the scan would have {points:.3g} points; give fewer values")


def _fitting(store: RunStore, which: Run | int | str, axes: list[Axis], readings: list[Column], snake: bool) -> Run:
    """Give the run that is to go on.

    Raises:
        RunError: it was another scan.
    """
    run = store.run(which.id if isinstance(which, Run) else which)
    info = run.info
    wanted = [(axis.name, axis.unit) for axis in axes], [(c.name, c.unit) for c in readings], snake
    had = [(c.name, c.unit) for c in info.axes], [(c.name, c.unit) for c in info.readings], info.snake
    for what, now, then in zip(("axes", "readers", "snake"), wanted, had, strict=True):
        if now != then:
            raise RunError(f"{info.title} cannot go on: its {what} were {then}, not {now}; give the same, or start a new run")
    then_axes = run.axes
    for axis in axes:
        if not _alike(then_axes[axis.name], plain_all(axis.values)):
            raise RunError(f"{info.title} cannot go on: the values of {axis.name} were others; give the same, or start a new run")
    return run


def _alike(then: Sequence[Any], now: Sequence[Any]) -> bool:
    """Tell whether plain values are the same; numbers may differ in their last digit, as those of another machine do."""
    if len(then) != len(now):
        return False
    return all(
        abs(a - b) <= _LAST_DIGIT * max(abs(a), abs(b)) if is_number(a) and is_number(b) else pack(a) == pack(b)
        for a, b in zip(then, now, strict=True)
    )


class _Scan:
    """The points of a scan, one after another. One thread."""

    def __init__(
        self, axes: list[tuple[Target, Axis]], readers: list[Reader], delay: float, on_error: OnError, patience: float
    ) -> None:
        self._axes = axes
        self._readers = readers
        self._delay = delay
        self._on_error = on_error
        self._patience = patience
        self._at: tuple[int | None, ...] = (None,) * len(axes)
        self._names: list[str] = []
        self._column = ""
        self._display: Display

    def measure(
        self, writer: RunWriter, run: Run, until: tuple[Condition, Any] | None, *, progress: bool, plot: bool | str
    ) -> None:
        """Measure what is left of a run."""
        names = self._names = [column.name for column in run.columns]
        live = _Live(run) if plot else None
        figure = None if live is None else (lambda: live.figure(plot if isinstance(plot, str) else None))
        title = run.name or f"run {run.id}"
        self._display = display(title, writer.grid.total, writer.count, progress=progress, figure=figure)
        try:
            while writer.count < writer.grid.total:
                measured, remarks = self._point(writer.grid.indices(writer.count))
                row = plain_all(measured)
                writer.append(row, remarks)
                if live is not None:
                    live.add(row)
                self._display.advance(writer.count)
                if until is not None and until[0](dict(zip(names, row, strict=True))):
                    writer.finish("done", f"until {until[1]}" if isinstance(until[1], str) else "until was met")
                    break
        finally:
            self._display.close()

    def _point(self, indices: tuple[int, ...]) -> tuple[list[Any], dict[str, str]]:
        """Measure one point; again and again while its device is away, where that is wanted."""
        if self._on_error != "wait":
            return self._once(indices)
        wait: Wait | None = None
        while True:
            try:
                row, remarks = self._once(indices)
            except PASSING as error:
                now = time.monotonic()
                why = " ".join(f"{type(error).__name__}: {error}".split())
                wait = wait or Wait(self._column, why, time.time(), now)
                if now > wait.began + self._patience:
                    raise
                self._at = (None,) * len(self._axes)  # a device that was switched off has forgotten its settings
                self._display.wait(f"waiting: {type(error).__name__}")
                time.sleep(min(_AGAIN, self._patience))
            else:
                self._display.wait("")
                if wait is not None:  # who looks at the values later is to know that the device may have forgotten something
                    remarks[wait.column] = wait.remark(time.monotonic(), remarks.get(wait.column, ""))
                return row, remarks

    def _once(self, indices: tuple[int, ...]) -> tuple[list[Any], dict[str, str]]:
        values = [axis.values[i] for (_, axis), i in zip(self._axes, indices, strict=True)]
        for number, ((target, _), value) in enumerate(zip(self._axes, values, strict=True)):
            if self._at[number] != indices[number]:
                self._column = self._names[1 + number]
                target.put(value)
                self._at = (*self._at[:number], indices[number], *self._at[number + 1 :])
        if self._delay > 0:
            time.sleep(self._delay)
        row: list[Any] = [time.time(), *values]
        remarks: dict[str, str] = {}
        for reader in self._readers:
            self._column = self._names[min(len(row), len(self._names) - 1)]  # the last may be one that gives nothing
            for _, (value, remark) in zip(reader.columns, self._read(reader), strict=True):
                if remark:
                    remarks[self._names[len(row)]] = remark
                row.append(value)
        return row, remarks

    def _read(self, reader: Reader) -> Sequence[tuple[Any, str]]:
        try:
            return reader.read()
        except Exception as error:
            if self._on_error != "nan":
                raise
            return [(MISSING, f"{type(error).__name__}: {error}")] * len(reader.columns)


class _Live:
    """The rows that a plot needs while they are measured; they are drawn by another thread."""

    def __init__(self, run: Run) -> None:
        self._info: RunInfo = run.info
        self._axes: Mapping[str, Sequence[Any]] = run.axes
        self._columns: list[list[Any]] = [[] for _ in run.columns]
        for row in run.store.rows(run.id):
            self.add(row)

    def add(self, row: Sequence[Any]) -> None:
        """Take a row."""
        for column, value in zip(self._columns, row, strict=True):
            column.append(value if isinstance(value, int | float) else None)

    def figure(self, y: str | None) -> figures.Curve | figures.Map:
        """Give what is to be drawn by now."""
        count = len(self._columns[-1])  # a row's last value comes last
        data = {c.name: values[:count] for c, values in zip(self._info.columns, self._columns, strict=True)}
        return figures.figure(replace(self._info, rows=count), data, self._axes, y)
