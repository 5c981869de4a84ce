"""Calls that an agent answers beside its loop, the note that callers send along, and what a newcomer to a PUB socket gets."""

from __future__ import annotations

import threading
import time

import pytest

from agentlab import Agent, AgentLabError, Proxy, run_agent
from agentlab.agent.beside import NOT_MINE, Pending, wait_for
from agentlab.runtime.kinds import proxy_class
from agentlab.testing import wait_agent_attr


class Later(Pending):
    """Answered by a thread of its own."""

    def __init__(self, function):
        self.function = function

    def start(self, done, wanted):
        def work():
            try:
                done(self.function(), None)
            except Exception as error:
                done(None, error)

        threading.Thread(target=work).start()


class Aside(Agent):
    """Answers some calls beside its loop."""

    def on_init(self):
        self.notes = []
        self._beside = self.answer

    def answer(self, method, args, kwargs, note):
        if method == "now":
            self.notes.append(note)
            return [method, args, kwargs]
        if method == "later":
            return Later(lambda: threading.current_thread().name)
        if method == "fails":
            return Later(lambda: 1 / args[0])
        if method == "refuses":
            raise PermissionError("no")
        if method == "_attribute":  # what there is besides methods: a value with a `start` of its own is no promise
            return (True, range(3)) if args == ("reading",) else (False, None)
        return NOT_MINE

    def ordinary(self, seconds=0.0):
        time.sleep(seconds)
        return "loop"

    def asks_itself(self):
        return self.__class__.__name__, Proxy(self.name, self.nsaddr).later()


def test_answers_now_later_or_never(ns):
    aside = run_agent("aside", base=Aside)
    assert aside.now(1, b=2) == ["now", (1,), {"b": 2}]
    assert aside.later() != "MainThread"
    assert aside.reading == range(3)
    assert aside.ordinary() == "loop"
    with pytest.raises(ZeroDivisionError):
        aside.fails(0)
    with pytest.raises(PermissionError, match="no"):
        aside.refuses()
    assert aside.error_count() == 0  # what the caller was told is no error of the agent
    assert aside.get_attr("notes") == [None]


def test_it_answers_while_the_loop_stands_still(ns):
    aside = run_agent("aside", base=Aside)
    slow = aside.future.ordinary(1.0)
    for _ in range(5):  # also on the connection that a call of the loop was made on
        assert aside.later()
    assert not slow.done()
    assert slow.result() == "loop"


def test_an_agent_that_asks_itself_is_answered(ns):
    assert run_agent("aside", base=Aside).asks_itself()[0] == "Aside"


def test_a_caller_sends_its_note_along(ns):
    aside = run_agent("aside", base=Aside)
    aside._core.caller.note = lambda limit: {"who": "me", "limit": limit}
    aside.now()
    aside.timeout(7.0).now()
    aside.oneway.now()
    wait_agent_attr(aside, "notes", length=3, timeout=3)
    limits = [note["limit"] for note in aside.get_attr("notes")]
    assert limits == [None, 7.0, None]
    assert {note["who"] for note in aside.get_attr("notes")} == {"me"}


def test_waiting_for_a_promise_gives_or_raises():
    assert wait_for(Later(lambda: 5)) == 5
    with pytest.raises(AgentLabError, match="it"):
        wait_for(Later(lambda: (_ for _ in ()).throw(AgentLabError("it"))))


def test_proxies_of_agents_are_plain():
    assert proxy_class("agent") is None
    assert proxy_class("something of tomorrow") is None


class Keeper(Agent):
    """Publishes its last value to whoever comes."""

    def on_init(self):
        self.bind("PUB", alias="values")
        self.came = []
        self._links.get("values").on_subscribe = self.tell

    def tell(self, topic):
        self.came.append(topic)
        self.send("values", 42, topic="answer")


class Late(Agent):
    """Comes when everything has been said."""

    def on_init(self):
        self.got = []

    def take(self, message):
        self.got.append(message)


def test_a_late_subscriber_is_told_at_once(ns):
    keeper, late = run_agent("keeper", base=Keeper), run_agent("late", base=Late)
    late.connect(keeper.addr("values"), alias="in", handler={"answer": "take"})
    assert wait_agent_attr(late, "got", length=1, timeout=3)
    assert keeper.get_attr("came") == [b"answer"]  # not our own subscription that tells presence
