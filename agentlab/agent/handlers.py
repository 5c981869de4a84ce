"""Handlers: from whatever a user gives to one callable, found and checked once, when it is set."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any

from agentlab.errors import HandlerError, nearest

MessageHandler = Callable[[Any], Any]
TopicHandler = Callable[[Any, Any], Any]


def resolve(agent: object, handler: Any) -> MessageHandler:
    """Give a callable of the message alone.

    Args:
        agent: Given to the handler as its first argument.
        handler: A function of (agent, message), a lambda, a builtin, the agent's own method, the name of one, or any callable.

    Raises:
        HandlerError: it cannot be called, or not with these arguments.
    """
    function, takes_agent, capacity = _inspect(agent, handler)
    if capacity is not None and not _accepts(capacity, 1 + takes_agent):
        raise HandlerError(_misfit(handler, takes_agent, topic=False))
    return partial(function, agent) if takes_agent else function


def resolve_many(agent: object, handlers: Any) -> MessageHandler:
    """Give a callable of the message for a handler or a list of handlers, run in order.

    Of a list with ``async def`` handlers it returns one coroutine, in which theirs run one after the other.
    """
    if not isinstance(handlers, (list, tuple)):
        return resolve(agent, handlers)
    if not handlers:
        raise HandlerError("an empty list of handlers would drop every message; give at least one")
    steps = [resolve(agent, handler) for handler in handlers]

    def run_all(message: Any) -> Coroutine[Any, Any, None] | None:
        coroutines: list[Coroutine[Any, Any, Any]] = []
        try:
            for step in steps:
                result = step(message)
                if inspect.iscoroutine(result):
                    coroutines.append(result)
        except BaseException:
            _close_all(coroutines)
            raise
        return _one_by_one(coroutines) if coroutines else None

    return run_all


async def _one_by_one(coroutines: list[Coroutine[Any, Any, Any]]) -> None:
    try:
        for coroutine in coroutines:
            await coroutine
    finally:
        _close_all(coroutines)  # one that raised keeps the later ones from the message, as in a list of plain functions


def _close_all(coroutines: list[Coroutine[Any, Any, Any]]) -> None:
    for coroutine in coroutines:
        coroutine.close()


def resolve_topic(agent: object, handler: Any) -> TopicHandler:
    """Give a callable of (message, topic); the topic reaches the handlers that have a parameter for it."""
    function, takes_agent, capacity = _inspect(agent, handler)
    if takes_agent:
        bound: Callable[..., Any] = partial(function, agent)
    else:
        bound = function
    if capacity is None or _accepts(capacity, 2 + takes_agent, by_default=False):
        return bound if capacity is not None else _without_topic(bound)
    if not _accepts(capacity, 1 + takes_agent):
        raise HandlerError(_misfit(handler, takes_agent, topic=True))
    return _without_topic(bound)


def _without_topic(function: Callable[..., Any]) -> TopicHandler:
    return lambda message, _topic: function(message)


def resolve_topics(agent: object, handlers: Any) -> dict[Any, TopicHandler]:
    """Give topic -> callable for a dict of handlers, or for one handler of everything (topic ``""``)."""
    if isinstance(handlers, Mapping):
        return {topic: resolve_topic(agent, handler) for topic, handler in handlers.items()}
    return {"": resolve_topic(agent, handlers)}


def method_of(agent: object, name: str) -> Callable[..., Any]:
    """Give the agent's method of that name.

    Raises:
        HandlerError: the agent has no such method.
    """
    method = getattr(agent, name, None)
    if not callable(method):
        known = [n for n in dir(agent) if not n.startswith("_") and callable(getattr(agent, n, None))]
        why = f"{name!r} of the agent is no method" if hasattr(agent, name) else f"the agent has no method {name!r}"
        raise HandlerError(f"{why}{nearest(name, known)}")
    return method  # type: ignore[no-any-return]


def accepts_positions(function: Callable[..., Any], arguments: int) -> bool:
    """Tell whether a callable can be called with so many positional arguments; one without a signature is believed not."""
    capacity = _capacity(function)
    return capacity is not None and _accepts(capacity, arguments)


_Capacity = tuple[int, float, int]
"""Least positional arguments, most, and how many have no default and are not *args (to tell a topic parameter)."""


def _inspect(agent: object, handler: Any) -> tuple[Callable[..., Any], bool, _Capacity | None]:
    if isinstance(handler, str):
        handler = method_of(agent, handler)
    if not callable(handler):
        raise HandlerError(f"{handler!r} is no handler; give a function of (agent, message), a method, or the name of one")
    capacity = _capacity(handler)
    own = getattr(handler, "__self__", None) is agent
    if own:
        return handler, False, capacity
    foreign_method = inspect.ismethod(handler) or (inspect.isbuiltin(handler) and not inspect.ismodule(handler.__self__))
    if foreign_method and capacity is not None and capacity[1] == 1:
        return handler, False, capacity  # such as results.append
    return handler, True, capacity


def _capacity(function: Callable[..., Any]) -> _Capacity | None:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None  # some builtins have no signature: they are believed
    least, most, named = 0, 0.0, 0
    for parameter in parameters:
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            most += 1
            named += 1
            least += parameter.default is parameter.empty
        elif parameter.kind is parameter.VAR_POSITIONAL:
            most = float("inf")
        elif parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty:
            return 1, 0, 0  # cannot be called with positions alone
    return least, most, named


def _accepts(capacity: _Capacity, arguments: int, *, by_default: bool = True) -> bool:
    least, most, named = capacity
    if not by_default and named < arguments:
        return False  # *args alone is no parameter for a topic
    return least <= arguments <= most


def _misfit(handler: Any, takes_agent: bool, *, topic: bool) -> str:
    name = getattr(handler, "__name__", repr(handler))
    wanted = ["agent"] * takes_agent + ["message"]
    also = f" or ({', '.join([*wanted, 'topic'])})" if topic else ""
    return f"handler {name} cannot be called with ({', '.join(wanted)}){also}; change its parameters"
