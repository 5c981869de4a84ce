"""Numbers of an agent: counted by batches, told without the loop."""

from __future__ import annotations

import os

import pytest

from agentlab import Agent
from agentlab.agent.vitals import Rate, Vitals, resident_bytes
from agentlab.testing import TestBench
from agentlab.testing.waiting import wait_condition


def test_a_rate_is_that_of_the_last_half_second_or_longer():
    rate = Rate(0, 100.0)
    assert rate.now(5, 100.0) == 0.0
    assert rate.now(10, 101.0) == 10.0
    rate.sample(10, 101.0)
    rate.sample(30, 102.0)
    assert rate.now(30, 102.1) == pytest.approx(20 / 1.1)  # too soon after the last sample: from the one before
    assert rate.now(40, 103.0) == 10.0
    rate.sample(31, 102.2)  # left out
    assert rate.now(40, 103.0) == 10.0
    assert rate.now(20, 103.0) == 0.0  # a number that was put back


class Server(Agent):
    def on_init(self):
        self.bind("PULL", "pull", handler="take")
        self.bind("REP", "rep", handler="take")
        self.bind("ASYNC_REP", "async", handler="take")
        self.bind("SYNC_PUB", "sync", handler="take")
        self.bind("PUB", "pub")
        self.bad = set()

    def take(self, message):
        if message in self.bad:
            raise ValueError(message)
        return message


class Client(Agent):
    def on_init(self):
        self.got = []

    def take(self, message):
        self.got.append(message)


@pytest.fixture(params=["bench", "sockets"])
def pair(request):
    """A server and a client, on a bench and with real sockets, and what lets them work until something is true."""
    if request.param == "bench":
        with TestBench(strict=False) as bench:
            yield bench.agent(Server, "Server"), bench.agent(Client, "Client"), lambda _: bench.run()
        return
    agents = [Server("Server"), Client("Client")]
    for agent in agents:
        agent.on_init()

    def work(condition):
        def turn():
            for agent in agents:
                agent._loop.turn(lambda: True)
            return condition()

        assert wait_condition(turn, timeout=3.0)

    yield (*agents, work)
    for agent in agents:
        agent._close()


def vitals(agent):
    return Vitals(agent).describe()


def test_messages_of_every_kind_are_counted(pair):
    server, client, work = pair
    for alias in ("pull", "rep", "async", "sync", "pub"):
        client.connect(server.addr(alias), alias, handler={"": "take"} if alias in ("sync", "pub") else "take")

    def handled(number):
        work(lambda: vitals(server)["handled"] >= number)
        assert vitals(server)["handled"] == number

    for number in range(3):
        client.send("pull", number)
    handled(3)
    client.send_many("pull", list(range(1000)))
    handled(1003)
    client.send("async", 1)
    handled(1004)
    client.send("sync", 1, handler="take")
    handled(1005)
    work(lambda: len(client.got) == 2)
    client.send("rep", 1)
    handled(1006)
    client.recv("rep", 1.0)
    work(lambda: server._links.get("pub").subscribers())
    before = vitals(client)["handled"]
    server.send("pub", 1)
    work(lambda: len(client.got) == 3)
    assert vitals(client)["handled"] == before + 1
    assert vitals(server)["handled"] == 1006  # what a publisher receives are subscriptions


def test_what_a_handler_raises_at_was_handled_too_and_closed_sockets_count(pair):
    server, client, work = pair
    client.connect(server.addr("pull"), "pull")
    server.bad = {1}
    for number in range(3):
        client.send("pull", number)
    work(lambda: vitals(server)["handled"] >= 3)
    assert vitals(server)["errors"] == 1
    server.close("pull")
    assert vitals(server)["handled"] == 3
    server.close_all()
    assert vitals(server)["handled"] == 3


def test_what_waits_is_the_queue(pair):
    server, client, work = pair
    client.connect(server.addr("pull"), "pull")
    assert vitals(server)["queue"] == 0
    link = server._links.get("pull")
    client.send_many("pull", list(range(200)))
    link._limit = 1
    work(lambda: vitals(server)["handled"] > 0)
    told = vitals(server)
    assert told["handled"] + told["queue"] == 200
    server._loop.post(lambda: None)
    assert vitals(server)["queue"] == told["queue"] + 1


def test_the_rest_of_the_numbers():
    agent = Client("Alice")
    try:
        told = vitals(agent)
        assert told["name"] == "Alice" and told["class"].endswith("test_vitals.Client")
        assert told["state"] == "stopped" and told["pid"] == os.getpid() and told["calls"] == 0
        assert 1e6 < told["rss"] == pytest.approx(resident_bytes(), rel=0.5)
        assert told["cpu"] > 0 and told["busy"] == told["lost"] == told["bad_messages"] == 0
        with agent.busy():
            assert vitals(agent)["busy"] == 1
        agent.shutdown()
        assert vitals(agent)["state"] == "ending"
    finally:
        agent._close()
