"""The figures of the control plane: calls through a proxy, against a bare Pyro5 proxy with msgpack on loopback TCP."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable

import Pyro5.api

from benchmarks.agents import Echo
from benchmarks.data import agents, pid_of
from benchmarks.measure import Row, Sample, compared, cpu_seconds, interleave
from benchmarks.peer import Peer


def calls(rounds: int, scale: float) -> list[Row]:
    """Unsafe and safe calls of a method that gives its argument back."""
    count = int(2000 * scale)
    with contextlib.ExitStack() as stack:
        server = Peer("bare_pyro")
        stack.callback(server.close)
        bare = stack.enter_context(Pyro5.api.Proxy(server.hello))
        bare._pyroSerializer = "msgpack"
        (agent,) = stack.enter_context(agents(Echo))
        our_pids, bare_pids = (os.getpid(), pid_of(agent)), (os.getpid(), server.pid)

        def bare_loop() -> None:
            for number in range(count):
                bare.echo(number)

        def unsafe_loop() -> None:
            for number in range(count):
                agent.unsafe.echo(number)

        def safe_loop() -> None:
            for number in range(count):
                agent.echo(number)

        samples = interleave(
            {
                "bare": lambda: _round(bare_loop, count, bare_pids),
                "unsafe": lambda: _round(unsafe_loop, count, our_pids),
                "safe": lambda: _round(safe_loop, count, our_pids),
            },
            rounds,
        )
    rows = []
    for name, must in (("unsafe", 0.9), ("safe", 0.8)):
        pair = {"ours": samples[name], "bare": samples["bare"]}
        rows.append(compared(name, f"{name} call", pair, unit="/s", must=must))
    return rows


def _round(loop: Callable[[], None], count: int, pids: tuple[int, int]) -> Sample:
    cpu = cpu_seconds(pids)
    began = time.perf_counter()
    loop()
    seconds = time.perf_counter() - began
    return Sample(count, seconds, cpu_seconds(pids) - cpu)
