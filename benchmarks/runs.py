"""The figures of runs: what a row costs that is safe before the next point begins, and how soon a long run is loaded."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from agentlab.runs import RunStore, sweep
from agentlab.runs.model import Axis, Column
from benchmarks.measure import Row

POINTS = 1_000_000


def rows(rounds: int, scale: float) -> list[Row]:
    """A scan of two functions: what is left is the store's share of a point."""
    points = max(500, int(5000 * scale))
    costs = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(max(2, rounds // 2)):
            store = RunStore(Path(folder, f"{number}.sqlite"))
            began = time.perf_counter()
            sweep(lambda _value: None, range(points), reads=[lambda: 1.0, lambda: 2.0], store=store, progress=False)
            costs.append((time.perf_counter() - began) / points)
    cost = statistics.median(costs)
    note = f"{1 / cost:,.0f} rows/s; each is in the file before the next point begins"
    return [Row("rows", "run store: a row of a scan, kept", f"{cost * 1e6:.0f} us", note=note)]


def load(rounds: int, scale: float) -> list[Row]:
    """A run of a million points with two readings, read as columns."""
    points = POINTS if scale >= 1 else POINTS // 4
    with tempfile.TemporaryDirectory() as folder:
        store = RunStore(Path(folder, "runs.sqlite"))
        began = time.perf_counter()
        axis = Axis("x", "V", tuple(i * 1e-3 for i in range(points)))
        with store.begin("long", [axis], [Column("a", "V"), Column("b", "A")]) as writer:
            writer.extend([1e9 + i, i * 1e-3, i * 0.5, i * 0.25] for i in range(points))
        written = time.perf_counter() - began
        size = store.path.stat().st_size / 1e6
        times = []
        for _ in range(max(2, rounds // 2)):
            run = store.run("last")
            began = time.perf_counter()
            assert len(run.data["b"]) == points
            times.append(time.perf_counter() - began)
    seconds = statistics.median(times) * POINTS / points
    note = f"file of {size * POINTS / points:.0f} MB, written in {written * POINTS / points:.1f} s"
    return [
        Row(
            "load", "run store: 1,000,000 points loaded", f"{seconds:.2f} s", must=10.0, at_most=True, measured=seconds, note=note
        )
    ]
