"""Calling objects of stock Pyro5 as if they were agents or services: for proxies, which need not know the difference."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable
from typing import Any, ClassVar

from agentlab.agent.describe import Parameters
from agentlab.control.stock_client import StockClient
from agentlab.errors import ConnectError, NameServerError, nearest
from agentlab.runtime.calling import RETURN_PATIENCE, RETURN_STEP


class StockCaller:
    """Calls one object of stock Pyro5; has the methods of :class:`~agentlab.runtime.calling.Caller`. Any thread.

    Args:
        name: Its name, for messages.
        uri: Where it is.
        find: Gives its URI when it is no longer there; None: it cannot be looked up.

    Raises:
        RefusedError: security is by key, which stock Pyro5 cannot prove.
    """

    kind = "object"

    def __init__(self, name: str, uri: str, find: Callable[[], str] | None) -> None:
        self.name = name
        self.uri = uri
        self._find = find
        self._client = self._client_of(uri)

    def _client_of(self, uri: str) -> StockClient:
        client = StockClient(uri)
        weakref.finalize(self, client.close).atexit = False
        return client

    def call(
        self,
        method: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        safe: bool = False,  # noqa: ARG002 - means nothing to it
        timeout: float | None = None,
        behalf: object = None,  # noqa: ARG002
    ) -> Any:
        """Call a method and give its result; `timeout` in seconds, None waits for ever.

        Raises:
            ConnectError: it is not there; the call has not run.
            ConnectionLostError: it went away meanwhile; the call may have run.
            CallTimeoutError: no answer in time.
            Exception: whatever the method raised, as Pyro5 rebuilds it.
        """
        special = self._SPECIAL.get(method)
        if special is not None:
            return special(self, *args, **kwargs)
        return self._reach(lambda: self._client.call(method, args, kwargs, timeout=timeout))

    def cast(
        self,
        method: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        safe: bool = False,  # noqa: ARG002
        timeout: float | None = None,
    ) -> None:
        """Call a method without waiting for it."""
        self._reach(lambda: self._client.call(method, args, kwargs, timeout=timeout, oneway=True))

    def join_session(self) -> None:
        """Nothing: it knows no clients."""

    def close(self) -> None:
        """Close the connections; the next call opens one again."""
        self._client.close()

    def _reach(self, send: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + RETURN_PATIENCE
        while True:
            try:
                return send()
            except ConnectError:
                if self._find is None or time.monotonic() > deadline:
                    raise
            time.sleep(RETURN_STEP)
            try:
                uri = self._find()
            except NameServerError as error:
                raise ConnectError(f"object {self.name!r} does not answer any more, and {error}") from None
            if uri != self.uri:
                self.close()
                self.uri, self._client = uri, self._client_of(uri)

    def _describe(self) -> dict[str, Any]:
        methods, _ = self._reach(self._client.surface)
        return {"name": self.name, "methods": sorted(methods), "class": "object", "kind": "object"}

    def _attribute(self, name: str) -> tuple[bool, Any]:
        methods, attributes = self._reach(self._client.surface)
        if name in methods:
            return False, None
        if name not in attributes:
            raise AttributeError(f"object {self.name!r} has no method or attribute {name!r}{nearest(name, methods | attributes)}")
        return True, self._reach(lambda: self._client.call("__getattr__", (name,), {}))

    def _assign(self, **values: Any) -> None:
        for name, value in values.items():
            self._reach(lambda name=name, value=value: self._client.call("__setattr__", (name, value), {}))  # type: ignore[misc]

    def _document(self, name: str | None = None) -> list[str] | tuple[str, Parameters]:
        if name is not None:
            return "", []
        methods, attributes = self._reach(self._client.surface)
        return sorted(methods | attributes)

    _SPECIAL: ClassVar[dict[str, Callable[..., Any]]] = {
        "_describe": _describe,
        "_attribute": _attribute,
        "_document": _document,
        "_set": _assign,
    }
