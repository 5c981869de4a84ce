"""The parts of services that need no daemon: what they are to be, what of a class is served, in which thread and order."""

from __future__ import annotations

import pickle
import threading
import time

import pytest

from agentlab import AgentStoppedError, ConfigurationError
from agentlab.services import surface
from agentlab.services.executor import MOST_QUEUED, Executor, Job
from agentlab.services.model import DaemonSpec, Packed, Service, ServiceSpec, class_name
from agentlab.services.rate import Rate
from tests.services.conftest import eventually
from tests.services.drivers import Connecting, Counter, Nothing


def test_a_service_is_called_like_its_class_unless_it_says_otherwise():
    assert Service(Counter).name == "Counter"
    assert Service("a.b:C.D").name == "D"
    service = Service(Counter, "c", parameters={"start": 1}, nameservers=["localhost", "[::1]:99"], tags=("x",))
    assert service.nameservers == ["localhost:9090", "[::1]:99"]
    assert pickle.loads(pickle.dumps(service)) == service
    assert class_name(Counter) == class_name(Counter()) == class_name("tests.services.drivers:Counter")
    assert class_name(Packed("a.B", b"")) == "a.B"


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Service(Counter, "a@b"), "has a space or an '@'"),
        (lambda: Service(Counter, "a\nb"), "must be printable"),
        (lambda: Service(Counter, "x" * 201), "may have 200 characters"),
        (lambda: Service("a.b.C"), "is 'a.b.C'; write 'package.module:Class'"),
        (lambda: Service(None, "x"), "has no class"),
        (lambda: Service(Counter, instancemode="sesion"), "did you mean 'session'"),
        (lambda: ServiceSpec("x", Counter, parameters=[1]), "parameters of service 'x' must be a dict"),
        (lambda: ServiceSpec("x", Counter, parameters={1: 2}), "parameters of service 'x' must be a dict"),
        (lambda: Service(Counter, "x", nameservers=[":9"]), "nameservers of service 'x'"),
        (lambda: Service(Counter, "x", tags="bench"), "tags of service 'x' must be a list"),
        (lambda: DaemonSpec("d", port=-1), "port of daemon 'd' is -1"),
        (lambda: DaemonSpec("d", natport=True), "natport of daemon 'd' is True"),
        (lambda: DaemonSpec(""), "must be text that is not blank"),
    ],
)
def test_what_cannot_be_is_refused_where_it_is_said(make, text):
    with pytest.raises(ConfigurationError, match=text) as caught:
        make()
    assert "\n" not in str(caught.value)


class Odd:
    public = 3

    class Nested: ...

    @property
    def explodes(self):
        raise AssertionError("a property was read")

    def method(self, a, b=2, *rest, c, **more):
        """Do."""


def test_what_of_a_class_is_served_and_nothing_is_run_for_it():
    assert surface.method_names(Odd) == ["method"]
    assert surface.property_names(Odd) == ["explodes"]
    thing = Odd()
    thing.later, thing._hidden = 1, 2
    assert surface.public_names(Odd, thing) == ["Nested", "explodes", "later", "method", "public"]
    assert surface.document(Odd, "method") == (
        "Do.",
        [("a", 1, None), ("b", 1, "2"), ("rest", 2, None), ("c", 3, None), ("more", 4, None)],
    )
    assert surface.document(Counter, "double")[1] == [("x", 1, None)]
    assert surface.document(Counter, "kind")[1] == []
    assert "serial" in surface.property_names(Counter)
    with pytest.raises(AttributeError, match="did you mean 'method'"):
        surface.document(Odd, "methd")
    with pytest.raises(ConfigurationError, match="has no public method"):
        surface.load_class(Nothing)
    assert surface.load_class("tests.services.drivers:Connecting") is Connecting


def job(done: list, text: str, owner: object = None, wait: threading.Event | None = None) -> Job:
    def run() -> None:
        if wait is not None:
            wait.wait(5)
        done.append((text, threading.get_ident()))

    return Job(text, owner, run, lambda error: done.append((f"{text} refused: {error}", 0)))


def test_an_executor_runs_in_order_in_one_thread_until_its_last_job():
    done, executor = [], Executor("test-x")
    for number in range(50):
        executor.post(job(done, str(number)))
    executor.post(job(done, "last"), last=True)
    executor.post(job(done, "late"))
    assert executor.join(5)
    assert [text for text, _ in done if "late" not in text] == [*map(str, range(50)), "last"]
    assert len({thread for text, thread in done if "late" not in text}) == 1
    late = [text for text, _ in done if "late" in text]
    assert late == ["late refused: test-x has stopped, so nothing runs there any more; start it again"]


def test_an_executor_gives_back_what_has_not_begun():
    done, executor, gate, mine = [], Executor("test-x"), threading.Event(), object()
    executor.post(job(done, "first", mine, gate))
    executor.post(job(done, "mine", mine))
    executor.post(job(done, "other", None))
    eventually(lambda: executor.running(mine))
    assert executor.waiting(mine) == 1
    executor.withdraw(mine, AgentStoppedError("stopped"))
    assert done == [("mine refused: stopped", 0)]
    gate.set()
    executor.post(job(done, "last"), last=True)
    assert executor.join(5)
    assert [text for text, _ in done] == ["mine refused: stopped", "first", "other", "last"]


def test_an_executor_survives_a_job_that_fails_and_has_a_limit(caplog):
    done, executor, gate = [], Executor("test-x"), threading.Event()
    executor.post(Job("bad", None, lambda: 1 / 0))
    executor.post(job(done, "first", wait=gate))
    eventually(lambda: executor.running(None))
    for _ in range(MOST_QUEUED + 1):
        executor.post(job(done, "x"))
    eventually(lambda: done)
    assert "calls wait for test-x already" in done[0][0]
    gate.set()
    executor.post(job(done, "last"), last=True)
    assert executor.join(10)
    assert "ZeroDivisionError" in caplog.text


def test_an_executor_of_several_threads_has_no_more_than_it_may_and_lets_them_end(monkeypatch):
    monkeypatch.setattr("agentlab.services.executor.IDLE_LIFE", 0.05)
    done, executor, gate = [], Executor("test-many", 3), threading.Event()
    for number in range(6):
        executor.post(job(done, str(number), wait=gate))
    eventually(lambda: len(executor.running(None)) == 3)
    gate.set()
    eventually(lambda: len(done) == 6)
    eventually(lambda: not [t for t in threading.enumerate() if t.name == "test-many"])
    executor.post(job(done, "again"), last=True)
    assert executor.join(5)
    assert done[-1][0] == "again"


def test_a_rate_is_of_the_last_whole_second():
    rate = Rate()
    for moment in (10.1, 10.2, 10.9, 11.0):
        rate.count(moment)
    assert rate.value(11.5) == 3.0
    assert rate.value(12.5) == 1.0
    assert rate.value(13.5) == 0.0
    assert rate.total == 4
    assert Rate().value(time.monotonic()) == 0.0
