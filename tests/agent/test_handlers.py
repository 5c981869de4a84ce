"""Handlers: every form becomes one callable, checked when it is set."""

from __future__ import annotations

import asyncio
import functools
import inspect

import pytest

from agentlab.agent.handlers import accepts_positions, method_of, resolve, resolve_many, resolve_topic, resolve_topics
from agentlab.errors import HandlerError


class Owner:
    def __init__(self):
        self.received = []

    def method(self, message):
        return ("method", message)

    def with_topic(self, message, topic):
        return ("method", message, topic)

    def none(self):
        return None

    @classmethod
    def of_class(cls, message):
        return ("class", message)

    @staticmethod
    def of_nobody(agent, message):
        return ("static", agent, message)


class Callable:
    def __call__(self, agent, message):
        return (agent, message)


class CallableWithTopic:
    def __call__(self, agent, message, topic):
        return (message, topic)


@pytest.fixture
def agent():
    return Owner()


def function(agent, message):
    return (agent, message)


def too_little(agent):
    return agent


def with_default(agent, message, scale=2):
    return (message, scale)


def test_functions_get_agent_and_message(agent):
    for handler in (function, lambda a, m: (a, m), Callable(), functools.partial(function)):
        assert resolve(agent, handler)(1) == (agent, 1)


def test_the_agents_own_methods_get_the_message(agent):
    assert resolve(agent, agent.method)(1) == ("method", 1)
    assert resolve(agent, "method")(1) == ("method", 1)
    assert resolve(agent, "of_class")(1) == ("class", 1)
    assert resolve(agent, "of_nobody")(1) == ("static", agent, 1)


def test_a_method_that_was_set_is_found_by_name(agent):
    agent.added = lambda message: ("added", message)
    assert method_of(agent, "added")(1) == ("added", 1)


def test_builtins(agent):
    seen = []
    resolve(agent, seen.append)(1)
    assert seen == [1]
    assert resolve(agent, isinstance)(Owner) is True
    with pytest.raises(HandlerError):
        resolve(agent, len)


def test_bound_methods_of_other_objects(agent):
    class Other:
        def one(self, message):
            return ("one", message)

        def two(self, agent, message):
            return (agent, message)

    other = Other()
    assert resolve(agent, other.one)(1) == ("one", 1)
    assert resolve(agent, other.two)(1) == (agent, 1)


def test_defaults_and_star_arguments(agent):
    assert resolve(agent, with_default)(1) == (1, 2)
    assert resolve(agent, lambda *args: args)(1) == (agent, 1)
    assert resolve(agent, lambda agent, message, **options: (message, options))(1) == (1, {})


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: None,
        lambda agent: None,
        lambda agent, message, more, evenmore: None,
        lambda agent, message, *, needed: None,
        5,
        None,
        b"method",
        {"a": function},
        "no_such_method",
        "received",
        "",
    ],
)
def test_what_cannot_be_called_so_is_refused_at_once(agent, wrong):
    with pytest.raises(HandlerError):
        resolve(agent, wrong)
    with pytest.raises(TypeError):
        resolve(agent, wrong)


def test_the_error_says_what_is_wrong(agent):
    with pytest.raises(HandlerError, match=r"handler '?too_little'? cannot be called with \(agent, message\)"):
        resolve(agent, too_little)
    with pytest.raises(HandlerError, match="no method 'methd'; did you mean 'method'"):
        resolve(agent, "methd")
    with pytest.raises(HandlerError, match="5 is no handler; give a function"):
        resolve(agent, 5)


def test_a_list_runs_in_order_and_stops_at_an_error(agent):
    seen = []

    def bad(agent, message):
        seen.append("bad")
        raise ValueError("bad")

    run = resolve_many(agent, [lambda a, m: seen.append(("one", m)), "method", seen.append, bad, lambda a, m: seen.append("no")])
    with pytest.raises(ValueError, match="bad"):
        run(1)
    assert seen == [("one", 1), 1, "bad"]
    with pytest.raises(HandlerError, match="empty list"):
        resolve_many(agent, [])
    with pytest.raises(HandlerError):
        resolve_many(agent, [function, 5])


def test_coroutines_of_a_list_run_one_after_the_other(agent):
    seen = []

    async def one(agent, message):
        await asyncio.sleep(0)
        seen.append("one")

    async def two(agent, message):
        seen.append("two")

    result = resolve_many(agent, [one, lambda a, m: seen.append("plain"), two])(1)
    assert inspect.iscoroutine(result)
    assert seen == ["plain"]
    asyncio.run(result)
    assert seen == ["plain", "one", "two"]


def test_a_coroutine_that_raises_keeps_the_later_ones_from_running(agent):
    seen = []

    async def bad(agent, message):
        raise ValueError("bad")

    async def two(agent, message):
        seen.append("two")

    with pytest.raises(ValueError, match="bad"):
        asyncio.run(resolve_many(agent, [bad, two])(1))
    assert seen == []


def test_a_plain_handler_that_raises_leaves_no_coroutine_behind(agent):
    async def one(agent, message):
        """Never run."""

    def bad(agent, message):
        raise ValueError("bad")

    with pytest.raises(ValueError, match="bad"):
        resolve_many(agent, [one, bad])(1)


def test_topics_reach_who_has_a_parameter_for_them(agent):
    assert resolve_topic(agent, function)(1, "t") == (agent, 1)
    assert resolve_topic(agent, lambda a, m, topic: (m, topic))(1, "t") == (1, "t")
    assert resolve_topic(agent, with_default)(1, "t") == (1, "t")
    assert resolve_topic(agent, CallableWithTopic())(1, "t") == (1, "t")
    assert resolve_topic(agent, agent.method)(1, "t") == ("method", 1)
    assert resolve_topic(agent, "with_topic")(1, "t") == ("method", 1, "t")
    assert resolve_topic(agent, lambda *args: args)(1, "t") == (agent, 1)
    with pytest.raises(HandlerError, match=r"cannot be called with \(agent, message\) or \(agent, message, topic\)"):
        resolve_topic(agent, lambda a: None)


def test_handlers_by_topic(agent):
    table = resolve_topics(agent, {"a": function, b"b": "method"})
    assert table["a"](1, "t") == (agent, 1)
    assert table[b"b"](1, "t") == ("method", 1)
    assert list(resolve_topics(agent, function)) == [""]
    with pytest.raises(HandlerError):
        resolve_topics(agent, {"a": 5})


def test_how_many_positions_a_callable_takes():
    assert accepts_positions(lambda a, b: None, 2)
    assert not accepts_positions(lambda a: None, 2)
    assert accepts_positions(lambda a, b=1: None, 1)
    assert accepts_positions(lambda *a: None, 7)


def test_an_unknown_method_is_named_with_the_nearest():
    with pytest.raises(HandlerError, match=r"^the agent has no method 'metod'; did you mean 'method'\? known names: 'method'"):
        method_of(Owner(), "metod")
    with pytest.raises(HandlerError, match=r"^'received' of the agent is no method; known names: "):
        method_of(Owner(), "received")
