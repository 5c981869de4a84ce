"""Many agents at one name server. The limits are generous: they catch a change of order, not of a percent."""

from __future__ import annotations

import os
import statistics
import time

import pytest

from agentlab.nameserver.client import NameServerClient
from agentlab.nameserver.heartbeats import Heartbeat
from agentlab.nameserver.registration import Registration
from tests.nameserver.live import ServerProcess, wait_until
from tests.timing import soon

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals")

METADATA = {"class": "Laser", "host": "x", "pid": 1234, "start": 1.5, "tags": ["a", "b"]}


@pytest.fixture
def server(socket_dir):
    server = ServerProcess()
    yield server
    server.end()


def agent(number, lease):
    return Registration(f"agent{number}", f"PYRO:{number:032x}@./u:/run/x/{number}", "i" * 16, METADATA, lease, time.time())


def test_a_thousand_that_renew_each_second_cost_little(server):
    """Measured: 2 % of a core; promised: 5."""
    heartbeat = Heartbeat(server.address, agent(0, 3.0))
    datagrams = [agent(number, 3.0) for number in range(1000)]
    with NameServerClient(server.address) as client:
        for one in datagrams:
            heartbeat.update(one)
            heartbeat.beat()
            time.sleep(0.0002)  # the pace of what is measured, not a wait
        wait_until(lambda: client.info()["names"] == 1000)
        before, start = server.cpu_seconds(), time.monotonic()
        for number in range(2000):
            heartbeat.update(datagrams[number % 1000])
            heartbeat.beat()
            time.sleep(max(0.0, start + number / 1000 - time.monotonic()))
        share = (server.cpu_seconds() - before) / (time.monotonic() - start)
        heartbeat.close()
        assert client.info()["number"] == 1000
    assert share < 0.10


def test_ten_thousand_names_are_listed_and_looked_up_fast(server):
    """Measured: 0.04 s and 0.08 ms; promised: 0.2 s and 1 ms."""
    with NameServerClient(server.address) as client:
        for number in range(10_000):
            client.register(f"agent{number}", f"PYRO:{number:032x}@./u:/run/x/{number}", instance="i" * 16, metadata=METADATA)

        def seconds(call):
            start = time.perf_counter()
            call()
            return time.perf_counter() - start

        assert len(client.list()) == 10_000
        assert min(seconds(client.list) for _ in range(3)) < soon(0.4)
        assert statistics.median(seconds(lambda: client.lookup("agent7777")) for _ in range(300)) < soon(0.003)
