"""The result: on the terminal, as JSON, and as the table of the documentation."""

from __future__ import annotations

import json
import platform
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import Pyro5
import zmq
from rich.console import Console
from rich.table import Table

import agentlab
from benchmarks.measure import Row

ROOT = Path(__file__).resolve().parent.parent
LATEST = ROOT / "benchmarks" / "results" / "latest.json"
PAGE = ROOT / "docs" / "performance_table.rst"
VERDICT = {True: "yes", False: "no", None: ""}


def machine() -> dict[str, str]:
    """Describe what was measured on, without saying whose it is."""
    return {
        "processor": _processor(),
        "cores": str(psutil.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "libzmq": zmq.zmq_version(),
        "pyzmq": zmq.__version__,
        "Pyro5": Pyro5.__version__,
        "agentlab": agentlab.__version__,
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def result(rows: list[Row], rounds: int) -> dict[str, Any]:
    """Give everything as plain data."""
    date = time.strftime("%Y-%m-%d", time.gmtime())
    return {"date": date, "rounds": rounds, "machine": machine(), "figures": [row.as_json() for row in rows]}


def keep(found: dict[str, Any]) -> None:
    """Write the JSON."""
    LATEST.parent.mkdir(exist_ok=True)
    LATEST.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")


def load() -> dict[str, Any]:
    """Read the JSON."""
    found: dict[str, Any] = json.loads(LATEST.read_text())
    return found


def show(found: dict[str, Any]) -> None:
    """Print the table."""
    table = Table(title="agentlab against bare loops")
    for heading in ("figure", "agentlab", "bare", "ratio", "of rounds", "by cpu", "must", "met"):
        table.add_column(heading, justify="left" if heading == "figure" else "right")
    for figure in found["figures"]:
        style = "red" if figure["ok"] is False else None
        table.add_row(*_cells(figure), style=style)
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(table)
    for figure in found["figures"]:
        if figure.get("note"):
            console.print(f"  {figure['title']}: {figure['note']}", highlight=False)
    console.print("  ".join(f"{key} {value}" for key, value in found["machine"].items()), highlight=False)


def _cells(figure: dict[str, Any]) -> list[str]:
    spread = figure.get("spread")
    return [
        figure["title"],
        figure["value"],
        figure.get("bare", ""),
        _number(figure.get("ratio")),
        f"{spread[0]:.2f} to {spread[1]:.2f}" if spread else "",
        _number(figure.get("cpu_ratio")),
        _must(figure),
        VERDICT[figure["ok"]],
    ]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _must(figure: dict[str, Any]) -> str:
    if "must" not in figure:
        return ""
    return ("≤ " if figure["at_most"] else "≥ ") + f"{figure['must']:g}"


def write_table(found: dict[str, Any]) -> None:
    """Write the table that ``docs/performance.rst`` includes."""
    described = ", ".join(f"{key} {value}" for key, value in found["machine"].items())
    lines = [
        ".. Written by `python -m benchmarks`; do not edit.",
        "",
        f"Measured {found['date']}: {described}. Medians of {found['rounds']} interleaved rounds.",
        "",
        ".. list-table::",
        "   :header-rows: 1",
        "   :widths: 34 14 14 8 14 8 8 6",
        "",
    ]
    heading = ["figure", "agentlab", "bare", "ratio", "of all rounds", "by processor time", "must be", "met"]
    for cells in [heading, *map(_cells, found["figures"])]:
        lines += [f"   {'*' if not index else ' '} - {cell}".rstrip() for index, cell in enumerate(cells)]
    notes = [f"* {f['title']}: {f['note']}" for f in found["figures"] if f.get("note")]
    PAGE.write_text("\n".join([*lines, "", *notes]) + "\n")
