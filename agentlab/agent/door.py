"""Calls from other processes: what a proxy sends, executed in the loop or beside it, and answered.

A call is ``(method, args, kwargs, safe)``, and its path where there is one (see :mod:`~agentlab.agent.local`). The answer
is one letter and a payload: ``R`` the result, ``E`` an error, ``U`` the name of a module that cannot be imported here (the
call has not run: send it again by value).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from agentlab.agent import describe, local
from agentlab.agent.agent import Agent
from agentlab.agent.beside import NOT_MINE, Pending, wait_for
from agentlab.agent.calls import RunOrder
from agentlab.agent.letters import ALWAYS_UNSAFE, ERROR, RESULT, UNIMPORTABLE, WHEN_STOPPED, deadlock
from agentlab.agent.mailbox import Call
from agentlab.agent.visitors import Visitors
from agentlab.agent.vitals import Vitals
from agentlab.agent.wires import Wires
from agentlab.control.answers import Deliver, Later, still_wanted
from agentlab.control.payload import UnimportableError, dumps, loads
from agentlab.control.remote_errors import error_to_bytes
from agentlab.errors import AgentStoppedError, RefusedError, SerializationError
from agentlab.settings import config

RUN_PATIENCE = 30.0


class Door:
    """Where calls enter one agent. Called by the control daemon's threads; owned by nobody."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self.uri = ""
        self.waits = local.Waits()
        self._handled: set[int] = set()
        self._security: str = config["SECURITY"]
        self.visitors = Visitors(agent._loop)
        self.vitals = Vitals(agent)
        self.wires = Wires(agent, ())
        self._special: dict[str, Callable[..., Any]] = {
            "run": self._run,
            "_describe": self._describe,
            "_attribute": lambda name: describe.attribute(self.agent, name),
            "_waits": self.waits.on_behalf,
            "_vitals": self.vitals.describe,
            "_wiring": self._wiring,
            "_portrait": lambda name=None: describe.portrait(self.agent, name),
            "_document": self._document,
        }

    @property
    def in_flight(self) -> int:
        """How many calls are being answered."""
        return len(self._handled)

    def handle(self, payload: bytes, _peer: object = None) -> bytes | Later:
        """Execute a call and give its answer, or the promise of one where the loop must execute it; never raises."""
        thread = threading.get_ident()
        self._handled.add(thread)  # a set, as `+= 1` in two threads may count one
        try:
            return self._answer(payload)
        finally:
            self._handled.discard(thread)

    def _answer(self, payload: bytes) -> bytes | Later:
        try:
            method, args, kwargs, safe, *more = loads(payload, security=self._security)
            path, _, note = (*more, *((), "", None)[len(more) :])[:3]
        except UnimportableError as error:
            return UNIMPORTABLE + error.module.encode()
        except (SerializationError, TypeError, ValueError) as error:
            return ERROR + error_to_bytes(error)
        try:
            if self.agent._beside is not None:
                result = self.agent._beside(method, args, kwargs, note)
                if result is not NOT_MINE:
                    return self._later(method, result) if isinstance(result, Pending) else self._result(method, result)
            result = self.execute(method, args, kwargs, safe=safe, path=tuple(path), later=True, beside=False)
        except BaseException as error:  # noqa: BLE001 - the control daemon's door: everything goes to the caller
            return ERROR + error_to_bytes(error)
        return result if isinstance(result, Later) else self._result(method, result)

    def _later(self, method: str, pending: Pending) -> Later:
        """Give the promise of an answer that comes from beside the loop."""

        def start(deliver: Deliver) -> None:
            def done(result: Any, error: BaseException | None) -> None:
                if error is None:
                    try:
                        deliver(self._result(method, result))
                        return
                    except BaseException as caught:  # noqa: BLE001 - it is some other thread, and its caller waits
                        what = f"the result of {method}() of agent {self.agent.name!r} cannot be sent"
                        error = SerializationError(f"{what}: it raised {type(caught).__name__} while it was turned into bytes")
                deliver(ERROR + error_to_bytes(error))

            pending.start(done, lambda: still_wanted(deliver))

        return Later(start, visits=False)

    def _finish(self, method: str, call: Call) -> bytes:
        return self._result(method, call.result) if call.error is None else ERROR + error_to_bytes(call.error)

    def _result(self, method: str, result: Any) -> bytes:
        try:
            return RESULT + dumps(result, security=self._security)
        except (SerializationError, RefusedError) as error:
            unfit = type(error)(f"the result of {method}() of agent {self.agent.name!r} cannot be sent: {error}")
            return ERROR + error_to_bytes(unfit)

    def execute(
        self,
        method: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        safe: bool,
        path: tuple[str, ...] = (),
        later: bool = False,
        beside: bool = True,
    ) -> Any:
        """Run a method of the agent, in its loop if `safe`, else in this thread; `beside`: or where it says itself.

        With `later`, a call that the loop must run is not waited for: what is given is the promise of its answer.
        """
        if beside and self.agent._beside is not None:
            answer = self.agent._beside(method, args, kwargs, None)
            if answer is not NOT_MINE:
                return wait_for(answer) if isinstance(answer, Pending) else answer
        special = self._special.get(method)
        if special is not None:
            return special(*args, **kwargs)
        agent = self.agent
        function = describe.find_method(self.agent, method)
        if not safe or method in ALWAYS_UNSAFE or method.startswith("_"):
            return self._run_with(path, method, function, args, kwargs)
        state = agent._state
        if state.stop_asked and not state.running.is_set() and method not in WHEN_STOPPED:
            raise AgentStoppedError(f"agent {agent.name!r} has stopped, so {method}() would never run; run() it, or call .unsafe")
        if self.uri in path:
            raise deadlock(agent.name, method)
        if agent._loop.in_owner():
            return self._run_with(path, method, function, args, kwargs)

        def run() -> Any:
            return self._run_with(path, method, function, args, kwargs)

        if not later:
            return agent._loop.post(run).wait()
        return Later(lambda deliver: agent._loop.post(run, lambda call: deliver(self._finish(method, call))))

    def _run_with(
        self, path: tuple[str, ...], name: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if not path:
            return self._noted(name, function, args, kwargs)
        with local.handling(self, path):
            return self._noted(name, function, args, kwargs)

    def _noted(self, name: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a method; what it raises is the agent's error too, besides being the caller's."""
        try:
            return function(*args, **kwargs)
        except BaseException as error:  # sys.exit, too: it ends nothing here
            if getattr(function, "__func__", None) not in _BASE_FUNCTIONS:  # a wrong argument to us is no fault of the agent
                self.agent._faults.failed(error, f"call of {name}()")
            raise

    def names(self) -> list[str]:
        """Give the names of the agent's public methods."""
        return describe.method_names(self.agent)

    def _describe(self) -> dict[str, Any]:
        agent = self.agent
        return {"name": agent.name, "kind": agent._kind, "methods": self.names(), "class": type(agent).__qualname__}

    def _wiring(self) -> list[dict[str, Any]]:
        """Give the sockets, and the wires that are not made."""
        return self.wires.describe([describe.socket(link, name) for name, link in self.agent._links.named()])

    def _document(self, name: str | None = None) -> Any:
        return describe.public_names(self.agent) if name is None else describe.document(self.agent, name)

    def _run(self) -> None:
        """Make the agent run, and return once it does."""
        state = self.agent._state
        if state.ending or (state.running.is_set() and not state.stop_asked):
            return
        order = state.ask_run()
        self.agent._loop.wake()
        deadline = time.monotonic() + RUN_PATIENCE
        while not order.begun.wait(0.05) and not state.ending:
            if time.monotonic() > deadline:
                raise TimeoutError(f"agent {self.agent.name!r} did not run within {RUN_PATIENCE:g} s")
        if order.error is not None:
            raise order.error


def serve_orders(door: Door) -> None:
    """Be the agent's thread until it is to end: wait for the order to run, run, and wait again."""
    agent, state = door.agent, door.agent._state
    while (order := _next_order(agent)) is not None:
        state.current = order
        door.visitors.open()
        try:
            agent.run()
        except Exception as error:  # noqa: BLE001 - a door: before_loop, or an overridden run(), is the user's
            order.error = error
            agent._faults.failed(error, "run()")
        finally:
            order.begun.set()
        door.visitors.close()


def _next_order(agent: Agent) -> RunOrder | None:
    """Wait for the order to run, answering calls meanwhile; None: the agent is to end."""
    state = agent._state
    agent._loop.wait_for_orders(lambda: state.order is None and not state.ending)
    order, state.order = state.order, None
    return None if state.ending else order


_BASE_FUNCTIONS = frozenset(
    f for n, f in vars(Agent).items() if callable(f) and n not in ("execute_as_function", "execute_as_method", "raise_exception")
)

__all__ = ["ALWAYS_UNSAFE", "ERROR", "RESULT", "UNIMPORTABLE", "Door", "serve_orders"]
