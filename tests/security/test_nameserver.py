"""Garbage and silence at the name server: agents stay listed, lookups work, and honest callers are served."""

from __future__ import annotations

import contextlib
import random
import socket
import time

import pytest

from agentlab import Proxy, config, run_agent
from agentlab.nameserver.client import NameServerClient
from tests.security.helpers import throw, wait_until
from tests.timing import soon

NAMES = ["one", "two"]


@pytest.fixture
def listed(ns, monkeypatch):
    """A name server with agents whose leases are short, so that a name server that stops to listen loses them."""
    config["LEASE"] = 0.6
    for name in NAMES:
        run_agent(name)
    return ns


@pytest.fixture
def chance():
    print("seed", seed := random.randrange(1 << 32))
    return random.Random(seed)


def still_serves(ns, lookups=20):
    for _ in range(lookups):
        with NameServerClient(ns.addr()) as names:  # each by a connection of its own
            assert names.lookup("one").uri
    assert sorted(ns.agents()) == NAMES
    assert Proxy("two").ping() == "pong"


def refused(ns):
    return ns.info()["counts"].get("refused", 0)


def watch_leases(ns, seconds=1.3):
    """Let more than two leases go by."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert sorted(ns.agents()) == NAMES
        time.sleep(0.05)


def test_garbage_on_udp(listed, chance):
    addr = listed.addr()
    before = refused(listed)
    end, sent = time.monotonic() + 1.3, 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        while time.monotonic() < end:
            for size in (0, 1, 8, 32, 100, 1000, 9000, 60_000):
                stranger.sendto(chance.randbytes(size), (addr.host, addr.port))
                sent += 1
            time.sleep(0.005)
            assert sorted(listed.agents()) == NAMES
    wait_until(lambda: refused(listed) - before >= sent * 0.9, 5.0, lambda: (listed.info(), sent))
    still_serves(listed)


def test_garbage_on_tcp(listed, chance):
    addr = listed.addr()
    starts = [b"", b"PYRO", b"PYRO\x01\xf6", b"AGL1", b"AGLK", b"\xff" * 8, b"GET / HTTP/1.0\r\n\r\n", b"\x16\x03\x01\x02\x00"]
    for _ in range(500):
        with socket.create_connection((addr.host, addr.port)) as stranger:
            throw(stranger, chance.choice(starts) + chance.randbytes(chance.randrange(300)))
    still_serves(listed)


def test_five_hundred_silent_connections(listed):
    addr = listed.addr()
    with contextlib.ExitStack() as opened:
        for _ in range(500):
            opened.enter_context(socket.create_connection((addr.host, addr.port)))
        still_serves(listed)
        watch_leases(listed)
    still_serves(listed)


def test_eighty_slow_connections(listed):
    addr = listed.addr()
    with contextlib.ExitStack() as opened:
        strangers = [opened.enter_context(socket.create_connection((addr.host, addr.port))) for _ in range(80)]
        end = time.monotonic() + 1.3
        while time.monotonic() < end:
            for stranger in strangers:
                throw(stranger, b"A")
            still_serves(listed, 2)
            time.sleep(0.1)


def test_a_recorded_renewal_cannot_keep_a_dead_agent_alive(listed):
    """Without the key, a datagram can only be one that was sent before; its counter gives it away."""
    from agentlab.nameserver.heartbeats import Heartbeat

    addr = listed.addr()
    with NameServerClient(addr) as names:
        registration = names.register("ghost", "PYRO:x@127.0.0.1:1", instance="i", lease=0.5)
        beat = Heartbeat(addr, registration)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as tap:
            tap.bind(("127.0.0.1", 0))
            tap.settimeout(3)
            beat._socket.connect(tap.getsockname())
            beat.beat()
            recorded = tap.recv(65536)
            began = time.monotonic()
            while "ghost" in names.list():
                tap.sendto(recorded, (addr.host, addr.port))
                assert time.monotonic() - began < soon(3), "a replayed datagram keeps it alive"
                time.sleep(0.05)
        beat.close()
