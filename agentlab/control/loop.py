"""The daemon's I/O thread: accepts, lets strangers prove themselves, watches idle connections, keeps the time.

It never waits for one connection, so a silent or slow one costs a file descriptor and nothing else.
"""

from __future__ import annotations

import contextlib
import logging
import math
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from agentlab.control.auth import Refused
from agentlab.control.complaints import Complaints
from agentlab.control.counters import Counters
from agentlab.control.frames import ONEWAY, SMALL, BadMessageError, Message
from agentlab.control.listener import Listener
from agentlab.control.session import Session
from agentlab.control.timers import Task, Timers

log = logging.getLogger(__name__)

ACCEPT_AT_ONCE: Final = 64
PAUSE: Final = 0.1
_RAN_OUT: Final = "no connection could be accepted: %s; raise the limit of open files"


class IOLoop:
    """The I/O thread's work. :meth:`give_back`, :meth:`every`, :meth:`at` and :meth:`stop` are for any thread.

    Args:
        listener: Where to accept; the loop closes it when it ends.
        greet: Makes the session of an accepted socket.
        submit: Takes a session that has a request; :meth:`give_back` returns it.
        submit_oneway: Takes a request that is not answered; tells whether it did.
        counters: Where to count.
    """

    def __init__(
        self,
        listener: Listener,
        greet: Callable[[socket.socket], Session],
        submit: Callable[[Session], None],
        submit_oneway: Callable[[Session, Message], bool],
        counters: Counters,
    ) -> None:
        self._listener = listener
        self._greet = greet
        self._submit = submit
        self._submit_oneway = submit_oneway
        self._counters = counters
        self.complaints = Complaints(log, self.at)
        """Where anybody complains about the other end of a connection."""
        self._selector = selectors.DefaultSelector()
        self._wake_out, self._wake_in = socket.socketpair()
        self._wake_out.setblocking(False)
        self._wake_in.setblocking(False)
        self.on_signal: Callable[[], object] | None = None
        """Called in the I/O thread when a signal has come whose number was written to :meth:`wake_number`."""
        self._returned: deque[Session] = deque()
        self._timers = Timers()
        self._strangers: dict[Session, None] = {}  # in the order of their coming
        self._lock = threading.Lock()
        self._stopping = False
        self._finished = False

    def run(self) -> None:
        """Serve until :meth:`stop`."""
        self._selector.register(self._listener.sock, selectors.EVENT_READ, None)
        self._selector.register(self._wake_out, selectors.EVENT_READ, None)
        try:
            while not self._stopping:
                for key, _ in self._selector.select(self._timeout()):
                    if isinstance(key.data, Session):
                        self._guarded(self._hear, key.data)
                    elif key.fileobj is self._listener.sock:
                        self._accept()
                    else:
                        self._take_returned()
                self._keep_time()
        finally:
            self.finish()

    def wake_number(self) -> int:
        """Give the descriptor on which a byte wakes the loop; one that is not 0 tells of a signal."""
        return self._wake_in.fileno()

    def give_back(self, session: Session) -> None:
        """Have the loop watch a connection again."""
        self._returned.append(session)
        self._wake()
        if self._finished:
            session.close()

    def every(self, period: float, function: Task) -> None:
        """Call a function in the I/O thread, first after ``period`` seconds, then from start to start."""
        with self._lock:
            self._timers.every(period, function, time.monotonic())
        self._wake()

    def at(self, due: float, function: Task) -> None:
        """Call a function once in the I/O thread, at a time of ``time.monotonic``; at once if that is over."""
        with self._lock:
            self._timers.once(due, function)
        self._wake()

    def stop(self) -> None:
        """Let :meth:`run` end."""
        self._stopping = True
        self._wake()

    def finish(self) -> None:
        """Stop listening and free what the loop owns; by the thread that ran it, or instead of running it."""
        with self._lock:
            if self._finished:
                return
            self._finished = True
        self._listener.close()
        for key in list((self._selector.get_map() or {}).values()):
            if isinstance(key.data, Session):
                key.data.close()
        self._selector.close()
        for session in self._returned:
            session.close()
        self._wake_out.close()
        self._wake_in.close()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # full: it is awake already; closed: it has ended
            self._wake_in.send(b"\0")

    def _guarded(self, step: Callable[[Session], None], session: Session) -> None:
        """Let a connection have its turn; whatever goes wrong ends that connection and nothing else."""
        try:
            step(session)
        except Refused as error:
            with contextlib.suppress(OSError):
                session.stream.sock.send(error.farewell)
            self._refuse(session, str(error))
        except BadMessageError as error:
            self._drop(session, str(error))
        except OSError:
            self._end(session)
        except Exception:  # the control daemon's door
            log.exception("the connection of %s failed", session.who)
            self._end(session)

    def _begin(self, session: Session) -> None:
        self._strangers[session] = None
        self._selector.register(session.stream.sock, selectors.EVENT_READ, session)
        self._watch_clock(session)
        assert session.preamble is not None
        self._send(session, session.preamble.start())

    def _hear(self, session: Session) -> None:
        preamble = session.preamble
        if preamble is None:
            if session.read():
                self._dispatch(session, came=True)
            else:
                self._end(session)
            return
        data = session.stream.receive()
        if data:
            out = preamble.receive(data)
            if preamble.done:
                session.admit()
                self._strangers.pop(session, None)
            self._send(session, out)
        elif data is not None:
            self._end(session)

    def _look_again(self, session: Session) -> None:
        self._selector.register(session.stream.sock, selectors.EVENT_READ, session)
        self._dispatch(session, came=False)

    def _dispatch(self, session: Session, *, came: bool) -> None:
        """Hand a connection on which there is work to a worker; watch it while a small message is not complete."""
        while (message := session.take()) is not None and message.flags & ONEWAY and self._submit_oneway(session, message):
            pass  # what is not answered needs no connection, which may bring the next one meanwhile
        session.pending = message
        if session.pending is not None or (came and session.incoming.missing > SMALL):
            self._selector.unregister(session.stream.sock)
            self._submit(session)
        else:
            self._watch_clock(session)

    def _accept(self) -> None:
        for _ in range(ACCEPT_AT_ONCE):
            try:
                sock, _ = self._listener.sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._make_room(error)
                return
            self._counters.add("connections")
            try:
                session = self._greet(sock)
            except Exception as error:  # noqa: BLE001 - the control daemon's door; it went away already, or the key did
                log.warning("a connection could not be accepted: %s", error)
                sock.close()
                continue
            self._guarded(self._begin, session)

    def _make_room(self, error: OSError) -> None:
        """Out of file descriptors: the stranger who has been silent for longest goes, else accepting pauses."""
        if self._strangers:
            self._refuse(next(iter(self._strangers)), f"there are too many connections ({error.strerror})")
            return
        log.warning(_RAN_OUT, error.strerror)
        self._selector.unregister(self._listener.sock)
        with self._lock:
            self._timers.once(time.monotonic() + PAUSE, self._accept_again)

    def _accept_again(self) -> None:
        self._selector.register(self._listener.sock, selectors.EVENT_READ, None)

    def _take_returned(self) -> None:
        with contextlib.suppress(BlockingIOError):
            if self._wake_out.recv(4096).strip(b"\0") and self.on_signal is not None:
                self.on_signal()
        while self._returned:
            self._guarded(self._look_again, self._returned.popleft())

    def _send(self, session: Session, out: bytes) -> None:
        """Send a few bytes at once, or not at all: nobody is waited for here."""
        if out and session.stream.sock.send(out) < len(out):
            raise BrokenPipeError("the other end reads nothing")

    def _drop(self, session: Session, reason: str) -> None:
        """Close a connection on which came what is not accepted."""
        if session.preamble is not None:
            self._refuse(session, reason)
            return
        self._counters.add("bad_messages")
        self.complaints.warn(session.peer.address, "closed the connection of %s: %s", session.who, reason)
        self._end(session)

    def _refuse(self, session: Session, reason: str) -> None:
        self._counters.add("refused")
        self.complaints.warn(session.peer.address, "refused a connection from %s: %s", session.who, reason)
        self._end(session)

    def _end(self, session: Session) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(session.stream.sock)
        self._strangers.pop(session, None)
        session.close()

    def _watch_clock(self, session: Session) -> None:
        expires = session.expires()
        if expires is not None and expires < session.watched:
            session.watched = expires
            with self._lock:
                self._timers.once(expires, lambda: self._expire(session))

    def _timeout(self) -> float | None:
        due = self._timers.next()
        return None if due is None else max(due - time.monotonic(), 0.0)

    def _keep_time(self) -> None:
        with self._lock:
            tasks = list(self._timers.due(time.monotonic()))
        for task in tasks:
            if self._stopping:
                return
            try:
                task()
            except Exception:  # the control daemon's door
                log.exception("a task of the control daemon's I/O thread failed")

    def _expire(self, session: Session) -> None:
        session.watched = math.inf
        expires = session.expires()
        number = session.stream.sock.fileno()
        if expires is None or number < 0 or number not in (self._selector.get_map() or {}):
            return  # complete meanwhile, or with a worker, who looks at the clock himself
        if expires > time.monotonic():
            self._watch_clock(session)  # it turned out to be a longer message
        else:
            self._drop(session, "what it began did not come to its end in time")
