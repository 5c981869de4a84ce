"""Methods of agents, as their proxies give them: to be called, and to be asked for their documentation."""

from __future__ import annotations

import inspect
from typing import Any, Self

from agentlab.agent import local
from agentlab.agent.describe import Parameters
from agentlab.errors import CommunicationError
from agentlab.runtime import futures
from agentlab.runtime.calling import Caller


class RemoteMethod:
    """A method of an agent; calling it calls the agent.

    Args:
        caller: Calls the agent.
        name: The method's name.
        flavor: ``call``, ``oneway``, ``future`` or ``aio``.
        safe: Whether it is to run in the agent's loop.
        limit: Seconds to wait for the answer; None: as long as the agent shows signs of life.
    """

    def __init__(self, caller: Caller, name: str, flavor: str, safe: bool, limit: float | None) -> None:
        self.__name__ = name
        self._caller = caller
        self._flavor = flavor
        self._safe = safe
        self._limit = limit

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it; give its result, or None (oneway), a Future (future) or something to await (aio)."""
        caller, name, safe, flavor = self._caller, self.__name__, self._safe, self._flavor
        if flavor == "call":
            return caller.call(name, args, kwargs, safe=safe, timeout=self._limit)
        if flavor == "oneway":
            return caller.cast(name, args, kwargs, safe=False, timeout=self._limit)
        behalf = local.current()
        future = futures.submit(
            caller.name, caller.uri, safe, lambda: caller.call(name, args, kwargs, safe=safe, timeout=self._limit, behalf=behalf)
        )
        if flavor == "future":
            return future
        import asyncio  # it takes 25 ms, which most programs need not spend

        return asyncio.wrap_future(future)

    def __get__(self, _instance: object, _owner: type | None = None) -> Self:
        # What pydoc takes for a routine has this: without it, help() would show our class and not the agent's method.
        return self

    def __repr__(self) -> str:
        return f"<method {self.__name__!r} of agent {self._caller.name!r}>"

    def _document(self) -> tuple[str, Parameters]:
        found = self._caller.call("_document", (self.__name__,), {}, safe=False, timeout=3.0)
        return found[0], found[1]

    @property
    def __doc__(self) -> str:  # type: ignore[override]
        """The docstring of the agent's method."""
        try:
            return self._document()[0]
        except CommunicationError as error:
            return f"({error})"

    @property
    def __signature__(self) -> inspect.Signature:
        """The signature of the agent's method, its defaults as they are written."""
        empty = inspect.Parameter.empty
        return inspect.Signature(
            [
                inspect.Parameter(name, inspect._ParameterKind(kind), default=empty if default is None else _Written(default))
                for name, kind, default in self._document()[1]
            ]
        )


class _Written:
    """A default value, shown as it is written."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text
