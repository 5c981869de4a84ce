"""What workers do: read a request from a connection, run its handler, answer, stay a little for the next one."""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Final

from agentlab.control import frames
from agentlab.control.auth import Peer
from agentlab.control.counters import Counters
from agentlab.control.session import Session
from agentlab.control.workers import WorkerPool
from agentlab.settings import config

if TYPE_CHECKING:
    from agentlab.control.stock import StockDaemon

log = logging.getLogger(__name__)

Handler = Callable[[bytes, Peer], bytes]

REST_PATIENCE: Final = 0.05
"""Seconds that a worker waits for the rest of a message; then the I/O thread does."""


class Serving:
    """The handlers by object id, and the workers' way through a connection. Any thread.

    Args:
        counters: Where to count.
        pool: The workers.
        stock: What handles all that is no plain call, where security is ``'none'``.
        give_back: Returns a connection to the I/O thread.
    """

    def __init__(
        self, counters: Counters, pool: WorkerPool, stock: StockDaemon | None, give_back: Callable[[Session], None]
    ) -> None:
        self.handlers: dict[str, Handler] = {}
        self._counters = counters
        self._pool = pool
        self._stock = stock
        self._give_back = give_back
        self._local = threading.local()
        self._calm = threading.Condition()
        self._in_flight: set[Session] = set()
        self._closing = False

    def submit(self, session: Session) -> None:
        """Have a worker serve a connection; it is given back or closed."""
        self._pool.submit(lambda: self._work(session))

    def stop(self) -> set[Session]:
        """Let no further call begin; give the connections on which one runs."""
        with self._calm:
            self._closing = True
            return set(self._in_flight)

    def wait_calm(self, timeout: float) -> None:
        """Wait for calls that run to be answered, except for the one that the calling thread runs."""
        own = {self.own_session()}
        with self._calm:
            self._calm.wait_for(lambda: not self._in_flight - own, timeout)

    def own_session(self) -> Session | None:
        """Give the connection whose call the calling thread runs, if it runs one."""
        session: Session | None = getattr(self._local, "session", None)
        return session

    def _work(self, session: Session) -> None:
        try:
            while True:
                message = session.take()
                going_on = self._await_more(session) if message is None else self._serve(session, message)
                if not going_on:
                    return
        except frames.BadMessageError as error:
            self._counters.add("bad_messages")
            log.warning("closed the connection of %s: %s", session.who, error)
            session.close()
        except OSError:
            session.close()  # the caller went away, and sees so itself
        except BaseException:  # the control daemon's door
            log.exception("the connection of %s failed", session.who)
            session.close()

    def _await_more(self, session: Session) -> bool:
        """Wait a little for more bytes; tell whether the connection is still ours."""
        started = len(session.incoming) > 0
        if not session.stream.readable(REST_PATIENCE if started else self._pool.linger()):
            self._give_back(session)
            return False
        expires = session.expires()
        if expires is not None and expires < monotonic():
            raise frames.BadMessageError("a message it began did not come to its end in time")
        if not session.read():
            session.close()
            return False
        return True

    def _serve(self, session: Session, message: frames.Message) -> bool:
        """Run one request and answer it; tell whether the connection is still ours."""
        call = self._parse(message)
        if call is None and session.stock is None:
            assert self._stock is not None
            session.stock = self._stock.connect(session)
        if message.flags & frames.ONEWAY:
            self._counters.add("oneway")
            stock = session.stock  # looked up while the connection is ours
            # Given back first: the next call on this connection need not wait for this one.
            self._give_back(session)
            if call is not None:
                self._run(*call, session.peer)
            elif stock is not None and self._stock is not None:
                self._stock.handle(stock.muted(), message)
            return False
        self._counters.add("calls")
        if self._begin(session):
            try:
                self._answer(session, message, call)
            finally:
                self._end(session)
        return not self._closing or self._hang_up(session)

    def _answer(self, session: Session, message: frames.Message, call: tuple[Handler, str, bytes] | None) -> None:
        if call is None:
            assert self._stock is not None and session.stock is not None  # noqa: PT018 - for mypy
            self._stock.handle(session.stock, message)
            return
        answer = self._run(*call, session.peer)
        if isinstance(answer, bytes):
            session.send(frames.pack_result(answer, message.seq))
        else:
            session.send([frames.pack_failure(message.seq, *answer)])

    def _hang_up(self, session: Session) -> bool:
        session.close()
        return False

    def _parse(self, message: frames.Message) -> tuple[Handler, str, bytes] | None:
        """Give handler, object id and payload of a call; None for what stock Pyro5 shall handle.

        Raises:
            BadMessageError: it is nothing that is accepted here.
        """
        plain = message.kind == frames.INVOKE and message.serializer == frames.MSGPACK and not message.flags & frames.BATCH
        if self._stock is not None and not plain:
            return None
        try:
            object_id, method, payload = frames.parse_call(message)
            handler = self.handlers.get(object_id)
            if handler is None or method not in {"call", "cast"}:
                raise frames.BadMessageError("it called an object or a method that is not served here")
        except frames.BadMessageError:
            if self._stock is not None:
                return None
            raise
        return handler, object_id, payload

    def _run(self, handler: Handler, object_id: str, payload: bytes, peer: Peer) -> bytes | tuple[str, str]:
        """Give the answer, or text and type name of what the handler raised."""
        try:
            answer = handler(payload, peer)
            if not isinstance(answer, bytes):
                raise TypeError(f"the handler gave {type(answer).__name__}, not bytes")
            frames.check_size(answer, config["MAX_MESSAGE_SIZE"], "the answer")
            return answer
        except BaseException as error:  # noqa: BLE001 - the control daemon's door: logged and answered
            log.error("the handler of object %r failed:\n%s", object_id, "".join(traceback.format_exception(error)))  # noqa: TRY400
            kind = type(error)
            return f"the handler of object {object_id!r} failed: {error}", f"{kind.__module__}.{kind.__qualname__}"

    def _begin(self, session: Session) -> bool:
        """Count a call as running; give False when none may begin any more."""
        with self._calm:
            if self._closing:
                return False
            self._in_flight.add(session)
        self._local.session = session
        return True

    def _end(self, session: Session) -> None:
        self._local.session = None
        with self._calm:
            self._in_flight.discard(session)
            if self._closing:
                self._calm.notify_all()
