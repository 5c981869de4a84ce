"""Wires: made when their servers are there, told while they are not."""

from __future__ import annotations

import pytest

from agentlab import Agent
from agentlab.agent import describe
from agentlab.agent.wires import Wires, WireSpec
from agentlab.errors import AgentStartError, AliasError
from agentlab.testing.waiting import wait_condition


class Directory:
    """Tells what the test tells it."""

    def __init__(self):
        self.followed = {}

    def follow(self, agent, alias, moved, gone=None):
        self.followed[agent, alias] = (moved, gone)

    def here(self, agent, alias, address):
        self.followed[agent, alias][0](address)

    def gone(self, agent, alias, why):
        self.followed[agent, alias][1](why)


class Scan(Agent):
    def on_init(self):
        self.got = []

    def on_power(self, message, topic):
        self.got.append(("power", topic, message))

    def on_any(self, message):
        self.got.append(("any", message))

    def fail(self, message):
        raise LookupError("no such thing")


class Bench:
    """Agents whose loops turn in the test's thread."""

    def __init__(self):
        self.agents = []
        self.directory = Directory()

    def agent(self, base=Scan, *specs):
        agent = base("Alice")
        self.agents.append(agent)
        agent.on_init()
        agent.wires = Wires(agent, specs)
        agent.wires.follow(self.directory)
        return agent

    def turn_until(self, condition):
        def turn():
            for agent in self.agents:
                agent._loop.turn(lambda: True)
            return condition()

        assert wait_condition(turn, timeout=3.0)

    def turn(self):
        self.turn_until(lambda: True)


@pytest.fixture
def bench():
    made = Bench()
    yield made
    for agent in made.agents:
        agent._close()


def rows(agent):
    links = agent._links.named()
    return sorted(agent.wires.describe([describe.socket(link, name) for name, link in links]), key=lambda row: str(row["alias"]))


def states(agent):
    return {row["alias"]: row["state"] for row in rows(agent)}


def test_a_wire_waits_for_its_server_and_says_so(bench):
    scan = bench.agent(Scan, WireSpec(("Meter", "jobs"), "out"))
    assert states(scan) == {"out": "waiting"}
    assert rows(scan)[0]["remote"] == ["Meter", "jobs"] and "not been seen" in rows(scan)[0]["why"]
    with pytest.raises(AliasError, match="alias 'out' yet: the wire to 'Meter.jobs' is not made: agent 'Meter' has not"):
        scan.send("out", 1)
    bench.directory.gone("Meter", "jobs", "it is having lunch")
    bench.turn()
    with pytest.raises(AliasError, match="it is having lunch"):
        scan.send("out", 1)


def test_it_is_made_and_made_again_elsewhere(bench):
    scan, first, second = bench.agent(Scan, WireSpec(("Meter", "jobs"), "out")), bench.agent(), bench.agent()
    for server in (first, second):
        address = server.bind("PULL", "jobs", handler=lambda agent, message: agent.got.append(message))
        bench.directory.here("Meter", "jobs", address)
        bench.turn()
        assert states(scan) == {"out": "made"}
        scan.send("out", 5)
        bench.turn_until(lambda: server.got == [5])  # noqa: B023 - called at once
        bench.directory.gone("Meter", "jobs", "it has left")
        bench.turn()
        assert states(scan) == {"out": "waiting"}
    bench.directory.here("Meter", "jobs", second.addr("jobs"))  # the same one, found again
    bench.turn()
    assert states(scan) == {"out": "made"}
    assert len(scan._links.all()) == 1


def test_several_wires_from_one_publisher_share_a_link(bench):
    server = ("Meter", "power")
    scan = bench.agent(
        Scan,
        WireSpec(server, handler={"a": "on_power"}),
        WireSpec(server, "second", {"b": "on_power"}),
        WireSpec(server, "third", {"b": ["on_any", "on_any"]}),
    )
    meter = bench.agent()
    bench.directory.here(*server, meter.bind("PUB", "power"))
    bench.turn()
    assert len(scan._links.all()) == 1
    assert states(scan) == {"second": "made", "third": "made"}
    assert {tuple(row["topics"]) for row in rows(scan)} == {("a", "b")}
    bench.turn_until(lambda: "b" and len(meter._links.get("power").subscriptions) >= 3)
    for topic in ("a", "b", "c"):
        meter.send("power", 1, topic=topic)
    bench.turn_until(lambda: len(scan.got) == 4)
    assert scan.got == [("power", "a", 1), ("power", "b", 1), ("any", 1), ("any", 1)]


def test_it_is_known_which_are_about_to_be_made(bench):
    scan, meter = bench.agent(), bench.agent()
    wires = Wires(scan, [WireSpec(("Meter", "power"), "in", "on_any"), WireSpec(("Sink", "results"), "out")])
    wires.follow(bench.directory, lambda agent: agent == "Meter")
    assert wires.are_due()
    bench.directory.here("Meter", "power", meter.bind("PUSH", "power"))
    bench.turn_until(lambda: not wires.are_due())


def test_one_handler_of_a_topic_that_fails_harms_no_other(bench):
    server = ("Meter", "power")
    scan = bench.agent(Scan, WireSpec(server, handler="fail"), WireSpec(server, handler="on_any"))
    meter = bench.agent()
    bench.directory.here(*server, meter.bind("PUB", "power"))
    bench.turn_until(lambda: meter._links.get("power").subscribers())
    meter.send("power", 1)
    bench.turn_until(lambda: scan.got == [("any", 1)])
    assert scan.error_count() == 1
    assert "no such thing" in scan.last_error()


def test_two_handlers_of_a_pusher(bench):
    server = ("Meter", "jobs")
    scan = bench.agent(Scan, WireSpec(server, handler="on_any"), WireSpec(server, handler="on_any"))
    meter = bench.agent()
    bench.directory.here(*server, meter.bind("PUSH", "jobs"))
    bench.turn()
    meter.send("jobs", 1)
    bench.turn_until(lambda: scan.got == [("any", 1)] * 2)


def test_a_server_that_comes_back_as_something_else(bench):
    scan = bench.agent(Scan, WireSpec(("Meter", "power"), "in", "on_any"))
    meter = bench.agent()
    for kind, serializer in (("PUB", "json"), ("PUSH", "json"), ("PUSH", "pickle")):
        address = meter.bind(kind, serializer=serializer)
        bench.directory.here("Meter", "power", address)
        bench.turn()
        assert rows(scan)[0]["serializer"] == serializer
        assert rows(scan)[0]["kind"] == ("SUB" if kind == "PUB" else "PULL")
    meter.send(address, {1, 2})
    bench.turn_until(lambda: scan.got == [("any", {1, 2})])
    assert len(scan._links.all()) == 1


@pytest.mark.parametrize(
    ("handler", "says"),
    [("on_powr", "did you mean 'on_power'"), ({"a": "got"}, "'got' of the agent is no method"), ({"a": ["on_any", "x"]}, "'x'")],
)
def test_a_handler_that_is_none_is_an_error_at_once(bench, handler, says):
    with pytest.raises(AgentStartError) as caught:
        bench.agent(Scan, WireSpec(("Meter", "power"), None, handler))
    assert says in str(caught.value) and "the wire from 'Meter.power' to agent 'Alice'" in str(caught.value)


@pytest.mark.parametrize(
    ("specs", "kind", "says"),
    [
        ([WireSpec(("Meter", "x"), "taken")], "PULL", "the alias 'taken' is in use"),
        ([WireSpec(("Meter", "x"), None, {"a": "on_any"})], "PUSH", "knows no topics"),
        ([WireSpec(("Meter", "x"), None, "on_any"), WireSpec(("Meter", "x"), None, "on_any")], "ASYNC_REP", "has one handler"),
    ],
)
def test_a_wire_that_cannot_be_made_waits_and_is_logged(bench, specs, kind, says):
    scan = bench.agent(Scan, *specs)
    scan.bind("PUB", "taken")
    meter = bench.agent()
    handler = None if kind == "PUSH" else "on_any"
    bench.directory.here("Meter", "x", meter.bind(kind, handler=handler))
    bench.turn()
    waiting = [row for row in rows(scan) if row["state"] == "waiting"]
    assert waiting and says in waiting[0]["why"]
    assert scan.sockets() == {"taken": scan.addr("taken")}
    assert scan.error_count() == 0
