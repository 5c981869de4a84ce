"""Small parts of an agent that are not its surface: its state, its directory, its methods by name."""

from __future__ import annotations

import os
import threading
import types
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

from agentlab.agent.handlers import method_of
from agentlab.errors import AgentLabError, HandlerError
from agentlab.wire.address import AgentAddress
from agentlab.wire.channel import AgentChannel


class RunOrder:
    """One order to run, and how it went.

    Attributes:
        begun: Set when the loop runs, or will not.
        error: What kept it from running, or None.
    """

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.error: BaseException | None = None


class State:
    """What an agent was asked to do; read by its loop, written from any thread and from signal handlers."""

    def __init__(self) -> None:
        self.running = threading.Event()
        self.order: RunOrder | None = None
        """An order to run that nobody has begun to follow."""
        self.current: RunOrder | None = None
        """The order that is being followed."""
        self.stop_asked = False
        self.ending = False
        self.restart_asked = False
        self.end_process: Callable[[], None] = lambda: os._exit(1)

    def ask_run(self) -> RunOrder:
        """Order a run; whoever owns the agent must be woken then."""
        order = self.order
        if order is None:
            order = self.order = RunOrder()
        return order

    def runs(self) -> None:
        """Note that the loop runs now."""
        self.running.set()
        if self.current is not None:
            self.current.begun.set()


class Directory(Protocol):
    """How an agent finds the sockets of others by name; given to it by whoever starts it."""

    def address(self, agent: str, alias: str, timeout: float) -> AgentAddress | AgentChannel:
        """Give the address of an agent's socket, waiting up to `timeout` seconds for both to be there."""
        ...

    def follow(
        self,
        agent: str,
        alias: str,
        moved: Callable[[AgentAddress | AgentChannel], None],
        gone: Callable[[str], None] | None = None,
    ) -> None:
        """Call `moved`, from any thread, with the address of a socket, once it is there and whenever it is elsewhere.

        Call `gone` with the reason when it is not there.
        """
        ...


def is_taken(agent: object, base: type, name: str) -> bool:
    """Tell whether a name means something already; a plain default of a class below `base` does not count."""
    if name in vars(agent) or hasattr(base, name):
        return True
    default = getattr(type(agent), name, None)
    return callable(default) or isinstance(default, property)


def timer_function(agent: object, method: Any) -> Callable[..., Any]:
    """Give what a timer calls: the agent's own method, or a function with the agent as first argument.

    Raises:
        HandlerError: it cannot be called.
    """
    if isinstance(method, str):
        return method_of(agent, method)
    if not callable(method):
        raise HandlerError(f"{method!r} is nothing a timer can call; give a method, a function of the agent, or a method's name")
    if getattr(method, "__self__", None) is not None and not isinstance(method.__self__, types.ModuleType):
        return method  # type: ignore[no-any-return]  # bound to something already
    return partial(method, agent)


def set_methods(agent: object, functions: tuple[Callable[..., Any], ...], named: Mapping[str, Callable[..., Any]]) -> str | None:
    """Add functions to an agent as methods; give the last name."""
    name = None
    for name, function in [*((getattr(f, "__name__", ""), f) for f in functions), *named.items()]:
        if not callable(function):
            raise HandlerError(f"{function!r} cannot be a method; give a function whose first parameter is the agent")
        if not name.isidentifier():
            raise HandlerError(f"{name!r} cannot name a method; give one: set_method(name=function)")
        bound = function if isinstance(function, types.MethodType) else types.MethodType(function, agent)
        setattr(agent, name, bound)
    return name


def forward_record(agent: Any, own: Any, record: dict[str, Any], lost: Callable[[], object]) -> None:
    """Send a log record to a Logger agent, from any thread; waits for nobody.

    Args:
        agent: Who sends.
        own: Its address of the socket to the Logger.
        record: What the Logger gets.
        lost: Called, in any thread, when it cannot be sent: the Logger is gone, frozen or behind.
    """

    def send() -> None:
        agent.send(own, record, timeout=0.0)

    if not agent._loop.in_owner():
        agent._loop.post(send, lambda call: lost() if call.error is not None else None)
        return
    try:
        send()
    except AgentLabError:
        lost()
