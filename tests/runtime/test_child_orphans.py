"""Whoever is killed, nothing is left after 2 s; what was started detached lives on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from agentlab.errors import AgentStartError
from agentlab.runtime import child as runtime
from agentlab.runtime.child import active_children, start_child, stop_all
from tests.runtime.helpers import Starter, T, frozen, gone, wait_until
from tests.timing import soon

METHODS = ["forkserver", "spawn"]
CHILDREN = [("serve", "", False), ("deaf", "", False), ("hang_gil", "", False), ("polite", "", False)]


@pytest.mark.parametrize("method", METHODS)
def test_the_script_is_killed(method, tmp_path):
    with Starter(method, CHILDREN, [str(tmp_path / "pid")]) as starter:
        os.kill(starter.pids[0], signal.SIGSTOP)
        wait_until(lambda: frozen(starter.pids[0]))
        starter.process.kill()
        wait_until(lambda: all(map(gone, starter.everything())), 2)


def test_the_script_is_killed_where_there_is_no_fork_server(tmp_path):
    # no kernel's help: only what has a thread that runs
    with Starter("loopback", [("serve", "", False), ("deaf", "", False)], [str(tmp_path / "pid")]) as starter:
        starter.process.kill()
        wait_until(lambda: all(map(gone, starter.everything())), 2)


@pytest.mark.parametrize("method", METHODS)
def test_the_fork_server_is_killed_with_the_script_alive(method):
    with Starter(method, CHILDREN) as starter:
        os.kill(starter.pids[0], signal.SIGSTOP)
        os.kill(starter.server, signal.SIGKILL)
        wait_until(lambda: all(map(gone, starter.everything())), 1)
        assert starter.process.poll() is None


@pytest.mark.parametrize("method", METHODS)
def test_both_are_killed_at_once(method):
    with Starter(method, CHILDREN) as starter:
        starter.process.kill()
        os.kill(starter.server, signal.SIGKILL)
        wait_until(lambda: all(map(gone, starter.everything())), 1)


def test_the_script_is_killed_while_its_fork_server_is_frozen():
    with Starter("forkserver", CHILDREN) as starter:
        os.kill(starter.server, signal.SIGSTOP)
        wait_until(lambda: frozen(starter.server))
        starter.process.kill()
        wait_until(lambda: all(map(gone, starter.everything())), 2)


def test_the_script_is_killed_while_a_fork_of_it_holds_its_sockets():
    # C code forks without Python's hooks; here the hook is taken away
    fork = """
import os, time
family().abandon = lambda: None
if os.fork() == 0:
    print("forked", flush=True)
    time.sleep(3)
    os._exit(0)
sys.stdin.read()
"""
    with Starter("forkserver", CHILDREN, then=fork) as starter:
        assert starter.process.stdout.readline() == "forked\n"
        starter.process.kill()
        wait_until(lambda: all(map(gone, starter.everything())), 2)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("target", ["note_parent_gone", "poll_parent_gone"])
def test_a_child_can_say_goodbye(method, target, tmp_path):
    path = tmp_path / "gone"
    with Starter(method, [(target, str(path), False)]) as starter:
        starter.process.kill()
        wait_until(lambda: all(map(gone, starter.everything())), 2)
    assert path.read_text() == "gone"


def test_a_child_can_say_goodbye_where_there_is_no_fork_server(tmp_path):
    path = tmp_path / "gone"
    with Starter("loopback", [("note_parent_gone", str(path), False)]) as starter:
        starter.process.kill()
        wait_until(lambda: all(map(gone, starter.everything())), 2)
    assert path.read_text() == "gone"


@pytest.mark.parametrize("method", [*METHODS, "loopback"])
@pytest.mark.parametrize("then", ["", "sys.exit(3)", "1/0", "import os; os._exit(3)"])
def test_the_script_ends(method, then):
    with Starter(method, [("serve", "", False), ("polite", "", False)], then=then) as starter:
        starter.process.wait(5)
        wait_until(lambda: all(map(gone, starter.everything())), 2)
        assert starter.process.returncode == {"": 0, "1/0": 1}.get(then, 3)


@pytest.mark.parametrize("method", [*METHODS, "loopback"])
def test_ctrl_c_ends_the_script_quietly_and_its_children_politely(method):
    then = "child.install_quiet_interrupt()\nprint('on', flush=True)\nsys.stdin.read()"
    with Starter(method, [("polite", "", False)], then=then) as starter:
        assert starter.process.stdout.readline() == "on\n"
        os.killpg(starter.process.pid, signal.SIGINT)  # as a terminal does: to the whole group
        out, err = starter.process.communicate(timeout=5)
        assert starter.process.returncode == -signal.SIGINT and err == "" and out == ""
        wait_until(lambda: all(map(gone, starter.everything())), 2)


def test_ctrl_c_while_a_child_starts_leaves_nothing_of_it(tmp_path):
    path = tmp_path / "pid"
    script = (
        "import sys\nfrom agentlab.runtime import child\nchild.install_quiet_interrupt()\n"
        "child.start_child('tests.runtime.targets:hang_starting', sys.argv[1].encode())"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(path)]) as process:
        wait_until(path.exists)
        process.send_signal(signal.SIGINT)
        assert process.wait(5) == -signal.SIGINT
    wait_until(lambda: gone(int(path.read_text())), 0.5)


def test_other_errors_are_still_shown():
    with Starter("forkserver", [], then="child.install_quiet_interrupt()\nchild.install_quiet_interrupt()\n1/0") as starter:
        assert "ZeroDivisionError" in starter.process.communicate(timeout=5)[1]


@pytest.mark.parametrize("method", [*METHODS, "loopback"])
def test_a_detached_child_outlives_everybody(method):
    with Starter(method, [("serve", "", True), ("serve", "", False)]) as starter:
        detached, attached = starter.pids
        try:
            assert os.getsid(detached) == detached
            starter.process.kill()
            wait_until(lambda: gone(attached) and (not starter.server or gone(starter.server)), 2)
            assert not gone(detached)
        finally:
            os.kill(detached, signal.SIGKILL)
        wait_until(lambda: gone(detached))


def test_a_detached_child_that_is_not_ready_ends_with_its_starter(tmp_path):
    code = "child.start_child('tests.runtime.targets:hang_starting', sys.argv[2].encode(), detach=True)"
    path = tmp_path / "pid"
    script = f"import sys\nfrom agentlab.runtime import child\n{code}"
    with subprocess.Popen([sys.executable, "-c", script, "", str(path)]) as process:
        wait_until(path.exists)
        process.kill()
    wait_until(lambda: gone(int(path.read_text())), 2)


def test_a_detached_child_is_spared_by_stop_all_and_seen_until_its_end(method):
    ends = []
    child = start_child(T + "serve", b"", start_method=method, detach=True, on_exit=ends.append)
    stop_all(0.5)
    assert child.is_alive() and child in active_children()
    child.kill()
    assert child.join(10) and child.exitcode == -signal.SIGKILL
    wait_until(lambda: ends == [child])


@pytest.mark.usefixtures("starting")
@pytest.mark.parametrize("start_method", METHODS)
def test_a_killed_fork_server_is_noticed_and_replaced(start_method):
    ends = []
    children = [start_child(T + "deaf", b"", start_method=start_method, on_exit=ends.append) for _ in range(3)]
    detached = start_child(T + "serve", b"", start_method=start_method, detach=True, on_exit=ends.append)
    os.kill(children[0].pid, signal.SIGSTOP)
    old = runtime.family().server().pid
    os.kill(old, signal.SIGKILL)
    successor = start_child(T + "serve", b"new", start_method=start_method)  # at once: the death may not be noticed yet
    assert successor.ready == b"new" and runtime.family().server().pid != old
    assert all(child.join(10) and child.exitcode == -signal.SIGKILL for child in children)
    wait_until(lambda: set(ends) == set(children))
    wait_until(lambda: gone(old) and all(gone(child.pid) for child in children), 1)
    assert detached.is_alive()
    detached.kill()
    assert detached.join(10) and detached.exitcode is None  # nobody could ask the kernel how it ended
    wait_until(lambda: detached in ends)


@pytest.mark.usefixtures("starting")
def test_a_fork_server_that_always_dies_is_an_error(monkeypatch):
    runtime.shutdown()
    monkeypatch.setattr(
        "agentlab.runtime.forkclient.interpreter_command", lambda *_: [sys.executable, "-c", "raise SystemExit(1)"]
    )
    with pytest.raises(AgentStartError, match="the fork server died 3 times"):
        start_child(T + "serve", b"")
    monkeypatch.undo()
    assert start_child(T + "serve", b"").is_alive()


@pytest.mark.usefixtures("starting")
def test_a_frozen_fork_server_makes_no_late_child(tmp_path):
    start_child(T + "serve", b"")
    server = runtime.family().server().pid
    os.kill(server, signal.SIGSTOP)
    try:
        with pytest.raises(AgentStartError, match=r"did not start within 0.2 s"):
            start_child(T + "hang_starting", str(tmp_path / "pid").encode(), timeout=0.2)
    finally:
        os.kill(server, signal.SIGCONT)
    assert start_child(T + "serve", b"").is_alive()  # the one server is alive and has worked off what waited
    assert runtime.family().server().pid == server
    if (tmp_path / "pid").exists():  # it had its order already, and died of it as soon as it was made
        wait_until(lambda: gone(int((tmp_path / "pid").read_text())), 1)


@pytest.mark.usefixtures("starting")
def test_a_forked_process_has_children_and_a_server_of_its_own():
    mine = start_child(T + "serve", b"")
    server = runtime.family().server().pid
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:  # a user's fork; what it starts must not come from our server, and its end must not harm ours
        code = 1
        try:
            assert active_children() == []
            child = start_child(T + "serve", b"")
            os.write(writing, f"{runtime.family().server().pid} {child.pid}".encode())
            runtime.shutdown(1)
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    other, child = map(int, os.read(reading, 100).split())
    os.close(reading)
    assert other != server and gone(other) and gone(child)
    assert mine.is_alive() and start_child(T + "serve", b"").is_alive()


def test_shutdown_leaves_nothing_and_the_next_start_works(method):
    child = start_child(T + "serve", b"", start_method=method)
    server = runtime.family().server().pid
    begin = time.monotonic()
    runtime.shutdown()
    assert time.monotonic() - begin < soon(2)
    assert gone(server) and gone(child.pid)
    runtime.shutdown()
    start_child(T + "serve", b"", start_method=method)
    stop_all(1)


def test_nothing_starts_while_the_process_ends():
    late = "import atexit\n@atexit.register\ndef first(): pass\n"
    code = (
        "import atexit\nfrom agentlab.runtime.child import start_child\n"
        "atexit.register(lambda: start_child('tests.runtime.targets:serve', b''))\n"  # runs after the one of the first start
        "start_child('tests.runtime.targets:serve', b'')\n"
    )
    done = subprocess.run([sys.executable, "-c", late + code], capture_output=True, text=True, timeout=20, check=False)
    assert "stopping its children" in done.stderr
