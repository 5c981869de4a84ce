"""Real name servers with files: killed in the middle of writes, with a full disk, two on one file; and cleaning up."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import threading
import time

import pytest

from agentlab.errors import AgentLabError, ConfigurationError, NameServerError, NameTakenError
from agentlab.nameserver.client import NameServerClient
from agentlab.nameserver.heartbeats import Heartbeat
from agentlab.nameserver.server import NameServer
from tests.nameserver.live import ServerProcess, wait_until
from tests.timing import soon

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals")

KINDS = ["sql", "dbm"]
NOBODY = "PYRO:x@./u:/nowhere/"


@contextlib.contextmanager
def running(**options):
    server = ServerProcess(**options)
    try:
        yield server
    finally:
        server.end()


@contextlib.contextmanager
def listening():
    """Give a URI where somebody listens, as a live agent would."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        yield f"PYRO:holder@127.0.0.1:{holder.getsockname()[1]}"


class Registering(threading.Thread):
    """Registers as fast as it can, every third name with a lease, until the server goes away."""

    def __init__(self, address):
        super().__init__()
        self.address, self.acknowledged = address, {}

    def run(self):
        with contextlib.suppress(AgentLabError), NameServerClient(self.address, timeout=1.0) as client:
            while True:
                name = f"n{len(self.acknowledged)}"
                self.acknowledged[name] = client.register(
                    name, NOBODY + name, instance="i", metadata={"tags": ["t"]}, lease=None if len(self.acknowledged) % 3 else 1.2
                )


@pytest.mark.parametrize("kind", KINDS)
def test_killed_while_it_is_written_to_and_started_again(socket_dir, tmp_path, kind):
    with running(storage_type=kind, storage_file=str(tmp_path / "names")) as server, listening() as uri:
        with NameServerClient(server.address) as client:
            live = client.register("live", uri, instance="i", metadata={"tags": ["hot"]}, lease=1.2)
            client.register("plain", uri, instance="i", metadata={"tags": ["hot"]})
            heartbeat = Heartbeat(server.address, live)
            for _ in range(3):
                writer = Registering(server.address)
                writer.start()
                wait_until(lambda known=writer.acknowledged: len(known) > 50)
                server.kill()
                writer.join()
                server.start()
                started = time.monotonic()
                found = client.list()
                with pytest.raises(NameTakenError):  # nobody slips in before the first renewal
                    client.register("live", NOBODY, instance="j", lease=1.2)
                assert found.keys() >= writer.acknowledged.keys() | {"live", "plain"}
                assert all(found[name].uri == one.uri for name, one in writer.acknowledged.items())
                if kind == "sql":
                    assert found["n1"] == writer.acknowledged["n1"] and found["live"] == live
                client.remove(f"n{len(writer.acknowledged)}")  # the one under way may be there, or not
                for number, name in enumerate(writer.acknowledged):
                    client.remove(name, uri=None if number % 3 else "another's")
            dead = {name for name, one in writer.acknowledged.items() if one.lease}
            wait_until(lambda: heartbeat.beat() and not dead & set(client.list()), 4.0)
            assert time.monotonic() - started > 1.0  # a fresh lease each
            assert set(client.list()) == {"live", "plain"}
            assert client.lookup("live") == live  # with its metadata, which dbm does not keep
            assert client.lookup("plain").tags() == (("hot",) if kind == "sql" else ())
            heartbeat.close()
            client.shutdown()
            server.wait()
        assert not list(tmp_path.glob("*journal*")) and not list(tmp_path.glob("*-wal"))
        server.start()
        with NameServerClient(server.address) as client:
            assert set(client.list()) == {"live", "plain"}


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="Linux")
@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk(socket_dir, tmp_path, kind):
    with running(storage_type=kind, storage_file=str(tmp_path / "names")) as server, NameServerClient(server.address) as client:
        client.register("A", NOBODY + "a", instance="i")
        number = client.info()["number"]
        limits = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        for name in ("B", "C"):
            with pytest.raises(NameServerError, match=r"refused: the name server cannot write '.*names.*; make room there"):
                client.register(name, NOBODY + name, instance="i", lease=30.0)
        with pytest.raises(NameServerError, match="refused"):
            client.remove("A")
        assert list(client.list()) == ["A"] and client.info()["number"] == number
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, limits)
        client.register("B", NOBODY + "b", instance="i")
        server.kill()
        server.start()
        assert set(client.list()) == {"A", "B"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_in_use_is_one_clear_error_and_its_owner_goes_on(socket_dir, tmp_path, kind, monkeypatch):
    for module in ("storage", "storage_sql"):
        monkeypatch.setattr(f"agentlab.nameserver.{module}.LOCK_PATIENCE", 0.05)
    options = {"storage_type": kind, "storage_file": str(tmp_path / "names")}
    with running(**options) as server, NameServerClient(server.address) as client:
        client.register("A", NOBODY, instance="i")
        with pytest.raises(ConfigurationError, match="names': another name server has it open; stop that one, or choose another"):
            NameServer(port=0, **options).run(lambda _: pytest.fail("it serves"))
        client.register("B", NOBODY, instance="i")
        client.shutdown()
        server.wait()
        found = []
        second = NameServer(port=0, **options)
        second.run(lambda _: found.extend(second.service.list()) or second.stop())
        assert sorted(found) == ["A", "B"]


def test_what_cannot_be_served_is_said_before_anything_is_opened(tmp_path):
    with pytest.raises(ConfigurationError, match="'mysql' does not exist; allowed are memory, dbm, sql"):
        NameServer(storage_type="mysql")
    for bad in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ConfigurationError, match="autoclean is"):
            NameServer(autoclean=bad)
    (tmp_path / "f").write_bytes(b"garbage " * 100)
    for kind in KINDS:
        with pytest.raises(ConfigurationError, match="corrupt"):
            NameServer(port=0, storage_type=kind, storage_file=tmp_path / "f").run(lambda _: pytest.fail("it serves"))


def test_autoclean_takes_the_dead_away_and_serves_meanwhile(socket_dir, tmp_path):
    with running(autoclean=0.2) as server, listening() as uri, contextlib.ExitStack() as stack:
        silent = stack.enter_context(socket.socket())
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        for _ in range(2):  # its queue is full, so that whoever comes next waits
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(silent.getsockname())
        client = stack.enter_context(NameServerClient(server.address))
        with socket.create_server(("127.0.0.1", 0)) as gone:
            dead = f"PYRO:x@127.0.0.1:{gone.getsockname()[1]}"
        client.register("silent", f"PYRO:x@127.0.0.1:{silent.getsockname()[1]}", instance="i")
        client.register("live", uri, instance="i")
        client.register("odd", "PYRONAME:who", instance="i")
        client.register("leased", dead, instance="i", lease=30.0)
        for i in range(100):
            client.register(f"dead{i}", dead, instance="i")
            client.register(f"file{i}", f"{NOBODY}{i}", instance="i")
        wait_until(lambda: len(client.list()) == 4, 4.0)
        assert set(client.list()) == {"silent", "live", "odd", "leased"}
        start = time.monotonic()
        client.shutdown()
        server.wait()
        assert time.monotonic() - start < soon(1.5)
