"""What workers do: read a request from a connection, run its handler, answer, stay a little for the next one."""

from __future__ import annotations

import contextlib
import logging
import threading
import traceback
from collections.abc import Callable, Iterator
from time import monotonic
from typing import TYPE_CHECKING, Final

from agentlab.control import frames
from agentlab.control.answers import Handler, Later
from agentlab.control.auth import Peer
from agentlab.control.complaints import Complaints
from agentlab.control.counters import Counters
from agentlab.control.session import Session
from agentlab.control.visitor import Visitor
from agentlab.control.workers import WorkerPool
from agentlab.errors import SerializationError
from agentlab.settings import LEAST_MESSAGE_SIZE, config

if TYPE_CHECKING:
    from agentlab.control.stock import StockDaemon

log = logging.getLogger(__name__)


REST_PATIENCE: Final = 0.05
"""Seconds that a worker waits for the rest of a message; then the I/O thread does."""

AT_ONCE: Final = 32 * 1024
"""Bytes of an answer that a connection takes without anybody having to read: half of the least buffer in use."""

MOST_WAITING: Final = 10_000
MOST_WAITING_BYTES: Final = 64 * 1024 * 1024
"""Oneway calls that may wait for a worker in memory; more stay in the senders' sockets, and then the senders wait."""


class Serving:
    """The handlers by object id, and the workers' way through a connection. Any thread.

    Args:
        counters: Where to count.
        pool: The workers.
        stock: What handles all that is no plain call, where security is ``'none'``.
        give_back: Returns a connection to the I/O thread.
        complaints: Where to complain about the other ends of connections.
    """

    def __init__(
        self,
        counters: Counters,
        pool: WorkerPool,
        stock: StockDaemon | None,
        give_back: Callable[[Session], None],
        complaints: Complaints,
    ) -> None:
        self.handlers: dict[str, Handler] = {}
        self.adopt: Callable[[Visitor], bool] | None = None
        """Asked after each call that was answered later whether somebody else serves that connection from now on."""
        self._counters = counters
        self._pool = pool
        self._stock = stock
        self._give_back = give_back
        self._complaints = complaints
        self._local = threading.local()
        self._calm = threading.Condition()
        self._in_flight: set[Session] = set()
        self._waiting = 0
        self._waiting_bytes = 0
        self._closing = False

    def submit(self, session: Session) -> None:
        """Have a worker serve a connection; it is given back or closed."""
        self._pool.submit(lambda: self._work(session))

    def submit_oneway(self, session: Session, message: frames.Message) -> bool:
        """Have a worker run a request that is not answered; give False when enough of them wait already."""
        size = len(message.data)
        with self._calm:
            if self._waiting >= MOST_WAITING or self._waiting_bytes + size > MOST_WAITING_BYTES:
                return False
            self._waiting += 1
            self._waiting_bytes += size
        self._pool.submit(lambda: self._work_oneway(session, message))
        return True

    def in_flight(self) -> set[Session]:
        """Give the connections on which a call runs."""
        with self._calm:
            return set(self._in_flight)

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
        with self._closing_on_failure(session):
            while True:
                message = session.take()
                going_on = self._await_more(session) if message is None else self._serve(session, message)
                if not going_on:
                    return

    def serve_visitor(self, session: Session) -> bool:
        """Serve what can be read on a connection without ever waiting for it; tell whether it is still the caller's.

        What would have to be waited for, the rest of a large request or the reader of a large answer, a worker gets.
        """
        with self._closing_on_failure(session):
            if not session.read():
                session.close()
                return False
            while (message := session.take()) is not None:
                if not self._serve(session, message, wait=False):
                    return False
            if not len(session.incoming):
                return True
            self.submit(session)
        return False

    def leave(self, session: Session) -> None:
        """Take a connection back from whoever adopted it."""
        self._give_back(session)

    @contextlib.contextmanager
    def _closing_on_failure(self, session: Session) -> Iterator[None]:
        try:
            yield
        except frames.BadMessageError as error:
            self._counters.add("bad_messages")
            self._complaints.warn(session.peer.address, "closed the connection of %s: %s", session.who, error)
            session.close()
        except OSError:
            session.close()  # the caller went away, and sees so itself
        except BaseException:  # the control daemon's door
            log.exception("the connection of %s failed", session.who)
            session.close()

    def _work_oneway(self, session: Session, message: frames.Message) -> None:
        with self._calm:
            self._waiting -= 1
            self._waiting_bytes -= len(message.data)
        try:
            call = self._parse(session, message)
        except frames.BadMessageError as error:
            self._counters.add("bad_messages")
            self._complaints.warn(session.peer.address, "closed the connection of %s: %s", session.who, error)
            session.stream.shutdown()  # it is the I/O thread's, who then closes it
            return
        self._run_oneway(session, message, call)

    def _run_oneway(self, session: Session, message: frames.Message, call: tuple[Handler, str, bytes] | None) -> None:
        """Run a request that is not answered, while the connection may be somebody else's already."""
        self._counters.add("oneway")
        if call is not None:
            answer = self._run(*call, session.peer)
            if isinstance(answer, Later):
                answer.start(lambda _: None)
            return
        assert self._stock is not None and session.stock is not None  # noqa: PT018 - for mypy
        try:
            self._stock.handle(session.stock.muted(), message)
        except BaseException as error:  # noqa: BLE001 - the control daemon's door; not even SystemExit ends a worker
            log.warning("a oneway call of %s failed: %r", session.who, error)

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

    def _serve(self, session: Session, message: frames.Message, *, wait: bool = True) -> bool:
        """Run one request and answer it; tell whether the connection is still ours."""
        call = self._parse(session, message)
        if message.flags & frames.ONEWAY:
            # Given back first: the next call on this connection need not wait for this one.
            self._give_back(session)
            self._run_oneway(session, message, call)
            return False
        self._counters.add("calls")
        if not self._begin(session):
            return self._hang_up(session)
        answer: frames.Parts | Later = []
        try:
            answer = self._answer(session, message, call)
            if isinstance(answer, list) and answer and (wait or _fits(answer)):
                session.send(answer)
                answer = []
        except BaseException:  # the caller went away before its answer: the call has ended all the same
            self._end(session)
            raise
        if not answer:
            self._end(session)
        if isinstance(answer, Later):
            self._local.session = None
            answer.start(_Delivery(self, session, message.seq, visits=answer.visits))
            return False
        if answer:
            self._pool.submit(lambda: self._send_later(session, answer))
            return False
        return not self._closing or self._hang_up(session)

    def deliver(self, session: Session, seq: int, payload: bytes, *, visits: bool = True) -> None:
        """Send an answer that came later, without ever waiting; then see who serves the connection. Any thread."""
        answer = self._pack(payload, seq)
        if not _fits(answer):
            self._pool.submit(lambda: self._send_later(session, answer))
            return
        sent = False
        with self._closing_on_failure(session):
            session.send(answer)
            sent = True
        self._end(session)
        if sent and (not visits or self.adopt is None or not self.adopt(Visitor(session, self))):
            self._give_back(session)

    def _send_later(self, session: Session, answer: frames.Parts) -> None:
        sent = False
        with self._closing_on_failure(session):
            session.send(answer)
            sent = True
        self._end(session)
        if sent:
            self._give_back(session)

    def _answer(self, session: Session, message: frames.Message, call: tuple[Handler, str, bytes] | None) -> frames.Parts | Later:
        """Run a call and give the answer to send; nothing where stock Pyro5 has sent it."""
        if call is None:
            assert self._stock is not None and session.stock is not None  # noqa: PT018 - for mypy
            self._stock.handle(session.stock, message)
            return []
        answer = self._run(*call, session.peer)
        return answer if isinstance(answer, Later) else self._pack(answer, message.seq)

    @staticmethod
    def _pack(answer: bytes | tuple[str, str], seq: int) -> frames.Parts:
        """Give what to send for an answer, at once or later; one that is too large becomes an error."""
        if not isinstance(answer, bytes):
            return [frames.pack_failure(seq, *answer)]
        if len(answer) > LEAST_MESSAGE_SIZE:
            try:
                frames.check_size(answer, config["MAX_MESSAGE_SIZE"], "the answer")
            except SerializationError as error:
                log.error("a call was answered by an error instead: %s", error)  # noqa: TRY400 - it is no fault of ours
                return [frames.pack_failure(seq, str(error), _name(error))]
        return frames.pack_result(answer, seq)

    def _hang_up(self, session: Session) -> bool:
        session.close()
        return False

    def _parse(self, session: Session, message: frames.Message) -> tuple[Handler, str, bytes] | None:
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
            if handler is None and object_id == session.object_id:
                return _gone, object_id, payload
            if handler is None or method not in {"call", "cast"}:
                raise frames.BadMessageError("it called an object or a method that is not served here")
        except frames.BadMessageError:
            if self._stock is not None:
                return None
            raise
        return handler, object_id, payload

    def _run(self, handler: Handler, object_id: str, payload: bytes, peer: Peer) -> bytes | tuple[str, str] | Later:
        """Give the answer, or text and type name of what the handler raised."""
        try:
            answer = handler(payload, peer)
            if isinstance(answer, Later):
                return answer
            if not isinstance(answer, bytes):
                raise TypeError(f"the handler gave {type(answer).__name__}, not bytes")
            return answer
        except _GoneError:
            return f"no object {object_id!r} is served here any more", frames.NOT_SERVED
        except BaseException as error:  # noqa: BLE001 - the control daemon's door: logged and answered
            log.error("the handler of object %r failed:\n%s", object_id, "".join(traceback.format_exception(error)))  # noqa: TRY400
            return f"the handler of object {object_id!r} failed: {error}", _name(error)

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


class _Delivery:
    """Takes the answer of one call that comes later."""

    __slots__ = ("_seq", "_serving", "_session", "_visits")

    def __init__(self, serving: Serving, session: Session, seq: int, *, visits: bool) -> None:
        self._serving, self._session, self._seq, self._visits = serving, session, seq, visits

    def __call__(self, payload: bytes) -> None:
        self._serving.deliver(self._session, self._seq, payload, visits=self._visits)

    def wanted(self) -> bool:
        return not self._session.stream.has_ended()


class _GoneError(Exception):
    """What was called is served no longer."""


def _gone(_payload: bytes, _peer: Peer) -> bytes:
    """Stand in for a handler that was there when the connection was made for it."""
    raise _GoneError


def _name(error: BaseException) -> str:
    return f"{type(error).__module__}.{type(error).__qualname__}"


def _fits(answer: frames.Parts) -> bool:
    """Tell whether a connection takes an answer at once, whether or not anybody reads it."""
    return sum(map(len, answer)) <= AT_ONCE
