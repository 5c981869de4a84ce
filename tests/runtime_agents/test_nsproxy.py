"""The handle of a name server, and the end of all agents at once."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket
import threading
import time

import pytest

from agentlab import (
    AgentLabError,
    AgentProcess,
    AgentStartError,
    Daemon,
    NameServer,
    NameTakenError,
    NSProxy,
    SocketAddress,
    UnknownNameError,
    config,
    run_agent,
    run_nameserver,
)
from agentlab.nameserver.client import NameServerClient
from agentlab.settings import NAMESERVER_VARIABLE
from tests.runtime_agents.actors import Actor, Restarting
from tests.runtime_agents.helpers import frozen, wait_until, within
from tests.services.drivers import Counter


def test_address_is_written_to_the_environment(ns):
    assert os.environ[NAMESERVER_VARIABLE] == str(ns.addr())
    assert isinstance(ns.addr(), SocketAddress)
    assert NSProxy().addr() == ns.addr()
    assert NSProxy(str(ns.addr())).ping() == "pong"


def test_address_is_forgotten_at_shutdown():
    server = run_nameserver()
    server.shutdown()
    assert NAMESERVER_VARIABLE not in os.environ


def test_chosen_port():
    server = run_nameserver()
    address = server.addr()
    server.shutdown()
    again = run_nameserver(str(address))
    assert again.addr() == address
    again.shutdown()
    by_object = run_nameserver(address)
    assert by_object.addr() == address
    by_object.shutdown()


def test_two_name_servers(ns):
    first = ns.addr()
    other = run_nameserver()
    try:
        run_agent("here", nsaddr=first), run_agent("there", nsaddr=other.addr())
        assert ns.agents() == ["here"]
        assert other.agents() == ["there"]
        assert run_agent("default").nsaddr() == other.addr()
    finally:
        other.shutdown()


def test_agents_list_and_tags(ns):
    run_agent("b", tags=("lab",)), run_agent("a")
    assert ns.agents() == ["a", "b"]
    assert ns.agents(tag="lab") == ["b"]
    listed = ns.list()
    assert {"a", "b"} <= set(listed) and all(uri.startswith("PYRO:") for uri in listed.values())
    assert ns.list(prefix="a").keys() == {"a"}


def test_services_and_daemons_are_no_agents(ns):
    run_agent("agent", tags=("lab",))
    ns.register("thing", "PYRO:thing@127.0.0.1:5555")
    address = str(ns.addr())
    with Daemon("optics", nameservers=[address], register_self=[address]) as daemon:
        daemon.register(Counter, "counter", tags=["lab"])
        daemon.register(Counter, "other")
        wait_until(lambda: len(ns.list()) >= 5)
        assert ns.agents() == ["agent", "thing"]
        assert ns.agents(tag="lab") == ["agent"]
        assert ns.registrations().keys() == {"agent", "thing"}
        assert ns.services() == ["counter", "other"]
        assert ns.services(tag="lab") == ["counter"]
        assert ns.registrations("daemon").keys() == {"optics"}
        assert {"agent", "thing", "counter", "other", "optics"} <= set(ns.list())
        ns.shutdown_agents()
        assert ns.services() == ["counter", "other"]  # these are not agents, so they go on


def test_register_lookup_remove(ns):
    with socket.create_server(("127.0.0.1", 0)) as alive:
        uri = f"PYRO:obj@127.0.0.1:{alive.getsockname()[1]}"
        ns.register("thing", uri)
        assert ns.lookup("thing") == uri
        with pytest.raises(NameTakenError, match="already registered"):
            ns.register("thing", "PYRO:other@127.0.0.1:5556")
    assert ns.remove("thing") is True
    assert ns.remove("thing") is False
    with pytest.raises(UnknownNameError):
        ns.lookup("thing")


def test_registered_thing_that_is_no_agent_does_not_keep_shutdown_from_ending(ns):
    ns.register("thing", "PYRO:obj@127.0.0.1:1")
    run_agent("agent")
    with within(6.0):
        ns.shutdown_agents(5.0)
    assert ns.agents() == ["thing"]


def test_proxy_and_addr_of_an_agent(ns):
    agent = run_agent("agent", base=Actor)
    address = agent.bind("PUSH", alias="out")
    assert ns.proxy("agent").add(1) == 2
    assert ns.proxy("agent", timeout=1.0, safe=False).thread() is False
    assert ns.addr("agent", "out") == address
    assert ns.addr(agent="agent", alias="out") == address


def test_pickled(ns):
    assert pickle.loads(pickle.dumps(ns)).ping() == "pong"
    agent = run_agent("agent")
    assert agent.execute_as_function(lambda names: names.agents(), ns) == ["agent"]


def test_watch(ns):
    changes = []
    watch = ns.watch(lambda change: changes.append((change.kind, change.name)))
    agent = run_agent("seen")
    wait_until(lambda: ("registered", "seen") in changes)
    agent.shutdown()
    wait_until(lambda: ("removed", "seen") in changes)
    watch.close()


def test_shutdown_agents_leaves_the_name_server(ns):
    processes = [AgentProcess(f"a{i}") for i in range(5)]
    for process in processes:
        process.start(run=True)
    with within(4.0):
        ns.shutdown_agents()
    assert ns.agents() == []
    for process in processes:
        process.join(10.0)
        assert process.exitcode == 0, "each ended by itself"
    assert ns.ping() == "pong"
    ns.shutdown_agents()
    assert run_agent("again").ping() == "pong"


def test_shutdown_of_frozen_killed_and_never_run_agents(ns):
    processes = {name: AgentProcess(name, base=Actor) for name in ("frozen", "killed", "new", "busy", "stopped", "fine")}
    for name, process in processes.items():
        process.start(run=name != "new")
    processes["busy"].proxy().future.nap(60)
    processes["stopped"].proxy().stop()
    os.kill(processes["frozen"].pid, signal.SIGSTOP)
    os.kill(processes["killed"].pid, signal.SIGKILL)
    with within(9.0):
        ns.shutdown_agents(timeout=4.0)
    assert ns.agents() == []
    for process in processes.values():
        process.join(10.0)
        assert not process.is_alive()
    assert processes["new"].exitcode == 0 and processes["fine"].exitcode == 0


def test_agent_that_was_frozen_before_and_has_lost_its_name_is_ended_too(ns):
    config["LEASE"] = 0.3
    process = AgentProcess("frozen")
    process.start(run=True)
    os.kill(process.pid, signal.SIGSTOP)
    wait_until(lambda: ns.agents() == [])
    with within(5.0):
        ns.shutdown_agents(2.0)
    assert not process.is_alive()


def test_agent_that_keeps_being_started_again_is_ended(ns):
    agent = run_agent("phoenix", base=Restarting)
    for _ in range(3):
        with pytest.raises(ValueError, match="asked"):
            agent.fail()
        ns.shutdown_agents(5.0)
        assert ns.agents() == []
        agent = run_agent("phoenix", base=Restarting)


def test_shutdown_of_everything_with_a_frozen_agent():
    server = NameServer()
    server.start()
    process = AgentProcess("frozen")
    process.start(run=True)
    os.kill(process.pid, signal.SIGSTOP)
    with within(5.0):
        server.shutdown(timeout=2.0)
    assert not server.is_alive()
    process.join(10.0)
    assert not process.is_alive()


def test_shutdown_that_cannot_be_done_says_so_and_can_be_repeated(ns):
    """An agent of another machine, which nobody here can kill, does not answer."""
    run_agent("willing")
    with socket.create_server(("127.0.0.1", 0)) as silent, NameServerClient(ns.addr()) as names:
        uri = f"PYRO:obj@127.0.0.1:{silent.getsockname()[1]}"
        elsewhere = {"class": "x", "host": "elsewhere", "pid": os.getpid(), "started": time.time(), "tags": []}
        names.register("stubborn", uri, instance="x", metadata=elsewhere)
        with within(4.0), pytest.raises(TimeoutError, match="not shutdown after 1 s: 'stubborn'"):
            ns.shutdown_agents(timeout=1.0)
        assert ns.agents() == ["stubborn"], "it may live, so its name stays"
        names.remove("stubborn")
        ns.shutdown_agents(timeout=1.0)
    assert ns.agents() == []


def test_shutdown_while_agents_are_being_started(ns):
    stop = threading.Event()

    def start_more():
        number = 0
        while not stop.is_set() and number < 20:
            with contextlib.suppress(AgentStartError):  # it was shut down between its registration and its run
                run_agent(f"new{number}")
            number += 1

    thread = threading.Thread(target=start_more)
    thread.start()
    time.sleep(0.1)
    ns.shutdown_agents(5.0)
    stop.set()
    thread.join()
    ns.shutdown_agents(5.0)
    assert ns.agents() == []


def test_shutdown_twice(ns):
    ns.shutdown()
    with within(1.0):
        ns.shutdown()


def test_forty_agents_shut_down_quickly(ns):
    for i in range(40):
        run_agent(f"a{i}")
    with within(4.0):
        ns.shutdown_agents()


def test_name_server_object(start_method):
    server = NameServer(start_method=start_method)
    address = server.start()
    assert server.is_alive() and server.addr == address
    assert server.proxy().ping() == "pong"
    run_agent("agent", start_method=start_method)
    server.shutdown_agents()
    assert server.proxy().agents() == []
    server.shutdown()
    assert not server.is_alive()


def test_name_server_ends_on_signals(start_method):
    for number in (signal.SIGTERM, signal.SIGINT):
        server = NameServer(start_method=start_method)
        server.start()
        with within(1.5):
            os.kill(server.pid, number)
            server.join(3.0)
        assert not server.is_alive()


def test_shutdown_of_what_has_gone_does_nothing(ns):
    other, server = NSProxy(ns.addr()), NameServer()
    run_agent("a")
    ns.shutdown()
    with within(1.0):
        ns.shutdown()
        other.shutdown()
    server.start()
    server.shutdown()
    server.shutdown()


def test_shutdown_of_a_frozen_name_server_is_an_error():
    server = NameServer()
    server.start()
    proxy = NSProxy(server.addr, timeout=0.5)
    with frozen(server.pid), pytest.raises(AgentLabError):
        proxy.shutdown(1.0)
    server.shutdown()
