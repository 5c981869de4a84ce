"""How an instrument's proxy asks: in the way of its view, in the name of its client, and knowing what the instrument has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, cast

from agentlab.errors import DeadlockError
from agentlab.instruments.client.remote import ASK
from agentlab.instruments.serving.identity import Identity, driving
from agentlab.runtime import futures
from agentlab.runtime.calling import Caller
from agentlab.runtime.proxy import Proxy
from agentlab.runtime.remote_method import RemoteMethod

LIFE = frozenset(("shutdown", "kill", "ping", "run", "is_running"))
"""What ends, starts and proves an agent: always the agent's, whatever the driver has, and asked without looking first."""

DEVICE = frozenset(("get", "set", "call", "make_safe"))
"""What waits for the thread of the driver, as does a snapshot that is refreshed."""


class Side:
    """What all views of one proxy share: who calls, and what is known of the instrument."""

    def __init__(self) -> None:
        self.client = Identity()
        self.parameters: dict[str, dict[str, Any]] = {}
        self.actions: dict[str, dict[str, Any]] = {}
        self.own: frozenset[str] = frozenset()
        self.whole = True

    def learn(self, described: dict[str, Any]) -> None:
        """Take note of what ``describe`` has told."""
        self.parameters = {one["name"]: one for one in described["parameters"]}
        self.actions = {one["name"]: one for one in described["actions"]}
        self.own = frozenset(described.get("methods", ()))
        self.whole = described.get("whole", True)


class Asking(Proxy):
    """What is below an instrument's proxy. Any thread."""

    _kind: ClassVar[str] = "instrument"

    def _side(self) -> Side:
        found = self._core.__dict__.get("_instrument")
        return cast("Side", found or self._core.__dict__.setdefault("_instrument", Side()))

    def _caller(self) -> Caller:
        caller = cast("Caller", self._core.caller)
        if caller.note is None:
            caller.imports = False  # a vendor's library would take here what the driver has over there
            caller.note = self._side().client.note
        return caller

    def _ask(self, method: str, args: tuple[Any, ...], timeout: float | None) -> Any:
        return self._caller().call(method, args, {}, safe=False, timeout=timeout)

    def _method(self, name: str) -> RemoteMethod:
        self._caller()
        return super()._method(name)

    def _op(
        self,
        method: str,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        finish: Callable[[Any], Any] | None = None,
    ) -> Any:
        """Ask in the way of this view."""
        caller, limit, named = self._caller(), self._limit, kwargs or {}
        if self._flavor == "oneway":
            return caller.cast(method, args, named, safe=False, timeout=limit)

        def call() -> Any:
            result = caller.call(method, args, named, safe=False, timeout=limit)
            return result if finish is None else finish(result)

        if self._flavor == "call":
            _check_driver(caller, method, args)
            return call()
        future = futures.submit(caller.name, caller.uri, False, call)
        if self._flavor == "future":
            return future
        import asyncio  # it takes 25 ms, which most programs need not spend

        return asyncio.wrap_future(future)

    def _learn(self) -> None:
        self._side().learn(self._ask("describe", (), self._limit or ASK))

    def _learn_all(self) -> None:
        """Learn what there is, and wait for a driver that is just being loaded to tell it.

        Raises:
            OfflineError: it was never online, so nobody knows.
        """
        self._learn()
        if not self._side().whole:
            self._ask("_await", ("",), self._limit or ASK)
            self._learn()

    def _what(self, name: str) -> str | None:
        """Tell what a name stands for; asks the instrument when it is not known yet."""
        if name in LIFE:
            return None
        side = self._side()
        for learnt in range(3):
            if name in side.parameters:
                return None if name in side.own else "parameter"
            if name in side.actions:
                return None if name in side.own else "action"
            if any(known.startswith(f"{name}.") for known in (*side.parameters, *side.actions)):
                return "channel"
            if learnt == 0:
                self._learn()
            elif learnt == 1:
                if side.whole:
                    return None
                self._ask("_await", (name,), self._limit or ASK)  # its driver has not told yet what it has
                self._learn()
        return None

    def _parameter(self, name: str) -> dict[str, Any]:
        """Give what the instrument says of a parameter. Raises UnknownParameterError, which names the nearest."""
        return cast("dict[str, Any]", self._ask("_parameter", (name,), self._limit or ASK))


def _check_driver(caller: Caller, method: str, args: tuple[Any, ...] = ()) -> None:
    """Raise DeadlockError where the driver, in its own thread, asks for what that thread alone could do."""
    if driving.uri == caller.uri and (method in DEVICE or (method == "snapshot" and args == (True,))):
        raise DeadlockError(
            f"the driver of {caller.name!r} waits for a proxy of its own instrument, which waits for the driver: "
            f"{method}() could never run; call the driver's own methods, or use .oneway"
        )
