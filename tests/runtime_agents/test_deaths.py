"""Agents and name servers that are killed or frozen: calls end, names go, proxies find what comes back."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import sys
import time
from pathlib import Path

import pytest

from agentlab import (
    AgentProcess,
    CallTimeoutError,
    ConnectionLostError,
    NameServer,
    NameServerUnavailableError,
    NSProxy,
    Proxy,
    config,
    run_agent,
)
from agentlab.runtime.child import active_children
from tests.runtime_agents.actors import Actor, Deadly
from tests.runtime_agents.helpers import frozen, gone, wait_until, within


@pytest.fixture
def actor(ns):
    return run_agent("actor", base=Actor)


@pytest.mark.parametrize("safe", [True, False])
def test_killed_while_a_call_is_in_flight(actor, safe):
    pid = actor.pid()
    view = actor.safe if safe else actor.unsafe
    calling = view.future.nap(30.0)
    wait_until(lambda: actor.napping)
    os.kill(pid, signal.SIGKILL)
    with within(1.0):
        error = calling.exception(5.0)
    assert isinstance(error, ConnectionLostError)
    assert "may have run" in str(error)


def test_name_of_a_killed_agent_goes_within_a_second(actor, ns):
    pid = actor.pid()
    os.kill(pid, signal.SIGKILL)
    with within(1.0):
        wait_until(lambda: ns.agents() == [], 2.0)
    wait_until(lambda: gone(pid), 1.0)


def test_kill_by_oneway(actor, ns):
    pid = actor.pid()
    actor.future.nap(30.0)
    wait_until(lambda: actor.napping)
    with within(0.5):
        actor.oneway.kill()
        wait_until(lambda: gone(pid), 2.0)
    wait_until(lambda: ns.agents() == [], 1.0)


def test_kill_of_an_agent_that_is_blocked_in_a_send(ns):
    config["HWM"] = 1
    agent = run_agent("stuck")
    agent.bind("PUSH", alias="out", hwm=1)
    pid = agent.unsafe.execute_as_function(os.getpid)
    sending = agent.future.send("out", "nobody takes it")
    time.sleep(0.2)
    assert not sending.done()
    agent.oneway.kill()
    wait_until(lambda: gone(pid), 1.0)
    assert isinstance(sending.exception(10), ConnectionError)
    wait_until(lambda: ns.agents() == [], 1.0)


@pytest.mark.parametrize("safe", [True, False])
def test_call_never_runs_twice(ns, tmp_path, safe):
    """The agent dies of the call, and is started again at once: the call is not repeated."""
    path = tmp_path / "ran"
    agent = run_agent("deadly", base=Deadly, attributes={"path": str(path)})
    view = agent.safe if safe else agent.unsafe
    with pytest.raises(ConnectionLostError, match="may have run"):
        view.die()
    wait_until(lambda: ns.agents() == [], 1.0)
    run_agent("deadly", base=Deadly, attributes={"path": str(path)})
    assert agent.ping() == "pong"
    assert path.read_text() == "x"


def test_kill_waited_for(actor):
    pid = actor.pid()
    with within(1.5), contextlib.suppress(ConnectionError):
        actor.kill()
    wait_until(lambda: gone(pid), 1.0)


def test_frozen_agent(actor, ns):
    config["PATIENCE"] = 0.5
    pid = actor.pid()
    other = Proxy("actor")
    other.add(1)  # it has a connection now
    with frozen(pid):
        with within(2.0), pytest.raises(CallTimeoutError, match="0.3 s"):
            actor.timeout(0.3).add(1)
        with within(8.0), pytest.raises(CallTimeoutError, match="no sign of life"):
            other.add(1)
        with within(15.0), pytest.raises(ConnectionError):
            actor.add(1)
        config["PATIENCE"] = 10.0
    wait_until(lambda: ns.agents() == ["actor"])
    assert actor.add(1) == 2


def test_long_call_is_not_taken_for_a_frozen_agent(actor):
    config["PATIENCE"] = 0.5
    assert actor.nap(1.6) == "slept"
    assert actor.unsafe.nap(1.6) == "slept"


def test_agent_that_was_frozen_longer_than_its_lease_is_listed_again(actor, ns):
    config["LEASE"] = 0.5
    short = run_agent("short", base=Actor)
    with frozen(short.pid()):
        wait_until(lambda: "short" not in ns.agents(), 3.0)
    wait_until(lambda: "short" in ns.agents(), 2.0)
    assert short.add(1) == 2


def test_proxy_finds_an_agent_that_was_started_again_elsewhere(actor, ns):
    for _ in range(3):
        first = actor.pid()
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: ns.agents() == [], 2.0)
        run_agent("actor", base=Actor)
        assert actor.add(1) == 2
        assert actor.pid() != first
        actor.oneway.event("again")


def test_name_server_killed_and_started_again(start_method):
    server = NameServer(start_method=start_method)
    address = server.start()
    names = server.proxy()
    a, b = run_agent("a", base=Actor), run_agent("b", base=Actor)
    pulled = b.bind("PULL", alias="in", handler=lambda agent, message: agent.events.append(message))
    a.connect(pulled, alias="out")
    server.kill()
    server.join(10.0)
    assert a.add(1) == 2, "calls need no name server"
    a.send("out", "meanwhile")
    wait_until(lambda: "meanwhile" in b.events)
    with within(4.0), pytest.raises(NameServerUnavailableError):
        Proxy("a", timeout=0.3)
    with pytest.raises(NameServerUnavailableError):
        names.agents()
    again = NameServer(str(address), start_method=start_method)
    again.start()
    renewal = config["LEASE"] / 3
    wait_until(lambda: names.agents() == ["a", "b"], renewal + 1.5)
    assert Proxy("a").add(1) == 2
    assert a.add(1) == 2
    names.shutdown()
    wait_until(lambda: not again.is_alive())


def test_name_server_that_is_frozen(ns, actor):
    (pid,) = [child.pid for child in active_children() if child.name == "name server"]
    with frozen(pid):
        assert actor.add(1) == 2
        with within(4.0), pytest.raises(TimeoutError):
            NSProxy(timeout=0.5)
    assert ns.agents() == ["actor"]


def test_agents_end_without_their_name_server(start_method):
    server = NameServer(start_method=start_method)
    server.start()
    process = AgentProcess("alone", start_method=start_method)
    process.start(run=True)
    server.kill()
    server.join(10.0)
    with within(3.0):
        process.proxy().shutdown()
        process.join(5.0)
    assert process.exitcode == 0


def test_agent_process_kill_and_terminate(ns):
    for end in ("kill", "terminate"):
        process = AgentProcess("twice")
        process.start(run=True)
        getattr(process, end)()
        with within(1.0):
            process.join(10.0)
        assert not process.is_alive()
        with within(1.0):
            wait_until(lambda: ns.agents() == [], 2.0)


def test_socket_files_of_a_killed_agent_go(ns, socket_dir):
    agent = run_agent("files", transport="ipc", base=Actor)
    before = set(socket_dir.iterdir())
    agent.bind("PUSH", alias="out", addr="named-socket")
    assert (socket_dir / "named-socket").exists()
    assert set(socket_dir.iterdir()) > before
    os.kill(agent.pid(), signal.SIGKILL)
    wait_until(lambda: not (socket_dir / "named-socket").exists(), 1.0)
    wait_until(lambda: not [p for p in socket_dir.iterdir() if "files" in p.name or "named" in p.name], 1.0)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="threads are found in /proc")
@pytest.mark.parametrize("run", [True, False])
def test_a_signal_that_another_thread_gets_is_heard_at_once(ns, run):
    process = AgentProcess("asleep")
    process.start(run=run)
    libc = ctypes.CDLL(None, use_errno=True)
    hearing = [tid for tid in _threads_that_hear(process.pid, signal.SIGTERM) if tid != process.pid]
    assert hearing, "only the main thread hears, so this test shows nothing"
    with within(1.0):
        assert libc.tgkill(process.pid, hearing[-1], int(signal.SIGTERM)) == 0
        process.join(5.0)
    assert process.exitcode == 0


def _threads_that_hear(pid, number):
    for task in Path(f"/proc/{pid}/task").iterdir():
        blocked = re.search(r"SigBlk:\s*(\w+)", (task / "status").read_text())[1]
        if not int(blocked, 16) >> (number - 1) & 1:
            yield int(task.name)


def test_an_agent_that_was_stopped_and_goes_on_hears_that_it_is_to_end(ns):
    for _ in range(12):
        process = AgentProcess("asleep")
        process.start()
        with frozen(process.pid):
            pass
        process.terminate()
        with within(1.0):
            process.join(5.0)
        assert process.exitcode == 0
