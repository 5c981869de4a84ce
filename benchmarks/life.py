"""The figures of processes: starting, memory, a crowd, and doing nothing."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

import psutil

from agentlab import Agent, run_agent
from agentlab.settings import config
from benchmarks.data import agents, pid_of
from benchmarks.measure import Row, cpu_seconds

MIB = 2**20


def start(rounds: int, scale: float) -> list[Row]:
    """20 agents started one after another, and the memory that each has for itself."""
    times, sizes, fresh = [], [], []
    for _ in range(max(2, int(rounds * scale / 2))):
        fresh.append(_fresh_interpreter())
        with agents() as proxies:
            for _ in range(20):
                began = time.perf_counter()
                proxies.append(run_agent())
                times.append(time.perf_counter() - began)
            sizes += [psutil.Process(pid_of(proxy)).memory_full_info().uss / MIB for proxy in proxies]
    each, size = statistics.median(times) * 1e3, statistics.median(sizes)
    ordered = sorted(times)
    return [
        Row(
            "start",
            "20 agents, one after another: each",
            f"{each:.1f} ms",
            f"{statistics.median(fresh) * 1e3:.0f} ms",
            must=15,
            at_most=True,
            measured=each,
            note=f"9 of 10 within {ordered[int(len(ordered) * 0.9)] * 1e3:.1f} ms; bare: an interpreter with zmq and Pyro5",
        ),
        Row(
            "start",
            "their own memory (USS), each",
            f"{size:.1f} MiB",
            must=8,
            at_most=True,
            measured=size * MIB / 1e6,
            note=f"largest {max(sizes):.1f} MiB",
        ),
    ]


def _fresh_interpreter() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import zmq, Pyro5.api"], check=True)
    return time.perf_counter() - began


def crowd(_rounds: int, scale: float) -> list[Row]:
    """200 agents: start, ping all, shut down."""
    count = 200 if scale >= 1 else 60
    began = time.perf_counter()
    with agents(*[Agent] * count) as proxies:
        started = time.perf_counter()
        for proxy in proxies:
            proxy.ping()
        pinged = time.perf_counter()
        pids = [pid_of(proxy) for proxy in proxies]
    while any(map(psutil.pid_exists, pids)):
        time.sleep(0.01)
    ended = time.perf_counter()
    seconds = (ended - began) * 200 / count
    note = f"start {started - began:.2f} s, ping {pinged - started:.2f} s, shut down {ended - pinged:.2f} s"
    title = f"{count} agents: start, ping all, shut down"
    return [Row("crowd", title, f"{ended - began:.1f} s", must=10, at_most=True, measured=seconds, note=note)]


def idle(_rounds: int, scale: float) -> list[Row]:
    """What agents that have nothing to do wake up for, and how much of a core that takes."""
    period = 10.0 if scale >= 1 else 4.0
    with agents(*[Agent] * 3) as proxies:
        pids = [pid_of(proxy) for proxy in proxies]
        time.sleep(2.0 if scale >= 1 else 1.0)
        before, cpu = [wake_ups(pid) for pid in pids], cpu_seconds(pids)
        began = time.perf_counter()
        time.sleep(period)
        seconds = time.perf_counter() - began
        after, cpu = [wake_ups(pid) for pid in pids], cpu_seconds(pids) - cpu
    share = cpu / seconds / len(pids) * 100
    threads = [{name: after[i][name] - before[i].get(name, 0) for name in after[i]} for i in range(len(pids))]
    busy = [sum(1 for count in one.values() if count) for one in threads]
    per_second = statistics.mean(sum(one.values()) for one in threads) / seconds
    note = f"threads that woke at all: {max(busy)} of {len(threads[0])}; a lease of {config['LEASE']:g} s is renewed within it"
    return [
        Row("idle", "idle agent: wake-ups", f"{per_second:.2f}/s", note=note),
        Row("idle", "idle agent: share of a core", f"{share:.4f} %", must=0.1, at_most=True, measured=share),
    ]


def wake_ups(pid: int) -> dict[str, int]:
    """Give the voluntary context switches of each thread: how often it has gone to sleep."""
    counts = {}
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        for line in status.read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches"):
                counts[status.parent.name] = int(line.split()[1])
    return counts
