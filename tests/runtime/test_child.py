"""Starting children, and how they end."""

from __future__ import annotations

import errno
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from agentlab.errors import AgentStartError, ConfigurationError
from agentlab.runtime import child as runtime
from agentlab.runtime.child import active_children, start_child, stop_all
from agentlab.settings import config
from tests.runtime.helpers import T, frozen, gone, wait_until
from tests.timing import soon

pytestmark = pytest.mark.usefixtures("starting")


def facts(method="forkserver", payload=b"", **options):
    return pickle.loads(start_child(T + "tell", payload, start_method=method, **options).ready)


def test_a_child_answers_and_lives_until_it_is_told_to_end(method):
    child = start_child(T + "serve", b"hello" * 100_000, name="Alice", start_method=method)
    assert child.ready == b"hello" * 100_000
    assert child.is_alive() and child.exitcode is None and child.name == "Alice" and child in active_children()
    assert not child.join(0.01)
    child.terminate()
    assert child.join(10) and child.exitcode == -signal.SIGTERM and not child.is_alive()
    assert child not in active_children()
    wait_until(lambda: gone(child.pid), 1)


def test_a_ready_child_has_its_pid_however_late_its_fork_server_is_heard():
    """It was given back with the pid 0, and to kill it did nothing."""
    start_child(T + "serve", b"")  # the server is there
    go = threading.Event()
    runtime.family().monitor._do(go.wait)
    threading.Timer(0.15, go.set).start()
    child = start_child(T + "serve", b"", start_method="forkserver")
    assert child.pid
    child.kill()
    assert child.join(10) and child.exitcode == -signal.SIGKILL


def descriptors():
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_it_finds_the_starters_surroundings(method, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AGENTLAB_TEST_VALUE", "ü and \udcff")
    monkeypatch.setattr(sys, "argv", ["scan.py", "--fast"])
    monkeypatch.setattr(sys, "path", [*sys.path, "/nowhere"])
    config["LINGER"] = 4.25
    environ = dict(os.environ)
    told = facts(method, name="Alice in Wonderland")
    assert told["main thread"] and told["stdin"] == "" and told["argv"] == ["scan.py"]
    assert told["cwd"] == str(tmp_path) and told["environ"] == environ and told["path"] == sys.path
    assert told["settings"]["LINGER"] == 4.25
    assert told["parent_pid"] == os.getpid() and told["sid"] != os.getsid(0)
    assert told["streams"] == {fd: os.fstat(fd).st_ino for fd in (1, 2)}
    assert told["comm"] == "Alice in Wonder"
    monkeypatch.delenv("AGENTLAB_TEST_VALUE")
    assert "AGENTLAB_TEST_VALUE" not in facts(method)["environ"]


def test_its_output_goes_where_it_is_told(method, tmp_path, capfd):
    with (tmp_path / "out").open("wb") as out, (tmp_path / "err").open("wb") as err:
        child = start_child(T + "write", b"first", start_method=method, stdout=out.fileno(), stderr=err.fileno())
        both = start_child(T + "write", b"second", start_method=method, stdout=out.fileno(), stderr=out.fileno())
        only = start_child(T + "write", b"third", start_method=method, stderr=err.fileno())
    assert child.is_alive() and both.is_alive() and only.is_alive()  # and their outputs are theirs, after ours are closed
    assert (tmp_path / "out").read_text() == "first\nsecond\nerror second\n"
    assert (tmp_path / "err").read_text() == "error first\nerror third\n"
    assert capfd.readouterr() == ("third\n", "")


def test_the_end_of_a_child_closes_the_pipe_of_its_output(method):
    reader, writer = os.pipe()
    before = descriptors()
    child = start_child(T + "write", b"last words", start_method=method, stdout=writer, stderr=writer)
    assert descriptors() - before <= 4  # the family's own, at the first child: none of them is a copy of the pipe
    os.close(writer)
    child.kill()
    with os.fdopen(reader) as pipe:
        assert pipe.read() == "last words\nerror last words\n"  # to its end: nobody else holds it open


def test_an_output_that_is_not_open_is_refused(method):
    reader, writer = os.pipe()
    os.close(reader)
    os.close(writer)
    with pytest.raises(ConfigurationError, match=f"stdout={writer} is no open file descriptor"):
        start_child(T + "write", b"", start_method=method, stdout=writer)


def test_a_forked_child_is_clean():
    told = facts()
    assert told["threads"] == 1 and told["blocked"] == set() and told["interrupt"]
    assert told["handlers"] == [signal.SIG_DFL, signal.SIG_DFL]
    assert told["zmq loaded"]
    # stdin, stdout, stderr, link, lifeline, and the one that lists them: nothing of the server or of its siblings
    assert len(told["fds"]) == 6


def test_forked_siblings_draw_different_numbers():
    first, second = (facts(payload=b"numpy")["random"] for _ in range(2))
    assert first[0] != second[0] and first[1] != second[1]


def test_the_current_stdout_and_stderr_are_used(method, capfd):
    start_child(T + "write", b"first", start_method=method)
    out, err = capfd.readouterr()
    assert out == "first\n" and err == "error first\n"  # before its end: lines are not kept back


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ("3", r"'Bob' ended with exit code 3 while starting"),
        ("104", r"'Bob' ended with exit code 4 while starting"),
        ("return", r"'Bob' ended with exit code 0 while starting"),
        ("message", r"'Bob' ended with exit code 1 while starting"),
        ("interrupt", r"'Bob' ended with exit code 130 while starting"),
        ("-9", r"'Bob' was killed by SIGKILL while starting"),
        ("-11", r"'Bob' was killed by SIGSEGV while starting"),
        ("raise", r"(?s)^Traceback.*ValueError: the laser is off\n$"),
        ("failed", r"^no laser here$"),
        ("failed-stays", r"^no laser here$"),
    ],
)
def test_a_child_that_does_not_become_ready(method, how, text):
    told = []
    with pytest.raises(AgentStartError, match=text):
        start_child(T + "end", f"before:{how}".encode(), name="Bob", start_method=method, on_exit=told.append)
    assert not runtime.family().children() and not told


@pytest.mark.parametrize(("target", "text"), [("nowhere.at.all:x", "No module named 'nowhere'"), (T + "nothing", "'nothing'")])
def test_a_target_that_is_not_there(method, target, text):
    with pytest.raises(AgentStartError, match=text):
        start_child(target, b"", start_method=method)


@pytest.mark.parametrize("target", ["", "module", ":function", "module:"])
def test_a_target_that_cannot_be(target):
    with pytest.raises(ConfigurationError, match=r"package\.module:function"):
        start_child(target, b"")


def test_a_start_method_that_cannot_be(monkeypatch):
    with pytest.raises(ConfigurationError, match="'fork'"):
        start_child(T + "serve", b"", start_method="fork")
    monkeypatch.setattr(runtime, "_HAS_FORK_SERVER", False)
    with pytest.raises(ConfigurationError, match="POSIX"):
        start_child(T + "serve", b"", start_method="forkserver")


def test_a_child_that_hangs_while_starting_is_killed(method, tmp_path):
    path = tmp_path / "pid"
    start_child(T + "serve", b"", start_method=method)  # so that the time is the child's own
    with pytest.raises(AgentStartError, match=r"'Carol' did not start within 0.5 s"):
        start_child(T + "hang_starting", str(path).encode(), name="Carol", start_method=method, timeout=0.5)
    if path.exists():  # a fresh interpreter may not have come so far
        wait_until(lambda: gone(int(path.read_text())), 1)
    assert len(runtime.family().children()) == 1


def test_the_timeout_comes_from_the_settings():
    start_child(T + "serve", b"")
    config["START_TIMEOUT"] = 0.2
    with pytest.raises(AgentStartError, match=r"within 0.2 s"):
        start_child(T + "hang", b"")


def test_a_link_held_by_a_grandchild_keeps_nobody_waiting():
    begin = time.monotonic()
    with pytest.raises(AgentStartError, match="exit code 9"):
        start_child(T + "end_but_leave_a_process", b"")
    assert time.monotonic() - begin < soon(1.2)


def test_a_child_that_closes_its_link_is_killed():
    with pytest.raises(AgentStartError, match="closed its link"):
        start_child(T + "close_link", b"")
    assert not runtime.family().children()


@pytest.mark.parametrize(
    ("how", "exitcode"),
    [("return", 0), ("3", 3), ("104", 4), ("raise", 1), ("message", 1), ("interrupt", 130), ("-9", -9), ("-11", -11)],
)
def test_the_exit_code(method, how, exitcode, capfd):
    ends = []
    child = start_child(T + "end", f"after:{how}".encode(), start_method=method, on_exit=ends.append)
    assert child.join(5) and child.exitcode == exitcode
    wait_until(lambda: ends == [child])
    said = capfd.readouterr().err
    assert ("ValueError: the laser is off" in said) == (how == "raise") and ("so long" in said) == (how == "message")


def test_saying_ready_twice_is_an_error(capfd):
    child = start_child(T + "say_twice", b"")
    assert child.join(5) and child.exitcode == 1 and "ready or failed once" in capfd.readouterr().err


def test_the_end_is_an_orderly_one(method, tmp_path):
    child = start_child(T + "tidy", str(tmp_path / "t").encode(), start_method=method)
    assert child.join(5) and child.exitcode == 0
    assert {p.name for p in tmp_path.iterdir()} == {"t.exit", "t.thread"}


def test_death_is_seen_at_once(method):
    delays = []
    for _ in range(5):
        seen = []
        child = start_child(
            T + "serve", b"", start_method=method, on_exit=lambda c, s=seen: s.append((time.monotonic(), c.exitcode))
        )
        begin = time.monotonic()
        os.kill(child.pid, signal.SIGKILL)
        wait_until(lambda s=seen: s)
        assert seen[0][1] == -signal.SIGKILL
        delays.append(seen[0][0] - begin)
    assert sorted(delays)[2] < soon(0.1), delays


def test_a_frozen_child_can_be_killed(method):
    child = start_child(T + "serve", b"", start_method=method)
    os.kill(child.pid, signal.SIGSTOP)
    wait_until(lambda: frozen(child.pid))
    child.terminate()
    assert not child.join(0.1) and child.is_alive()
    child.kill()
    assert child.join(10) and child.exitcode == -signal.SIGKILL
    child.kill()  # twice is fine
    child.terminate()


def test_stop_all_asks_then_kills(method):
    polite = start_child(T + "polite", b"", start_method=method)
    stopped = start_child(T + "polite", b"", start_method=method)
    deaf = [start_child(T + "deaf", b"", start_method=method) for _ in range(5)]
    os.kill(stopped.pid, signal.SIGSTOP)
    wait_until(lambda: frozen(stopped.pid))
    begin = time.monotonic()
    stop_all(0.5)
    assert 0.5 <= time.monotonic() - begin < soon(2.2)
    assert [polite.exitcode, stopped.exitcode] == [7, 7] and {c.exitcode for c in deaf} == {-signal.SIGKILL}
    assert active_children() == []
    stop_all(0.5)


def test_twenty_children_at_once_and_stopped_together(method):
    children, errors = [], []

    def start(number):
        try:
            children.append(start_child(T + "serve", str(number).encode(), start_method=method))
        except AgentStartError as error:
            errors.append(error)

    count = 20 if method == "forkserver" else 6
    threads = [threading.Thread(target=start, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors and len({c.pid for c in children}) == count
    assert {c.ready for c in children} == {str(number).encode() for number in range(count)}
    begin = time.monotonic()
    stop_all(10)
    assert time.monotonic() - begin < soon(2)
    assert all(c.exitcode == -signal.SIGTERM for c in children)


def test_on_exit_may_start_the_next_one(method):
    successors = []

    def again(_):
        successors.append(start_child(T + "serve", b"again", start_method=method))

    start_child(T + "serve", b"", start_method=method, on_exit=again).kill()
    wait_until(lambda: successors)
    assert successors[0].is_alive()


def test_an_on_exit_that_raises_harms_nobody(caplog):
    ends = []

    def bad(_):
        raise ValueError("on purpose")

    start_child(T + "serve", b"", on_exit=bad).kill()
    start_child(T + "serve", b"", on_exit=ends.append).kill()
    wait_until(lambda: ends and "on purpose" in caplog.text)


def test_no_descriptor_stays_open():
    start_child(T + "serve", b"")
    before = descriptors()
    children = [start_child(T + "serve", b"") for _ in range(5)]
    assert descriptors() == before  # one lifeline for all of them
    for child in children:
        child.kill()
        child.join(10)
    with pytest.raises(AgentStartError):
        start_child(T + "end", b"before:3")
    assert descriptors() == before


def test_closed_standard_streams_are_no_obstacle():
    code = (
        "import os, sys\nfrom agentlab.runtime.child import start_child\nos.close(1)\n"
        "c = start_child('tests.runtime.targets:serve', b'x')\nsys.exit(5 if c.ready == b'x' else 6)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=20, check=False).returncode == 5


def test_a_server_that_cannot_fork_says_why(monkeypatch):
    server = runtime.family().server()
    sent = server.request

    def refuse(child, link, **options):
        child.refused(os.strerror(errno.EAGAIN))

    monkeypatch.setattr(server, "request", refuse)
    with pytest.raises(AgentStartError, match="could not be forked: Resource temporarily unavailable"):
        start_child(T + "serve", b"")
    monkeypatch.setattr(server, "request", sent)
    assert start_child(T + "serve", b"").is_alive()


def test_a_childs_own_children():
    child = start_child(T + "nest", b"")
    grandchild = int(child.ready)
    assert not gone(grandchild)
    child.kill()
    wait_until(lambda: gone(grandchild), 2)
