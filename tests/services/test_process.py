"""Daemons in processes of their own: started, killed, started again; and how their clients fare."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from agentlab import (
    AgentStartError,
    ConfigurationError,
    ConnectError,
    ConnectionLostError,
    Proxy,
    RefusedError,
    UnknownNameError,
    config,
)
from agentlab.runtime.daemonprocess import run_daemon
from agentlab.services.model import Service
from tests.runtime_agents.helpers import gone, run_script, wait_until, within
from tests.services.conftest import eventually
from tests.services.drivers import Broken, Closing, Counter
from tests.timing import soon


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def optics(ns):
    services = {
        "counter": Counter,
        "bad": Broken,
        "missing": "tests.services.nowhere:X",
        "own": Service(Counter, instancemode="session"),
    }
    with run_daemon("optics", services) as daemon:
        yield daemon


def test_a_daemon_serves_beside_what_failed_and_can_be_asked(optics, ns):
    rows = optics.services()
    assert {name: row["state"] for name, row in rows.items()} == {
        "counter": "running",
        "bad": "failed",
        "missing": "failed",
        "own": "running",
    }
    assert rows["bad"]["reason"].startswith("RuntimeError: no device at COM3")
    assert rows["counter"]["class"] == "tests.services.drivers.Counter"
    with optics.proxy("counter") as by_daemon, Proxy("counter") as by_name:
        assert by_daemon == by_name
        assert by_daemon.add() == 1
        assert by_name.pid() == optics.pid != os.getpid()
        assert optics.stop_service("counter")["state"] == "stopped"
        assert optics.start_service("counter")["state"] == "running"
        assert by_name.add() == 1
    with pytest.raises(AgentStartError, match="no device"):
        optics.restart_service("bad")
    with pytest.raises(UnknownNameError, match="did you mean 'counter'"):
        optics.proxy("conter")
    assert optics.vitals()["pid"] == optics.pid
    pid = optics.pid
    with within(2.0):
        optics.shutdown()
    assert optics.exitcode == 0
    assert gone(pid)
    assert ns.list() == {}
    with pytest.raises(ConnectError, match=r"daemon 'optics' has ended \(exit code 0\)"):
        optics.services()
    optics.shutdown()


def test_a_proxy_survives_the_death_of_a_daemon_and_sends_nothing_twice(ns, tmp_path):
    notes = tmp_path / "log"
    first = run_daemon("optics", [Service(Closing, "thing", parameters={"log": str(notes)})])
    proxy = Proxy("thing")
    proxy.call()
    waiting = proxy.future.wait(5)
    eventually(lambda: proxy.info()["running"])
    copy = pickle.loads(pickle.dumps(proxy))
    first.kill()
    with pytest.raises(ConnectionLostError):
        waiting.result(3)
    first.join()
    with pytest.raises(ConnectError):
        proxy.call()
    with run_daemon("optics", [Service(Closing, "thing", parameters={"log": str(notes)})]):
        with ThreadPoolExecutor(8) as pool:
            assert sorted(pool.map(lambda _: proxy.call(), range(50))) == list(range(1, 51))
        assert copy.call() == 51
    assert notes.read_text().split() == ["made", "made", "closed"]
    proxy.release()
    copy.release()


@pytest.mark.parametrize("place", ["tcp", "unix"])
def test_a_proxy_by_uri_needs_no_name_server_and_survives_a_restart_at_its_place(place, tmp_path, socket_dir):
    where = {"port": free_port()} if place == "tcp" else {"unixsocket": str(socket_dir / "a")}
    with run_daemon("optics", {"counter": Counter}, **where) as first:
        uri = first.services()["counter"]["uri"]
        with Proxy(uri) as proxy:
            assert proxy.add() == 1
            first.kill()
            first.join()
            assert place == "tcp" or not list(socket_dir.glob("a*")) or eventually(lambda: not list(socket_dir.glob("a*")))
            with run_daemon("optics", {"counter": Counter}, **where) as second:
                assert second.services()["counter"]["uri"] == uri
                assert proxy.add() == 1
                assert pickle.loads(pickle.dumps(proxy)).add() == 2


def test_sigterm_lets_the_running_call_end_and_gives_up_the_names(ns, tmp_path):
    log = tmp_path / "log"
    daemon = run_daemon("optics", [Service(Closing, "thing", parameters={"log": str(log)})], unixsocket="optics.sock")
    with Proxy("thing") as proxy:
        running = proxy.future.wait(0.3)
        eventually(lambda: proxy.info()["running"])
        os.kill(daemon.pid, signal.SIGTERM)
        assert running.result(10) is None
    assert daemon.join(10.0)
    assert daemon.exitcode == 0
    assert log.read_text().split() == ["made", "closed"]
    assert ns.list() == {}


def test_a_daemon_ends_with_its_starter(tmp_path):
    script = """
        import os, signal
        from agentlab.runtime.daemonprocess import run_daemon
        class Local:
            def hello(self): return "from " + __name__
        daemon = run_daemon("optics", {"local": Local})
        print("says", daemon.proxy("local").hello())
        print("pid", daemon.pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
        """
    result = run_script(tmp_path, script)
    assert "says from __main__" in result.out
    pid = int(result.out.split()[-1])
    wait_until(lambda: gone(pid), 3.0)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"services": {"a b": Counter}}, ConfigurationError, "no service can be called 'a b'"),
        ({"services": {"daemon": Counter}}, ConfigurationError, "no service can be called 'daemon'"),
        ({"services": {"x": "nomodule"}}, ConfigurationError, "write 'package.module:Class'"),
        ({"services": {"x": Counter()}}, ConfigurationError, "is an object, which stays in its process"),
        ({"services": [Counter]}, ConfigurationError, r"is no service; write Service\("),
        ({"services": [Service(Counter), Service(Counter)]}, ConfigurationError, "several services called 'Counter'"),
        ({"port": 70000}, ConfigurationError, "port of daemon 'optics' is 70000; allowed are 0"),
        ({"servertype": "fork"}, ConfigurationError, "servertype of daemon 'optics' is 'fork'"),
        ({"nameservers": ["::::"]}, ConfigurationError, "nameservers"),
        ({"nameservers": "127.0.0.1:9090"}, ConfigurationError, "must be a list"),
        ({"ready_timeout": 0}, ConfigurationError, "ready_timeout"),
        ({"host": "0.0.0.0"}, AgentStartError, "daemon 'optics' cannot serve: refused to listen on '0.0.0.0'"),
        ({"host": "no.such.host.invalid"}, AgentStartError, "cannot serve: .*cannot be found"),
        ({"unixsocket": "/nowhere/at/all"}, AgentStartError, "cannot serve: .*No such file"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(arguments, error, text):
    with pytest.raises(error, match=text) as caught:
        run_daemon("optics", **arguments)
    assert "\n" not in str(caught.value)


def test_a_port_in_use_is_told():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(
            AgentStartError, match=f"daemon 'optics' cannot serve: Address already in use: localhost:{port}"
        ) as caught:
            run_daemon("optics", {"counter": Counter}, port=port, host="localhost")
    assert "\n" not in str(caught.value)


def test_a_daemon_whose_call_never_ends_is_killed_in_time():
    with run_daemon("optics", {"counter": Counter}) as daemon:
        proxy = daemon.proxy("counter")
        stuck = proxy.future.wait(60)
        eventually(lambda: proxy.info()["running"])
        began = time.monotonic()
        daemon.shutdown(timeout=0.5)
        assert time.monotonic() - began < soon(3.0)
        with pytest.raises(ConnectionError):
            stuck.result(3)


def test_a_service_is_replaced_added_and_removed_while_its_neighbour_goes_on(optics, ns):
    pid = optics.pid
    own = Proxy("counter")
    assert own.add() == 1
    uri = optics.services()["counter"]["uri"]
    row = optics.put_service(Service(Counter, "bad", parameters={"start": 4}, description="mended", tags=["bench"]))
    assert (row["state"], row["description"]) == ("running", "mended")
    wait_until(lambda: ns.services(tag="bench") == ["bad"])  # its name server knows what it has become
    assert Proxy("bad").add() == 5
    assert optics.put_service(Service(Counter, "late"))["state"] == "running"
    with optics.proxy("late") as late:
        assert late.pid() == pid
    with pytest.raises(AgentStartError, match="no device"):
        optics.put_service(Service(Broken, "late"))
    assert optics.remove_service("late")["state"] == "stopped"
    assert "late" not in optics.services()
    assert "late" not in ns.list()
    with pytest.raises(UnknownNameError, match="did you mean"):
        optics.remove_service("couter")
    assert own.add() == 2  # it has noticed nothing
    assert optics.services()["counter"]["uri"] == uri
    assert optics.put_service(Service("tests.services.drivers:Counter", "counter", instancemode="percall"))["uri"] == uri
    assert (own.add(), own.add()) == (1, 1)
    own.release()


def test_where_anybody_may_ask_a_daemon_takes_in_no_code(kit, monkeypatch):
    monkeypatch.setitem(config, "SECURITY", "none")
    daemon = kit.daemon()
    with kit.proxy(daemon.uri) as proxy, pytest.raises(RefusedError, match="takes in no service"):
        proxy.put_service(name="x", target="subprocess:Popen", parameters={"args": ["true"]})
    assert daemon.services() == {}
