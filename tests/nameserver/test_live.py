"""A real name server in its own process: killed, frozen, flooded, asked."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from agentlab.errors import NameServerError, NameServerUnavailableError, NameTakenError, RefusedError, UnknownNameError
from agentlab.nameserver.client import NameServerClient
from agentlab.nameserver.heartbeats import Heartbeat
from agentlab.nameserver.server import NameServer
from agentlab.settings import NAMESERVER_VARIABLE
from tests.nameserver.live import ServerProcess, wait_until, wait_until_stopped
from tests.timing import soon

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals")

AGENT = """
import sys, time
from agentlab.nameserver.client import NameServerClient
from agentlab.nameserver.heartbeats import Heartbeat
client = NameServerClient(sys.argv[1])
heartbeat = Heartbeat(sys.argv[1], client.register(sys.argv[2], "PYRO:x@./u:/nowhere/" + sys.argv[2], instance="i", lease=0.6))
print("ready", flush=True)
while True:
    heartbeat.beat()
    time.sleep(heartbeat.period)
"""


@pytest.fixture
def server(socket_dir):
    server = ServerProcess()
    yield server
    server.end()


@pytest.fixture
def client(server):
    with NameServerClient(server.address) as client:
        yield client


@pytest.fixture
def listening():
    """Give a URI where somebody listens, as a live agent would."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        yield f"PYRO:holder@127.0.0.1:{holder.getsockname()[1]}"


class Beating:
    """Renews from a thread, as an agent's daemon does."""

    def __init__(self, address, registration):
        self.heartbeat = Heartbeat(address, registration)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        while not self._end.wait(self.heartbeat.period):
            self.heartbeat.beat()

    def __enter__(self):
        return self.heartbeat

    def __exit__(self, *_):
        self._end.set()
        self._thread.join()
        self.heartbeat.close()


@pytest.fixture
def agent(server):
    process = subprocess.Popen([sys.executable, "-c", AGENT, server.address, "A"], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


class Told:
    """What a watch has told."""

    def __init__(self):
        self.changes = []

    def __call__(self, change):
        self.changes.append(change)

    def kinds(self, name=None):
        return [c.kind for c in self.changes if name in (None, c.name)]


def test_register_look_up_list_remove(client, listening):
    assert client.ping() == "pong"
    made = client.register("the laser @ 2", listening, instance="i", metadata={"tags": ["hot"], "pid": 3}, lease=30.0)
    assert client.lookup("the laser @ 2") == made
    assert made.since == pytest.approx(time.time(), abs=5)
    assert list(client.list(tag="hot", meta_all={"pid": 3}, prefix="the", regex=".*2$")) == ["the laser @ 2"]
    assert client.list(regex="laser") == {}
    assert client.snapshot().registrations == {"the laser @ 2": made}
    with pytest.raises(NameTakenError, match="name already registered"):
        client.register("the laser @ 2", "PYRO:other@127.0.0.1:1", instance="j", lease=30.0)
    assert not client.remove("the laser @ 2", uri="PYRO:other@127.0.0.1:1")
    assert not client.remove("the laser @ 2", instance="j")
    assert client.remove("the laser @ 2", uri=listening, instance="i")
    with pytest.raises(UnknownNameError):
        client.lookup("the laser @ 2")


def test_a_name_whose_holder_is_dead_can_be_taken_at_once(client, listening):
    client.register("A", "PYRO:gone@./u:/nowhere/gone", instance="i", lease=30.0)
    assert client.register("A", listening, instance="j", lease=30.0).uri == listening
    assert client.register("A", "PYRO:x@./u:/nowhere/x", instance="k", lease=30.0, replace=True).instance == "k"


def test_a_killed_agent_disappears_with_its_lease(client, agent):
    assert client.lookup("A").lease == 0.6
    agent.kill()
    assert 0.0 < wait_until(lambda: client.find("A") is None, 1.6) < 1.6


def test_a_frozen_agent_disappears_and_comes_back(client, agent):
    told = Told()
    with client.watch(told):
        wait_until(lambda: told.kinds() == ["registered"])
        agent.send_signal(signal.SIGSTOP)
        wait_until_stopped(agent.pid)
        wait_until(lambda: told.kinds() == ["registered", "removed"], 1.6)
        agent.send_signal(signal.SIGCONT)
        wait_until(lambda: told.kinds() == ["registered", "removed", "registered"], 1.0)
    assert client.lookup("A").instance == "i"


def test_an_agent_that_renews_stays(client, agent):
    number = client.info()["number"]
    wait_until(lambda: client.info()["counts"].get("renewals", 0) >= 8, 5.0)
    assert client.info()["number"] == number and client.find("A")


def test_a_killed_server_learns_everybody_again_and_nobody_who_watches_notices(server, client):
    told = Told()
    made = client.register("A", "PYRO:x@./u:/nowhere/x", instance="i", metadata={"tags": ["t"]}, lease=1.5)
    with Beating(server.address, made), client.watch(told) as watch:
        wait_until(lambda: watch.state() == {"A": made})
        server.kill()
        with pytest.raises(NameServerUnavailableError):
            client.ping()
        server.start()
        assert wait_until(lambda: client.find("A") == made) < 1.5
        client.register("B", "PYRO:y@./u:/nowhere/y", instance="i", lease=30.0)
        wait_until(lambda: told.kinds("B") == ["registered"], 6.0)
        assert told.kinds("A") == ["registered"]
        assert set(watch.state()) == {"A", "B"}


def test_the_first_renewal_after_its_return_is_enough(server, client):
    heartbeat = Heartbeat(server.address, client.register("A", "PYRO:x@./u:/nowhere/x", instance="i", lease=30.0))
    try:
        server.kill()
        heartbeat.beat()  # into the void; the system tells it with the next one
        server.start()
        heartbeat.beat()
        wait_until(lambda: client.find("A"))
    finally:
        heartbeat.close()


def test_who_dies_while_the_server_is_away_is_told_as_removed_once(server, client):
    told = Told()
    made = client.register("A", "PYRO:x@./u:/nowhere/x", instance="i", lease=0.6)
    with client.watch(told):
        with Beating(server.address, made):
            wait_until(lambda: told.kinds() == ["registered"])
            server.kill()
        server.start()
        wait_until(lambda: told.kinds() == ["registered", "removed"], 6.0)
        assert client.find("A") is None


def test_a_frozen_server_takes_nobody_away(server, client):
    told = Told()
    made = client.register("A", "PYRO:x@./u:/nowhere/x", instance="i", lease=0.6)
    lost = client.register("B", "PYRO:x@./u:/nowhere/y", instance="i", lease=0.6)
    with Beating(server.address, made), client.watch(told):
        wait_until(lambda: told.kinds() == ["registered"] * 2)
        server.signal(signal.SIGSTOP)
        frozen = time.monotonic()
        wait_until(lambda: time.monotonic() - frozen > 1.5)
        server.signal(signal.SIGCONT)
        with Beating(server.address, lost):  # what it sent meanwhile did not fit into the queue
            wait_until(lambda: client.info()["counts"].get("renewals", 0) > 15)
        assert told.kinds() == ["registered"] * 2


def test_a_goodbye_is_not_undone_by_a_late_renewal(server, client):
    made = client.register("A", "PYRO:x@./u:/nowhere/x", instance="i", lease=0.6)
    with Beating(server.address, made):
        assert client.remove("A", instance="i")
        wait_until(lambda: client.info()["counts"].get("late", 0) >= 3)
        assert client.find("A") is None


def test_the_feed_is_numbered_without_a_gap_and_told_in_order(client):
    told = Told()
    with client.watch(told):
        for i in range(200):
            client.register(f"n{i}", f"PYRO:x@./u:/nowhere/{i}", instance="i")
        for i in range(200):
            client.remove(f"n{i}")
        wait_until(lambda: len(told.changes) >= 400, 5.0)
        assert [c.name for c in told.changes] == [f"n{i}" for i in range(200)] * 2
        assert told.kinds() == ["registered"] * 200 + ["removed"] * 200
    late = [c.number for c in told.changes[-100:]]
    assert late == list(range(301, 401))


def test_a_new_watch_is_told_who_is_there_and_its_errors_harm_nothing(client):
    client.register("A", "PYRO:x@./u:/nowhere/x", instance="i")
    told = Told()

    def callback(change):
        told(change)
        raise ValueError("mine")

    with client.watch(callback):
        wait_until(lambda: told.kinds() == ["registered"])
        client.remove("A")
        wait_until(lambda: told.kinds() == ["registered", "removed"])


def test_closing_a_watch_from_its_callback(client):
    client.register("A", "PYRO:x@./u:/nowhere/x", instance="i")
    client.register("B", "PYRO:x@./u:/nowhere/y", instance="i")
    told, watches, made = Told(), [], threading.Event()

    def callback(change):
        told(change)
        made.wait(3.0)
        watches[0].close()

    watches.append(client.watch(callback))
    made.set()
    wait_until(lambda: not watches[0]._thread.is_alive())
    assert told.kinds() == ["registered"]
    watches[0].close()


def test_wait_for_a_name_that_comes_and_for_one_that_does_not(client):
    timer = threading.Timer(0.3, lambda: client.register("A", "PYRO:x@./u:/nowhere/x", instance="i"))
    timer.start()
    start = time.monotonic()
    assert client.wait_for("A", 30.0).name == "A"
    assert time.monotonic() - start < soon(2.0)
    timer.join()
    assert client.wait_for("A", 0.0).name == "A"
    start = time.monotonic()
    with pytest.raises(UnknownNameError, match=r"waited 0.2 s: .*'AA'; did you mean 'A'"):
        client.wait_for("AA", 0.2)
    assert time.monotonic() - start < soon(1.0)


def test_wait_for_outlasts_a_restart(server, client):
    found = []
    waiting = threading.Thread(target=lambda: found.append(client.wait_for("A", 10.0)))
    waiting.start()
    server.kill()
    server.start()
    client.register("A", "PYRO:x@./u:/nowhere/x", instance="i")
    waiting.join(10.0)
    assert [one.name for one in found] == ["A"]


def test_noise_on_both_ports_harms_nobody(server, client, listening):
    made = client.register("A", listening, instance="i", lease=1.5)
    rng = random.Random(5)
    with Beating(server.address, made):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            for size in [0, 1, 11, 12, 13, 28, 29, 9000, 60000, *(rng.randrange(2000) for _ in range(300))]:
                udp.sendto(rng.randbytes(size), ("127.0.0.1", server.port))
                udp.sendto((b"ALH1" + rng.randbytes(size))[:65000], ("127.0.0.1", server.port))
        silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(100)]
        for connection in silent[50:]:
            connection.sendall(rng.randbytes(rng.randrange(1, 500)))
        assert client.lookup("A") == made
        assert client.ping() == "pong"
        wait_until(lambda: client.info()["counts"].get("refused", 0) > 50)
        for connection in silent:
            connection.close()
        assert client.find("A") == made


def test_a_renewal_with_another_key_is_dropped(server, client, monkeypatch, tmp_path):
    made = client.register("A", "PYRO:x@./u:/nowhere/x", instance="i", lease=0.6)
    monkeypatch.setenv("AGENTLAB_KEYS_DIR", str(tmp_path / "other"))
    stranger = Heartbeat(server.address, made)
    monkeypatch.undo()
    try:
        wait_until(lambda: stranger.beat() and client.find("A") is None, 2.0)
        assert client.info()["counts"]["refused"] > 3
    finally:
        stranger.close()


def test_two_servers_side_by_side_know_nothing_of_each_other(server, client):
    other = ServerProcess()
    try:
        with NameServerClient(other.address) as second:
            client.register("A", "PYRO:x@./u:/nowhere/1", instance="i")
            second.register("A", "PYRO:x@./u:/nowhere/2", instance="i")
            told = Told()
            with second.watch(told):
                wait_until(lambda: told.changes)
                client.register("B", "PYRO:x@./u:/nowhere/3", instance="i")
                second.register("C", "PYRO:x@./u:/nowhere/4", instance="i")
                wait_until(lambda: told.kinds("C"))
            assert [c.name for c in told.changes] == ["A", "C"]
    finally:
        other.end()


def test_same_port_at_two_addresses_of_loopback(server, client):
    other = ServerProcess("127.0.0.2", server.port)
    try:
        with NameServerClient(other.address) as second:
            assert second.endpoints()["feed"] != client.endpoints()["feed"]
    finally:
        other.end()


def test_it_ends_when_asked_and_by_a_signal(server, client):
    client.shutdown()
    assert server.wait(10) == 0
    server.start()
    assert client.ping() == "pong"
    server.signal(signal.SIGTERM)
    assert server.wait(10) == 0
    start = time.monotonic()
    with pytest.raises(NameServerUnavailableError, match=rf"no name server answers at {server.address} .*run_nameserver"):
        client.ping()
    assert time.monotonic() - start < soon(3.5)
    with pytest.raises(NameServerUnavailableError):
        client.watch(print)


def test_a_server_that_does_not_answer_is_unavailable_within_the_timeout(server):
    with NameServerClient(server.address, timeout=0.5) as client:
        client.ping()
        server.signal(signal.SIGSTOP)
        start = time.monotonic()
        with pytest.raises(NameServerUnavailableError, match="within 0.5 s"):
            client.ping()
        assert time.monotonic() - start < soon(2.0)
        server.signal(signal.SIGCONT)
        client.timeout = 3.0
        assert client.ping() == "pong"


def test_many_threads_share_a_client(client):
    problems = []

    def work(number):
        try:
            for i in range(50):
                name = f"t{number}-{i}"
                client.register(name, f"PYRO:x@./u:/nowhere/{name}", instance="i")
                assert client.lookup(name).name == name
                assert client.remove(name)
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == [] and client.list() == {}


def test_a_hundred_clients_stay_connected(server):
    clients = [NameServerClient(server.address) for _ in range(120)]
    try:
        assert [client.ping() for client in clients] == ["pong"] * 120
        assert [client.ping() for client in clients] == ["pong"] * 120
    finally:
        for client in clients:
            client.close()


def test_the_address_comes_from_the_environment(server, monkeypatch):
    monkeypatch.delenv(NAMESERVER_VARIABLE, raising=False)
    with pytest.raises(NameServerUnavailableError, match=r"run_nameserver\(\), pass an address, or set AGENTLAB_NAMESERVER"):
        NameServerClient()
    monkeypatch.setenv(NAMESERVER_VARIABLE, server.address)
    with NameServerClient() as client:
        assert client.ping() == "pong"


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_port_in_use_is_one_clear_error(kind):
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(NameServerError, match=f"127.0.0.1:{port}.*in use.*choose another port"):
            NameServer(port=port).run(lambda _: pytest.fail("it serves"))


def test_other_interfaces_are_refused_before_anything_is_opened():
    with pytest.raises(RefusedError):
        NameServer("0.0.0.0", 0).run(lambda _: pytest.fail("it serves"))


def test_nothing_is_opened_on_other_interfaces(server):
    import psutil

    found = [c for c in psutil.Process(server.process.pid).net_connections("inet") if not c.raddr]
    assert {c.laddr.ip for c in found} == {"127.0.0.1"}
    assert {(c.type, c.laddr.port) for c in found} == {(socket.SOCK_STREAM, server.port), (socket.SOCK_DGRAM, server.port)}
