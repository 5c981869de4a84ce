"""Calls of a service in single mode: what is served, in which order, and what is answered beside the queue."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from agentlab import AgentLabError, ConfigurationError, DeadlockError, Proxy, RemoteError, SerializationError, config
from tests.services.conftest import eventually
from tests.services.drivers import NOW, Color, Counter, DeviceError, OwnNames, Point


@pytest.fixture
def counter(kit):
    return kit.serve(Counter, "counter", parameters={"start": 5})


def test_methods_properties_and_plain_attributes_are_served(counter):
    assert counter.add() == 6
    assert counter.add(by=4) == 10
    assert counter.value == counter.n == 10
    counter.value = 3
    assert counter.n == 3
    counter.n = 4
    assert counter.value == 4
    assert (counter.kind(), counter.double(4), counter.serial, counter.instant()) == (
        "Counter",
        8,
        "A1",
        "made in the constructor",
    )
    assert counter.Unit is Color
    assert counter.get_attr("n") == 4
    counter.set_attr(n=1, value=2)
    assert counter.n == 2
    assert {"add", "value", "n", "ping"} <= set(dir(counter))
    assert counter.add.__doc__ == "Count."
    assert str(counter.add.__signature__) == "(by=1)"
    assert repr(counter).startswith("<Proxy of service 'counter' at PYRO:counter@localhost:")


def test_everything_runs_in_the_thread_that_built_the_object(counter):
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(lambda _: counter.in_own_thread(), range(20)))
    assert counter.unsafe.in_own_thread()


def test_four_clients_of_one_object_lose_no_increment(kit, counter):
    uri = repr(counter).split(" at ")[1].rstrip(">")
    proxies = [kit.proxy(uri) for _ in range(4)]

    def run(proxy: Proxy) -> None:
        for _ in range(100):
            proxy.unsafe.add()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, proxies))
    assert counter.value == 405


@pytest.mark.parametrize(
    "value",
    [
        np.arange(12.0).reshape(3, 4),
        np.float32(1.5),
        np.int64(7),
        b"\x00\xff",
        NOW,
        dt.timedelta(seconds=3),
        3 + 4j,
        Color.RED,
        Point(1.0, 2.0),
        {"a": [1, (2, 3), {4}]},
        None,
    ],
    ids=str,
)
def test_values_cross_unchanged(counter, value):
    got = counter.echo(value)
    assert type(got) is type(value)
    if isinstance(value, np.ndarray):
        assert got.dtype == value.dtype
        assert np.array_equal(got, value)
    else:
        assert got == value


def test_the_drivers_own_exceptions_cross(counter):
    with pytest.raises(DeviceError, match="device says 17") as caught:
        counter.fail(17)
    assert caught.value.code == 17
    assert "raise DeviceError(code)" in caught.value.remote_traceback
    with pytest.raises(RemoteError, match="SystemExit"):
        counter.leave()
    with pytest.raises(ValueError, match="below zero"):
        counter.value = -1
    assert counter.add() == 6  # nothing of that harmed the service


def test_coroutines_run_to_their_end_and_generators_are_refused(counter):
    assert counter.later([1]) == [1]
    for method in ("count_up", "hidden_generator"):
        with pytest.raises(TypeError, match="generator.*return a list"):
            getattr(counter, method)(3)


@pytest.mark.parametrize(
    ("do", "error", "text"),
    [
        (lambda p: p.ad(), AttributeError, r"service 'counter' has no method or attribute 'ad'; did you mean 'add'\?"),
        (lambda p: p._private(), AttributeError, "private; only names without a leading underscore"),
        (lambda p: p._secret, AttributeError, "private"),
        (lambda p: p.get_attr("_secret"), AttributeError, "private"),
        (lambda p: p.set_attr(_secret=1), AttributeError, "private"),
        (lambda p: setattr(p, "add", 1), AttributeError, "is a method, so it cannot be set"),
        (lambda p: p.broken_property, AttributeError, "nothing is plugged in"),
        (lambda p: p.unsendable(), SerializationError, r"the result of unsendable\(\) of service 'counter' cannot be sent"),
        (lambda p: p.add(1, 2, 3), TypeError, "positional"),
    ],
)
def test_mistakes_are_told(counter, do, error, text):
    with pytest.raises(error, match=text) as caught:
        do(counter)
    assert "\n" not in str(caught.value)


def test_what_is_asked_about_a_service_is_answered_while_a_call_runs(counter, tmp_path):
    go = tmp_path / "go"
    busy = counter.future.wait_for(str(go))
    eventually(lambda: counter.info()["running"])
    queued = counter.future.add()
    eventually(lambda: counter.info()["queue"] == 1)
    assert counter.ping() == "pong"
    assert counter.is_running()
    info = counter.info()
    vitals = counter._core.caller.call("_vitals", (), {}, safe=False)
    assert counter._core.caller.call("_wiring", (), {}, safe=False) == []
    assert not busy.done()
    assert (info["state"], info["queue"], info["running"][0][0]) == ("running", 1, "wait_for()")
    assert (vitals["state"], vitals["busy"], vitals["queue"], vitals["class"]) == ("running", True, 1, "Counter")
    assert {"name", "since", "handled", "rate", "calls", "errors", "bad_messages", "lost", "cpu", "rss", "pid"} <= set(vitals)
    go.touch()
    assert busy.result(10) == "released"
    assert queued.result(10) == 6


def test_a_class_may_have_methods_of_those_names(kit):
    own = kit.serve(OwnNames)
    assert (own.ping(), own.info(), own.set_attr(1), own.get_attr(2)) == (
        "own ping",
        "own info",
        "own set_attr 1",
        "own get_attr 2",
    )
    own.x = 5
    assert own.x == 5


def test_a_call_whose_caller_has_gone_is_not_run(counter, tmp_path):
    busy = counter.future.wait_for(str(tmp_path / "go"))
    eventually((tmp_path / "go.begun").exists)
    with pytest.raises(TimeoutError, match=r"service 'counter' did not answer note\(\) within 0.05 s"):
        counter.timeout(0.05).note("too late")
    counter.oneway.note("nobody waits for this one")
    eventually(lambda: counter.info()["queue"] == 2)
    (tmp_path / "go").touch()
    assert busy.result(3) == "released"
    assert counter.notes == ["nobody waits for this one"]
    assert counter.info()["dropped"] == 1


def test_a_service_may_call_itself(counter):
    assert counter.call_back(counter, "add") == 6  # it runs where it stands
    assert counter.add() == 7


def test_two_services_that_wait_for_each_other_are_told(kit):
    daemon = kit.daemon()
    one, two = kit.serve(Counter, "one", daemon=daemon), kit.serve(Counter, "two", daemon=daemon)
    assert one.call_back(two, "add") == 1
    with pytest.raises(DeadlockError, match="service 'one' waits"):
        one.call_back(two, "call_back", one, "add")
    assert (one.add(), two.add()) == (1, 2)


def test_in_a_multiplex_daemon_all_services_have_one_thread(kit):
    daemon = kit.daemon(servertype="multiplex")
    one, two = kit.serve(Counter, "one", daemon=daemon), kit.serve(Counter, "two", daemon=daemon)
    assert one.owner == two.owner
    with pytest.raises(DeadlockError, match="service 'two' waits"):
        one.call_back(two, "add")
    assert daemon.restart_service("one")["state"] == "running"
    assert (one.add(), two.add()) == (1, 1)
    assert daemon.stop_service("one")["state"] == "stopped"
    assert two.add() == 2


def test_a_result_that_is_too_large_is_an_error_and_the_service_goes_on(kit):
    config["MAX_MESSAGE_SIZE"] = 100_000
    counter = kit.serve(Counter)
    with pytest.raises(AgentLabError, match="MAX_MESSAGE_SIZE"):
        counter.large(100_001)
    assert len(counter.large(90_000)) == 90_000


def test_an_object_that_is_there_already_can_be_served(kit):
    mine = Counter(3)
    proxy = kit.serve(mine, "mine")
    assert proxy.add() == 4
    assert mine.n == 4
    with pytest.raises(ConfigurationError, match="is one object"):
        kit.daemon().register(mine, "mine", instancemode="percall")
