"""How many instances there are: one, one for each client, one for each call."""

from __future__ import annotations

import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.services.conftest import eventually
from tests.services.drivers import Broken, Closing, Connecting, Counter, SideBySide


def lines(path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def test_session_gives_each_client_its_own_object(kit):
    daemon = kit.daemon()
    uri = daemon.register(Counter, "counter", instancemode="session")
    proxies = [kit.proxy(uri) for _ in range(4)]

    def run(proxy) -> int:
        for _ in range(100):
            proxy.add()
        return proxy.value

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(run, proxies)) == [100] * 4
    assert daemon.services()["counter"]["instances"] == 4


def test_one_client_has_one_object_whatever_threads_views_and_connections_it_uses(kit):
    proxy = kit.serve(Counter, instancemode="session")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: proxy.add(), range(200)))
    for future in [proxy.future.add() for _ in range(20)]:
        future.result(3)
    proxy.oneway.add()
    proxy.unsafe.add()
    eventually(lambda: proxy.value == 222)
    assert proxy.in_own_thread()
    proxy.value = 1
    assert proxy.timeout(3).value == 1
    copy = pickle.loads(pickle.dumps(proxy))  # another client
    assert copy.value == 0
    copy.release()


def test_a_session_lives_as_long_as_its_client(kit, tmp_path):
    log = tmp_path / "log"
    daemon = kit.daemon()
    uri = daemon.register(Closing, "thing", instancemode="session", parameters={"log": str(log)})
    first, second = kit.proxy(uri), kit.proxy(uri)
    assert lines(log) == []  # nobody has called yet
    assert (first.call(), first.call(), second.call()) == (1, 2, 1)
    with pytest.raises(TimeoutError):
        first.timeout(0.05).wait(0.2)
    assert first.call() == 3  # a call that timed out has cost a connection, not the object
    assert lines(log) == ["made", "made"]
    first.release()
    eventually(lambda: lines(log) == ["made", "made", "closed"])
    assert second.call() == 2
    assert first.call() == 1  # a new one
    daemon.stop_service("thing")
    assert lines(log) == ["made", "made", "closed", "made", "closed", "closed"]


def test_a_session_of_a_client_that_only_casts_and_leaves_is_closed(kit, tmp_path):
    log = tmp_path / "log"
    daemon = kit.daemon()
    uri = daemon.register(Closing, "thing", instancemode="session", parameters={"log": str(log)})
    for _ in range(5):
        proxy = kit.proxy(uri)
        proxy.oneway.call()
        proxy.release()
    eventually(lambda: sorted(lines(log)) == ["closed"] * 5 + ["made"] * 5)
    assert daemon.services()["thing"]["instances"] == 0


def test_a_session_constructor_that_fails_is_tried_again(kit, tmp_path):
    proxy = kit.serve(Broken, instancemode="session", parameters={"flag": str(tmp_path / "plugged")})
    with pytest.raises(RuntimeError, match="no device at COM3"):
        proxy.read()
    (tmp_path / "plugged").touch()
    assert proxy.read() == 7


def test_percall_makes_and_closes_an_object_for_each_call(kit, tmp_path):
    log = tmp_path / "log"
    proxy = kit.serve(Closing, instancemode="percall", parameters={"log": str(log)})
    assert [proxy.call() for _ in range(3)] == [1, 1, 1]
    eventually(lambda: lines(log) == ["made", "closed"] * 3)
    failing = kit.serve(Broken, instancemode="percall")
    with pytest.raises(RuntimeError, match="no device at COM3"):
        failing.read()


def test_percall_runs_side_by_side_up_to_a_limit(kit, monkeypatch):
    monkeypatch.setattr("agentlab.services.hosted.MOST_PERCALL", 3)
    proxy = kit.serve(SideBySide, instancemode="percall")
    with ThreadPoolExecutor(6) as pool:
        assert max(pool.map(lambda _: proxy.run(0.05), range(6))) == 3


def test_single_runs_one_at_a_time(kit):
    proxy = kit.serve(SideBySide)
    before = SideBySide.most
    SideBySide.most = 0
    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(lambda _: proxy.run(0.005), range(12))) == {1}
    SideBySide.most = before


@pytest.mark.parametrize("mode", ["session", "percall"])
def test_all_modes_work_in_one_thread(kit, mode, tmp_path):
    daemon = kit.daemon(servertype="multiplex")
    log = tmp_path / "log"
    uri = daemon.register(Closing, "thing", instancemode=mode, parameters={"log": str(log)})
    one, two = kit.proxy(uri), kit.proxy(uri)
    assert [one.call(), one.call(), two.call()] == ([1, 2, 1] if mode == "session" else [1, 1, 1])
    daemon.restart_service("thing")
    assert one.call() == 1
    daemon.stop_service("thing")
    assert lines(log).count("made") == lines(log).count("closed")


def test_parameters_go_to_connect_where_there_is_one(kit, tmp_path):
    log = tmp_path / "log"
    daemon = kit.daemon()
    proxy = kit.serve(Connecting, "thing", daemon=daemon, parameters={"log": str(log), "port": "COM3"})
    assert proxy.where() == "COM3"
    daemon.stop()
    events, threads = zip(*[line.split() for line in lines(log)], strict=True)
    assert events == ("connect", "call", "disconnect")
    assert len(set(threads)) == 1
    assert threads[0] != str(threading.get_ident())
