"""Agents as a supervisor starts them: class by name, declared sockets, wires, pulse, records as JSON."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import cloudpickle
import pytest

from agentlab import AgentStartError, NSProxy
from agentlab.agent.pulse import read_pulse
from agentlab.nameserver.client import NameServerClient
from agentlab.runtime.agentmain import TARGET, Spec, WireSpec, dump_spec
from agentlab.runtime.calling import Caller
from agentlab.runtime.child import start_child
from agentlab.settings import runtime_dir
from agentlab.transport.ipc import sweep_stale
from tests.runtime_agents.helpers import wait_until
from tests.timing import soon

WIRED = "tests.runtime_agents.wired:"


class Started:
    """One agent, as a supervisor has it."""

    def __init__(self, name, base, ns, **options):
        pulse = str(runtime_dir() / f"pulse-{os.urandom(4).hex()}")
        self.spec = Spec(name, ns.addr(), base=base, instance=os.urandom(8).hex(), pulse=pulse, **options)
        self.reader, writer = os.pipe()
        try:
            self.child = start_child(TARGET, dump_spec(self.spec), name=name, stdout=writer, stderr=writer)
        except BaseException:
            os.close(self.reader)
            raise
        finally:
            os.close(writer)
        self.caller = Caller(name, cloudpickle.loads(self.child.ready).uri, None)

    def ask(self, method, *args):
        return self.caller.call(method, args, {}, safe=False, timeout=5.0)

    def wires(self):
        return {row["alias"]: row["state"] for row in self.ask("_wiring") if row["remote"]}

    def pulse(self):
        return read_pulse(self.spec.pulse)

    def end(self, *, kill=False):
        """End it; give what it has written."""
        self.caller.close()
        (self.child.kill if kill else self.child.terminate)()
        assert self.child.join(5)
        with os.fdopen(self.reader) as output:
            return output.read()


@pytest.fixture
def start(ns):
    started = []

    def one(name, base="Meter", **options):
        started.append(Started(name, WIRED + base, ns, **options))
        return started[-1]

    yield one
    for agent in started:
        if agent.child.is_alive():
            agent.end()


def forget(ns, name):
    """Take away what a killed agent leaves, as its starter does."""
    sweep_stale()
    with NameServerClient(ns.addr()) as names:
        names.remove(name)


def test_a_wire_is_made_when_its_server_comes_and_again_wherever_it_comes_back(ns, start):
    began = time.monotonic()
    scan = start(
        "Scan",
        "Scan",
        wires=[
            WireSpec(("Meter", "power"), "in", {"power": "on_power"}),
            WireSpec(("Meter", "power"), None, {"other": "on_power"}),
            WireSpec(("Meter", "jobs"), "out"),
            WireSpec(("Nobody", "x"), "never"),
        ],
    )
    assert time.monotonic() - began < soon(5.0)  # nothing waited for the absent servers
    assert scan.wires() == {"in": "waiting", None: "waiting", "out": "waiting", "never": "waiting"}
    received = 0
    for turn in range(2):
        meter = start("Meter", sockets={"late": "PUSH"})
        wait_until(lambda: scan.wires() == {"in": "made", "out": "made", "never": "waiting"}, 3.0, "not wired")
        wait_until(lambda: len(scan.ask("get_attr", "received")) > received, 3.0)  # noqa: B023 - called at once
        received = len(scan.ask("get_attr", "received"))
        scan.caller.call("push", (turn,), {}, safe=True, timeout=3.0)
        wait_until(lambda: meter.ask("get_attr", "jobs") == [turn], 3.0)  # noqa: B023
        assert {row["alias"]: row["kind"] for row in meter.ask("_wiring")} == {"power": "PUB", "jobs": "PULL", "late": "PUSH"}
        assert meter.ask("_vitals")["handled"] == 1
        meter.end(kill=True)
        forget(ns, "Meter")
        wait_until(lambda: scan.wires()["out"] == "waiting", 3.0)
    vitals = scan.ask("_vitals")
    assert vitals["state"] == "running" and vitals["errors"] == 0 and vitals["handled"] >= received > 0 and vitals["calls"] > 5
    assert vitals["rate"] > 0 and vitals["class"] == "tests.runtime_agents.wired.Scan" and vitals["pid"] == scan.child.pid


def test_an_agent_runs_only_when_it_is_wired_to_those_who_are_there(ns, start):
    meter = start("Meter")
    for number in range(5):
        start(f"Eager{number}", "Eager", wires=[WireSpec(("Meter", "jobs"), "out"), WireSpec(("Nobody", "x"), "never")])
    wait_until(lambda: meter.ask("get_attr", "jobs") == ["the very first"] * 5, 3.0)


def test_a_socket_that_an_agent_makes_late_is_wired_and_one_that_hangs_keeps_nobody_waiting(ns, start):
    meter, frozen = start("Meter"), start("Frozen")
    os.kill(frozen.child.pid, 19)
    scan = start("Scan", "Scan", wires=[WireSpec(("Meter", "later"), "out"), WireSpec(("Frozen", "jobs"), "ice")])
    wait_until(lambda: any("later" in row["why"] for row in scan.ask("_wiring")), 3.0)
    meter.caller.call("bind", ("PULL", "later", "on_job"), {}, safe=True)
    wait_until(lambda: scan.wires() == {"out": "made", "ice": "waiting"}, 3.0)
    os.kill(frozen.child.pid, 18)
    wait_until(lambda: scan.wires() == {"out": "made", "ice": "made"}, 4.0)


def test_hung_busy_waiting_and_stopped_are_told_apart_from_outside(start):
    meter, scan = start("Meter"), start("Scan", "Scan")

    def still(agent):
        return agent.pulse().still(time.monotonic())

    def run(agent, method, *args):
        thread = threading.Thread(target=lambda: agent.caller.call(method, args, {}, safe=True, timeout=10.0))
        thread.start()
        return thread

    assert meter.pulse().running
    assert still(meter) < 1.5
    hanging = run(meter, "nap", 5.0)
    waiting = run(scan, "ask_meter", 2.0)  # a call of the one that hangs: its own loop stands still as well
    busy = start("Busy")
    working = run(busy, "work", 4.8)
    wait_until(lambda: still(meter) > 1.3, 3.0)
    assert busy.pulse().busy == 1 and still(busy) == 0.0
    wait_until(lambda: still(scan) == 0.0 and scan.pulse().busy == 1, 2.0, "the one that waits counts as hung")
    for thread in (hanging, waiting, working):
        thread.join(20)
    assert still(meter) < 1.5 and busy.pulse().busy == 0
    meter.ask("stop")
    wait_until(lambda: not meter.pulse().running, 2.0)
    paths = [agent.spec.pulse for agent in (meter, scan)]
    meter.end()
    scan.end()
    assert [read_pulse(path) for path in paths] == [None, None]
    assert not any(Path(path).exists() for path in paths)


def test_records_are_json_and_the_rest_is_plain(start):
    meter = start("Meter", log_json=True)
    meter.caller.call("say", (), {}, safe=True)
    lines = meter.end().rstrip("\n").split("\n")  # str.splitlines() would split at the marks as well
    records = [json.loads(line[1:]) for line in lines if line.startswith("\x1e")]
    assert [(r["agent"], r["level"], r["message"]) for r in records] == [
        ("Meter", "INFO", "hello"),
        ("Meter", "ERROR", "bad\nthing"),
    ]
    assert [line for line in lines if not line.startswith("\x1e")] == ["plain"]


@pytest.mark.parametrize(
    ("base", "says"),
    [
        ("nonsense", "'nonsense' names no class; write package.module:Class"),
        ("no.such.module:Meter", "no module is called 'no'"),
        ("tests.runtime_agents.nothing:Meter", "no module is called 'tests.runtime_agents.nothing'"),
        (WIRED + "Metre", "has no class 'Metre'; did you mean 'Meter'"),
        (WIRED + "Plain", "is no class of agents"),
        ("tests.runtime_agents.unimportable:Meter", "No module named 'surely_not_installed'"),
    ],
)
def test_a_class_that_cannot_be_had(ns, base, says):
    with pytest.raises(AgentStartError) as caught:
        Started("Meter", base, ns)
    assert says in str(caught.value).splitlines()[0]
    with NSProxy(ns.addr()) as left:
        assert left.agents() == []


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"sockets": {"power": "PUSH"}}, "declared as PUSH, but on_init has bound it as PUB"),
        ({"sockets": {"more": {"kind": "PULL"}}}, "This socket requires a handler!"),
        ({"wires": [WireSpec(("Scan", "x"), None, "on_jbo")]}, "did you mean 'on_job'"),
    ],
)
def test_declarations_that_cannot_be_are_told_at_the_start(ns, options, says):
    with pytest.raises(AgentStartError) as caught:
        Started("Meter", WIRED + "Early", ns, **options)
    assert says in str(caught.value).splitlines()[0]
