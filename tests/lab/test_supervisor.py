"""The supervisor's thread and its promises to callers, with processes that are none."""

from __future__ import annotations

import os
import sys
import threading
import time

import pytest

from agentlab.agent.pulse import PulseState
from agentlab.errors import ConfigurationError, LabError, LabStartError, UnknownUnitError
from agentlab.lab.file import LabFile
from agentlab.lab.lab import Lab
from agentlab.lab.messages import Exited, Started, StartFailed
from agentlab.lab.model import AgentModel, GroupModel
from agentlab.lab.processes import in_the_files_words
from agentlab.lab.supervisor import Supervisor
from agentlab.nameserver.config import NameServerConfig
from agentlab.settings import NAMESERVER_VARIABLE, config
from agentlab.testing.waiting import wait_condition
from tests.timing import soon


class FakeBackend:
    """Obeys at once, in the supervisor's own thread, but for the units that a test names."""

    def __init__(self):
        self.refuses: dict[str, str] = {}
        self.slow: set[str] = set()
        self.stubborn: set[str] = set()
        self.lives: dict[str, int] = {}
        self.log: list[str] = []
        self.pulses: dict[str, PulseState] = {}
        self.lab = None
        self.closed = 0
        self.environment = {}

    def begin(self, post):
        self.post = post

    def use(self, lab):
        self.lab = lab

    def start(self, command, unit):
        self.log.append(f"start {unit.bare}")
        self.environment[unit.bare] = os.environ.get(NAMESERVER_VARIABLE)
        if unit.bare in self.refuses:
            self.post(StartFailed(unit.name, command.incarnation, self.refuses[unit.bare]))
            return
        assert unit.name not in self.lives
        self.lives[unit.name] = command.incarnation
        if unit.bare not in self.slow:
            info = {"pid": 100 + command.incarnation, "uri": f"PYRO:{unit.bare}@x:1", "address": "127.0.0.1:9999"}
            self.post(Started(unit.name, command.incarnation, info))

    def stop(self, name, incarnation):
        self.log.append(f"stop {name.partition('/')[2]}")
        if name.partition("/")[2] not in self.stubborn:
            self.end(name, 0)

    def kill(self, name, incarnation):
        self.log.append(f"kill {name.partition('/')[2]}")
        self.end(name, -9)

    def end(self, name, exitcode):
        incarnation = self.lives.pop(name, None)
        if incarnation is None:
            return
        failed = name.partition("/")[2] in self.slow
        self.post(StartFailed(name, incarnation, "stopped") if failed else Exited(name, incarnation, exitcode))

    def pulse(self, name, incarnation):
        return self.pulses.get(name)

    def address(self, nameserver):
        return "127.0.0.1:9999" if f"nameserver/{nameserver}" in self.lives else None

    def close(self, timeout):
        self.closed += 1


def make_lab(path, agents, **more):
    models = {name: AgentModel(**{"class": f"m:{name}", **options}) for name, options in agents.items()}
    return LabFile(path=path / "lab.yml", agents=models, nameservers={"default": NameServerConfig()}, **more)


@pytest.fixture
def backend():
    return FakeBackend()


@pytest.fixture
def make(backend, tmp_path):
    made = []

    def make(on_event=None, more=None, **agents):
        lab = make_lab(tmp_path, agents or {"a": {}, "b": {"after": ["a"]}}, **(more or {}))
        made.append(Supervisor(lab, backend=backend, on_event=on_event))
        return made[-1]

    yield make
    for supervisor in made:
        backend.stubborn.clear()
        supervisor.close()


def states(supervisor):
    return {row["name"]: row["state"] for row in supervisor.status()}


def test_start_and_stop(make, backend):
    supervisor = make()
    assert set(states(supervisor).values()) == {"stopped"}
    supervisor.start()
    assert states(supervisor) == {"default": "running", "a": "running", "b": "running"}
    supervisor.start()  # again: nothing to do
    supervisor.stop()
    supervisor.stop()
    assert set(states(supervisor).values()) == {"stopped"}
    assert backend.log == ["start default", "start a", "start b", "stop b", "stop a", "stop default"]
    supervisor.start()  # it may begin anew
    assert states(supervisor)["b"] == "running"


def test_a_row_says_all_there_is_to_say(make, backend):
    supervisor = make(more={"groups": {"g": GroupModel(members=["a"])}})
    before = time.time()
    supervisor.start()
    backend.end("agent/a", -11)
    assert wait_condition(lambda: supervisor.status()[1]["restarts"] == 1 and states(supervisor)["a"] == "running")
    ns, a, _ = supervisor.status()
    assert (ns["unit"], ns["kind"], ns["address"]) == ("nameserver/default", "nameserver", "127.0.0.1:9999")
    since = a.pop("since")
    assert before - 0.1 <= since <= time.time() + 0.1
    assert a == {
        "unit": "agent/a",
        "kind": "agent",
        "name": "a",
        "state": "running",
        "pid": 102,
        "reason": "",
        "cause": "SIGSEGV",
        "exitcode": None,
        "signal": None,
        "restarts": 1,
        "group": "g",
        "daemon": None,
        "restart": "transient",
        "host": "localhost",
        "uri": "PYRO:a@x:1",
        "address": None,
        "nameserver": "default",
    }


def test_one_that_does_not_start_takes_everything_down_again(make, backend):
    backend.refuses["b"] = "class m:b is missing\nTraceback ..."
    supervisor = make()
    with pytest.raises(LabStartError, match="^agent/b did not start: class m:b is missing\nTraceback"):
        supervisor.start()
    assert backend.lives == {}
    assert states(supervisor) == {"default": "stopped", "a": "stopped", "b": "failed"}
    assert not supervisor.is_up


def test_several_that_do_not_start_are_named_in_a_line(make, backend):
    backend.refuses |= {"a": "no\nwhy", "c": "never"}
    with pytest.raises(LabStartError, match="^2 units did not start: agent/a: no; agent/c: never$"):
        make(a={}, c={}, d={"after": ["c"]}).start()


def test_keep_going_leaves_out_what_fails_and_what_needs_it(make, backend):
    backend.refuses["a"] = "no"
    supervisor = make(a={}, b={"after": ["a"]}, c={})
    supervisor.start(keep_going=True)
    assert states(supervisor) == {"default": "running", "a": "failed", "b": "waiting", "c": "running"}
    with pytest.raises(LabError, match="agent/a did not start: no"):
        supervisor.start_unit("a")
    backend.refuses.clear()
    supervisor.start_unit("a")
    assert wait_condition(lambda: states(supervisor)["b"] == "running")


def test_a_start_that_takes_too_long_is_taken_back(make, backend):
    backend.slow.add("a")
    with pytest.raises(LabStartError, match="not up within 0.05 s: agent/a, agent/b; give the lab more time"):
        make().start(timeout=0.05)
    assert backend.lives == {}


def test_a_lab_that_is_stopped_while_it_starts_says_so(make, backend):
    backend.slow.add("a")
    supervisor = make()
    errors = []

    def start():
        try:
            supervisor.start()
        except LabStartError as error:
            errors.append(str(error))

    thread = threading.Thread(target=start)
    thread.start()
    assert wait_condition(lambda: states(supervisor)["a"] == "starting")
    supervisor.stop()
    thread.join(10.0)
    assert errors == ["the lab was stopped while it was starting"]


def test_single_units(make, backend):
    supervisor = make()
    supervisor.start()
    backend.log.clear()
    supervisor.restart_unit("a")
    supervisor.stop_unit("agent/b")
    supervisor.start_unit("b")
    assert backend.log == ["stop a", "start a", "stop b", "start b"]
    with pytest.raises(UnknownUnitError, match="the lab has no 'x'; known names: 'a', 'b', 'default'"):
        supervisor.stop_unit("x")


def test_a_group_is_started_and_stopped_by_its_name(make, backend):
    supervisor = make(more={"groups": {"g": GroupModel(members=["a", "b"], strategy="one_for_all")}})
    assert [row["since"] for row in supervisor.status()] == [None] * 3
    supervisor.start()
    backend.log.clear()
    supervisor.stop_unit("g")
    supervisor.start_unit("group/g")
    supervisor.restart_unit("g")
    supervisor.restart_unit("b")
    stop, start = ["stop b", "stop a"], ["start a", "start b"]
    assert backend.log == [*stop, *start, *stop, *start, "stop b", "start b"]


def test_a_lab_is_a_mapping_of_its_agents_and_services(make, backend):
    supervisor = make()
    supervisor.start()
    lab = Lab(supervisor=supervisor)
    assert list(lab) == ["a", "b"] and len(lab) == 2
    assert "a" in lab and "agent/a" in lab and "x" not in lab and "default" not in lab and 1 not in lab
    supervisor.stop_unit("a")
    with pytest.raises(LabError, match=r"agent/a is stopped; start it with lab.start_unit\('a'\)"):
        lab["a"]
    with pytest.raises(UnknownUnitError, match="the lab has no 'x'"):
        lab["x"]
    lab._closed = True
    with pytest.raises(LabError, match="this lab is closed"):
        lab["a"]


def test_a_port_that_is_taken_has_its_cure_in_the_files_words():
    said = in_the_files_words("cannot listen at localhost:9090: Address already in use; choose another port", "main")
    assert said.endswith("in use; choose another ns_port; nameservers: {main: {ns_port: 0}} takes any free one")


def test_all_is_told_before_a_start_returns(make, backend):
    told = []
    supervisor = make(lambda event: told.append(f"{event['event']} {event['unit']}"))
    supervisor.start()
    assert told[-1] == "ready agent/b"


def test_a_stop_that_a_unit_ignores_ends_in_its_death(make, backend):
    backend.stubborn.add("a")
    supervisor = make(a={})
    supervisor.start()
    began = time.monotonic()
    supervisor.stop(0.3)
    assert time.monotonic() - began < soon(2)
    assert backend.log[-3:] == ["stop a", "kill a", "stop default"]
    assert backend.lives == {}


def test_events_are_told_in_order_with_what_the_log_says(backend, tmp_path):
    events = []

    class Book:
        def tail(self, unit, n=20):
            return [f"last words of {unit}"]

        def open(self, unit):
            raise AssertionError

    supervisor = Supervisor(make_lab(tmp_path, {"a": {}}), backend=backend, logbook=Book(), on_event=events.append)
    try:
        supervisor.start()
        backend.end("agent/a", -9)
        assert wait_condition(lambda: states(supervisor)["a"] == "running" and backend.log.count("start a") == 2)
        supervisor.stop()
        told = [(event["event"], event["text"]) for event in events if event["unit"] == "agent/a"]
        assert told == [
            ("starting", ""),
            ("ready", ""),
            ("crashed", "killed by SIGKILL"),
            ("restarting", "killed by SIGKILL; started again"),
            ("starting", ""),
            ("ready", ""),
            ("stopping", ""),
            ("stopped", ""),
        ]
        (report,) = supervisor.crashes()
        assert report["log"] == ["last words of agent/a"]
        assert (report["exitcode"], report["signal"], report["unit"]) == (-9, "SIGKILL", "agent/a")
        assert abs(report["time"] - time.time()) < 5.0
    finally:
        supervisor.close()


def test_a_function_that_fails_or_takes_its_time_holds_up_nobody(make, backend, caplog):
    go_on = threading.Event()

    def on_event(event):
        if event["event"] == "crashed":
            go_on.wait(5.0)
        raise RuntimeError("mine")

    supervisor = make(on_event=on_event)
    supervisor.start()
    backend.end("agent/a", 1)
    assert wait_condition(lambda: backend.log.count("start a") == 2)
    go_on.set()
    supervisor.stop()
    assert "what was to be done with an event raised an error" in caplog.text


def test_the_surroundings_are_the_labs_while_it_runs_and_as_before_afterwards(make, backend, tmp_path, monkeypatch):
    monkeypatch.setenv(NAMESERVER_VARIABLE, "before:1")
    config["LEASE"] = 7.0
    path = list(sys.path)
    supervisor = make(more={"settings": {"LEASE": 2.0, "SERIALIZER": "json"}})
    supervisor.start()
    assert (config["LEASE"], config["SERIALIZER"]) == (2.0, "json")
    assert os.environ[NAMESERVER_VARIABLE] == "127.0.0.1:9999"
    assert backend.environment == {"default": "before:1", "a": "127.0.0.1:9999", "b": "127.0.0.1:9999"}
    assert str(tmp_path) in sys.path
    supervisor.stop()
    assert (config["LEASE"], config["SERIALIZER"]) == (7.0, "pickle")
    assert os.environ[NAMESERVER_VARIABLE] == "before:1"
    assert sys.path == path


def test_a_hang_is_seen_by_its_pulse(make, backend):
    supervisor = make(a={"hang_timeout": 0.1})
    supervisor.start()
    now = time.monotonic()
    backend.pulses["agent/a"] = PulseState(now, 0, True)
    assert wait_condition(lambda: "kill a" in backend.log, timeout=10.0)
    assert time.monotonic() - now >= 1.2
    del backend.pulses["agent/a"]
    assert wait_condition(lambda: states(supervisor)["a"] == "running")
    assert wait_condition(supervisor.crashes)  # told by a thread of its own, after what it tells of
    assert supervisor.crashes()[0]["event"] == "hung"


def test_no_patience_is_too_long_for_the_thread(make, backend):
    supervisor = make(a={"stop_timeout": 1e300, "start_timeout": 1e300})
    supervisor.start(timeout=float("inf"))
    backend.stubborn.add("a")
    stopping = threading.Thread(target=supervisor.stop, args=(float("inf"),))
    stopping.start()
    assert wait_condition(lambda: "stop a" in backend.log)
    assert states(supervisor)["a"] == "stopping"
    backend.end("agent/a", 0)
    stopping.join(5)
    assert states(supervisor) == {"default": "stopped", "a": "stopped"}


def test_what_is_started_while_the_lab_stops_does_not_outlast_it(make, backend):
    supervisor = make(a={}, b={})
    supervisor.start()
    backend.stubborn.add("a")
    stopping = threading.Thread(target=supervisor.stop, args=(30.0,))
    stopping.start()
    assert wait_condition(lambda: states(supervisor)["b"] == "stopped" and "stop a" in backend.log)
    for order in (supervisor.start_unit, supervisor.restart_unit):
        with pytest.raises(LabError, match="the lab is just stopping"):
            order("b")
    with pytest.raises(LabError, match="the lab is just stopping"):
        supervisor.start()
    backend.end("agent/a", 0)
    stopping.join(5)
    assert set(states(supervisor).values()) == {"stopped"} and not supervisor.is_up
    supervisor.start_unit("b")
    assert states(supervisor)["b"] == "running"


def test_reload_restarts_only_what_changed(make, backend, tmp_path):
    supervisor = make(a={}, b={}, c={})
    supervisor.start()
    backend.log.clear()
    new = make_lab(tmp_path, {"a": {}, "b": {"attributes": {"x": 1}}, "d": {}})
    changes = supervisor.reload(new)
    assert changes == {
        "added": ["agent/d"],
        "removed": ["agent/c"],
        "changed": ["agent/b"],
        "unchanged": ["nameserver/default", "agent/a"],
    }
    assert sorted(backend.log) == ["start b", "start d", "stop b", "stop c"]
    assert states(supervisor) == {"default": "running", "a": "running", "b": "running", "d": "running"}
    assert backend.lab is new and supervisor.lab is new
    assert supervisor.reload(new)["changed"] == []


def test_a_reload_that_does_not_start_says_which_and_leaves_the_rest(make, backend, tmp_path):
    supervisor = make(a={})
    supervisor.start()
    backend.refuses["b"] = "no"
    with pytest.raises(LabError, match="the new lab is in force, but not all of it runs: agent/b did not start: no"):
        supervisor.reload(make_lab(tmp_path, {"a": {}, "b": {}}))
    assert states(supervisor)["a"] == "running"


def test_a_reload_that_cannot_be_changes_nothing(make, backend, tmp_path):
    supervisor = make(a={})
    supervisor.start()
    old, log = supervisor.lab, list(backend.log)
    with pytest.raises(ConfigurationError, match="in a circle"):
        supervisor.reload(make_lab(tmp_path, {"a": {"after": ["b"]}, "b": {"after": ["a"]}}))
    with pytest.raises(ConfigurationError, match="LEASE"):
        supervisor.reload(make_lab(tmp_path, {"b": {}}, settings={"LEASE": -1}))
    assert supervisor.lab is old and backend.log == log and backend.lab is None


def test_a_fault_of_ours_is_raised_to_who_has_asked(make, backend, tmp_path, monkeypatch, caplog):
    supervisor = make()
    supervisor.start()
    monkeypatch.setattr(backend, "use", lambda _lab: 1 / 0)
    with pytest.raises(LabError, match="failed to do that: ZeroDivisionError"):
        supervisor.reload(make_lab(tmp_path, {"a": {}}))
    assert states(supervisor)["b"] == "running"
    assert "could not take in" in caplog.text


def test_a_reload_of_a_lab_that_is_down_starts_nothing(make, backend, tmp_path):
    supervisor = make(a={})
    supervisor.reload(make_lab(tmp_path, {"b": {}}))
    assert backend.log == []
    supervisor.start()
    assert states(supervisor) == {"default": "running", "b": "running"}


def test_many_at_once_ask_without_harm(make, backend):
    supervisor = make(**{f"u{number}": {} for number in range(10)})
    supervisor.start()
    errors = []

    def ask(number):
        try:
            for _ in range(5):
                supervisor.restart_unit(f"u{number % 5}")
                supervisor.status()
        except LabError as error:
            errors.append(error)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10.0)
    assert not errors
    assert set(states(supervisor).values()) == {"running"}


def test_close_stops_and_ends_its_threads(make, backend):
    supervisor = make()
    supervisor.start()
    supervisor.close()
    supervisor.close()
    assert backend.lives == {} and backend.closed == 1
    names = {thread.name for thread in threading.enumerate()}
    assert not names & {"agentlab-supervisor", "agentlab-lab-events"}
