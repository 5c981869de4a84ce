"""A conversation with a device over one line: one reply to one query, or an error.

Serial bytes have no envelope: a reply that comes late, or one that nobody asked for, looks like the answer to the next query.
So a session looks whether something waits before it asks, takes exactly one reply, and after any doubt refuses to go on until
it was recovered. What carries the bytes is a :class:`~agentlab.instruments.visa.line.Line`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

from agentlab.errors import BadReplyError, DeviceTimeoutError, InstrumentError, LimitError
from agentlab.instruments.model.values import shown
from agentlab.instruments.visa.exchange import LARGEST, LONGEST, QUIET, Exchange
from agentlab.instruments.visa.line import Line
from agentlab.instruments.visa.proving import prove
from agentlab.instruments.visa.silence import Silence


class Session:
    """Queries over a line. Any thread may call; calls wait for each other, so replies are never mixed up.

    After a :class:`~agentlab.errors.DeviceTimeoutError` or :class:`~agentlab.errors.BadReplyError` it is in doubt which query
    the next bytes belong to. Then :attr:`doubt` says why, and nothing is sent or read until :meth:`recover`.

    Args:
        connect: Opens a line; called at once, and for each reopening.
        name: What errors call the device, such as its address.
        timeout: Seconds from sending a query until its whole reply is there, where a call gives no other.
        read_termination: What ends a reply; empty: the line tells.
        write_termination: What is put after each command.
        encoding: Of commands and replies.
        largest: Bytes of the longest reply.
        greeting: Seconds without a byte that are waited for after opening, while what the device says by itself is dropped.

    Raises:
        OfflineError: the device is not there.
        DriverError: replies could never be read: no terminator, and the line does not tell.
    """

    def __init__(
        self,
        connect: Callable[[], Line],
        *,
        name: str = "the device",
        timeout: float = 2.0,
        read_termination: str = "\n",
        write_termination: str = "\n",
        encoding: str = "ascii",
        largest: int = LARGEST,
        greeting: float = 0.0,
    ) -> None:
        self.name, self.timeout = name, timeout
        ends = (read_termination, write_termination)
        self._exchange = Exchange(connect, name=name, ends=ends, encoding=encoding, largest=largest, greeting=greeting)
        self._mutex = threading.RLock()
        self._doubt = ""
        self._silence = Silence(self._exchange)
        self._exchange.open()

    @property
    def doubt(self) -> str:
        """Why nothing can be asked until :meth:`recover`; empty: all is in order."""
        return self._doubt

    @property
    def closed(self) -> bool:
        """Whether no line is open."""
        return self._exchange.closed

    @property
    def frames(self) -> bool:
        """Whether the line tells where a message ends."""
        return self._exchange.frames()

    @property
    def fresh(self) -> bool:
        """Whether reopening drops what the device may still send."""
        return self._exchange.fresh()

    # ------------------------------------------------------------------------------------ asking

    def query(self, command: str, *, timeout: float | None = None) -> str:
        """Send a command and give its reply, without the terminator. Blocks until it is there.

        Args:
            command: Without terminator.
            timeout: Seconds for all of it; None: the session's.

        Raises:
            LimitError: the command cannot be sent as one line in this encoding, or the timeout is none; nothing was sent.
            BadReplyError: something waited that nobody had asked for (nothing was sent), or the reply is too long, more than
                one, or not in this encoding.
            DeviceTimeoutError: no complete reply in time.
            OfflineError: the device is gone, or the session closed.
        """
        data, limit = self._exchange.encoded(command), self._limit(timeout)
        with self._mutex, self._doubting():
            return self._exchange.decoded(self._ask(data, command, limit), command)

    def query_raw(self, command: str, *, timeout: float | None = None) -> bytes:
        """Send a command and give the bytes of its reply, without the terminator; otherwise as :meth:`query`."""
        data, limit = self._exchange.encoded(command), self._limit(timeout)
        with self._mutex, self._doubting():
            return self._ask(data, command, limit)

    def write(self, command: str, *, timeout: float | None = None) -> None:
        """Send a command that has no reply, or whose reply is taken by :meth:`read`. Raises as :meth:`query`, but of replies.

        A device may answer it all the same, and that would be taken for the reply to the next query. So when a kind of command
        (its first word, without numbers) is sent for the first time, the next query is held back for 50 ms, unless that much
        has passed: what comes until then is an error, before it can be a value.

        Args:
            command: Without terminator.
            timeout: Seconds for sending it; None: the session's.
        """
        data, limit = self._exchange.encoded(command), self._limit(timeout)
        with self._mutex, self._doubting():
            self._check_doubt()
            self._silence.expect(command)
            self._exchange.send(data, limit)
            self._silence.told(command)

    def read(self, *, timeout: float | None = None) -> str:
        """Give a reply that was asked for by :meth:`write`. Raises as :meth:`query`."""
        limit = self._limit(timeout)
        with self._mutex, self._doubting():
            self._begin_reading()
            return self._exchange.decoded(self._exchange.reply(time.monotonic() + limit, "a read", limit), "a read")

    def read_raw(self, count: int, *, timeout: float | None = None) -> bytes:
        """Give exactly so many bytes, terminators included, of what was asked for by :meth:`write`."""
        limit = self._limit(timeout)
        with self._mutex, self._doubting():
            self._begin_reading()
            return self._exchange.exactly(count, time.monotonic() + limit, limit)

    def waiting(self) -> bytes:
        """Give what came and was not read, without waiting; it stays. Raises OfflineError if the device is gone."""
        with self._mutex:
            return self._exchange.waiting()

    def distrust(self, why: str) -> None:
        """Have nothing sent or read until :meth:`recover`, as a reply that came makes no sense."""
        self._doubt = self._doubt or why

    def interrupt(self, why: str) -> None:
        """End the wait for a reply in another thread, within 0.1 s, with CancelledCallError; the session is then in doubt.

        Where nobody waits nothing happens. On a bus that frames messages the wait goes on.
        """
        self._exchange.interrupted = why

    def force(self, commands: Iterable[str], *, timeout: float | None = None) -> None:
        """Send commands whatever came before them, for an emergency; what the device answers is dropped by :meth:`recover`.

        Any thread; a query that waits in another one keeps this from sending, so :meth:`interrupt` it first. Afterwards the
        session is in doubt. Blocks for at most `timeout`, to wait and for each command.

        Raises:
            LimitError: a command cannot be sent as one line in this encoding; those before it were sent.
            DeviceTimeoutError: the session is in use all that time, or the device takes none.
            OfflineError: the device is gone, or the session closed.
        """
        limit = self._limit(timeout)
        if not self._mutex.acquire(timeout=limit):
            raise DeviceTimeoutError(f"the session with {self.name} is in use; nothing was sent")
        try:
            self.distrust("commands were sent in an emergency")
            for command in commands:
                self._exchange.send(self._exchange.encoded(command), limit)
        finally:
            self._mutex.release()

    # ------------------------------------------------------------------------------------ recovering

    def clear(self) -> None:
        """Have the device drop what it does and wants to say, and drop what came; blocks up to a second.

        Raises:
            OfflineError: the device is gone.
        """
        with self._mutex:
            self._exchange.clear()
            self._silence.restored()

    def drain(self, quiet: float, limit: float) -> bytes:
        """Drop what comes until nothing has come for `quiet` seconds, at most for `limit` seconds; give it."""
        with self._mutex:
            return self._exchange.drain(quiet, limit)

    def reopen(self) -> None:
        """Close the line and open a new one; nothing of the old one is kept. Blocks while it connects.

        Raises:
            OfflineError: the device is not there.
        """
        with self._mutex:
            self._exchange.open()
            self._doubt = ""
            self._silence.restored()

    def prove(self, ping: str, identity: str = "", *, timeout: float | None = None) -> str:
        """Ask the device who it is, and pass over late replies of before. Arguments, result and errors as :meth:`recover`.

        Where its identity is not known yet it is asked twice: one answer alone may be its greeting, or a late reply, and all that
        follow would be one too late. (On a bus that frames messages neither can be.)
        """
        if not ping:
            return ""
        limit = self._limit(timeout)
        self._exchange.encoded(ping)  # one that cannot be sent leaves no doubt
        with self._mutex, self._doubting():
            found = prove(self._exchange, ping, identity, limit)
            self._silence.restored()
            return found

    def recover(self, ping: str = "", identity: str = "", *, timeout: float | None = None) -> str:
        """Bring the session back into step: drop what may come, reopen, and have the device say who it is.

        A socket is reopened, a serial line flushed (opening it would reset many a device), a GPIB, USB or VXI device cleared;
        where that fails, reopened. Blocks for at most some `timeout` for each step.

        Args:
            ping: What asks for the identity; empty: nothing is asked.
            identity: What the device answered before; empty: what it answers now is taken.
            timeout: Seconds that the device has for its identity; None: the session's.

        Returns:
            The identity; empty without a ping.

        Raises:
            OfflineError: the device is gone.
            DeviceTimeoutError: it does not answer.
            BadReplyError: another device answers, or rubbish.
        """
        with self._mutex:
            why = self._doubt or "its recovery failed"
            try:
                self._start_anew()
                self._doubt = ""
                return self.prove(ping, identity, timeout=timeout)
            except InstrumentError:
                self._doubt = why
                raise

    def close(self) -> None:
        """Close the line. Any thread; twice is fine; never raises. A query that waits in another thread ends with an error."""
        self._exchange.close()

    # ------------------------------------------------------------------------------------ inside

    def _start_anew(self) -> None:
        if self.fresh:
            self.reopen()
            return
        try:
            self.clear()
        except InstrumentError:
            self.reopen()

    def _limit(self, timeout: float | None) -> float:
        if timeout is None:
            return self.timeout
        return _checked(timeout)

    def _ask(self, data: bytes, command: str, limit: float) -> bytes:
        exchange = self._exchange
        self._check_doubt()
        exchange.interrupted = ""  # before it is held back and sent: whoever sees that it was may end the wait at once
        self._silence.expect(command, asks=True)
        deadline = time.monotonic() + limit
        exchange.send(data, limit)
        reply = exchange.reply(deadline, repr(command), limit)
        self._silence.answered(command)
        return reply

    def _begin_reading(self) -> None:
        self._check_doubt()
        self._silence.awaited()
        self._exchange.interrupted = ""

    def _check_doubt(self) -> None:
        if self._doubt:
            raise BadReplyError(f"the session with {self.name} is out of step ({self._doubt}); recover it first")

    def _doubting(self) -> _Doubting:
        return _Doubting(self)


def _checked(timeout: object) -> float:
    """Give a timeout if it is one: with a NaN, which a client may send, a wait would never end. Raises LimitError."""
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 0 < timeout < LONGEST:
        raise LimitError(f"the timeout {shown(timeout)} cannot be; give seconds above 0; nothing was sent")
    return timeout


class _Doubting:
    """Notes what goes wrong inside: from then on the session is in doubt. A class is four times faster than a generator."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is not None:  # also KeyboardInterrupt: the reply that was waited for may still come
            self._session.distrust(str(error) or type(error).__name__)


__all__ = ["LARGEST", "LONGEST", "QUIET", "Session"]
