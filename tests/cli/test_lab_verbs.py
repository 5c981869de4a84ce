"""The verbs about a running lab: with real small labs, and with a lab without processes."""

import configparser
import json
import os
import re
import signal
import socket
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from agentlab import Proxy
from agentlab.cli.labs import age, first_line, size
from agentlab.cli.main import app
from agentlab.cli.ps import why
from agentlab.cli.up import not_running
from agentlab.cli.verbs import Verbs
from agentlab.lab.client import LabClient, wait_for_end
from agentlab.lab.holding import Holding
from agentlab.lab.lock import FileLock
from agentlab.lab.logbook import Logbook
from agentlab.lab.node import ENDING, STOP_TIMEOUT
from agentlab.lab.places import lab_places
from agentlab.testing import wait_condition
from tests.cli.inprocess import Runner
from tests.cli.program import Outcome, complaint, finish, start
from tests.lab.fakelab import running

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and sockets of POSIX")

CLASSES = """
import time

from agentlab import Agent

class Meter(Agent):
    def on_init(self):
        print("the meter warms up")

    def burn(self):
        raise ValueError("too hot")

class Scan(Agent):
    pass

class Slow(Agent):
    def on_init(self):
        time.sleep(1.0)

class Bad(Agent):
    def on_init(self):
        raise RuntimeError("no device")
"""
LAB = """
version: 1
nameservers:
  - default: {ns_port: 0}
agents:
  Meter: {class: "CLASSES:Meter", restart: permanent}
  Scan: {class: "CLASSES:Scan"}
"""
UNITS = ["nameserver/default", "agent/Meter", "agent/Scan"]


@pytest.fixture
def run(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    return Runner(capsys)


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A lab file; whatever lab runs for it is ended afterwards."""
    module = f"labclasses_{tmp_path.name}"  # one process of pytest must not take another test's module for it
    (tmp_path / f"{module}.py").write_text(CLASSES)
    path = tmp_path / "lab.yml"
    path.write_text(LAB.replace("CLASSES", module))
    monkeypatch.chdir(tmp_path)
    yield path
    _end(path)


def _end(path):
    with LabClient(path) as client:
        if not client.is_up():
            return
        process = psutil.Process(client.info()["pid"])
        client.down(2.0)
        if not wait_for_end(process, 5.0):
            process.kill()


def _row(path, name):
    with LabClient(path) as client:
        return next(row for row in client.status() if row["name"] == name)


def _add(path, line):
    path.write_text(f"{path.read_text()}{line}\n")


def _bad(path):
    return f"  Bad: {{class: 'labclasses_{path.parent.name}:Bad'}}"


# ------------------------------------------------------------------------------------------------ a real lab


def test_the_story_of_a_lab(run, file, socket_dir):
    came = run("up")
    assert came.code == 0, came
    *lines, last = came.out.splitlines()
    assert {line.split(":")[0] for line in lines} == set(UNITS)
    assert re.fullmatch(r"lab.yml is up: 3 of 3 units running, supervisor \d+", last)
    assert run("up").out.startswith("lab.yml is up already: 3 of 3")

    table = run("ps").out
    assert [line.split()[:2] for line in table.splitlines()[1:]] == [[unit, "running"] for unit in UNITS]
    supervisor = psutil.Process(LabClient(file).info()["pid"])
    below = supervisor.children(recursive=True)

    # a crash
    meter = _row(file, "Meter")
    with Proxy("Meter", LabClient(file).nameserver()) as proxy, pytest.raises(ValueError, match="too hot"):
        proxy.burn()
    os.kill(meter["pid"], signal.SIGKILL)
    assert wait_condition(lambda: (row := _row(file, "Meter"))["state"] == "running" and row["pid"] not in (None, meter["pid"]))
    assert wait_condition(lambda: LabClient(file).report("Meter") is not None)
    (again,) = [row for row in json.loads(run("ps", "--json").out) if row["name"] == "Meter"]
    assert again["restarts"] == 1 and again["rss"] > 1e6
    told = run("status", "Meter", tracebacks=True).out
    assert "last failure: crashed" in told and "killed by SIGKILL" in told
    assert "the meter warms up" in told and "ValueError: too hot" in told
    logged = run("logs", "Meter", tracebacks=True).out
    assert "OUTPUT  agent/Meter: the meter warms up" in logged
    assert re.search(r"ERROR   agent/Meter: .*too hot", logged) and "\n    ValueError: too hot" in logged
    assert "crashed: killed by SIGKILL" in run("logs", "--level", "error", "-n", "1").out

    # a reload with a bad file
    good = file.read_text()
    _add(file, "wirse: []")
    line = complaint(run("reload"), 2)
    assert line.startswith("agentlab: lab.yml:8:1: wirse:") and "wires" in line
    assert "changed since it was read" in run("status").out
    assert [row["unit"] for row in json.loads(run("ps", "--json").out)] == UNITS

    # and with a good one
    file.write_text(good.replace("  Scan:", "  Probe:"))
    assert run("reload").out.splitlines() == ["added: agent/Probe", "removed: agent/Scan", "2 units as they were"]
    assert run("reload").out == "nothing has changed; 3 units as they were\n"

    # single units
    assert run("stop", "Probe").out == "agent/Probe is stopped\n"
    assert _row(file, "Probe")["state"] == "stopped"
    assert run("restart", "agent/Meter", "Probe").out == "agent/Meter is up again\nagent/Probe is up again\n"
    assert "did you mean 'Probe'" in complaint(run("stop", "Meter", "Prob"), 2)
    assert _row(file, "Meter")["state"] == "running"

    # the end
    gone = run("down")
    assert gone.code == 0 and gone.out.splitlines()[-1] == "lab.yml is down"
    assert wait_for_end(supervisor, 0.0)
    assert not [process for process in below if process.is_running()]
    assert not [path for path in socket_dir.rglob("*") if path.is_socket()]
    assert run("down").out == "lab.yml is not up\n"
    assert run("down").code == 0
    assert "has stopped" in run("logs", "lab").out  # the log stays


def test_three_at_once_give_one_supervisor(file):
    ups = [start("up", "--json", cwd=file.parent) for _ in range(3)]
    outcomes = [finish(process) for process in ups]
    assert [outcome.code for outcome in outcomes] == [0, 0, 0], outcomes
    infos = [json.loads(outcome.out) for outcome in outcomes]
    assert len({info["pid"] for info in infos}) == 1
    assert sorted(info["already"] for info in infos) == [False, True, True]
    assert all([unit["state"] for unit in info["units"]] == ["running"] * 3 for info in infos)


def test_a_killed_supervisor_leaves_nothing_and_the_next_one_starts_clean(run, file, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    file.write_text(file.read_text().replace("ns_port: 0", f"ns_port: {port}"))  # the dead name server's port is wanted again
    assert run("up").code == 0
    supervisor = psutil.Process(LabClient(file).info()["pid"])
    units = [psutil.Process(row["pid"]) for row in LabClient(file).status()]
    supervisor.kill()
    began = time.monotonic()
    again = run("up")
    assert again.code == 0, again
    assert LabClient(file).info()["pid"] != supervisor.pid
    assert all(wait_for_end(unit, 2.0 - (time.monotonic() - began)) for unit in units)
    assert LabClient(file).nameserver() == f"127.0.0.1:{port}"


def test_what_does_not_start(run, file):
    _add(file, _bad(file))
    failed = run("up")
    line = complaint(failed, 2)
    assert "agent/Bad did not start" in line and "RuntimeError: no device" in line and "agentlab logs" in line
    assert not LabClient(file).is_up()
    assert "RuntimeError: no device" in run("logs", "Bad", tracebacks=True).out
    kept = run("up", "--keep-going")
    assert "agent/Bad is not up" in complaint(kept, 1)
    assert kept.out.splitlines()[-1].startswith("lab.yml is up: 3 of 4 units running")
    table = run("ps").out
    assert max(map(len, table.splitlines())) <= 80
    assert re.search(r"agent/Bad +failed .* agent 'Bad' ", table)
    assert "no device" in complaint(run("start", "Bad"), 1)
    file.write_text(file.read_text().replace(_bad(file), ""))
    assert run("reload").out.startswith("removed: agent/Bad\n")


def test_a_bad_file_starts_nothing(run, file):
    file.write_text(f"{file.read_text()}  Third: {{class: 'nowhere:No', restart: permanant}}\nwirse: []\n")
    outcome = run("up")
    assert outcome.code == 2 and outcome.out == ""
    lines = outcome.err.splitlines()
    assert len(lines) == 3 and all(line.startswith("agentlab: lab.yml:") for line in lines), lines
    assert "permanent" in outcome.err
    assert not lab_places(file).address.exists()
    assert not lab_places(file).logs.exists()


def test_the_foreground_for_a_service_manager(file, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "n"))
        manager.settimeout(10.0)
        os.environ["NOTIFY_SOCKET"] = str(tmp_path / "n")
        try:
            process = start("node", file, cwd="/")
        finally:
            del os.environ["NOTIFY_SOCKET"]
        try:
            assert manager.recv(1000).startswith(b"READY=1\nSTATUS=3 running\n")
            with LabClient(file) as client:
                assert client.info()["pid"] == process.pid
                assert f"is up already; pid {process.pid} runs" in complaint(finish(start("node", file)), 2)
                _add(file, _bad(file))
                process.send_signal(signal.SIGHUP)
                heard = b""
                while b"READY=1" not in heard:
                    heard = manager.recv(1000)
                assert client.resolve("Bad") == ["agent/Bad"]
            process.send_signal(signal.SIGTERM)
            while not heard.startswith(b"STOPPING=1"):
                heard = manager.recv(1000)
            process.wait(15)
        finally:
            if process.poll() is None:  # a second SIGTERM would reach an interpreter that is just ending
                process.terminate()
                process.wait(15)
            outcome = Outcome(process.returncode, *process.communicate())  # with the traceback of a unit that does not start
    assert outcome.code == 0, outcome
    assert "agent/Meter: ready" in outcome.out and outcome.out.splitlines()[-1] == f"{file} is down"


def test_ctrl_c_in_the_shell_does_not_reach_a_lab_that_is_up(run, file):
    assert run("up").code == 0
    pid = LabClient(file).info()["pid"]
    assert os.getsid(pid) == os.getpgid(pid) == pid != os.getsid(0)


# ------------------------------------------------------------------------------------------------ a lab without processes


@pytest.fixture
def fake(tmp_path, monkeypatch):
    path = tmp_path / "lab.yml"
    path.write_text("Laser Scan Bad")
    monkeypatch.chdir(tmp_path)
    with running(path) as lab:
        assert lab.ready.wait(5)
        yield lab


def test_tables_fit_80_columns(run, fake):
    units = {f"agent/{'a long name ' * 5}": "suspected", "service/x": "running"}
    fake.supervisor.rows = units
    rows = fake.supervisor.status

    def status():
        return [{**row, "pid": os.getpid(), "restarts": 12345, "reason": f"{'why ' * 50}\nmore"} for row in rows()]

    fake.supervisor.status = status
    table = run("ps").out
    assert max(map(len, table.splitlines())) <= 80
    assert "suspected" in table and str(os.getpid()) in table and "12345" in table and "more" not in table
    shown = {row["unit"]: row for row in json.loads(run("ps", "--json").out)}
    assert shown.keys() == units.keys()
    assert all(row["rss"] > 0 and row["cpu"] >= 0 for row in shown.values())


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"state": "running", "cause": "SIGKILL", "reason": ""}, "SIGKILL; started again"),
        (
            {"state": "failed", "cause": "exit code 3", "reason": "ended with exit code 3; given up: a ended"},
            "exit code 3; given up",
        ),
        ({"state": "failed", "cause": "exit code 3", "reason": "ended with exit code 3"}, "exit code 3; not started again"),
        ({"state": "stopped", "cause": "", "reason": "given up with agent/b; agentlab start group/g"}, "given up with agent/b"),
        ({"state": "running", "cause": "", "reason": ""}, ""),
        ({"state": "failed", "reason": f"{'x' * 99}\nmore"}, f"{'x' * 45}..."),
    ],
)
def test_a_reason_in_a_few_words(row, said):
    assert why(row) == said


def test_what_does_not_run_though_it_should():
    rows = [
        {"unit": "agent/a", "state": "running", "since": 1.0},
        {"unit": "agent/b", "state": "failed", "since": 1.0},
        {"unit": "agent/c", "state": "stopped", "since": 1.0, "reason": "given up with agent/b"},
        {"unit": "agent/d", "state": "stopped", "since": 1.0, "reason": ""},
        {"unit": "agent/e", "state": "stopped", "since": None, "reason": ""},
    ]
    bad, idle = not_running(rows)
    assert [row["unit"] for row in bad] == ["agent/b", "agent/c"] and idle == ["agent/d"]


def test_up_names_what_does_not_run_of_a_lab_that_is_up(run, fake):
    fake.supervisor.rows["agent/Laser"] = "stopped"
    outcome = run("up")
    assert outcome.code == 0 and "stopped, and left so: agent/Laser; agentlab start NAME" in outcome.out
    fake.supervisor.rows["agent/Bad"] = "failed"
    assert "agent/Bad is not up: failed; see agentlab logs agent/Bad" in complaint(run("up"), 1)


def test_a_group_by_its_name(run, fake, monkeypatch):
    status = fake.supervisor.status
    fake.supervisor.lab.groups["g"] = SimpleNamespace(strategy="one_for_all", members=["Laser"])
    monkeypatch.setattr(fake.supervisor, "status", lambda: [{**row, "group": "g", "daemon": "daemon/d"} for row in status()])
    assert run("stop", "g").out == "group/g is stopped\n"
    assert fake.supervisor.done[-1] == ("stop_unit", "group/g")
    assert "  agent/Laser is running" in run("status", "g").out
    assert "it is bad; see agentlab logs daemon/d" in complaint(run("start", "Bad"), 1)


def test_a_unit_in_full(run, fake):
    fake.supervisor.tell("agent/Laser", "hung", "its loop has not turned for 5 s", exitcode=-9, signal="SIGKILL", log=["hot"])
    told = run("status", "Laser").out
    assert "last failure: hung" in told and "its loop has not turned for 5 s, killed by SIGKILL" in told and "    hot" in told
    report = json.loads(run("status", "Laser", "--json").out)["report"]
    assert (report["event"], report["log"], report["signal"]) == ("hung", ["hot"], "SIGKILL")
    assert json.loads(run("status", "Scan", "--json").out)["report"] is None


def test_a_lab_in_a_few_lines(run, fake):
    told = run("status").out
    assert "name server default  127.0.0.1:1234" in told
    assert "4 running" in told and str(lab_places().logs) in told
    assert json.loads(run("status", "--json").out)["state"] == "running"


def test_orders_for_several_units(run, fake):
    outcome = run("start", "Laser", "Bad", "Scan", "--json")
    assert outcome.code == 1
    assert [row["well"] for row in json.loads(outcome.out)] == [True, False, True]
    assert "it is bad" in complaint(run("start", "Bad"), 1)
    before = list(fake.supervisor.done)
    assert "did you mean 'Laser'" in complaint(run("restart", "Scan", "Lasr"), 2)
    assert fake.supervisor.done == before


def test_up_tells_what_is_left_to_other_machines(run, fake):
    fake.supervisor.rows["agent/Far"] = "elsewhere"
    first, second = run("up").out.splitlines()
    assert first.startswith("lab.yml is up already: 4 of 4 units running, supervisor ")
    assert second == "elsewhere, left to the nodes there: agent/Far (daq2)"


def test_up_says_that_a_program_runs_the_lab(run, file):
    holding = Holding(file)
    holding.take()
    try:
        told = f"pid {os.getpid()} "
        assert told in complaint(run("up"), 1)
        assert told in complaint(run("ps"), 2)
        assert f"is up already; {told}" in complaint(run("node"), 2)
    finally:
        holding.release()


def test_down_says_for_whom_it_waits(run, fake, monkeypatch):
    monkeypatch.setattr("agentlab.cli.down.wait_for_end", lambda process, timeout: True)  # that process is this one
    monkeypatch.setattr("agentlab.cli.down.ASK_AGAIN", 0.0)
    stop = fake.supervisor.stop

    def slowly(timeout):
        fake.supervisor.rows["agent/Laser"] = "stopping"
        time.sleep(0.7)  # longer than one question waits
        stop(timeout)

    fake.supervisor.stop = slowly
    outcome = run("down", "--timeout", "3")
    assert "waiting for agent/Laser" in outcome.out and outcome.out.endswith("lab.yml is down\n")


@pytest.mark.parametrize("verb", ["ps", "status", "status x", "start x", "stop x", "restart x", "reload"])
def test_no_lab(run, tmp_path, monkeypatch, verb):
    monkeypatch.chdir(tmp_path)
    assert "there is no lab file lab.yml" in complaint(run(*verb.split()), 2)
    Path("lab.yml").write_text(LAB)
    assert complaint(run(*verb.split()), 2).endswith("is not up; start it with: agentlab up lab.yml")


def test_no_lab_file_to_start(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "lab.yml" in complaint(run("up"), 2)
    assert "there is no lab file lab.yml" in complaint(run("down"), 2)


# ------------------------------------------------------------------------------------------------ logs


@pytest.fixture
def logged(tmp_path, monkeypatch):
    """A lab that is down, and has left a log."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "lab.yml"
    file.write_text(LAB)
    lab_places(file).make()
    with Logbook(lab_places(file).logs) as book:
        for number in range(5):
            book.write("agent/Laser", "INFO", f"shot {number}")
        book.write("agent/Scan", "WARNING", "Traceback (most recent call last):\n  File x\nE: two\nlines")
        yield book


def test_logs_of_a_lab_that_is_down(run, logged):
    logged.close()
    lines = run("logs", tracebacks=True).out.splitlines()
    assert [line[24:] for line in lines[:5]] == [f"INFO    agent/Laser: shot {number}" for number in range(5)]
    assert lines[6:] == ["      File x", "    E: two", "    lines"]
    assert len(run("logs", "-n", "2", "Laser").out.splitlines()) == 2
    assert run("logs", "-n", "0").out == ""
    assert len(run("logs", "-n", "-1", "--level", "warning", tracebacks=True).out.splitlines()) == 4
    records = [json.loads(line) for line in run("logs", "--json", tracebacks=True).out.splitlines()]
    assert [record["unit"] for record in records] == ["agent/Laser"] * 5 + ["agent/Scan"]
    assert "did you mean 'Laser'" in complaint(run("logs", "Lasr"), 2)
    assert "did you mean 'WARNING'" in complaint(run("logs", "--level", "warnin"), 2)


def test_no_logs(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "there is no lab file" in complaint(run("logs"), 2)


def test_following(logged, tmp_path):
    assert wait_condition((logged.directory / "agent.Scan.jsonl").exists)
    process = start("logs", "-f", "-n", "1", "Scan", cwd=tmp_path)
    try:
        assert "Traceback" in process.stdout.readline()
        for number in range(3):
            logged.write("agent/Scan", "INFO", f"more {number}")
            line = process.stdout.readline()
            while "more" not in line:
                line = process.stdout.readline()
            assert line.endswith(f"agent/Scan: more {number}\n")
        process.send_signal(signal.SIGINT)
        assert process.wait(5) == 0
    finally:
        process.kill()
        process.communicate()


# ------------------------------------------------------------------------------------------------ small things


def test_ages_and_sizes():
    assert [age(100.0, 100.0 + s) for s in (0, 59, 60, 599, 600, 3600, 40000, 90000, 10**7)] == [
        "0s", "59s", "1.0m", "10.0m", "10m", "1.0h", "11h", "1.0d", "116d",
    ]  # fmt: skip
    assert age(None) == age(0) == ""
    assert [size(n) for n in (None, 0, 1234567, 123456789)] == ["", "0.0", "1.2", "123"]
    assert first_line("\n a\nb") == "a" and first_line(None) == first_line("") == ""


def test_shells_can_complete(run, monkeypatch):
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    shown = run("--show-completion", "bash")
    assert shown.code == 0 and "_AGENTLAB_COMPLETE=complete_bash" in shown.out


def test_units_are_completed(fake, monkeypatch, capsys):
    monkeypatch.setenv("_AGENTLAB_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "agentlab restart L")
    monkeypatch.setenv("COMP_CWORD", "2")
    with pytest.raises(SystemExit):
        app([])
    assert capsys.readouterr().out.split() == ["Laser"]


def test_up_waits_for_the_end_of_a_supervisor_that_just_stops(run, file):
    lab_places(file).make()
    with FileLock(lab_places(file).lock) as lock:
        assert lock.acquire()
        threading.Timer(0.2, lock.release).start()
        assert run("up").code == 0
    assert not lock.held


def test_ctrl_c_while_a_lab_starts_ends_only_the_waiting(file):
    _add(file, f"  Slow: {{class: 'labclasses_{file.parent.name}:Slow'}}")
    process = start("up", cwd=file.parent)
    assert wait_condition(LabClient(file).is_up, timeout=20)
    process.send_signal(signal.SIGINT)
    line = complaint(finish(process, 10), 130)
    assert "goes on in the background" in line and "agentlab down lab.yml" in line
    assert LabClient(file).wait_until_ready(10.0)["state"] == "running"
    assert _row(file, "Slow")["state"] == "running"


def test_the_lock_outlives_nobody(run, file):
    assert run("up").code == 0
    with FileLock(lab_places(file).lock) as lock:
        assert not lock.acquire()
        assert run("down").code == 0
        assert lock.acquire()


def test_the_service_file_of_the_documentation(tmp_path):
    text = (Path(__file__).resolve().parents[2] / "docs" / "files" / "deployment" / "lab.service").read_text("utf-8")
    service = configparser.ConfigParser(interpolation=None)
    service.optionxform = str
    service.read_string(text)
    said = service["Service"]
    program, verb, _file = said["ExecStart"].split()
    assert Path(program).name == "agentlab" and verb in Verbs()
    assert said["Type"] == "notify" and "HUP" in said["ExecReload"]
    assert float(said["TimeoutStopSec"]) > STOP_TIMEOUT + ENDING
