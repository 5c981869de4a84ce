"""Calls of objects that are served by stock Pyro5, with serpent. Only where security is ``'none'``: they prove no key."""

from __future__ import annotations

import threading
from typing import Any, Final

import Pyro5.client
import Pyro5.errors
import serpent

from agentlab.errors import (
    AgentLabError,
    CallTimeoutError,
    ConnectError,
    ConnectionLostError,
    RefusedError,
    SerializationError,
)
from agentlab.settings import config

KEPT: Final = 4


class StockClient:
    """Calls one stock object. Any number of threads; each call has a connection to itself while it lasts.

    Args:
        uri: ``PYRO:id@host:port`` or ``PYRO:id@./u:PATH``.
        connect_timeout: Seconds in which a connection must come about.

    Raises:
        RefusedError: security is by key.
    """

    def __init__(self, uri: str, *, connect_timeout: float = 3.0) -> None:
        if config["SECURITY"] != "none":
            raise RefusedError(f"refused to call {uri}: stock Pyro5 proves no key; it needs SECURITY 'none' on both sides")
        self.uri = uri
        self._connect_timeout = connect_timeout
        self._lock = threading.Lock()
        self._idle: list[Any] = []
        self._generation = 0

    def surface(self) -> tuple[set[str], set[str]]:
        """Give the names of its methods and of its attributes.

        Raises:
            ConnectError: nobody answers there, or it is not served.
        """
        proxy, _ = self._take()
        found = set(proxy._pyroMethods), set(proxy._pyroAttrs)
        self._keep(proxy, self._generation)
        return found

    def call(
        self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any], *, timeout: float | None = None, oneway: bool = False
    ) -> Any:
        """Call a method, ``__getattr__`` and ``__setattr__`` for attributes included.

        Args:
            method: Its name.
            args: Plain values.
            kwargs: Plain values.
            timeout: Seconds until :class:`~agentlab.errors.CallTimeoutError`; None waits for ever.
            oneway: Return when it is sent.

        Raises:
            ConnectError: nothing was sent.
            ConnectionLostError: it went away; the call may have run.
            CallTimeoutError: no answer in time; the call may have run, or may run yet.
            SerializationError: an argument cannot be sent.
            Exception: whatever the method raised, as Pyro5 rebuilds it.
        """
        proxy, generation = self._take()
        good = False
        try:
            proxy._pyroTimeout = timeout
            result = proxy._pyroInvoke(method, args, kwargs, flags=Pyro5.protocol.FLAGS_ONEWAY if oneway else 0)
            good = True
        except Pyro5.errors.CommunicationError as error:
            raise self._translated(error, method, timeout) from None
        except Exception as error:
            good = hasattr(error, "_pyroTraceback")  # the object's own: the connection is as good as before
            if not good and isinstance(error, (TypeError, ValueError)):
                raise SerializationError(f"a call of {method}() at {self.uri} cannot be sent by serpent: {error}") from error
            raise
        finally:
            if good:
                self._keep(proxy, generation)
            else:
                proxy._pyroRelease()
        return serpent.tobytes(result) if _is_bytes(result) else result

    def close(self) -> None:
        """Close the kept connections; a later call connects again."""
        with self._lock:
            idle, self._idle = self._idle, []
            self._generation += 1
        for proxy in idle:
            proxy._pyroClaimOwnership()
            proxy._pyroRelease()

    def _take(self) -> tuple[Any, int]:
        with self._lock:
            generation = self._generation
            proxy = self._idle.pop() if self._idle else None
        if proxy is not None:
            proxy._pyroClaimOwnership()
            if _stands(proxy):
                return proxy, generation
            proxy._pyroRelease()
        proxy = Pyro5.client.Proxy(self.uri)
        proxy._pyroSerializer = "serpent"
        proxy._pyroMaxRetries = 0
        proxy._pyroTimeout = self._connect_timeout
        try:
            proxy._pyroBind()
        except Pyro5.errors.CommunicationError as error:
            raise ConnectError(f"nobody answers at {self.uri} ({error}); see whether its process runs") from None
        except Pyro5.errors.PyroError as error:
            raise ConnectError(f"no connection to {self.uri}: {error}") from None
        return proxy, generation

    def _keep(self, proxy: Any, generation: int) -> None:
        with self._lock:
            if generation == self._generation and len(self._idle) < KEPT:
                self._idle.append(proxy)
                return
        proxy._pyroRelease()

    def _translated(self, error: Exception, method: str, timeout: float | None) -> AgentLabError:
        if isinstance(error, Pyro5.errors.TimeoutError):
            return CallTimeoutError(
                f"{self.uri} has not answered {method}() within {timeout or 0:g} s; the call may have run or may run yet"
            )
        if isinstance(error, (Pyro5.errors.SerializeError, Pyro5.errors.MessageTooLargeError)):
            return SerializationError(f"a call of {method}() at {self.uri} cannot be sent: {error}")
        return ConnectionLostError(f"{self.uri} went away during a call of {method}() ({error}); the call may have run")


def _stands(proxy: Any) -> bool:
    """Tell whether a kept connection has not ended: an idle one has nothing to say but its end."""
    import select

    connection = proxy._pyroConnection
    return connection is not None and not select.select([connection.sock], [], [], 0)[0]


def _is_bytes(result: Any) -> bool:
    return isinstance(result, dict) and set(result) == {"data", "encoding"} and result["encoding"] == "base64"
