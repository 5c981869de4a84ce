"""The process that runs a lab, around a supervisor that is none; and those who ask it."""

import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from agentlab.errors import AlreadyUpError, ConfigurationError, LabDownError, LabError, LabStartError, UnknownUnitError
from agentlab.lab import client as client_module
from agentlab.lab import remains
from agentlab.lab.client import LabClient, running_nameserver
from agentlab.lab.door import REMEMBERED, Feed, LabDoor, last_traceback
from agentlab.lab.lock import FileLock
from agentlab.lab.logread import read_log
from agentlab.lab.notify import Notifier
from agentlab.lab.places import lab_places
from agentlab.lab.remains import RUN_VARIABLE, mark, wait_for_remains
from agentlab.lab.units import LONGEST
from agentlab.testing import wait_condition
from tests.lab.fakelab import running
from tests.timing import soon


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "lab.yml"
    path.write_text("Laser Scan Bad")
    return path


# ------------------------------------------------------------------------------------------------ a whole life


def test_a_life(file):
    with running(file) as lab:
        assert lab.ready.wait(5)
        client = lab.client
        assert client.is_up()
        info = client.info()
        assert (info["file"], info["name"], info["state"], info["pid"]) == (str(file), "fake", "running", os.getpid())
        assert info["nameservers"] == {"default": "127.0.0.1:1234"}
        assert client.nameserver() == running_nameserver(file) == "127.0.0.1:1234"
        assert [row["unit"] for row in client.status()] == ["agent/Laser", "agent/Scan", "agent/Bad", "nameserver/default"]
        assert client.resolve("Laser", "agent/Scan", "default") == ["agent/Laser", "agent/Scan", "nameserver/default"]
        client.start("Laser")
        client.stop("agent/Laser")
        client.restart("Laser")
        with pytest.raises(LabError, match="it is bad"):
            client.start("Bad")
        with pytest.raises(UnknownUnitError, match="did you mean 'Laser'"):
            client.start("Lasr")
        client.down(3.0)
        lab.thread.join(5)
        assert lab.error is None
        assert lab.supervisor.done == [
            ("start", True, None),
            ("start_unit", "agent/Laser"),
            ("stop_unit", "agent/Laser"),
            ("restart_unit", "agent/Laser"),
            ("start_unit", "agent/Bad"),
            ("stop", 3.0),
            ("close",),
        ]
        assert not client.is_up()
        with pytest.raises(LabDownError, match="agentlab up"):
            client.status()
        assert running_nameserver(file) is None
    places = lab_places(file)
    assert not places.address.exists() and not places.socket.exists()
    texts = [record.text for record in read_log(places.logs, ["lab"])]
    assert [text.split(":")[0].split()[0] for text in texts] == ["runs", "is", "has"]
    assert [r.text for r in read_log(places.logs, ["Laser"])] == ["starting", "ready", "stopped"]


def test_a_file_that_was_never_up_and_one_that_is_not_there(file):
    assert not LabClient(file).is_up()
    with pytest.raises(LabDownError, match="is not up; start it with"):
        LabClient(file).info()
    with pytest.raises(LabDownError, match="there is no lab file"):
        LabClient(file.with_name("other.yml")).info()


def test_one_supervisor_for_one_file(file):
    with running(file) as first:
        assert first.ready.wait(5)
        with running(file) as second:
            second.thread.join(5)
            assert isinstance(second.error, AlreadyUpError)
            assert str(os.getpid()) in str(second.error)
            assert second.supervisor is None
        assert first.client.is_up()


def test_a_start_that_fails_stops_everything_and_says_why(file):
    def prepare(supervisor):
        supervisor.fail = LabStartError("agent/Laser did not start")

    with running(file, prepare=prepare, keep_going=False, timeout=7.0) as lab:
        lab.thread.join(5)
        assert isinstance(lab.error, LabStartError)
        assert [done[0] for done in lab.supervisor.done] == ["start", "stop", "close"]
        assert lab.supervisor.done[0] == ("start", False, 7.0)
        assert not lab.client.is_up()


def test_a_supervisor_with_a_bug_is_told_too(file, caplog):
    def prepare(supervisor):
        supervisor.fail = ZeroDivisionError("oh")

    with running(file, prepare=prepare) as lab:
        lab.thread.join(5)
        assert "ZeroDivisionError: oh" in str(lab.error)
    assert any("ZeroDivisionError" in record.text for record in read_log(lab_places(file).logs, ["lab"], "error"))


def test_it_can_be_stopped_and_asked_while_it_starts(file):
    def prepare(supervisor):
        supervisor.hold = threading.Event()

    with running(file, prepare=prepare) as lab:
        assert lab.made.wait(5)
        assert wait_condition(lab.client.is_up)
        assert lab.client.info()["state"] == "starting"
        with pytest.raises(LabError, match="was not ready within"):
            lab.client.wait_until_ready(0.01)
        lab.client.down()
        lab.thread.join(5)
        assert not lab.thread.is_alive()


def test_a_bad_file_starts_nothing(file):
    def read(path):
        raise ConfigurationError("line 1: bad")

    with running(file, read=read) as lab:
        lab.thread.join(5)
        assert isinstance(lab.error, ConfigurationError)
    assert not lab_places(file).directory.exists()


# ------------------------------------------------------------------------------------------------ reloading


def test_reloading(file, caplog):
    with running(file) as lab:
        assert lab.ready.wait(5)
        assert not lab.client.info()["changed"]
        file.write_text("Laser Scan Bad New")
        assert lab.client.info()["changed"]
        assert lab.client.reload()["added"] == ["New"]
        assert not lab.client.info()["changed"]
        assert lab.client.resolve("New") == ["agent/New"]
        lab.node.ask_reload()  # as SIGHUP does
        assert wait_condition(lambda: len([d for d in lab.supervisor.done if d[0] == "reload"]) == 2)
        file.unlink()
        with pytest.raises(FileNotFoundError):
            lab.client.reload()
        assert lab.client.resolve("New") == ["agent/New"]


def test_a_reload_by_signal_with_a_bad_file_is_logged_and_changes_nothing(file, caplog):
    calls = []

    def read(path):
        calls.append(path)
        if len(calls) > 1:
            raise ConfigurationError("lab.yml:1:1: bad\nlab.yml:2:1: worse")
        from tests.lab.fakelab import fake_read

        return fake_read(path)

    with running(file, read=read) as lab:
        assert lab.ready.wait(5)
        lab.node.ask_reload()
        assert wait_condition(lambda: len(caplog.records) == 2)
        with pytest.raises(ConfigurationError, match="worse"):
            lab.client.reload()
        assert [d[0] for d in lab.supervisor.done] == ["start"]
    assert [r.text for r in read_log(lab_places(file).logs, ["lab"], "error")] == [
        "not reloaded: lab.yml:1:1: bad",
        "not reloaded: lab.yml:2:1: worse",
    ]


# ------------------------------------------------------------------------------------------------ events and reports


def test_events_are_numbered_and_waited_for(file):
    with running(file) as lab:
        assert lab.ready.wait(5)
        fresh, events = lab.client.events()
        assert fresh == len(events) == 9
        assert [e["number"] for e in events] == list(range(9))
        assert lab.client.events(fresh) == (fresh, [])
        threading.Timer(0.05, lab.supervisor.tell, ("agent/Laser", "crashed", "killed")).start()
        began = time.monotonic()
        fresh, (event,) = lab.client.events(fresh, 5.0)
        assert time.monotonic() - began < soon(2.0)
        assert (event["unit"], event["event"]) == ("agent/Laser", "crashed")


def test_a_crash_is_reported_with_the_last_words(file):
    with running(file) as lab:
        assert lab.ready.wait(5)
        assert lab.client.report("Laser") is None
        out, err = lab.supervisor.logbook.open("agent/Laser")
        os.write(out, b"hot\n")
        os.write(err, b"Traceback (most recent call last):\n  File x\nValueError: too hot\n")
        os.close(out)
        os.close(err)
        lab.supervisor.tell("agent/Laser", "crashed", "ended with exit code 1", exitcode=1)
        lab.supervisor.tell("agent/Laser", "given_up", "5 restarts within 10 s")
        report = lab.client.report("Laser")
        assert report["event"] == "given_up"
        assert "hot" in report["log"]
        assert report["traceback"].endswith("ValueError: too hot")
        with pytest.raises(UnknownUnitError):
            lab.client.report("Lasr")
    texts = [(r.level, r.text) for r in read_log(lab_places(file).logs, ["Laser"], "warning")]
    assert ("ERROR", "crashed: ended with exit code 1") in texts


def test_a_feed_remembers_so_many():
    feed = Feed()
    for number in range(REMEMBERED + 10):
        feed.add({"unit": "x", "event": "ready", "n": number})
    fresh, events = feed.since(0)
    assert fresh == REMEMBERED + 10 == feed.fresh
    assert [e["n"] for e in events] == list(range(10, REMEMBERED + 10))


def test_a_report_keeps_the_lines_of_the_crash_before():
    feed = Feed()
    feed.add({"unit": "x", "event": "crashed", "log": ["a", "Traceback (most recent call last):\nE"]})
    feed.add({"unit": "x", "event": "given_up"})
    assert feed.report("x")["log"][0] == "a" and feed.report("x")["traceback"].endswith("E")
    assert feed.report("y") is None
    assert last_traceback(["a"]) == ""


# ------------------------------------------------------------------------------------------------ misfortunes


def test_what_a_killed_supervisor_left_is_replaced(file, socket_dir):
    places = lab_places(file)
    places.make()
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(places.socket))
    dead.close()
    places.address.write_text(f"PYRO:{places.object_id}@./u:{places.socket}")
    places.lock.write_text("pid 1")
    assert not LabClient(file).is_up()
    with running(file) as lab:
        assert lab.ready.wait(5)
        assert lab.client.is_up()
    assert not places.socket.exists()


@pytest.mark.parametrize("text", ["", "nonsense", "PYRO:lab-000000000000@127.0.0.1:1", "\xff"])
def test_an_address_file_that_says_nothing_true(file, text):
    places = lab_places(file)
    places.make()
    places.address.write_text(text, "latin-1")
    assert not LabClient(file).is_up()
    assert running_nameserver(file) is None


def test_another_labs_supervisor_is_not_taken_for_ours(file, tmp_path):
    other = tmp_path / "other.yml"
    other.write_text("Other")
    with running(other) as lab:
        assert lab.ready.wait(5)
        places = lab_places(file)
        places.make()
        there = lab_places(other).address.read_text().partition("@")[2]
        places.address.write_text(f"PYRO:{places.object_id}@{there}")
        assert not LabClient(file).is_up()
        places.address.unlink()


def test_a_supervisor_that_does_not_answer_is_given_up(file, monkeypatch):
    places = lab_places(file)
    places.make()
    with socket.socket(socket.AF_UNIX) as frozen:
        frozen.bind(str(places.socket))
        frozen.listen()
        places.address.write_text(f"PYRO:{places.object_id}@./u:{places.socket}")
        monkeypatch.setattr(client_module, "CONNECT_PATIENCE", 0.1)
        with pytest.raises(LabError, match="does not answer, though it runs"):
            LabClient(file).info()
        assert LabClient(file).is_up()
    places.socket.unlink()
    places.address.unlink()


def test_remains_are_waited_for(file):
    places = lab_places(file)
    code = "import sys; print('on', flush=True); sys.stdin.read()"
    environ = {**os.environ, RUN_VARIABLE: mark(places, "earlier")}
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ)
    try:
        assert child.stdout.readline() == b"on\n"
        assert wait_for_remains(places, "now", timeout=0.05) == [child.pid]
        assert wait_for_remains(places, "earlier", timeout=0.05) == []  # our own run
        assert wait_for_remains(lab_places("other.yml"), "now", timeout=0.05) == []
        threading.Timer(0.05, child.stdin.close).start()
        assert wait_for_remains(places, "now", timeout=5.0) == []
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
        child.stdin.close()


def test_orders_that_nobody_knows():
    from agentlab.control.payload import dumps
    from agentlab.control.remote_errors import error_from_bytes

    door = LabDoor({"ok": lambda: 1})
    assert door.handle(dumps(("ok", (), {}, False), security="keys"))[:1] == b"R"
    for payload in (b"", b"garbage", dumps(("no", (), {}), security="keys"), dumps(7, security="keys")):
        answer = door.handle(payload)
        assert answer[:1] == b"E"
        assert isinstance(error_from_bytes(answer[1:], security="keys"), Exception)


def test_systemd_hears_all_of_it(file, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(5)
        with running(file, notifier=Notifier(str(tmp_path / "notify"), watchdog=0.06)) as lab:
            first = manager.recv(1000).split(b"\n")
            while first == [b"WATCHDOG=1"]:
                first = manager.recv(1000).split(b"\n")
            assert first[:2] == [b"READY=1", b"STATUS=4 running"]
            assert manager.recv(1000) == b"WATCHDOG=1"
            lab.node.ask_reload()
            heard = []
            while b"READY=1" not in heard:
                heard += manager.recv(1000).split(b"\n")
            assert b"RELOADING=1" in heard
            lab.node.ask_stop(3.0)
            while b"STOPPING=1" not in heard:
                heard += manager.recv(1000).split(b"\n")
            assert b"EXTEND_TIMEOUT_USEC=8000000" in heard


@pytest.mark.parametrize("timeout", [float("nan"), -1.0])
def test_what_is_no_time_stops_nothing(file, timeout):
    with running(file) as lab:
        assert lab.ready.wait(5)
        with pytest.raises(LabError, match="allowed are numbers from 0"):
            lab.client.down(timeout)
        assert lab.client.info()["state"] == "running" and ("stop", timeout) not in lab.supervisor.done


def test_endless_patience_is_a_long_time(file):
    with running(file) as lab:
        assert lab.ready.wait(5)
        lab.client.down(float("inf"))
        lab.thread.join(5)
        assert lab.error is None and ("stop", LONGEST) in lab.supervisor.done


def test_a_lock_is_free_again_after_a_run(file):
    with running(file) as lab:
        assert lab.ready.wait(5)
    with FileLock(lab_places(file).lock) as lock:
        assert lock.acquire()
    assert remains.RUN_VARIABLE not in os.environ
