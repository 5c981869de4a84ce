"""The figures of the data plane: agent to agent through handlers, against bare pyzmq, both over ipc."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from agentlab import Proxy, run_agent
from benchmarks.agents import Echo, Receiver, Sender
from benchmarks.measure import Row, Sample, compared, cpu_seconds, interleave, rate, shown, speed_ratios
from benchmarks.peer import Peer

LIMIT = 60.0


@contextlib.contextmanager
def bare(sender: str, receiver: str, *topics: str) -> Iterator[tuple[Peer, Peer]]:
    """Give two bare peers that are connected; the sender binds."""
    with tempfile.TemporaryDirectory(prefix="bare-") as folder, contextlib.ExitStack() as stack:
        endpoint = f"ipc://{folder}/socket"
        peers = []
        for role, more in ((sender, ()), (receiver, topics)):
            peers.append(Peer("bare_zmq", role, endpoint, *more))
            stack.callback(peers[-1].close)
        time.sleep(0.3)  # for subscriptions to arrive
        yield peers[0], peers[1]


@contextlib.contextmanager
def agents(*bases: Any) -> Iterator[list[Proxy]]:
    """Give running agents; they are shut down at the end."""
    proxies: list[Proxy] = []
    try:
        for base in bases:
            proxies.append(run_agent(base=base))  # noqa: PERF401 - those that started are shut down when one fails
        yield proxies
    finally:
        for proxy in proxies:
            proxy.unsafe.shutdown()
            proxy.release()


def pid_of(proxy: Proxy) -> int:
    """Give the process id of an agent."""
    return int(proxy.unsafe.execute_as_function(os.getpid))


def bare_side(sender: Peer, receiver: Peer, what: str, count: int, *arguments: Any) -> Sample:
    """Run one round of two bare peers."""
    pids = (sender.pid, receiver.pid)
    cpu = cpu_seconds(pids)
    receiver.tell(what, count)
    sender.ask(what, count, *arguments)
    seconds = receiver.answer()
    return Sample(count - 1, seconds, cpu_seconds(pids) - cpu)


def our_side(sender: Proxy, receiver: Proxy, pids: tuple[int, int], what: str, count: int, *arguments: Any) -> Sample:
    """Run one round of two agents."""
    receiver.expect(count)
    cpu = cpu_seconds(pids)
    getattr(sender, what)(count, *arguments)
    seconds = receiver.unsafe.round_seconds(LIMIT)
    return Sample(count - 1, seconds, cpu_seconds(pids) - cpu)


@contextlib.contextmanager
def push_pull(serializer: str) -> Iterator[tuple[Any, Any]]:
    """Give a function for a round of each side: ours and the bare one."""
    with bare("push", "pull") as peers, agents(Sender, Receiver) as (sender, receiver):
        address = sender.bind("PUSH", "out", serializer=serializer)
        receiver.connect(address, handler="on_message")
        pids = (pid_of(sender), pid_of(receiver))
        yield (
            lambda what, count: our_side(sender, receiver, pids, what, count),
            lambda what, count: bare_side(*peers, what, count),
        )


def raw(rounds: int, scale: float) -> list[Row]:
    """PUSH/PULL, 16 raw bytes."""
    count = int(60_000 * scale)
    with push_pull("raw") as (ours, bare_one):
        samples = interleave({"ours": lambda: ours("raw", count), "bare": lambda: bare_one("raw", count)}, rounds)
    return [compared("raw", "PUSH/PULL, raw 16 B", samples, unit="/s", must=0.7)]


def pickled(rounds: int, scale: float) -> list[Row]:
    """PUSH/PULL, a small dict in a pickle."""
    count = int(60_000 * scale)
    with push_pull("pickle") as (ours, bare_one):
        samples = interleave({"ours": lambda: ours("reading", count), "bare": lambda: bare_one("reading", count)}, rounds)
    return [compared("dict", "PUSH/PULL, small dict, pickle", samples, unit="/s", must=0.8)]


def array(rounds: int, scale: float) -> list[Row]:
    """PUSH/PULL, an array of 1 MiB; and what a bare peer that copies does."""
    count = max(50, int(300 * scale))
    with push_pull("pickle") as (ours, bare_one):
        sides = {
            "ours": lambda: ours("array", count),
            "bare": lambda: bare_one("array", count),
            "copied": lambda: bare_one("copied_array", count),
        }
        samples = interleave(sides, rounds)
    row = compared("array", "PUSH/PULL, 1 MiB float64 array", samples, unit="MiB/s", must=0.8)
    copying = compared(
        "array", "the same, bare peer that copies", {**samples, "ours": samples["copied"]}, unit="MiB/s", must=None
    )
    return [row, copying]


def many(rounds: int, scale: float) -> list[Row]:
    """send_many of small dicts against sending them one by one on a bare socket."""
    count = max(2, int(60 * scale)) * 1000
    with push_pull("pickle") as (ours, bare_one):
        samples = interleave({"ours": lambda: ours("many", count), "bare": lambda: bare_one("reading", count)}, rounds)
    return [compared("many", "send_many, small dicts (bare: one by one)", samples, unit="/s", must=4.0)]


def publish(rounds: int, scale: float) -> list[Row]:
    """PUB/SUB with 1 and with 100 topics subscribed."""
    count = int(40_000 * scale)
    rows, ours_by_topics = [], {}
    with contextlib.ExitStack() as stack:
        sides: dict[int, dict[str, Any]] = {}
        for topics in (1, 100):
            peers = stack.enter_context(bare("pub", "sub", str(topics)))
            sender, receiver = stack.enter_context(agents(Sender, Receiver))
            sides[topics] = _publishing(peers, sender, receiver, topics, count)
        both = {f"{name}{topics}": side for topics, pair in sides.items() for name, side in pair.items()}
        samples = interleave(both, rounds)
    for topics in (1, 100):
        pair = {"ours": samples[f"ours{topics}"], "bare": samples[f"bare{topics}"]}
        ours_by_topics[topics] = pair["ours"]
        title = f"PUB/SUB, {topics} topic{'s' * (topics > 1)} subscribed"
        rows.append(compared(f"pubsub{topics}", title, pair, unit="/s", must=0.6))
    ratios = sorted(speed_ratios(ours_by_topics[100], ours_by_topics[1]))
    rows.append(
        Row(
            "pubsub100",
            "PUB/SUB, 100 topics against 1",
            shown(rate(ours_by_topics[100]), "/s"),
            shown(rate(ours_by_topics[1]), "/s"),
            ratios[len(ratios) // 2],
            (ratios[0], ratios[-1]),
            must=0.5,
            note="both sides are agents",
        )
    )
    return rows


def _publishing(peers: tuple[Peer, Peer], sender: Proxy, receiver: Proxy, topics: int, count: int) -> dict[str, Any]:
    from benchmarks.payloads import TOPICS

    address = sender.bind("PUB", "out", hwm=0)
    receiver.connect(address, handler=dict.fromkeys(TOPICS[:topics], "on_publication"), hwm=0)
    sender.wait_for_subscribers("out")
    pids = (pid_of(sender), pid_of(receiver))

    def bare_round() -> Sample:
        return bare_side(*peers, "publish", count, topics)

    return {"ours": lambda: our_side(sender, receiver, pids, "publish", count, topics), "bare": bare_round}


def request(rounds: int, scale: float) -> list[Row]:
    """REQ/REP, 16 raw bytes there and back."""
    count = int(4000 * scale)
    with bare("rep", "req") as (replier, requester), agents(Echo, Sender) as (echo, asker):
        asker.connect(echo.addr("rep"), "req")
        ours_pids, bare_pids = (pid_of(echo), pid_of(asker)), (replier.pid, requester.pid)

        def ours_round() -> Sample:
            cpu = cpu_seconds(ours_pids)
            seconds = asker.ask(count)
            return Sample(count, seconds, cpu_seconds(ours_pids) - cpu)

        def bare_round() -> Sample:
            cpu = cpu_seconds(bare_pids)
            replier.tell("answer", count)
            seconds = requester.ask("ask", count)
            replier.answer()
            return Sample(count, seconds, cpu_seconds(bare_pids) - cpu)

        samples = interleave({"ours": ours_round, "bare": bare_round}, rounds)
    return [compared("request", "REQ/REP round trip, raw 16 B", samples, unit="us", must=1.3, times=True)]
