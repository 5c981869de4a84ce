"""The mailbox: calls of other threads, each answered once."""

from __future__ import annotations

import threading

import pytest

from agentlab.agent.mailbox import Mailbox
from agentlab.errors import AgentStoppedError, CallTimeoutError


@pytest.fixture
def box():
    mailbox = Mailbox(lambda: mailbox.wakes.append(1))
    mailbox.wakes = []
    return mailbox


def test_calls_run_in_the_order_in_which_they_came(box):
    seen = []
    calls = [box.post(lambda n=n: seen.append(n) or n) for n in range(5)]
    assert len(box) == 5
    while box.run_one():
        pass
    assert seen == list(range(5))
    assert [call.wait(0) for call in calls] == list(range(5))
    assert box.run_one() is False


def test_the_answer_may_be_asked_for_again(box):
    call = box.post(lambda: 7)
    box.run_one()
    assert (call.wait(0), call.wait(0), call.wait()) == (7, 7, 7)


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(3), KeyboardInterrupt()])
def test_what_a_call_raises_belongs_to_whoever_asked(box, error):
    def bad():
        raise error

    call, after = box.post(bad), box.post(lambda: "after")
    assert box.run_one()
    assert box.run_one()
    with pytest.raises(type(error)) as caught:
        call.wait(0)
    assert caught.value is error
    assert after.wait(0) == "after"


def test_no_answer_in_time(box):
    call = box.post(lambda: 1)
    with pytest.raises(CallTimeoutError, match="did not answer within 0.01 s"):
        call.wait(0.01)
    box.run_one()
    assert call.wait(0) == 1


def test_only_a_sleeping_loop_is_woken(box):
    box.post(list)
    assert box.wakes == []
    box.sleeping = True
    box.post(list)
    assert box.wakes == [1]


def test_closing_refuses_what_waits_and_what_comes(box):
    waiting = box.post(lambda: 1)
    box.close("the agent has shut down")
    later = box.post(lambda: 2)
    for call in (waiting, later):
        with pytest.raises(AgentStoppedError, match="the agent has shut down"):
            call.wait(0)
    assert box.run_one() is False
    assert len(box) == 0
    box.close("again")


def test_a_call_may_post_another(box):
    inner = []
    outer = box.post(lambda: inner.append(box.post(lambda: "inner")))
    assert box.run_one()
    assert box.run_one()
    assert outer.wait(0) is None
    assert inner[0].wait(0) == "inner"


def test_many_threads_post_and_each_gets_its_own_answer(box):
    answers, done = {}, threading.Event()

    def ask(name):
        answers[name] = [box.post(lambda n=n: (name, n)).wait(5) for n in range(200)]

    def serve():
        while not done.is_set() or box.run_one():
            box.run_one()

    server = threading.Thread(target=serve)
    askers = [threading.Thread(target=ask, args=(name,)) for name in range(4)]
    for thread in (server, *askers):
        thread.start()
    for thread in askers:
        thread.join(10)
    done.set()
    server.join(10)
    assert answers == {name: [(name, n) for n in range(200)] for name in range(4)}


def test_a_mailbox_that_closes_while_threads_post_leaves_nobody_waiting(box):
    outcomes = []

    def ask():
        while True:
            try:
                box.post(lambda: 1).wait(5)
            except AgentStoppedError as error:
                outcomes.append(str(error))
                return

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for thread in askers:
        thread.start()
    for _ in range(1000):
        box.run_one()
    box.close("closed")
    for thread in askers:
        thread.join(10)
    assert outcomes == ["closed"] * 4
