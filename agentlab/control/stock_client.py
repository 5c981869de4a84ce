"""Calls of objects that are served by stock Pyro5, with serpent. Only where security is ``'none'``: they prove no key.

Pyro5's own proxy writes the requests and reads the answers. What comes is looked at before it gets there: it would read
marshal, inflate whatever is compressed, wait for each byte anew, and raise SystemExit where the other side says so.
"""

from __future__ import annotations

import threading
import time
from typing import Any, Final

import Pyro5.client
import Pyro5.errors
import Pyro5.protocol
import Pyro5.serializers
import Pyro5.socketutil
import serpent

from agentlab.control import frames
from agentlab.control.connecting import connect_stock
from agentlab.control.incoming import Incoming, Policy
from agentlab.control.stream import CHUNK, LARGE_CHUNK, Ready, Stream
from agentlab.control.uri import parse_uri
from agentlab.errors import (
    AgentLabError,
    CallTimeoutError,
    ConnectionLostError,
    RefusedError,
    RemoteError,
    SerializationError,
)
from agentlab.settings import config

KEPT: Final = 4
_FLAGS: Final = frames.EXCEPTION | frames.STREAM | frames.CORRELATION


class _Connection(Pyro5.socketutil.SocketConnection):  # type: ignore[misc]
    """What a proxy of Pyro5 takes for its connection: gives it nothing but whole answers in serpent, in time."""

    def __init__(self, stream: Stream, object_id: str) -> None:
        super().__init__(stream.sock, object_id)
        self._stream = stream
        limit = int(config["MAX_MESSAGE_SIZE"]) + frames.OVERHEAD
        self._incoming = Incoming(Policy(frozenset({frames.RESULT}), frozenset({frames.SERPENT}), _FLAGS, True, limit))
        self._answer = b""
        self._deadline: float | None = None
        self._timeout: float | None = None

    @property
    def timeout(self) -> float | None:
        """Seconds for a request and its answer together."""
        return self._timeout

    @timeout.setter
    def timeout(self, seconds: float | None) -> None:
        self._timeout = seconds

    def send(self, data: bytes) -> None:
        """Send a request."""
        self._deadline = None if self._timeout is None else time.monotonic() + self._timeout
        try:
            self._stream.send([data], self._wait)
        except OSError as error:
            raise Pyro5.errors.ConnectionClosedError(error.strerror or str(error)) from None

    def recv(self, size: int) -> bytes:
        """Give the next bytes of an answer, once all of it is there."""
        if not self._answer:
            self._answer = self._receive()
        data, self._answer = self._answer[:size], self._answer[size:]
        if len(data) < size:
            raise Pyro5.errors.ProtocolError("the answer is shorter than it says")
        return data

    def _receive(self) -> bytes:
        try:
            while (message := self._incoming.take()) is None:
                self._wait(self._stream.readable)
                missing = self._incoming.missing
                data = self._stream.receive(CHUNK if missing <= CHUNK else min(missing, LARGE_CHUNK))
                if data:
                    self._incoming.feed(data)
                elif data is not None:
                    raise Pyro5.errors.ConnectionClosedError("it closed the connection")
        except frames.BadMessageError as error:
            raise Pyro5.errors.ProtocolError(str(error)) from None
        except OSError as error:
            raise Pyro5.errors.ConnectionClosedError(error.strerror or str(error)) from None
        return bytes(message.data)

    def _wait(self, ready: Ready) -> None:
        if not ready(None if self._deadline is None else max(self._deadline - time.monotonic(), 0.0)):
            raise Pyro5.errors.TimeoutError("no answer in time")


class StockClient:
    """Calls one stock object. Any number of threads; each call has a connection to itself while it lasts.

    Args:
        uri: ``PYRO:id@host:port`` or ``PYRO:id@./u:PATH``.
        connect_timeout: Seconds in which a connection must come about.

    Raises:
        RefusedError: security is by key.
        WrongAddressError: that is no such URI.
    """

    def __init__(self, uri: str, *, connect_timeout: float = 3.0) -> None:
        if config["SECURITY"] != "none":
            raise RefusedError(f"refused to call {uri}: stock Pyro5 proves no key; it needs SECURITY 'none' on both sides")
        self.uri = uri
        self._object_id, self._location = parse_uri(uri)
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
            ConnectionLostError: it went away, or gave no proper answer; the call may have run.
            CallTimeoutError: no answer in time; the call may have run, or may run yet.
            SerializationError: an argument cannot be sent, or the result is a stream.
            RemoteError: the method raised what cannot be raised here.
            Exception: whatever the method raised, as Pyro5 rebuilds it.
        """
        proxy, generation = self._take()
        good = False
        try:
            proxy._pyroTimeout = timeout
            message = proxy._pyroInvoke(method, args, kwargs, flags=Pyro5.protocol.FLAGS_ONEWAY if oneway else 0)
            good = message is None or not message.flags & frames.STREAM  # its end closes a stream at the other side
        except Pyro5.errors.CommunicationError as error:
            raise self._translated(error, method, timeout) from None
        except Exception as error:
            raise SerializationError(f"a call of {method}() at {self.uri} cannot be sent by serpent: {error}") from error
        finally:
            if good:
                self._keep(proxy, generation)
            else:
                proxy._pyroRelease()
        return None if message is None else self._result(method, message)

    def _result(self, method: str, message: Any) -> Any:
        """Give what an answer says, or raise it."""
        if message.flags & frames.STREAM:
            raise SerializationError(f"{method}() at {self.uri} gives a stream, which has no end for us; have it return a list")
        try:
            result = Pyro5.serializers.serializers["serpent"].loads(message.data)
        except Exception as error:  # noqa: BLE001 - from SyntaxError to MemoryError
            reason = f"{type(error).__name__}: {str(error)[:200]}"
            raise ConnectionLostError(f"{self.uri} answered {method}() by what cannot be read: {reason}") from None
        if not message.flags & frames.EXCEPTION:
            return serpent.tobytes(result) if _is_bytes(result) else result
        if isinstance(result, Exception):
            raise result
        # SystemExit and its like would end the caller; and what is no exception cannot be raised.
        raise RemoteError(str(result)[:1000], f"{type(result).__module__}.{type(result).__qualname__}", "")

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
        stream, names = connect_stock(self.uri, self._object_id, self._location, self._connect_timeout)
        proxy = Pyro5.client.Proxy(self.uri)
        proxy._pyroSerializer = "serpent"
        proxy._pyroMaxRetries = 0
        proxy._pyroRawWireResponse = True
        proxy._pyroMethods, proxy._pyroOneway, proxy._pyroAttrs = names["methods"], names["oneway"], names["attrs"]
        proxy._pyroConnection = _Connection(stream, self._object_id)
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
    connection = proxy._pyroConnection
    return connection is not None and not connection._stream.readable(0)


def _is_bytes(result: Any) -> bool:
    return isinstance(result, dict) and set(result) == {"data", "encoding"} and result["encoding"] == "base64"
