"""``agentlab runs``: the runs that were measured, and those that are: a list, all of one, its plot, its rows in a file."""

from __future__ import annotations

import contextlib
import math
import os
import sys
import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentlab.cli.options import Json, as_json, as_json_line
from agentlab.cli.tables import printable, show, since_text, table
from agentlab.errors import AgentLabError, ConfigurationError, RunError, nearest
from agentlab.runs.waiting import is_wait

if TYPE_CHECKING:
    from agentlab.runs.run import Run
    from agentlab.runs.store import RunStore

COLUMNS = ("run", "name", "state", "since", "rows", "axes", "readings")
LAST = "last"
_PROPOSED = 200
"""Of the newest runs, at most, that a shell proposes."""
ACTIONS = ("ls", "show", "plot", "export", "abort", "rm")
FORMATS = {"csv": ".csv", "parquet": ".parquet", "hdf5": ".h5"}
"""Of exported files, with the ending of their names."""
_DOTS = "\u280f"
"""A braille character: whether a terminal can show it decides how plots are drawn."""


def complete_action(incomplete: str) -> list[str]:
    """Give the actions that begin so, for the shell's completion."""
    return [action for action in ACTIONS if action.startswith(incomplete)]


def complete_run(ctx: typer.Context, incomplete: str) -> list[str]:
    """Give the numbers and names of runs that begin so, the newest first, for the shell's completion."""
    from agentlab.runs.store import RunStore

    try:
        runs = RunStore(ctx.params.get("store")).runs(_PROPOSED)[::-1]
    except AgentLabError:
        return []
    known = dict.fromkeys([LAST, *(run.name for run in runs), *(str(run.id) for run in runs)])
    return [name for name in known if name and name.startswith(incomplete)]


def runs(
    action: Annotated[
        str, typer.Argument(metavar="[ACTION]", help="ls, show, plot, export, abort or rm.", autocompletion=complete_action)
    ] = "ls",
    which: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN]",
            help="Its number, its name (the newest of that name), or last.",
            autocompletion=complete_run,
            show_default=LAST,
        ),
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(
            "--store", metavar="FILE", help="The run store; without it AGENTLAB_RUNS, else the user's own.", show_default=False
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Of plot: a picture (.png). Of export: .csv, .parquet or .h5; without it CSV is printed.",
            show_default=False,
        ),
    ] = None,
    kind: Annotated[
        str | None, typer.Option("--format", metavar="FORMAT", help="Of export: csv, parquet or hdf5.", show_default="by name")
    ] = None,
    y: Annotated[
        str | None, typer.Option("--y", metavar="COLUMN", help="Of plot: what to draw.", show_default="the first reading")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Of show and plot: go on with what is measured, until the run ends.")
    ] = False,
    number: Annotated[int, typer.Option("-n", metavar="N", help="Of ls: how many, the newest; -1: all.")] = 20,
    as_text_for_programs: Json = False,
) -> None:
    """List runs, show one, draw it in the terminal or as a picture, or write its rows into a file.

    States: running; done; aborted (interrupted, or its process was killed: sweep(..., resume=RUN) goes on); failed.
    abort marks a run as aborted whose process has died on another machine; rm removes a run with all its rows. Both must be told
    which.
    """
    from agentlab.runs.store import RunStore  # SQLAlchemy takes its time

    kept = RunStore(store)
    if store is not None and not store.exists():
        raise ConfigurationError(f"there is no run store {str(store)!r}")
    _check("action", action, ACTIONS)
    _check("format", kind, FORMATS)
    if action == "ls":
        _ls(kept, number, as_json_text=as_text_for_programs)
        return
    if which is None and action in ("abort", "rm"):
        raise ConfigurationError(f"{action} must be told which run; see agentlab runs")
    run = _found(kept, LAST if which is None else which)
    if action in ("abort", "rm"):
        _end(run, action, as_json_text=as_text_for_programs)
    elif action == "show":
        _show(run, follow=follow, as_json_text=as_text_for_programs)
    elif action == "plot":
        _plot(run, output, y, follow=follow, as_json_text=as_text_for_programs)
    else:
        _export(run, output, kind, as_json_text=as_text_for_programs)


def _check(what: str, given: str | None, known: Iterable[str]) -> None:
    if given is not None and given not in known:
        raise ConfigurationError(f"there is no {what} {given!r}{nearest(given, known)}")


def _found(kept: RunStore, which: str) -> Run:
    run = kept.find(which)
    if run is None:
        newest = kept.find(LAST)
        there = "it has none yet" if newest is None else f"the newest is {newest.id}; see agentlab runs"
        raise ConfigurationError(f"no run {which!r} in {kept.path}: {there}")
    return run


def _end(run: Run, action: str, *, as_json_text: bool) -> None:
    info = run.info
    if action == "rm":
        run.store.delete(run)
        said = "removed"
    else:
        run.store.abort(run)
        said = "is aborted now" if info.is_running else f"was {info.state} already"
    print(as_json({"run": info.id, "was": info.state}) if as_json_text else f"{info.title}: {said}")


def _ls(kept: RunStore, number: int, *, as_json_text: bool) -> None:
    found = kept.runs(None if number < 0 else number)
    if as_json_text:
        print(as_json([{**run.info.to_dict(), "store": str(kept.path)} for run in found]))
    elif not found:
        print(f"no runs in {kept.path}")
    else:
        show(table(COLUMNS, [_texts(run) for run in found]))


def _texts(run: Run) -> list[str]:
    info = run.info
    return [
        str(info.id),
        info.name or "-",
        info.state,
        since_text(info.started, time.time()),
        str(info.rows) if info.rows == info.planned else f"{info.rows}/{info.planned}",
        ", ".join(column.name for column in info.axes),
        ", ".join(column.name for column in info.readings),
    ]


def _show(run: Run, *, follow: bool, as_json_text: bool) -> None:
    if follow:
        with contextlib.suppress(KeyboardInterrupt):  # the usual way to end it
            for row in run.follow():
                print(as_json_line(row) if as_json_text else _row_text(run, row), flush=True)
        return
    info, snapshot, remarks = run.info, run.snapshot, run.remarks
    if as_json_text:
        said = [{"row": number, "column": column, "text": text} for number, column, text in remarks]
        print(as_json({**info.to_dict(), "axes": run.axes, "snapshot": snapshot, "remarks": said, "store": str(run.store.path)}))
        return
    waited, others = [one for one in remarks if is_wait(one[2])], [one for one in remarks if not is_wait(one[2])]
    ended, grid = info.ended or time.time(), " x ".join(map(str, info.shape))
    facts = {
        "run": f"{info.id}{f', {info.name}' if info.name else ''}",
        "state": f"{info.state}{f': {info.reason}' if info.reason else ''}",
        "rows": f"{info.rows} of {info.planned}{f' ({grid})' if info.shape[1:] else ''}",
        "started": datetime.fromtimestamp(info.started).astimezone().isoformat(" ", "seconds"),
        "took": f"{ended - info.started:.1f} s" if info.ended or info.is_running else "",
        "heard": f"{time.time() - run.heard:.0f} s ago, its newest row" if info.is_running else "",
        "by": f"{info.user} on {info.host}, process {info.pid}",
        "instruments": ", ".join(snapshot),
        "waited": _first(waited, f"{len(waited)} times") if waited else "",
        "remarks": _first(others, str(len(others))) if others else "",
        "store": str(run.store.path),
    }
    print("\n".join(f"{name:<12} {printable(text)}" for name, text in facts.items() if text))
    print()
    data = run.data
    headings = ("column", "unit", "least", "most", "last")
    show(table(headings, [[c.name, c.unit or "-", *_range(data[c.name])] for c in info.columns if c.role != "time"]))


def _first(remarks: list[tuple[int, str, str]], count: str) -> str:
    row, column, text = remarks[0]
    return f"{f'{count}, the first: ' if remarks[1:] else ''}row {row}, {column}: {text}"


def _range(values: Any) -> list[str]:
    """Give the least, the most and the last value of a column."""
    listed = values.tolist() if hasattr(values, "tolist") else list(values)
    known = [value for value in listed if isinstance(value, int | float) and not math.isnan(value)]
    ends = [f"{min(known):.6g}", f"{max(known):.6g}"] if known else ["-", "-"]
    return [*ends, _short(listed[-1]) if listed else "-"]


def _row_text(run: Run, row: dict[str, Any]) -> str:
    when = datetime.fromtimestamp(row["time"]).astimezone().strftime("%H:%M:%S.%f")[:-3]
    values = (f"{c.name} {_short(row[c.name])}{f' {c.unit}' if c.unit else ''}" for c in run.columns if c.role != "time")
    return printable(f"{when}  {'  '.join(values)}")


def _short(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 24 else f"{text[:21]}..."


def _plot(run: Run, output: Path | None, y: str | None, *, follow: bool, as_json_text: bool) -> None:
    if y is not None and y not in (names := [column.name for column in run.columns]):
        raise ConfigurationError(f"{run.info.title} has no column {y!r}; it has {', '.join(map(repr, names))}")
    if follow:
        _live(run, y)
    if output is not None:
        run.plot(output, y=y)
        print(as_json({"file": str(output)}) if as_json_text else f"{output}: the picture of {run.info.title}")
        return
    text = run.text_plot(y=y, width=_width(), ascii_only=not _can_show_dots())
    print(as_json({"run": run.id, "plot": text.splitlines()}) if as_json_text else printable(text, keep="\n"))


def _live(run: Run, y: str | None) -> None:
    """Draw a run again and again on a terminal while it is measured; elsewhere only wait for its end."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console()
    with Live(console=console, transient=True, auto_refresh=False) as live:
        while run.info.is_running:
            if console.is_terminal:
                try:
                    text = run.text_plot(y=y, width=_width(), ascii_only=not _can_show_dots())
                except RunError as error:  # nothing to draw yet
                    text = str(error)
                live.update(Text(f"{text}\n{run.info.rows}/{run.info.planned}", no_wrap=True), refresh=True)
            time.sleep(0.25)


def _width() -> int:
    from shutil import get_terminal_size

    return max(40, min(78, get_terminal_size().columns - 1))


def _can_show_dots() -> bool:
    try:
        _DOTS.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def _export(run: Run, output: Path | None, kind: str | None, *, as_json_text: bool) -> None:
    from agentlab.runs.export import SUFFIXES, write_csv

    if output is None:
        if kind not in (None, "csv"):
            raise ConfigurationError(f"{kind} is not for a terminal; give a file: -o run{run.id}{FORMATS[kind]}")
        if as_json_text:
            for row in run.rows():
                print(as_json_line(row))
        else:
            write_csv(run, sys.stdout)
        return
    form = kind or SUFFIXES.get(output.suffix.lower())
    if form is None:
        known = ", ".join(SUFFIXES)
        raise ConfigurationError(f"{output.name!r} tells no format; give a name that ends in one of {known}, or --format")
    save = {"csv": run.to_csv, "parquet": run.to_parquet, "hdf5": run.to_hdf5}[form]
    path = save(output)
    rows = len(run)
    print(as_json({"file": os.fspath(path), "rows": rows}) if as_json_text else f"{output}: {rows} rows of {run.info.title}")
