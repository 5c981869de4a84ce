"""The figures of the name server: long lists, look-ups, many that renew, and its death under load."""

from __future__ import annotations

import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from agentlab import Agent, NameServer, Proxy, run_agent
from agentlab.errors import AgentLabError
from agentlab.nameserver.client import NameServerClient
from agentlab.nameserver.registration import Change
from agentlab.nameserver.storage import open_storage
from agentlab.settings import NAMESERVER_VARIABLE, config
from benchmarks.measure import Row, cpu_seconds
from benchmarks.peer import Peer
from benchmarks.renewers import registration

PROCESSES = 4
AWAY = 1.0
"""Seconds that the name server is away."""


@contextlib.contextmanager
def nameserver() -> Iterator[NameServer]:
    """Give a name server for one figure; the one of the run is found again afterwards."""
    before = os.environ.get(NAMESERVER_VARIABLE)
    server = NameServer()
    server.start()
    try:
        yield server
    finally:
        if server.is_alive():
            with NameServerClient(server.addr) as client:
                client.shutdown()  # it alone: those whom it lists are made up
        server.join(10.0)
        if before is not None:
            os.environ[NAMESERVER_VARIABLE] = before


def names(rounds: int, scale: float) -> list[Row]:
    """A list of 10,000 registrations, look-ups among them, and keeping them in files."""
    count = 10_000 if scale >= 1 else 4_000
    with nameserver() as server, NameServerClient(server.addr) as client:
        for number in range(count):
            one = registration(number, None)
            client.register(one.name, one.uri, instance=one.instance, metadata=one.metadata)
        lists = [_seconds(client.list) for _ in range(max(3, rounds))]
        lookups = sorted(_seconds(lambda: client.lookup("agent1234")) for _ in range(2000))
    listed, looked = statistics.median(lists), statistics.median(lookups)
    note = f"99 of 100 within {lookups[int(len(lookups) * 0.99)] * 1e3:.2f} ms"
    listing = Row("names", f"list of {count:,} names", f"{listed * 1e3:.0f} ms", must=200, at_most=True, measured=listed * 1e3)
    return [
        listing,
        Row("names", "look-up of one of them", f"{looked * 1e3:.3f} ms", must=1, at_most=True, measured=looked * 1e3, note=note),
        *(_kept(kind, int(2000 * scale)) for kind in ("sql", "dbm")),
    ]


def _kept(kind: str, count: int) -> Row:
    """Keep leased registrations one by one."""
    with tempfile.TemporaryDirectory(prefix="names-") as folder:
        storage = open_storage(kind, Path(folder) / "names")
        assert storage is not None
        with contextlib.closing(storage):
            changes = [Change(number + 1, "registered", registration(number, 3.0), "e") for number in range(count)]
            began = time.perf_counter()
            for change in changes:
                storage.apply([change])
            seconds = time.perf_counter() - began
    return Row("names", f"keeping a registration, {kind}", f"{seconds / count * 1e6:.0f} us")


def renewals(_rounds: int, scale: float) -> list[Row]:
    """A thousand agents that renew a lease of 3 s, from a few processes: what the name server needs for them."""
    count, seconds = 1000, 10.0 if scale >= 1 else 4.0
    with nameserver() as server, contextlib.ExitStack() as stack, NameServerClient(server.addr) as client:
        peers = [Peer("renewers") for _ in range(PROCESSES)]
        for peer in peers:
            stack.callback(peer.close)
        share = count // PROCESSES
        for index, peer in enumerate(peers):
            peer.tell("appear", str(server.addr), index * share, share, 3.0)
        for peer in peers:
            peer.answer()
        before = client.info()
        assert server.pid is not None
        cpu, began = cpu_seconds([server.pid]), time.perf_counter()
        for peer in peers:
            peer.tell("renew", seconds)
        sent = sum(peer.answer() for peer in peers)
        used = (cpu_seconds([server.pid]) - cpu) / (time.perf_counter() - began) * 100
        after = client.info()
    taken = after["counts"]["renewals"] - before["counts"]["renewals"]
    note = f"{sent / seconds:.0f} renewals a second, {sent - taken} lost, {after['number'] - before['number']} names changed"
    return [
        Row(
            "renewals",
            f"{count} renewing agents: share of a core",
            f"{used:.1f} %",
            must=5,
            at_most=True,
            measured=used,
            note=note,
        )
    ]


class Neighbour(Agent):
    """Calls the next one by its proxy, again and again, and counts what came of it."""

    def on_init(self) -> None:
        self.good = 0
        self.problems: list[str] = []
        self.worst = 0.0
        self.peer: Any = None

    def meet(self, name: str, period: float) -> None:
        self.peer = Proxy(name)
        self.each(period, "call")

    def call(self) -> None:
        began = time.perf_counter()
        try:
            self.peer.unsafe.echo(self.good)
            self.good += 1
        except AgentLabError as error:
            self.problems.append(str(error))
        self.worst = max(self.worst, time.perf_counter() - began)

    def echo(self, value: int) -> int:
        return value

    def counted(self) -> tuple[int, list[str], float]:
        return self.good, self.problems, self.worst


def death(_rounds: int, scale: float) -> list[Row]:
    """The name server is killed while agents call each other, and started again."""
    count = 200 if scale >= 1 else 40
    with nameserver() as server:
        agents = [run_agent(f"n{number}", base=Neighbour) for number in range(count)]
        for number, agent in enumerate(agents):
            agent.meet(f"n{(number + 1) % count}", 0.2)
        _wait(lambda: agents[-1].unsafe.counted()[0] > 3, 30.0)
        before = [agent.unsafe.counted()[0] for agent in agents]
        server.kill()
        time.sleep(AWAY)
        again = NameServer(server.addr)
        again.start()
        back = time.perf_counter()
        with NameServerClient(server.addr) as client:
            _wait(lambda: len(client.list()) == count, 30.0)
        healed = time.perf_counter() - back
        found = [agent.unsafe.counted() for agent in agents]
        for agent in agents:
            agent.release()
        again.shutdown()
    failed = sum(len(problems) for _, problems, _ in found)
    calls = sum(good for good, _, _ in found) - sum(before)
    renewal = config["LEASE"] / 3
    note = f"{calls} calls while it was away and after; the slowest of all took {max(worst for *_, worst in found) * 1e3:.0f} ms"
    title = f"name server killed under {count} agents"
    return [
        Row("death", f"{title}: failed calls", str(failed), must=0, at_most=True, measured=failed, note=note),
        Row("death", f"{title}: all listed after", f"{healed:.2f} s", must=renewal, at_most=True, measured=healed),
    ]


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _wait(condition: Callable[[], bool], limit: float) -> None:
    deadline = time.monotonic() + limit
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {limit:g} s")
        time.sleep(0.005)
