"""Under security "none", programs that know nothing of us find a name server as they know it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

Pyro5_api = pytest.importorskip("Pyro5.api")

from Pyro5.errors import CommunicationError, NamingError  # noqa: E402

from agentlab.nameserver.client import NameServerClient  # noqa: E402
from agentlab.nameserver.heartbeats import Heartbeat  # noqa: E402
from agentlab.runtime.proxy import Proxy  # noqa: E402
from agentlab.settings import config  # noqa: E402
from tests.nameserver.live import ServerProcess, wait_until  # noqa: E402

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals")


@pytest.fixture
def server(socket_dir):
    config["SECURITY"] = "none"
    server = ServerProcess(security="none")
    yield server
    server.end()


@pytest.fixture
def stock(server):
    with Pyro5_api.locate_ns("127.0.0.1", server.port, broadcast=False) as proxy:
        yield proxy


@pytest.fixture
def client(server):
    with NameServerClient(server.address) as client:
        yield client


@pytest.mark.parametrize("serializer", ["serpent", "json", "msgpack"])
def test_the_calls_of_a_stock_name_server(server, serializer):
    with Pyro5_api.Proxy(f"PYRO:Pyro.NameServer@{server.address}") as ns:
        ns._pyroSerializer = serializer
        assert ns.ping() is None
        assert ns.count() == 1
        ns.register("a.one", "PYRO:x@127.0.0.1:1", metadata=["hot", "cold"])
        ns.register("a.two", "PYRO:y@127.0.0.1:1", metadata=["hot"])
        assert str(ns.lookup("a.one")) == "PYRO:x@127.0.0.1:1"
        uri, metadata = ns.lookup("a.one", return_metadata=True)
        assert (str(uri), set(metadata)) == ("PYRO:x@127.0.0.1:1", {"hot", "cold"})
        assert ns.list(prefix="a.") == {"a.one": "PYRO:x@127.0.0.1:1", "a.two": "PYRO:y@127.0.0.1:1"}
        assert list(ns.list(regex=".*two")) == ["a.two"]
        assert set(ns.list()) == {"Pyro.NameServer", "a.one", "a.two"}
        assert set(ns.yplookup(meta_all=["hot", "cold"])) == {"a.one"}
        assert set(ns.yplookup(meta_any=["hot"], return_metadata=False)) == {"a.one", "a.two"}
        ns.set_metadata("a.two", ["warm"])
        assert set(ns.yplookup(meta_any=["warm"])) == {"a.two"}
        ns.register("a.one", "PYRO:z@127.0.0.1:1")
        assert str(ns.lookup("a.one")) == "PYRO:z@127.0.0.1:1"
        with pytest.raises(NamingError, match="already registered"):
            ns.register("a.one", "PYRO:w@127.0.0.1:1", safe=True)
        with pytest.raises(NamingError, match="unknown name: b"):
            ns.lookup("b")
        with pytest.raises(NamingError):
            ns.list(regex="(")
        assert ns.remove("a.one") == 1
        assert ns.remove("a.one") == 0
        assert ns.remove(prefix="") == 0
        assert ns.remove(regex=".*") == 1
        assert str(ns.lookup("Pyro.NameServer")) == f"PYRO:Pyro.NameServer@{server.address}"


def test_an_agent_is_seen_by_stock_programs_but_not_put_out(client, stock, server):
    made = client.register("agent", f"PYRO:x@{server.address}", instance="i", metadata={"class": "Laser"}, lease=30.0)
    assert str(stock.lookup("agent")) == made.uri
    assert list(stock.yplookup(meta_all=["class=Laser"])) == ["agent"]
    with pytest.raises(NamingError, match="already registered"):
        stock.register("agent", "PYRO:y@127.0.0.1:1")
    assert client.lookup("agent") == made


def test_heartbeats_and_watches_work_without_keys(client, server):
    seen = []
    made = client.register("agent", "PYRO:x@./u:/nowhere", instance="i", lease=0.6)
    heartbeat = Heartbeat(server.address, made)
    try:
        with client.watch(lambda change: seen.append(change.kind)):
            wait_until(lambda: heartbeat.beat() and client.info()["counts"].get("renewals", 0) > 3)
            wait_until(lambda: "removed" in seen, 2.0)
    finally:
        heartbeat.close()
    assert seen == ["registered", "removed"]


class Thing:
    @Pyro5_api.expose
    def double(self, x):
        return 2 * x


def test_a_stock_daemon_registers_an_object_and_a_stock_client_calls_it_by_name(client, stock, server):
    daemon = Pyro5_api.Daemon(host="127.0.0.1")
    thread = threading.Thread(target=daemon.requestLoop)
    thread.start()
    try:
        stock.register("thing", daemon.register(Thing))
        with Pyro5_api.Proxy(client.lookup("thing").uri) as thing:
            assert thing.double(21) == 42
        with Pyro5_api.Proxy(f"PYRONAME:thing@{server.address}") as thing:
            assert thing.double("a") == "aa"
        with Proxy("thing", nsaddr=server.address) as thing:  # our own
            assert thing.double(4) == 8
    finally:
        daemon.shutdown()
        thread.join(3.0)
        daemon.close()


@pytest.fixture
def asking(monkeypatch):
    """Have stock programs ask for a name server by a datagram, which stays on this machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setattr(Pyro5_api.config, "NS_BCPORT", port)
    monkeypatch.setattr(Pyro5_api.config, "BROADCAST_ADDRS", ["0.0.0.0"])
    monkeypatch.setattr(Pyro5_api.config, "NS_HOST", "192.0.2.1")  # somewhere else, so that it must ask
    return port


def test_a_stock_program_finds_it_by_broadcast(socket_dir, asking):
    config["SECURITY"] = "none"
    server = ServerProcess(security="none", broadcast=("localhost", asking))
    try:
        for _ in range(3):
            with Pyro5_api.locate_ns() as ns:
                assert str(ns._pyroUri) == f"PYRO:Pyro.NameServer@{server.address}"
                assert ns.count() == 1
    finally:
        server.end()


def test_with_keys_no_broadcast_is_answered(socket_dir, asking):
    server = ServerProcess(security="keys", broadcast=("localhost", asking))
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
            asker.connect(("127.0.0.1", asking))
            asker.settimeout(3.0)
            asker.send(b"GET_NSURI")
            with pytest.raises(ConnectionRefusedError):  # nobody listens at all
                asker.recv(100)
    finally:
        server.end()


def test_what_stock_programs_registered_is_there_after_a_crash(socket_dir, tmp_path):
    config["SECURITY"] = "none"
    server = ServerProcess(security="none", storage_type="sql", storage_file=str(tmp_path / "names"))
    try:
        with Pyro5_api.locate_ns("127.0.0.1", server.port, broadcast=False) as ns:
            ns.register("a.one", "PYRO:x@127.0.0.1:1", metadata=["hot", "cold"])
            ns.register("a.two", "PYRO:x@127.0.0.1:1", metadata=["hot"])
            ns.set_metadata("a.two", ["warm"])
            ns.remove("a.one")
        server.kill()
        server.start()
        with Pyro5_api.locate_ns("127.0.0.1", server.port, broadcast=False) as ns:
            assert ns.list(prefix="a.", return_metadata=True) == {"a.two": ("PYRO:x@127.0.0.1:1", {"warm"})}
    finally:
        server.end()


@pytest.mark.parametrize("script", [True, False])
def test_the_stock_command_lists(server, client, script):
    client.register("agent", "PYRO:x@127.0.0.1:1", instance="i")
    program = [str(Path(sys.executable).with_name("pyro5-nsc"))] if script else [sys.executable, "-m", "Pyro5.nsc"]
    if script and not Path(program[0]).exists():
        pytest.skip("no scripts beside this interpreter")
    command = [*program, "-n", "127.0.0.1", "-p", str(server.port), "list"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    assert "agent --> PYRO:x@127.0.0.1:1" in run.stdout


def test_with_keys_a_stock_client_gets_nothing():
    config["SECURITY"] = "keys"
    server = ServerProcess()
    try:
        with Pyro5_api.Proxy(f"PYRO:Pyro.NameServer@{server.address}") as ns:
            ns._pyroTimeout = 4.0
            with pytest.raises(CommunicationError):
                ns.ping()
    finally:
        server.end()
