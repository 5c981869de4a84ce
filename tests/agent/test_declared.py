"""Declared sockets: bound after on_init, where that has not bound them."""

from __future__ import annotations

import pytest

from agentlab import Agent
from agentlab.agent.declared import bind_declared, options_of
from agentlab.errors import AgentStartError, ConfigurationError, HandlerError, WrongAddressError
from agentlab.testing import TestBench


class Meter(Agent):
    binds = {"power": "PUB", "jobs": {"kind": "PULL", "handler": "on_job", "serializer": "json"}}

    def on_init(self):
        self.jobs = []

    def on_job(self, job):
        self.jobs.append(job)


@pytest.fixture
def build():
    made = []

    def one(base=Agent, **sockets):
        agent = base("Alice")
        made.append(agent)
        agent.on_init()
        bind_declared(agent, sockets)
        return agent

    yield one
    for agent in made:
        agent._close()


def kinds(agent):
    return {alias: str(address.kind) for alias, address in agent.sockets().items()}


def test_what_a_class_declares_is_bound(build):
    agent = build(Meter)
    assert kinds(agent) == {"power": "PUB", "jobs": "PULL"}
    assert agent.addr("jobs").serializer == "json"


def test_the_lab_file_adds_and_goes_before_the_class(build):
    agent = build(Meter, raw={"kind": "PUSH", "transport": "tcp", "handler": None}, jobs={"kind": "PULL", "handler": "on_job"})
    assert kinds(agent) == {"power": "PUB", "jobs": "PULL", "raw": "PUSH"}
    assert agent.addr("raw").transport == "tcp"
    assert agent.addr("jobs").serializer == "pickle"


def test_what_on_init_has_bound_stays(build):
    class Early(Meter):
        def on_init(self):
            self.address = self.bind("PUB", "power", transport="tcp")

    agent = build(Early)
    assert agent.addr("power") == agent.address
    assert kinds(agent) == {"power": "PUB", "jobs": "PULL"}


@pytest.mark.parametrize("kind", ["SYNC_PUB", "ASYNC_REP"])
def test_channels_too(build, kind):
    class Early(Agent):
        binds = {"a": {"kind": kind, "handler": "on_job"}, "b": {"kind": kind, "handler": "on_job"}}

        def on_init(self):
            self.bind(kind, "a", handler="on_job")

        def on_job(self, job):
            return job

    assert kinds(build(Early)) == {"a": kind, "b": kind}


def test_another_kind_than_declared_is_an_error(build):
    class Other(Agent):
        binds = {"power": "PUB"}

        def on_init(self):
            self.bind("PUSH", "power")

    with pytest.raises(AgentStartError, match="'power' of agent 'Alice' is declared as PUB, but on_init has bound it as PUSH"):
        build(Other)


def test_a_connected_socket_is_none_that_was_bound(build):
    server = build(Meter)

    class Other(Agent):
        binds = {"out": "PUSH"}

        def on_init(self):
            self.connect(server.addr("jobs"), "out")

    with pytest.raises(AgentStartError, match="declared as PUSH, but on_init has connected it as PUSH"):
        build(Other)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (None, "'power' is declared as None; write its kind"),
        (5, "declared as 5"),
        ({}, "declared as {}"),
        ({"handler": "x"}, "or a mapping with `kind`"),
        ({"kind": "PULL", "handlr": "x"}, "declared with 'handlr'; did you mean 'handler'"),
    ],
)
def test_a_declaration_that_makes_no_sense(given, says):
    with pytest.raises(ConfigurationError) as caught:
        options_of("power", given)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ("PUBB", WrongAddressError),
        ("PULL", ValueError),
        ({"kind": "PULL", "handler": "nothing"}, HandlerError),
        ("SYNC_SUB", NotImplementedError),
    ],
)
def test_an_error_says_which_socket_it_is_about(build, given, error):
    with pytest.raises(error) as caught:
        build(Agent, power=given)
    assert caught.value.__notes__ == ["this was the declared socket 'power' of agent 'Alice'"]


def test_agents_on_a_bench_have_them_as_well():
    with TestBench() as bench:
        meter = bench.agent(Meter, "Meter")
        bench.agent(Agent, "Other").connect(meter.addr("jobs"), "out")
        bench.agents["Other"].send("out", 5)
        bench.run()
        assert meter.jobs == [5]


def test_the_name_is_kept_from_attributes():
    with pytest.raises(KeyError, match='already has "binds"'):
        Agent("Alice", attributes={"binds": {}})
