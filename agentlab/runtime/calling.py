"""Calling one agent: a call out, its answer in, and a look at what the other side does while no answer comes."""

from __future__ import annotations

import contextlib
import secrets
import time
import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from agentlab.agent import local
from agentlab.agent.letters import ALWAYS_UNSAFE, ERROR, RESULT, UNIMPORTABLE, deadlock
from agentlab.agent.local import Wait
from agentlab.control.connection import ControlClient
from agentlab.control.payload import dumps, loads
from agentlab.control.remote_errors import error_from_bytes
from agentlab.errors import (
    CallTimeoutError,
    CommunicationError,
    ConnectError,
    ConnectionLostError,
    DeadlockError,
    NameServerError,
    RefusedError,
    RemoteError,
    SerializationError,
    UnknownNameError,
)
from agentlab.runtime.waiting import Watch
from agentlab.settings import config

if TYPE_CHECKING:
    from agentlab.agent.door import Door  # with all that an agent is, which a caller need not load

PROBE_TIMEOUT = 1.0
RETURN_PATIENCE = 0.4  # seconds that an agent which has ended may take to be back: a restart takes about 0.1 s
RETURN_STEP = 0.01
SLOW = 0.2  # seconds after which it is no refused connection any more, but a frozen process or a lost network

_Answer = TypeVar("_Answer")


class Caller:
    """Calls one agent. Any number of threads may use it at once.

    Args:
        name: The agent's name, for messages.
        uri: Where it is.
        find: Gives its URI when it is no longer there; None: it cannot be looked up.
        kind: What it is, for messages: ``agent``, ``service`` or ``daemon``.
    """

    def __init__(self, name: str, uri: str, find: Callable[[], str] | None, *, kind: str = "agent") -> None:
        self.name = name
        self.uri = uri
        self.kind = kind
        self.note: Callable[[float | None], Mapping[str, Any]] | None = None
        """Gives what is sent along with each call, such as who calls; takes the call's time limit in seconds."""
        self.imports = True
        """Whether what it raises may have modules imported here, to come as its own type."""
        self._token = ""
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

    def join_session(self) -> None:
        """Tell a service, which has an instance for each client, that all connections of this caller are one client's.

        One connection that is used for nothing else keeps the instance, also when calls time out.

        Raises:
            CommunicationError: the service does not answer.
        """
        self._token = self._token or secrets.token_hex(8)
        self._attach()

    def _attach(self) -> None:
        payload = dumps(("_attach", (), {}, False, (), self._token))
        self._client.call(payload, timeout=config["PATIENCE"])

    def call(
        self,
        method: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        safe: bool,
        timeout: float | None = None,
        behalf: Door | None = None,
    ) -> Any:
        """Call a method and give its result.

        Args:
            method: Its name.
            args: Its positional arguments.
            kwargs: Its named arguments.
            safe: Whether it is to run in the agent's loop.
            timeout: Seconds; None: as long as the agent shows signs of life.
            behalf: The agent whose loop may be waiting for this thread.

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
        if safe and self.uri in local.path():
            raise (
                deadlock(self.name, method)
                if self.kind == "agent"
                else DeadlockError(
                    f"{self.kind} {self.name!r} waits, directly or through others, for this very call of {method}(), so it"
                    " can never run: use .oneway, or do it after the answer"
                )
            )
        payload = self._payload(method, args, kwargs, safe, limit=timeout)
        behalf = behalf if here is None else here
        answer = self._exchange(method, payload, safe, timeout, behalf)
        if answer[:1] == UNIMPORTABLE:
            again = self._payload(method, args, kwargs, safe, by_value=(answer[1:].decode("utf-8", "replace"),), limit=timeout)
            answer = self._exchange(method, again, safe, timeout, behalf)
        kind, content = answer[:1], answer[1:]
        if kind == RESULT:
            return loads(content)
        if kind == ERROR:
            raise error_from_bytes(content, imports=self.imports)
        raise RemoteError(f"{self.kind} {self.name!r} cannot import what this call needs: {content[:200]!r}")

    def cast(
        self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any], *, safe: bool, timeout: float | None = None
    ) -> None:
        """Call a method without waiting for it; returns when the call is sent.

        Raises:
            ConnectError: the agent is not there.
            CallTimeoutError: it could not be sent within `timeout` seconds (None: ``config['PATIENCE']``), as to a frozen agent
                that has too much to read already; it does not run.
        """
        limit: float = config["PATIENCE"] if timeout is None else timeout
        payload = self._payload(method, args, kwargs, safe, waits=False, limit=timeout)
        self._until_there(lambda: self._cast(method, payload, limit))

    def _payload(
        self,
        method: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        safe: bool,
        *,
        by_value: tuple[str, ...] = (),
        waits: bool = True,
        limit: float | None = None,
    ) -> bytes:
        path = local.path() if waits else ()
        call: tuple[Any, ...] = (method, args, kwargs, safe)
        if self.note is not None:
            call = (*call, path, self._token, self.note(limit))
        elif self._token:
            call = (*call, path, self._token)
        elif path:
            call = (*call, path)
        try:
            return dumps(call, by_value=by_value)
        except (SerializationError, RefusedError) as error:
            raise type(error)(f"the arguments of {method}() for {self.kind} {self.name!r} cannot be sent: {error}") from None

    def _exchange(self, method: str, payload: bytes, safe: bool, timeout: float | None, behalf: Door | None) -> bytes:
        with local.waiting(self.name, self.uri, safe=safe):
            return self._until_there(lambda: self._send(method, payload, safe, timeout, behalf))

    def _until_there(self, send: Callable[[], _Answer]) -> _Answer:
        """Send; where nobody answers, so that nothing was sent, look the agent up, as often as a restart may take."""
        deadline: float | None = None
        while True:
            began, place = time.monotonic(), self.uri
            try:
                return send()
            except ConnectError as error:
                now = time.monotonic()
                if deadline is None:
                    deadline = now + RETURN_PATIENCE
                slow = now - began > SLOW
                self._move(deadline)
                if self.uri != place:
                    continue
                if slow or time.monotonic() > deadline:
                    raise ConnectError(
                        f"{self.kind} {self.name!r} does not answer at {self.uri}; it was killed, or is just ending"
                    ) from error
                time.sleep(RETURN_STEP)

    def _cast(self, method: str, payload: bytes, timeout: float) -> None:
        try:
            self._client.cast(payload, timeout=timeout)
        except ConnectionLostError as error:
            raise self._lost(method, error) from None

    def _lost(self, method: str, error: ConnectionLostError) -> ConnectionLostError:
        """Give the same error about whom the user knows, by name and not by address."""
        text = str(error).replace(self.uri, f"{self.kind} {self.name!r}")
        own = "" if method.startswith("_") else f" of {method}()"
        return ConnectionLostError(text.replace("during a call", f"during a call{own}"))

    def _send(self, method: str, payload: bytes, safe: bool, timeout: float | None, behalf: Door | None) -> bytes:
        client = self._safe_client if safe else self._client
        watch = Watch(self.name, self.uri, self.probe, safe=safe, behalf=behalf, kind=self.kind)
        try:
            return client.call(payload, timeout=timeout, on_wait=watch.look, wait_step=watch.step)
        except ConnectionLostError as error:
            raise self._lost(method, error) from None
        except CallTimeoutError as error:
            if error.__cause__ is not None or timeout is None:
                raise  # the watch's own, which says more
            raise CallTimeoutError(
                f"{self.kind} {self.name!r} did not answer {method}() within {timeout:g} s; the call may have run, or may run yet"
            ) from None

    def _move(self, deadline: float) -> None:
        """Look the agent up again, for it may have been started again elsewhere.

        Raises:
            ConnectError: it is nowhere.
        """
        if self._find is None:
            raise ConnectError(f"{self.kind} {self.name!r} does not answer at {self.uri}; is it running?")
        uri = self._find_again(deadline)
        if uri == self.uri:
            return
        self.close()
        self.uri, self._client, self._safe_client = uri, self._client_of(uri), self._client_of(uri)
        if self._token:
            with contextlib.suppress(CommunicationError):  # the call itself will meet the same, and say so
                self._attach()

    def _find_again(self, deadline: float) -> str:
        assert self._find is not None
        while True:
            try:
                return self._find()
            except UnknownNameError as error:
                if time.monotonic() > deadline:
                    raise ConnectError(f"{self.kind} {self.name!r} does not answer any more, and {error}") from None
                time.sleep(RETURN_STEP)
            except NameServerError as error:
                raise ConnectError(f"{self.kind} {self.name!r} does not answer any more, and {error}") from None

    def probe(self, uri: str, behalf: str | None) -> list[Wait]:
        """Ask the agent at `uri` what it waits for. Also a proof of life.

        Raises:
            CommunicationError: it does not answer.
        """
        client = self._client if uri == self.uri else ControlClient(uri, connect_timeout=PROBE_TIMEOUT)
        try:
            answer = client.call(dumps(("_waits", (behalf,), {}, False)), timeout=PROBE_TIMEOUT)
            return [(to, safe, token, name) for to, safe, token, name in loads(answer[1:])] if answer[:1] == RESULT else []
        finally:
            if client is not self._client:
                client.close()

    def close(self) -> None:
        """Close the connections; the next call opens one again."""
        self._client.close()
        self._safe_client.close()
