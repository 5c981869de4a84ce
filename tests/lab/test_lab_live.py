"""Labs with real processes: each test is a story."""

from __future__ import annotations

import os
import signal
import threading
import time

import psutil
import pytest

from agentlab import NSProxy
from agentlab.errors import AlreadyUpError, LabDownError, LabError, LabStartError, UnknownUnitError
from agentlab.lab import Lab
from agentlab.lab.launch import start_node_detached
from agentlab.lab.logbook import Logbook
from agentlab.lab.node import Node
from agentlab.settings import NAMESERVER_VARIABLE
from agentlab.testing.waiting import wait_condition
from agentlab.yamlfile.problems import ProblemsError
from tests.lab.running import Running, write
from tests.runtime_agents.helpers import Script, gone, wait_until
from tests.timing import soon

PIPELINE = """
    agents:
      Meter: {class: "parts:Meter"}
      Scan: {class: "parts:Scan"}
      Plot: {class: "parts:Plot"}
    wires:
      - Meter.power -> Scan.on_power
      - Scan.rows -> Plot.rows
"""


def test_a_lab_comes_up_heals_and_goes(tmp_path):
    events = []
    with Lab.from_file(write(tmp_path, PIPELINE), on_event=events.append) as lab:
        assert os.environ[NAMESERVER_VARIABLE] == lab.nameserver().addr().__str__()
        assert lab["Plot"] is lab["agent/Plot"]
        assert wait_condition(lambda: len(lab["Plot"].rows) > 3)

        for victim in ("Meter", "Scan", "Plot"):
            row = next(row for row in lab.status() if row["name"] == victim)
            os.kill(row["pid"], signal.SIGKILL)
            assert wait_condition(
                lambda victim=victim: any(
                    r["name"] == victim and r["restarts"] and r["state"] == "running" for r in lab.status()
                ),
                poll=0.002,
            )
            rows = len(lab["Plot"].rows) if victim != "Plot" else 0
            assert wait_condition(lambda rows=rows: len(lab["Plot"].rows) > rows + 3), f"nothing flows after {victim} was killed"

        assert lab.nameserver().agents() == ["Meter", "Plot", "Scan"]
        pids = [row["pid"] for row in lab.status()]
        with pytest.raises(UnknownUnitError, match="did you mean 'Meter'"):
            lab["Metre"]
        with pytest.raises(LabError, match="has no proxy"):
            lab["nameserver/default"]
        assert isinstance(lab.nameserver(), NSProxy)
    assert all(map(gone, pids))
    assert NAMESERVER_VARIABLE not in os.environ
    crash = [event for event in events if event["event"] == "crashed"]
    assert [(event["unit"], event["signal"]) for event in crash] == [
        ("agent/Meter", "SIGKILL"),
        ("agent/Scan", "SIGKILL"),
        ("agent/Plot", "SIGKILL"),
    ]


def test_what_does_not_start_takes_all_down_and_says_why(tmp_path):
    path = write(tmp_path, 'agents: {Good: {class: "parts:Plain"}, Laser: {class: "parts:Bad"}}')
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    with pytest.raises(LabStartError, match="^agent/Laser did not start: agent 'Laser' failed while starting: .*COM3\n") as error:
        Lab.from_file(path)
    assert "Traceback" in str(error.value)
    left = {child for child in psutil.Process().children(recursive=True) if child.pid not in before}
    assert not [child for child in left if "forkserver" not in " ".join(child.cmdline()) and child.is_running()]
    path.write_text(path.read_text().replace("Good", "Good: {}\n  x"))
    with pytest.raises(ProblemsError):
        Lab.from_file(path)


ALL = """
    agents:
      A: {class: "parts:Plain"}
      B: {class: "parts:Plain"}
      C: {class: "parts:Plain", restart: temporary}
      D: {class: "parts:Plain"}
    groups: {g: {strategy: one_for_all, members: [A, B, C], intensity: 2}}
"""


def test_a_group_goes_down_and_comes_back_together_until_it_is_given_up(tmp_path):
    with Running(tmp_path, ALL) as lab:
        lab.supervisor.start()
        before = lab.pids()
        lab.proxy("B").oneway.leave(3)
        lab.wait_for_restart("A", 1)
        lab.wait_for_restart("B", 1)
        after = lab.pids()
        assert after["A"] != before["A"] and after["B"] != before["B"]
        assert after["D"] == before["D"]
        assert lab.states()["C"] == "stopped"  # temporary: it goes along, and does not come back
        crash = next(event for event in lab.events if event["event"] == "crashed")
        assert (crash["unit"], crash["exitcode"], crash["signal"]) == ("agent/B", 3, None)
        os.kill(lab.pid("A"), signal.SIGSEGV)
        lab.wait_for_restart("B", 2)
        lab.wait_for_restart("A", 2)
        os.kill(lab.pid("A"), signal.SIGKILL)
        assert wait_condition(lambda: (lab.states()["A"], lab.states()["B"]) == ("failed", "stopped"))
        assert "ended 3 times within 10 s; allowed are 2 restarts" in lab.row("A")["reason"]
        assert wait_condition(lambda: NSProxy(lab.supervisor.address()).agents() == ["D"])
        lab.supervisor.start_unit("A")
        assert lab.states()["A"] == "running"


HANGS = """
    agents:
      Frozen: {class: "parts:Plain", hang_timeout: 1.8}
      Spinning: {class: "parts:Plain", hang_timeout: 1.8}
      Working: {class: "parts:Plain", hang_timeout: 1.8}
      Idle: {class: "parts:Plain", hang_timeout: 1.8}
"""


def test_hangs_are_ended_and_work_is_not(tmp_path):
    with Running(tmp_path, HANGS) as lab:
        lab.supervisor.start()
        before = lab.pids()
        os.kill(before["Frozen"], signal.SIGSTOP)
        spinning = lab.proxy("Spinning").future.spin()
        working = lab.proxy("Working").future.work(3.0)
        lab.wait_for_restart("Frozen", 1)
        lab.wait_for_restart("Spinning", 1)
        assert working.result(5.0) is None
        after = lab.pids()
        assert (after["Working"], after["Idle"]) == (before["Working"], before["Idle"])
        assert gone(before["Frozen"]) and gone(before["Spinning"])
        told = lab.told("Frozen")
        assert told[told.index("hung") + 1 :][:2] == ["crashed", "restarting"]
        assert not {"suspected", "hung"} & {*lab.told("Working")}
        assert spinning.exception(5.0) is not None
        assert lab.proxy("Spinning").ping() == "pong"


def test_one_that_does_not_listen_is_killed_within_the_time_of_all(tmp_path):
    with Running(tmp_path, 'agents: {Deaf: {class: "parts:Plain"}, Good: {class: "parts:Plain", after: [Deaf]}}') as lab:
        lab.supervisor.start()
        pids = lab.pids()
        os.kill(pids["Good"], signal.SIGSTOP)  # this one is only frozen: it hears when it is woken
        lab.proxy("Deaf").oneway.spin()
        began = time.monotonic()
        lab.supervisor.stop(1.5)
        assert time.monotonic() - began < soon(4.0)
        assert all(map(gone, pids.values()))
        assert lab.told("Deaf")[-2:] == ["killed", "stopped"]
        assert "killed" not in lab.told("Good")


def test_one_that_is_told_to_stop_while_it_starts_ends(tmp_path):
    path = write(tmp_path, 'agents: {Slow: {class: "slow:Slow"}}')
    (tmp_path / "slow.py").write_text(
        "import time\nfrom agentlab import Agent\nclass Slow(Agent):\n    def on_init(self):\n        time.sleep(60)\n"
    )
    began = time.monotonic()
    lab = Lab.from_file(path, start=False)
    with pytest.raises(LabStartError, match="not up within 0.6 s: agent/Slow"):
        lab.start(timeout=0.6)
    assert time.monotonic() - began < soon(5.0)


SERVICES = """
    services:
      first: {module: parts, classname: Counter, parameters: {start: 5}}
      second: {module: parts, classname: Counter}
      broken: {module: parts, classname: Broken}
    agents: {User: {class: "parts:Plain", after: [first]}}
"""


def test_services_are_units_of_their_daemon(tmp_path):
    with Running(tmp_path, SERVICES) as lab:
        lab.supervisor.start(keep_going=True)
        assert {row["unit"]: row["state"] for row in lab.supervisor.status()} == {
            "nameserver/default": "running",
            "daemon/default": "running",
            "service/first": "running",
            "service/second": "running",
            "service/broken": "failed",
            "agent/User": "running",
        }
        assert "no such device" in lab.row("broken")["reason"]
        first, second = lab.proxy("first"), lab.proxy("second")
        assert (first.add(), second.add()) == (6, 1)
        lab.supervisor.restart_unit("first")
        assert (first.add(), second.add()) == (6, 2)  # its neighbour has not noticed
        lab.supervisor.stop_unit("second")
        os.kill(lab.pid("daemon/default"), signal.SIGKILL)
        lab.wait_for_restart("daemon/default", 1)
        lab.wait_for_restart("first", 1)
        assert lab.proxy("first").add() == 6
        assert lab.states()["second"] == "stopped"  # somebody stopped it: it stays so
        lab.supervisor.start_unit("second")
        assert lab.proxy("second").add() == 1


def test_a_name_server_comes_back_at_its_port_and_nobody_else_is_touched(tmp_path):
    with Running(tmp_path, 'settings: {LEASE: 0.6}\nagents: {A: {class: "parts:Plain"}}') as lab:
        lab.supervisor.start()
        address, pid = lab.supervisor.address(), lab.pid("A")
        os.kill(lab.pid("default"), signal.SIGKILL)
        lab.wait_for_restart("default", 1)
        assert lab.supervisor.address() == address
        assert wait_condition(lambda: NSProxy(address).agents() == ["A"])
        assert lab.pid("A") == pid


def test_a_crash_is_reported_with_its_last_words(tmp_path):
    with Logbook(tmp_path / "logs") as book, Running(tmp_path, 'agents: {A: {class: "parts:Plain"}}', logbook=book) as lab:
        lab.supervisor.start()
        lab.proxy("A").oneway.die_saying("the shutter is stuck")
        lab.wait_for_restart("A", 1)
        assert wait_condition(lambda: len(lab.supervisor.crashes()) == 1)
        (report,) = lab.supervisor.crashes()
        assert (report["unit"], report["event"], report["exitcode"], report["signal"]) == ("agent/A", "crashed", 7, None)
        assert "the shutter is stuck" in "\n".join(report["log"])


def test_a_lab_that_another_process_runs_is_attached_to(tmp_path, monkeypatch):
    monkeypatch.setenv("AGENTLAB_STATE_DIR", str(tmp_path / "state"))
    path, ready = write(tmp_path, PIPELINE), threading.Event()
    node = Node(path, on_ready=lambda _info: ready.set())
    thread = threading.Thread(target=node.run)
    thread.start()
    try:
        assert ready.wait(10.0)
        with pytest.raises(LabError, match=r"is up already; use Lab.attach\('.*lab.yml'\), or end it: agentlab down"):
            Lab.from_file(path)
        with Lab.attach(path) as lab:
            assert wait_condition(lambda: len(lab["Plot"].rows) > 3)
            pid = next(row["pid"] for row in lab.status() if row["name"] == "Meter")
            lab.restart_unit("Meter")
            assert next(row["pid"] for row in lab.status() if row["name"] == "Meter") != pid
        with Lab.attach(path) as lab:  # leaving the block let it go on
            assert lab.nameserver().agents() == ["Meter", "Plot", "Scan"]
            lab.stop()
    finally:
        node.ask_stop()
        thread.join(10.0)
    with pytest.raises(LabDownError):
        Lab.attach(path)


def test_a_lab_that_a_program_runs_is_run_by_nobody_else(tmp_path):
    path = write(tmp_path, 'agents: {A: {class: "parts:Plain"}}')
    told = rf"a program runs .*: pid {os.getpid()} .* by Lab.from_file\(\)"
    with Lab.from_file(path, start=False) as lab:
        with pytest.raises(LabError, match=f"is up already; {told}"):
            Lab.from_file(path)
        with pytest.raises(LabError, match=told):
            start_node_detached(path)
        with pytest.raises(LabDownError, match=told):
            Lab.attach(path)
        with pytest.raises(AlreadyUpError, match="Lab.from_file"):
            Node(path).run()
        assert lab["A"].ping() == "pong"
        lab.stop()
        with Lab.from_file(path) as again:  # it was given back
            assert again["A"].ping() == "pong"
    path.write_text(path.read_text().replace("Plain", "Bad"))
    for _ in range(2):  # also by a start that has failed
        with pytest.raises(LabStartError):
            Lab.from_file(path)
    with pytest.raises(LabDownError, match="is not up; start it with"):
        Lab.attach(path)


def test_a_killed_supervisor_leaves_nothing(tmp_path):
    path = write(tmp_path, PIPELINE)
    code = f"""
    from agentlab.lab import Lab
    with Lab.from_file({str(path)!r}) as lab:
        print("pids", *[row["pid"] for row in lab.status()])
        input()
    """
    with Script(tmp_path, code) as script:
        pids = [int(pid) for pid in script.line("pids").split()]
        assert all(map(psutil.pid_exists, pids))
        script.process.kill()
        wait_until(lambda: all(map(gone, pids)), 2.5, "orphans")
