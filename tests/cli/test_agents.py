"""ls, ping and call, with live agents."""

import json
import os
import signal
import threading

import pytest

from agentlab import Agent, AgentProcess, run_agent, run_nameserver
from agentlab.nameserver.client import NameServerClient
from tests.cli.program import agentlab, complaint


class Stage(Agent):
    """A stage that moves; what it is asked for, it tells."""

    def on_init(self):
        self.position = 1.5
        self._secret = "hidden"

    def move(self, *steps):
        self.position += sum(steps)
        return self.position

    def echo(self, *values):
        return values

    def fail(self):
        raise KeyError("axis 'z'\nis not there")

    def wait(self):
        threading.Event().wait(1.0)


@pytest.fixture
def ns():
    server = run_nameserver()
    yield server
    server.shutdown()


@pytest.fixture
def stage(ns):
    return run_agent("Stage", base=Stage, tags=("axis", "x"))


def test_ls_without_agents(ns):
    outcome = agentlab("ls")
    assert (outcome.code, outcome.out) == (0, f"nobody is registered at {ns.addr()}\n")
    assert agentlab("ls", "--json").out == "[]\n"


def test_ls_shows_who_is_there_and_how_they_are(ns, stage):
    run_agent("Bare")
    AgentProcess("Idle").start()
    with NameServerClient(ns.addr()) as names:
        names.register("Gone", "PYRO:nobody@127.0.0.1:1", instance="gone", metadata={"class": "mylab.Gone"})
        names.register("Stock", "PYRO:nobody@127.0.0.1:1", instance="stock")
    rows = {row["name"]: row for row in json.loads(agentlab("ls", "--json", "--nsaddr", ns.addr()).out)}
    assert {name: row["state"] for name, row in rows.items()} == {
        "Bare": "running",
        "Gone": "silent",
        "Idle": "stopped",
        "Stage": "running",
        "Stock": "-",
    }
    assert {name: row["kind"] for name, row in rows.items() if name in ("Stage", "Stock")} == {"Stage": "agent", "Stock": "other"}
    assert rows["Stage"]["errors"] == 0 and rows["Stage"]["rate"] == 0.0 and rows["Gone"]["rate"] is None
    assert rows["Stage"]["since"].endswith("+00:00")
    assert rows["Stage"]["pid"] == stage.execute_as_function(os.getpid)
    assert rows["Stage"]["class"].endswith("Stage")
    assert rows["Stage"]["tags"] == ["axis", "x"]
    assert rows["Stage"]["host"]
    table = agentlab("ls")
    assert table.code == 0
    assert [line.split()[0] for line in table.out.splitlines()] == ["name", "Bare", "Gone", "Idle", "Stage", "Stock"]
    assert "stopped" in table.out


def test_ls_does_not_wait_for_a_frozen_agent(ns, stage):
    pid = stage.execute_as_function(os.getpid)
    os.kill(pid, signal.SIGSTOP)
    try:
        rows = json.loads(agentlab("ls", "--json").out)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert [row["state"] for row in rows] in ([], ["silent"])  # its lease may have ended meanwhile


def test_ping(stage):
    outcome = agentlab("ping", "Stage")
    assert outcome.code == 0
    assert outcome.out.startswith("Stage answers after ")


@pytest.mark.parametrize("args", [["ping", "Stgae"], ["call", "Stgae", "move"]])
def test_an_unknown_agent(stage, args):
    line = complaint(agentlab(*args), 2)
    assert "Stgae" in line
    assert "'Stage'" in line


def test_an_agent_that_is_not_there_any_more(ns):
    with NameServerClient(ns.addr()) as names:
        names.register("Gone", "PYRO:nobody@127.0.0.1:1", instance="gone")
    assert "127.0.0.1:1" in complaint(agentlab("ping", "Gone"), 1)
    assert "127.0.0.1:1" in complaint(agentlab("call", "Gone", "move"), 1)


def test_call_takes_json_or_text_and_prints_the_result(stage):
    assert agentlab("call", "Stage", "move", "2", "0.5").out == "4.0\n"
    assert agentlab("call", "Stage", "move", "--", "-4").out == "0.0\n"
    outcome = agentlab("call", "Stage", "echo", "5", '"5"', "[1, {}]", "true", "red", "{", "--json")
    assert json.loads(outcome.out) == [5, "5", [1, {}], True, "red", "{"]
    nothing = agentlab("call", "Stage", "log_debug", "x")
    assert (nothing.code, nothing.out) == (0, "")
    assert agentlab("call", "Stage", "ping", "--unsafe").out == "pong\n"


def test_call_shows_an_attribute(stage):
    assert agentlab("call", "Stage", "position").out == "1.5\n"


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["mvoe", "1"], 2, "'move'"),
        (["positoin"], 2, "positoin"),
        (["_secret"], 2, "no public method '_secret'"),
        (["_close"], 2, "no public method '_close'"),
        (["fail"], 1, "Stage.fail() raised KeyError"),
        (["move", "red"], 1, "Stage.move() raised TypeError"),
        (["wait", "--timeout", "0.2"], 1, "0.2 s"),
    ],
)
def test_a_call_that_cannot_be_or_fails(stage, args, code, says):
    assert says in complaint(agentlab("call", "Stage", *args), code)
    assert stage.unsafe.ping() == "pong"
