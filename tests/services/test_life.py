"""Services that come up, fail, hang, stop and start again; their neighbours, and those who call them meanwhile."""

from __future__ import annotations

import time

import pytest

from agentlab import AgentLabError, AgentStartError, AgentStoppedError, ConfigurationError, Proxy, UnknownNameError
from agentlab.services.model import DaemonSpec, ServiceSpec
from tests.services.conftest import eventually
from tests.services.drivers import Broken, Closing, Counter, Hangs, Leaves, Nothing
from tests.timing import soon


@pytest.mark.parametrize(
    ("target", "text"),
    [
        (Broken, "RuntimeError: no device at COM3"),
        (Leaves, "SystemExit: driver ends programs"),
        (Nothing, r"class tests.services.drivers.Nothing has no public method"),
        ("tests.services.nowhere:Laser", "ModuleNotFoundError: No module named 'tests.services.nowhere'"),
        ("tests.services.drivers:Counte", "module 'tests.services.drivers' has no class 'Counte'; did you mean 'Counter'"),
        ("tests.services.drivers:NOW", "'tests.services.drivers:NOW' is a datetime, not a class"),
        (Counter, r"TypeError: .*unexpected keyword argument 'starrt'"),
    ],
    ids=str,
)
def test_a_service_that_cannot_start_says_why_and_its_neighbour_serves(kit, target, text):
    daemon = kit.daemon()
    neighbour = kit.serve(Counter, "neighbour", daemon=daemon)
    parameters = {"starrt": 1} if target is Counter else {}
    with pytest.raises(AgentStartError, match=f"service 'bad' is failed: .*{text}") as caught:
        daemon.register(target, "bad", parameters=parameters)
    assert "\n" not in str(caught.value)
    row = daemon.services()["bad"]
    assert row["state"] == "failed"
    assert str(caught.value).endswith(row["reason"])
    proxy = kit.proxy(row["uri"])
    assert proxy.info()["state"] == "failed"
    with pytest.raises(AgentStoppedError, match=f"service 'bad' has failed: .*{text}"):
        proxy.add()
    assert neighbour.add() == 1


def test_a_constructor_that_hangs_delays_nobody_and_may_come_late(kit, tmp_path):
    flag = tmp_path / "go"
    specs = [ServiceSpec("hangs", Hangs, {"flag": str(flag)}), ServiceSpec("works", Counter)]
    from agentlab.services.daemon import Daemon

    daemon = Daemon.from_spec(DaemonSpec("optics", services=specs, ready_timeout=0.2))
    try:
        began = time.monotonic()
        daemon.start_all()
        assert time.monotonic() - began < soon(2)
        rows = daemon.ready()
        assert (rows["works"]["state"], rows["hangs"]["state"]) == ("running", "failed")
        assert "importing or constructing tests.services.drivers.Hangs has not come to an end" in rows["hangs"]["reason"]
        proxy, neighbour = kit.proxy(rows["hangs"]["uri"]), kit.proxy(rows["works"]["uri"])
        assert neighbour.add() == 1
        with pytest.raises(AgentStoppedError, match="has not come to an end"):
            proxy.read()
        assert daemon.stop_service("works")["state"] == "stopped"
        flag.touch()
        eventually(lambda: daemon.services()["hangs"]["state"] == "running")
        assert proxy.read() == 7
    finally:
        flag.touch()
        daemon.stop()


def test_what_hangs_can_be_started_again_and_its_late_object_is_closed(kit, tmp_path):
    daemon = kit.daemon(ready_timeout=0.1)
    daemon.grace = 0.1
    flag = tmp_path / "go"
    with pytest.raises(AgentStartError):
        daemon.register(Hangs, "hangs", parameters={"flag": str(flag)})
    with pytest.raises(AgentStartError, match="has not come to an end"):
        daemon.restart_service("hangs")
    flag.touch()
    eventually(lambda: daemon.services()["hangs"]["state"] == "running")
    assert kit.proxy(daemon.services()["hangs"]["uri"]).read() == 7


def test_a_failed_service_is_mended_and_restarted(kit, tmp_path):
    daemon = kit.daemon()
    flag = tmp_path / "plugged"
    with pytest.raises(AgentStartError):
        daemon.register(Broken, "thing", parameters={"flag": str(flag)})
    proxy = kit.proxy(daemon.services()["thing"]["uri"])
    with pytest.raises(AgentStartError, match="no device"):
        daemon.start_service("thing")
    flag.touch()
    assert daemon.start_service("thing")["state"] == "running"
    assert proxy.read() == 7


def test_stop_lets_the_running_call_end_refuses_the_queue_and_closes(kit, tmp_path):
    daemon = kit.daemon()
    log = tmp_path / "log"
    proxy = kit.serve(Closing, "thing", daemon=daemon, parameters={"log": str(log)})
    running = proxy.future.wait(0.2)
    eventually(lambda: proxy.info()["running"])
    waiting = proxy.future.call()
    eventually(lambda: proxy.info()["queue"] == 1)
    assert daemon.stop_service("thing")["state"] == "stopped"
    assert running.result(10) is None
    with pytest.raises(AgentStoppedError, match="had not begun"):
        waiting.result(10)
    assert log.read_text().split() == ["made", "closed"]
    with pytest.raises(AgentStoppedError, match="service 'thing' is stopped; start it"):
        proxy.call()
    assert daemon.start_service("thing")["state"] == "running"
    assert proxy.call() == 1


def test_calls_wait_while_a_service_restarts(kit, tmp_path):
    daemon = kit.daemon()
    log = tmp_path / "log"
    proxy = kit.serve(Closing, "thing", daemon=daemon, parameters={"log": str(log)})
    proxy.call()
    running = proxy.future.wait(0.2)
    eventually(lambda: proxy.info()["running"])
    daemon._hosting.find("thing").service.restart(5.0)
    assert proxy.call() == 1  # of the new object
    assert running.result(10) is None
    assert log.read_text().split() == ["made", "closed", "made"]


def test_a_call_that_never_ends_does_not_keep_a_service_from_its_restart(kit, tmp_path):
    daemon = kit.daemon()
    daemon.grace = 0.1
    proxy = kit.serve(Counter, "counter", daemon=daemon)
    stuck = proxy.future.wait_for(str(tmp_path / "go"))
    eventually((tmp_path / "go.begun").exists)
    assert daemon.restart_service("counter")["state"] == "running"
    assert proxy.add() == 1
    (tmp_path / "go").touch()
    assert stuck.result(3) == "released"


def test_unknown_and_doubtful_names(kit):
    daemon = kit.daemon()
    daemon.register(Counter, "counter")
    for ask in (daemon.start_service, daemon.stop_service, daemon.restart_service):
        with pytest.raises(UnknownNameError, match="daemon 'optics' has no service 'conter'; did you mean 'counter'"):
            ask("conter")
    with pytest.raises(ConfigurationError, match="already"):
        daemon.register(Counter, "counter")


def test_the_daemons_own_object_can_be_called_like_a_service(kit):
    daemon = kit.daemon()
    daemon.register(Counter, "counter")
    control = kit.proxy(daemon.uri)
    assert control.ping() == "pong"
    assert control.services()["counter"]["state"] == "running"
    assert control.vitals()["services"] == {"counter": "running"}
    assert control.stop_service("counter")["state"] == "stopped"
    assert control.start_service("counter")["state"] == "running"
    assert control.name == "optics"
    with pytest.raises(AttributeError, match="daemon 'optics' has no method 'servces'; did you mean 'services'"):
        control.servces()
    with pytest.raises(UnknownNameError):
        control.stop_service("nobody")
    assert repr(control).startswith("<Proxy of daemon 'daemon'")
    assert not daemon.wait(0)
    control.shutdown()
    assert daemon.wait(1)


def test_a_stopped_daemon_answers_nobody_and_twice_is_fine(kit):
    daemon = kit.daemon()
    proxy = kit.serve(Counter, daemon=daemon)
    daemon.stop()
    daemon.stop()
    with pytest.raises(ConnectionError):
        proxy.add()


def test_nathost_and_natport_stand_in_uris(kit):
    daemon = kit.daemon(nathost="lab.example.org", natport=7777)
    assert daemon.register(Counter, "counter") == "PYRO:counter@lab.example.org:7777"
    assert kit.daemon(nathost="lab.example.org").uri.startswith("PYRO:daemon@lab.example.org:")


def test_a_unix_socket_is_stable_and_goes_with_the_daemon(kit, socket_dir, tmp_path):
    daemon = kit.daemon(unixsocket="optics.sock")
    uri = daemon.register(Counter, "counter")
    assert uri == f"PYRO:counter@./u:{socket_dir}/optics.sock"
    proxy: Proxy = kit.proxy(uri)
    assert proxy.add() == 1
    daemon.stop()
    assert not (socket_dir / "optics.sock").exists()
    assert kit.daemon(unixsocket="optics.sock").register(Counter, "counter") == uri
    assert proxy.add() == 1


def test_what_replaces_a_service_may_share_its_thread_or_not_and_be_registered_elsewhere(kit, ns):
    daemon = kit.daemon(servertype="multiplex", nameservers=[str(ns.addr())])
    proxy = kit.serve(Counter, "counter", daemon=daemon)
    neighbour = kit.serve(Counter, "neighbour", daemon=daemon)
    assert (proxy.add(), neighbour.add()) == (1, 1)
    assert daemon.put_service(ServiceSpec("counter", Counter, {"start": 8}, nameservers=[]))["state"] == "running"
    assert (proxy.add(), neighbour.add()) == (9, 2)
    eventually(lambda: ns.list().keys() == {"neighbour"})
    daemon.remove_service("counter")
    with pytest.raises(AgentLabError):
        proxy.add()
    assert daemon.register(Counter, "counter", nameservers=[]).startswith("PYRO:counter@")
    assert neighbour.add() == 3
