"""The client's side: calls to one object over a few kept connections."""

from __future__ import annotations

import os
import threading
from typing import Final, Self

from agentlab.control import frames
from agentlab.control.connecting import Connection, connect
from agentlab.control.security import ControlSecurity
from agentlab.control.uri import parse_uri
from agentlab.control.waiting import OnWait, Waiting
from agentlab.errors import ConnectError, ConnectionLostError, RemoteError
from agentlab.settings import LEAST_MESSAGE_SIZE, config

KEPT: Final = 4


class ControlClient:
    """Calls one object. Any number of threads; each call has a connection to itself while it lasts.

    Connections are made when needed, and up to four are kept for later calls. A call is never sent twice.

    Args:
        uri: ``PYRO:id@./u:PATH`` or ``PYRO:id@host:port``.
        security: ``'keys'`` or ``'none'``; ``config['SECURITY']`` if None.
        connect_timeout: Seconds in which a connection must come about, both sides proved.

    Raises:
        WrongAddressError: that is no such URI.
    """

    def __init__(self, uri: str, *, security: str | None = None, connect_timeout: float = 3.0) -> None:
        self.uri = uri
        self._object_id, self._location = parse_uri(uri)
        self._security = ControlSecurity(security)
        self._connect_timeout = connect_timeout
        self._call_head = frames.call_head(self._object_id, "call")
        self._cast_head = frames.call_head(self._object_id, "cast")
        self._lock = threading.Lock()
        self._idle: list[Connection] = []
        self._pid = os.getpid()
        self._generation = 0

    def __repr__(self) -> str:
        return f"ControlClient({self.uri!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def call(
        self, payload: bytes, *, timeout: float | None = None, on_wait: OnWait | None = None, wait_step: float = 1.0
    ) -> bytes:
        """Send a payload and wait for the answer's.

        Args:
            payload: What the handler is given.
            timeout: Seconds in all, connecting included; None waits for ever.
            on_wait: Called with the seconds waited so far, each ``wait_step`` seconds while no answer is there. What
                it raises ends the call.
            wait_step: Seconds.

        Raises:
            ConnectError: nothing was sent; the call has certainly not run.
            ConnectionLostError: the other side went away; the call may have run.
            CallTimeoutError: no answer in time; the call may have run, or may run yet.
            RefusedError: one side has not proved the lab's key to the other; the call has not run.
            RemoteError: the handler itself failed.
            SerializationError: the payload is larger than ``config['MAX_MESSAGE_SIZE']``; nothing was sent.
        """
        waiting = Waiting(self.uri, timeout, on_wait, wait_step)
        connection = self._send(self._call_head, payload, 0, waiting)
        try:
            answer = connection.answer(waiting)
        except BaseException:  # also what on_wait raises, and Ctrl-C: a late answer must not meet the next call
            connection.close()
            raise
        self._keep(connection)
        if isinstance(answer, RemoteError):
            if answer.type_name == frames.NOT_SERVED:
                raise ConnectError(f"no connection to {self.uri}: {answer.args[0]}")
            raise answer
        return answer

    def cast(self, payload: bytes, timeout: float | None = None) -> None:
        """Send a payload and return when the system has taken it; there is no answer.

        Args:
            payload: What the handler is given.
            timeout: Seconds in all; None waits for ever.

        Raises:
            ConnectError: nothing was sent.
            ConnectionLostError: the other side went away; the call may run.
            CallTimeoutError: it could not be sent in time; it does not run.
            RefusedError: one side has not proved the lab's key to the other.
            SerializationError: the payload is larger than ``config['MAX_MESSAGE_SIZE']``; nothing was sent.
        """
        self._keep(self._send(self._cast_head, payload, frames.ONEWAY, Waiting(self.uri, timeout, None, 1.0)))

    def close(self) -> None:
        """Close the kept connections; those in use are closed when their call ends. A later call connects again."""
        with self._lock:
            idle, self._idle = self._idle, []
            self._generation += 1
        for connection in idle:
            connection.close()

    def _send(self, head: bytes, payload: bytes, flags: int, waiting: Waiting) -> Connection:
        """Send a request on a connection that is ours from then on."""
        if len(payload) > LEAST_MESSAGE_SIZE:
            frames.check_size(payload, config["MAX_MESSAGE_SIZE"], "the call")
        while True:
            connection, fresh = self._take(waiting)
            before = connection.stream.sent
            try:
                connection.send(head, payload, flags, waiting)
                return connection
            except OSError as error:
                connection.close()
                if error is waiting.verdict:
                    raise
                if connection.stream.sent > before:
                    raise ConnectionLostError(
                        f"{self.uri} went away while a call was sent to it; the call may have run"
                    ) from None
                if fresh:
                    raise ConnectError(
                        f"{self.uri} went away before a call was sent to it; see whether its process runs"
                    ) from None
                # A kept connection that had ended, and nothing has gone out: the next one.
            except BaseException:
                connection.close()
                raise

    def _take(self, waiting: Waiting) -> tuple[Connection, bool]:
        """Give a kept connection that still stands, or a new one; and whether it is new."""
        with self._lock:
            if self._pid != os.getpid():
                # After a fork: the connections belong to the parent, only our copies of the descriptors are closed.
                for inherited in self._idle:
                    inherited.close()
                self._idle, self._pid = [], os.getpid()
            generation = self._generation
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                break
            # An idle connection has nothing to say: what can be read is its end.
            if not connection.stream.readable(0):
                return connection, False
            connection.close()
        timeout = waiting.left(self._connect_timeout)
        return connect(self.uri, self._object_id, self._location, self._security, timeout, generation), True

    def _keep(self, connection: Connection) -> None:
        with self._lock:
            if connection.generation == self._generation and len(self._idle) < KEPT:
                self._idle.append(connection)
                return
        connection.close()
