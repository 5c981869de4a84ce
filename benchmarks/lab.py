"""The figures of labs: `up` of 20 agents, and how soon a killed one is noticed and back, registered and wired."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from typing import Any

from agentlab.lab import Lab
from agentlab.runtime.proxy import Proxy
from benchmarks.measure import Row

PARTS = """
from agentlab import Agent


class Source(Agent):
    binds = {"out": "PUB"}

    def on_init(self):
        self.each(0.002, self.tick)

    def tick(self):
        self.send("out", 1)


class Sink(Agent):
    def on_init(self):
        self.got = 0

    def on_message(self, _message):
        self.got += 1
"""

UP = "{name}: {{class: 'bench_parts:{kind}'}}"


def _write(folder: str, agents: dict[str, str], wires: list[str]) -> Path:
    Path(folder, "bench_parts.py").write_text(textwrap.dedent(PARTS))
    lines = ["nameservers: [{default: {ns_port: 0}}]", "agents:"]
    lines += ["  " + UP.format(name=name, kind=kind) for name, kind in agents.items()]
    lines += ["wires:", *(f"  - {wire}" for wire in wires)] if wires else []
    path = Path(folder, "lab.yml")
    path.write_text("\n".join(lines) + "\n")
    return path


def up(rounds: int, scale: float) -> list[Row]:
    """20 agents, half of them wired to the others: from reading the file until all are ready."""
    agents = {**{f"Source{n}": "Source" for n in range(10)}, **{f"Sink{n}": "Sink" for n in range(10)}}
    wires = [f"Source{n}.out -> Sink{n}.on_message" for n in range(10)]
    times, downs = [], []
    for _ in range(max(2, int(rounds * scale / 2))):
        with tempfile.TemporaryDirectory() as folder:
            path = _write(folder, agents, wires)
            began = time.perf_counter()
            lab = Lab.from_file(path)
            times.append(time.perf_counter() - began)
            began = time.perf_counter()
            lab.close()
            downs.append(time.perf_counter() - began)
    seconds = statistics.median(times)
    note = (
        f"slowest {max(times):.2f} s; reading and importing the classes is part of it; down in {statistics.median(downs):.2f} s"
    )
    return [Row("up", "lab: 20 agents, 10 wires, up", f"{seconds:.2f} s", must=3.0, at_most=True, measured=seconds, note=note)]


def ls(rounds: int, scale: float) -> list[Row]:
    """``agentlab ls`` of 20 agents, as a program: the interpreter's start is part of it."""
    with tempfile.TemporaryDirectory() as folder:
        path = _write(folder, {f"Sink{n}": "Sink" for n in range(20)}, [])
        with Lab.from_file(path) as lab:
            command = [sys.executable, "-m", "agentlab", "ls", "--nsaddr", str(lab.nameserver().addr())]
            times = []
            for _ in range(max(3, int(rounds * scale))):
                began = time.perf_counter()
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
                times.append(time.perf_counter() - began)
    seconds = statistics.median(times)
    return [Row("ls", "agentlab ls of 20 agents", f"{seconds:.2f} s", must=0.5, at_most=True, measured=seconds)]


def crash(rounds: int, scale: float) -> list[Row]:
    """An agent killed with SIGKILL: when that is noticed, and when messages reach the one that has taken its place."""
    count = max(10, int(rounds * 5 * scale))
    noticed, ready, flowing = [], [], []
    events: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        path = _write(folder, {"Source": "Source", "Sink": "Sink"}, ["Source.out -> Sink.on_message"])
        path.write_text(path.read_text() + "groups: {g: {members: [Source, Sink], intensity: 1000, backoff: {first: 0.0}}}\n")
        with Lab.from_file(path, on_event=events.append) as lab:
            for number in range(count):
                victim = ("Sink", "Source")[number % 2]
                sample = _kill(lab, victim, events)
                noticed.append(sample[0])
                ready.append(sample[1])
                flowing.append(sample[2])
    return [
        _row("lab: killed agent noticed, p95", noticed, 0.020),
        _row("lab: killed agent back and registered, p95", ready, None),
        _row("lab: killed agent back, messages flow again, p95", flowing, 0.150),
    ]


def _kill(lab: Lab, victim: str, events: list[dict[str, Any]]) -> tuple[float, float, float]:
    """Kill an agent; give the seconds until that was noticed, until it was back, and until messages arrived again."""
    sink = lab["Sink"]
    _wait(lambda: sink.got > 0)
    rows = {row["name"]: row for row in lab.status()}
    seen = len(events)
    before = sink.got
    began = time.time()
    os.kill(rows[victim]["pid"], signal.SIGKILL)
    if victim == "Source":
        _wait(lambda: _time_of(events, seen, "ready") is not None)
        before = sink.got
        _wait(lambda: sink.got > before)
    else:
        _wait(lambda: _time_of(events, seen, "ready") is not None)
        nameserver = lab.nameserver().addr()
        _wait(lambda: Proxy("Sink", nameserver).got > 0)
    flowing = time.time() - began
    return (_time_of(events, seen, "crashed") or began) - began, (_time_of(events, seen, "ready") or began) - began, flowing


def _time_of(events: list[dict[str, Any]], since: int, kind: str) -> float | None:
    return next((event["time"] for event in events[since:] if event["event"] == kind), None)


def _wait(condition: Any, limit: float = 10.0) -> None:
    deadline = time.monotonic() + limit
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("it did not come back")
        time.sleep(0.0005)


def _row(title: str, times: list[float], must: float | None) -> Row:
    ordered = sorted(times)
    p95 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
    note = f"median {statistics.median(times) * 1e3:.1f} ms of {len(times)}"
    if must is None:
        return Row("crash", title, f"{p95 * 1e3:.1f} ms", note=note)
    return Row("crash", title, f"{p95 * 1e3:.1f} ms", must=must * 1e3, at_most=True, measured=p95 * 1e3, note=note)
