"""Names of services: registered with name servers that are there, that come later, and that give the name to somebody else."""

from __future__ import annotations

import os
import socket
import time

import pytest

from agentlab import NameServer, NSProxy, Proxy, UnknownNameError
from tests.services.conftest import eventually
from tests.services.drivers import Broken, Counter
from tests.timing import soon


def names_of(daemon, service: str) -> dict[str, str]:
    return daemon.services()[service]["nameservers"]


def test_a_service_is_registered_where_it_says_and_its_daemon_where_it_says(kit, ns):
    address = str(ns.addr())
    daemon = kit.daemon(register_self=[address])
    daemon.register(Counter, "counter", tags=["bench"], description="counts")
    daemon.register(Counter, "hidden", nameservers=[])
    assert names_of(daemon, "counter") == {address: "registered"}
    assert names_of(daemon, "hidden") == {}
    eventually(lambda: set(ns.list()) == {"counter", "optics"})
    found = ns.registrations("service", tag="bench")["counter"]
    assert found.uri == daemon.services()["counter"]["uri"]
    assert found.metadata["class"] == "tests.services.drivers.Counter"
    assert (found.metadata["kind"], found.metadata["process"], found.metadata["daemon"]) == ("service", os.getpid(), "optics")
    assert found.lease is not None
    assert kit.proxy("counter").add() == 1
    assert kit.proxy("optics").ping() == "pong"
    daemon.stop_service("counter")
    eventually(lambda: set(ns.list()) == {"optics"})
    daemon.start_service("counter")
    assert kit.proxy("counter").add() == 1
    ns.shutdown_agents()  # services are no agents
    assert kit.proxy("counter").add() == 2
    daemon.stop()
    assert ns.list() == {}


def test_one_that_cannot_be_reached_delays_nobody_and_is_tried_again(kit, ns):
    with socket.socket() as blocker:  # takes connections and never answers
        blocker.bind(("127.0.0.1", 0))
        blocker.listen()
        silent = f"127.0.0.1:{blocker.getsockname()[1]}"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            later = f"127.0.0.1:{free.getsockname()[1]}"
        daemon = kit.daemon(nameservers=[silent, later, str(ns.addr())])
        began = time.monotonic()
        daemon.register(Counter, "counter")
        assert time.monotonic() - began < soon(2.1)
        eventually(lambda: "no name server answers" in names_of(daemon, "counter")[later])
        assert names_of(daemon, "counter")[str(ns.addr())] == "registered"
        assert names_of(daemon, "counter")[silent] != "registered"
        server = NameServer(later)
        server.start()
        try:
            eventually(lambda: names_of(daemon, "counter")[later] == "registered")
            assert kit.proxy("counter", nsaddr=later).add() == 1
        finally:
            server.shutdown()
        daemon.stop(0.5)


def test_a_taken_name_is_told_and_had_when_it_is_free(kit, ns):
    first, second = kit.daemon("first"), kit.daemon("second")
    first.register(Counter, "counter", parameters={"start": 10})
    second.register(Counter, "counter", parameters={"start": 20})
    eventually(lambda: "already registered" in names_of(second, "counter")[str(ns.addr())])
    proxy = kit.proxy("counter")
    assert proxy.value == 10
    first.stop()
    eventually(lambda: names_of(second, "counter")[str(ns.addr())] == "registered")
    assert proxy.value == 20  # the proxy has found the other one


def test_names_come_back_after_the_name_server(kit):
    server = NameServer()
    address = server.start()
    daemon = kit.daemon(nameservers=[address])
    daemon.register(Counter, "counter")
    server.kill()
    server.join()
    server = NameServer(address)
    server.start()
    try:
        eventually(lambda: NSProxy(address).list().keys() == {"counter"})
        assert names_of(daemon, "counter")[str(address)] == "registered"
    finally:
        server.shutdown()


def test_a_failed_service_is_listed_so_that_callers_hear_why(kit, ns):
    daemon = kit.daemon()
    with pytest.raises(RuntimeError):
        daemon.register(Broken, "bad")
    with pytest.raises(RuntimeError, match="service 'bad' has failed: RuntimeError: no device"):
        kit.proxy("bad").read()


def test_a_lazy_proxy_looks_up_when_it_is_used(kit, ns):
    lazy = kit.proxy("counter", lazy=True)
    assert repr(lazy) == "<Proxy of agent 'counter' at (not looked up yet)>"
    with pytest.raises(UnknownNameError):
        lazy.add()
    with pytest.raises(UnknownNameError):
        Proxy("counter", timeout=0.05)
    kit.daemon().register(Counter, "counter")
    assert lazy.add() == 1
    assert repr(lazy).startswith("<Proxy of service 'counter' at PYRO:")
