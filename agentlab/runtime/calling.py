"""Calling one agent: a call out, its answer in, and a look at what the other side does while no answer comes."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable
from typing import Any

from agentlab.agent import local
from agentlab.agent.door import ALWAYS_UNSAFE, ERROR, RESULT, UNIMPORTABLE
from agentlab.control.connection import ControlClient
from agentlab.control.payload import dumps, loads
from agentlab.control.remote_errors import error_from_bytes
from agentlab.errors import (
    CallTimeoutError,
    CommunicationError,
    ConnectError,
    DeadlockError,
    RemoteError,
    SerializationError,
)
from agentlab.settings import config

PROBE_TIMEOUT = 1.0
MOST_HOPS = 32


class Caller:
    """Calls one agent. Any number of threads may use it at once.

    Args:
        name: The agent's name, for messages.
        uri: Where it is.
        find: Gives its URI when it is no longer there; None: it cannot be looked up.
    """

    def __init__(self, name: str, uri: str, find: Callable[[], str] | None) -> None:
        self.name = name
        self.uri = uri
        self._find = find
        self._security: str = config["SECURITY"]
        self._client = self._client_of(uri)
        # Safe calls have connections of their own: those are served by the agent's loop, and may have to wait for it.
        self._safe_client = self._client_of(uri)

    def _client_of(self, uri: str) -> ControlClient:
        """Give a client whose connections close with this caller: proxies are dropped without a word, by the thousand."""
        client = ControlClient(uri)
        weakref.finalize(self, client.close).atexit = False
        return client

    def call(
        self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any], *, safe: bool, timeout: float | None = None
    ) -> Any:
        """Call a method and give its result.

        Raises:
            ConnectError: the agent is not there; the call has not run.
            ConnectionLostError: it went away meanwhile; the call may have run.
            CallTimeoutError: no answer within `timeout` seconds, or no sign of life within ``config['PATIENCE']``.
            DeadlockError: the agent waits, directly or through others, for this very agent.
            SerializationError: arguments or result cannot be sent.
            Exception: whatever the method raised, as its own type.
        """
        safe = safe and method not in ALWAYS_UNSAFE and not method.startswith("_")
        here = local.current()
        if here is not None and here.uri == self.uri:
            return here.execute(method, args, kwargs, safe=safe)  # an agent's call of itself: the loop is this thread
        payload = self._payload(method, args, kwargs, safe)
        answer = self._exchange(payload, safe, timeout)
        if answer[:1] == UNIMPORTABLE:
            again = self._payload(method, args, kwargs, safe, by_value=(answer[1:].decode("utf-8", "replace"),))
            answer = self._exchange(again, safe, timeout)
        kind, content = answer[:1], answer[1:]
        if kind == RESULT:
            return loads(content, security=self._security)
        if kind == ERROR:
            raise error_from_bytes(content)
        raise RemoteError(f"agent {self.name!r} cannot import what this call needs: {content[:200]!r}")

    def cast(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any], *, safe: bool) -> None:
        """Call a method without waiting for it; returns when the call is sent."""
        payload = self._payload(method, args, kwargs, safe)
        try:
            self._client.cast(payload)
        except ConnectError:
            self._move()
            self._client.cast(payload)

    def _payload(
        self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any], safe: bool, by_value: tuple[str, ...] = ()
    ) -> bytes:
        return dumps((method, args, kwargs, safe), security=self._security, by_value=by_value)

    def _exchange(self, payload: bytes, safe: bool, timeout: float | None) -> bytes:
        try:
            return self._send(payload, safe, timeout)
        except ConnectError:
            self._move()
            return self._send(payload, safe, timeout)

    def _send(self, payload: bytes, safe: bool, timeout: float | None) -> bytes:
        here = local.current()
        client = self._safe_client if safe else self._client
        watch = _Wait(self, here.uri if here is not None and safe else None)
        if here is None:
            return client.call(payload, timeout=timeout, on_wait=watch.look)
        before, here.waiting_for = here.waiting_for, self.uri
        try:
            return client.call(payload, timeout=timeout, on_wait=watch.look)
        finally:
            here.waiting_for = before

    def _move(self) -> None:
        """Look the agent up again, for it may have been started again elsewhere.

        Raises:
            ConnectError: it is nowhere, or still said to be where nobody answers.
        """
        if self._find is None:
            raise ConnectError(f"agent {self.name!r} does not answer at {self.uri}; is it running?")
        try:
            uri = self._find()
        except Exception as error:
            raise ConnectError(f"agent {self.name!r} does not answer any more, and {error}") from error
        if uri == self.uri:
            raise ConnectError(f"agent {self.name!r} does not answer at {self.uri}; it was killed, or is just ending")
        self.close()
        self.uri, self._client, self._safe_client = uri, self._client_of(uri), self._client_of(uri)

    def probe(self, uri: str) -> str | None:
        """Ask the agent at `uri` for the URI of the one it waits for; also a proof of life.

        Raises:
            CommunicationError: it does not answer.
        """
        client = self._client if uri == self.uri else ControlClient(uri, connect_timeout=PROBE_TIMEOUT)
        try:
            answer = client.call(dumps(("_waiting_for", (), {}, False)), timeout=PROBE_TIMEOUT)
            found = loads(answer[1:]) if answer[:1] == RESULT else None
        except SerializationError:
            return None
        finally:
            if client is not self._client:
                client.close()
        return found if isinstance(found, str) else None

    def close(self) -> None:
        """Close the connections; the next call opens one again."""
        self._client.close()
        self._safe_client.close()


class _Wait:
    """What is done while a call waits: look for life on the other side, and for circles."""

    def __init__(self, caller: Caller, own_uri: str | None) -> None:
        self._caller = caller
        self._own_uri = own_uri
        self._last_life = time.monotonic()

    def look(self, _waited: float) -> None:
        caller = self._caller
        try:
            upcoming = caller.probe(caller.uri)
            self._last_life = time.monotonic()
        except CommunicationError as error:
            silent = time.monotonic() - self._last_life
            if silent > config["PATIENCE"]:
                raise CallTimeoutError(
                    f"agent {caller.name!r} has shown no sign of life for {silent:.1f} s (frozen, or stuck in C code); "
                    "the call may have run"
                ) from error
            return
        for _ in range(MOST_HOPS):
            if self._own_uri is None or upcoming is None:
                return
            if upcoming == self._own_uri:
                raise DeadlockError(
                    f"agent {caller.name!r} waits, directly or through others, for the agent that calls it: nobody could answer; "
                    "use .unsafe or .oneway, or send a message. The call may run yet"
                )
            try:
                upcoming = caller.probe(upcoming)
            except CommunicationError:
                return  # whoever waits for that one will notice
