"""A conversation with a device over one line: one reply to one query, or an error.

Serial bytes have no envelope: a reply that comes late, or one that nobody asked for, looks like the answer to the next query.
So a session looks whether something waits before it asks, takes exactly one reply, and after any doubt refuses to go on until
it was recovered. What carries the bytes is a :class:`~agentlab.instruments.visa.line.Line`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from agentlab.errors import (
    BadReplyError,
    CancelledCallError,
    DeviceTimeoutError,
    DriverError,
    InstrumentError,
    LimitError,
    OfflineError,
)
from agentlab.instruments.model.values import shown
from agentlab.instruments.visa.line import Line

LARGEST = 16 * 1024 * 1024
"""Bytes of the longest reply that is taken."""
QUIET = 0.05
"""Seconds without a byte after which a line is called quiet."""
LONGEST = 1e6
"""Seconds that a reply may take at most."""
_SLICE = 0.1  # seconds after which a query that waits looks whether it is to go on


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
        self.name, self.timeout, self.encoding, self.largest = name, timeout, encoding, largest
        try:
            self._end = read_termination.encode(encoding)
            self._write_end = write_termination.encode(encoding)
        except LookupError:
            raise DriverError(f"encoding {encoding!r} is not known; give one of Python's, such as 'ascii' or 'utf-8'") from None
        except UnicodeEncodeError as error:
            raise DriverError(f"the termination {error.object!r} cannot be written in {encoding}") from None
        self._connect, self._greeting = connect, greeting
        self._mutex = threading.RLock()
        self._buffer = bytearray()
        self._doubt = ""
        self._interrupted = ""
        self._line: Line | None = None
        self._unheard = True  # nothing of it has been heard since it was opened
        self._open()

    @property
    def doubt(self) -> str:
        """Why nothing can be asked until :meth:`recover`; empty: all is in order."""
        return self._doubt

    @property
    def closed(self) -> bool:
        """Whether no line is open."""
        return self._line is None

    @property
    def frames(self) -> bool:
        """Whether the line tells where a message ends."""
        return self._line is not None and self._line.frames

    @property
    def fresh(self) -> bool:
        """Whether reopening drops what the device may still send."""
        return self._line is None or self._line.fresh

    # ------------------------------------------------------------------------------------ asking

    def query(self, command: str, *, timeout: float | None = None) -> str:
        """Send a command and give its reply, without the terminator. Blocks until it is there.

        Args:
            command: Without terminator.
            timeout: Seconds for all of it; None: the session's.

        Raises:
            LimitError: the command cannot be sent as one line in this encoding; nothing was sent.
            BadReplyError: something waited that nobody had asked for (nothing was sent), or the reply is too long, more than
                one, or not in this encoding.
            DeviceTimeoutError: no complete reply in time.
            OfflineError: the device is gone, or the session closed.
        """
        data = self._encoded(command)
        limit = self.timeout if timeout is None else timeout
        with self._mutex:
            reply = self._ask(data, command, limit)
            return self._decoded(reply, command)

    def query_raw(self, command: str, *, timeout: float | None = None) -> bytes:
        """Send a command and give the bytes of its reply, without the terminator; otherwise as :meth:`query`."""
        data = self._encoded(command)
        with self._mutex:
            return self._ask(data, command, self.timeout if timeout is None else timeout)

    def write(self, command: str, *, timeout: float | None = None) -> None:
        """Send a command that has no reply. Raises as :meth:`query`, except about replies."""
        data = self._encoded(command)
        with self._mutex, self._doubting():
            self._expect_silence(command)
            self._open_line().send(data, self.timeout if timeout is None else timeout)

    def read(self, *, timeout: float | None = None) -> str:
        """Give a reply that was asked for by :meth:`write`. Raises as :meth:`query`."""
        with self._mutex:
            limit = self.timeout if timeout is None else timeout
            with self._doubting():
                self._check_doubt()
                self._interrupted = ""
                reply = self._reply(self._open_line(), time.monotonic() + limit, "a read", limit)
            return self._decoded(reply, "a read")

    def read_raw(self, count: int, *, timeout: float | None = None) -> bytes:
        """Give exactly so many bytes, terminators included, of what was asked for by :meth:`write`."""
        limit = self.timeout if timeout is None else timeout
        with self._mutex, self._doubting():
            self._check_doubt()
            self._interrupted = ""
            line, deadline = self._open_line(), time.monotonic() + limit
            while len(self._buffer) < count:
                self._more(line, deadline, f"{count} bytes", limit)
            found = bytes(self._buffer[:count])
            del self._buffer[:count]
            return found

    def waiting(self) -> bytes:
        """Give what came and was not read, without waiting. Raises OfflineError if the device is gone."""
        with self._mutex:
            return bytes(self._buffer) + self._open_line().waiting()

    def distrust(self, why: str) -> None:
        """Have nothing sent or read until :meth:`recover`, as a reply that came makes no sense."""
        self._doubt = self._doubt or why

    def interrupt(self, why: str) -> None:
        """End the wait for a reply in another thread, within 0.1 s, with CancelledCallError; the session is then in doubt.

        Where nobody waits nothing happens. On a bus that frames messages the wait goes on.
        """
        self._interrupted = why

    # ------------------------------------------------------------------------------------ recovering

    def clear(self) -> None:
        """Have the device drop what it does and wants to say, and drop what came; blocks up to a second.

        Raises:
            OfflineError: the device is gone.
        """
        with self._mutex:
            line = self._open_line()
            line.clear()
            self._buffer.clear()
            if not line.frames:
                self.drain(QUIET, 1.0)

    def drain(self, quiet: float, limit: float) -> bytes:
        """Drop what comes until nothing has come for `quiet` seconds, at most for `limit` seconds; give it."""
        with self._mutex:
            dropped = bytearray(self._buffer)
            self._buffer.clear()
            line, deadline = self._open_line(), time.monotonic() + limit
            while (left := deadline - time.monotonic()) > 0 and len(dropped) < self.largest:
                try:
                    dropped += line.receive(min(quiet, left))[0]
                except DeviceTimeoutError:
                    break
            return bytes(dropped)

    def reopen(self) -> None:
        """Close the line and open a new one; nothing of the old one is kept. Blocks while it connects.

        Raises:
            OfflineError: the device is not there.
        """
        with self._mutex:
            self.close()
            self._open()

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

    def _start_anew(self) -> None:
        if self._line is None or self._line.fresh:
            self.reopen()
            return
        try:
            self.clear()
        except InstrumentError:
            self.reopen()

    def prove(self, ping: str, identity: str = "", *, timeout: float | None = None) -> str:
        """Ask the device who it is, and pass over late replies of before. Arguments, result and errors as :meth:`recover`.

        Where its identity is not known yet it is asked twice: one answer alone may be its greeting, or a late reply, and all that
        follow would be one too late. (On a bus that frames messages neither can be.)
        """
        if not ping:
            return ""
        data, limit = self._encoded(ping), self.timeout if timeout is None else timeout
        found: list[str] = []
        with self._mutex, self._doubting():
            line = self._open_line()
            deadline, self._interrupted = time.monotonic() + limit, ""
            line.send(data, limit)
            while not self._is_proved(found, identity):
                try:
                    reply = self._reply(line, deadline, ping, limit, alone=False)
                except DeviceTimeoutError:
                    if not found:
                        raise
                    raise self._unproved(ping, found, identity) from None
                found.append(self._decoded(reply, ping).strip())
                if len(found) == 1 and not self._is_proved(found, identity):
                    deadline = time.monotonic() + limit
                    if not identity:
                        line.send(data, limit)
                if len(found) > 1000:
                    raise BadReplyError(f"{self.name} does not stop talking: 1000 lines after {ping!r}; look at the device")
            if not found[-1]:
                raise BadReplyError(f"{self.name} answered nothing but a line end to {ping!r}; give another ping")
            # on a serial line an earlier ping, or a query that was given up, may be answered only now; on a new connection
            # a greeting like the identity may have come first
            slow, self._unheard = (not line.fresh or self._unheard) and not line.frames, False
            if more := self.drain(QUIET, limit) if slow else bytes(self._buffer) or line.waiting():
                raise BadReplyError(
                    f"{self.name} goes on talking after its identity {shown(found[-1])}: {shown(more)}; does it greet?"
                )
            return found[-1]

    def _is_proved(self, found: list[str], identity: str) -> bool:
        if identity or self.frames:
            return bool(found) and (not identity or found[-1] == identity)
        return len(found) > 1 and found[-1] == found[-2]

    def _unproved(self, ping: str, found: list[str], identity: str) -> BadReplyError:
        if identity:
            return BadReplyError(
                f"another device answers at {self.name}: {ping!r} gave {shown(found[-1])}, and before {shown(identity)}"
            )
        said = ", then ".join(map(shown, found[-3:])) + (", and then nothing" if len(found) == 1 else "")
        return BadReplyError(
            f"{self.name} does not say twice alike who it is: {ping!r} gave {said}; give another ping, or greeting=1 if it greets"
        )

    def close(self) -> None:
        """Close the line. Any thread; twice is fine; never raises. A query that waits in another thread ends with an error."""
        line, self._line = self._line, None
        self._buffer.clear()
        if line is not None:
            line.close()

    # ------------------------------------------------------------------------------------ inside

    def _open(self) -> None:
        line = self._connect()
        if not self._end and not line.frames:
            line.close()
            raise DriverError(f"replies of {self.name} cannot be read without a read_termination; give what ends them, as '\\n'")
        self._line, self._doubt, self._unheard = line, "", True
        self._buffer.clear()
        if self._greeting or not (line.fresh or line.frames):
            quiet = self._greeting or QUIET
            self.drain(quiet, max(1.0, quiet))

    def _open_line(self) -> Line:
        line = self._line
        if line is None:
            raise OfflineError(f"the session with {self.name} is closed")
        return line

    def _ask(self, data: bytes, command: str, limit: float) -> bytes:
        with self._doubting():
            self._expect_silence(command)
            line, deadline = self._open_line(), time.monotonic() + limit
            self._interrupted = ""  # before it is sent: whoever sees that it was may end the wait at once
            line.send(data, limit)
            return self._reply(line, deadline, repr(command), limit)

    def _expect_silence(self, command: str) -> None:
        """See before a command is sent that nothing waits: it would be taken for the command's reply."""
        self._check_doubt()
        extra = bytes(self._buffer) or self._open_line().waiting()
        if extra:
            raise BadReplyError(
                f"{self.name} sent {shown(extra)} that nobody asked for; {command!r} was not sent, "
                "for its reply could not be told from that"
            )

    def _check_doubt(self) -> None:
        if self._doubt:
            raise BadReplyError(f"the session with {self.name} is out of step ({self._doubt}); recover it first")

    def _reply(self, line: Line, deadline: float, asked: str, limit: float, *, alone: bool = True) -> bytes:
        """Give the next message; `alone` that nothing may come right behind it."""
        buffer, end, seen, ended = self._buffer, self._end, 0, False
        while True:
            if end and (at := buffer.find(end, seen)) >= 0:
                reply = bytes(buffer[:at])
                del buffer[: at + len(end)]
                break
            if ended:
                reply = bytes(buffer)
                buffer.clear()
                break
            seen = max(0, len(buffer) - len(end) + 1)
            ended = self._more(line, deadline, asked, limit)
        if buffer and alone:
            raise BadReplyError(
                f"{self.name} answered more than one reply to {asked}: {shown(reply)}, then {shown(bytes(buffer))}; "
                "see whether read_termination is what it sends"
            )
        return reply

    def _more(self, line: Line, deadline: float, asked: str, limit: float) -> bool:
        """Receive once into the buffer; give whether the message ends there."""
        if len(self._buffer) > self.largest:
            raise BadReplyError(f"{self.name} answered more than {self.largest} bytes to {asked}, and no end of it is in sight")
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise DeviceTimeoutError(self._silence(asked, limit))
            try:
                data, ended = line.receive(min(left, _SLICE) if line.patient else left)
            except DeviceTimeoutError:
                if self._interrupted:
                    raise CancelledCallError(f"the wait for the reply to {asked} was ended: {self._interrupted}") from None
                continue
            self._buffer += data
            return ended

    def _silence(self, asked: str, limit: float) -> str:
        text = f"{self.name} did not answer {asked} within {limit:g} s"
        if not self._buffer:
            return f"{text}; see whether it knows that command, or give it more time"
        return f"{text}: {len(self._buffer)} bytes came, {shown(bytes(self._buffer[-40:]))}, without the end {shown(self._end)}"

    def _encoded(self, command: str) -> bytes:
        if "\n" in command or "\r" in command:
            raise LimitError(f"the command {shown(command)} holds a line end, which would make two of it; nothing was sent")
        try:
            data = command.encode(self.encoding)
        except UnicodeEncodeError:
            raise LimitError(f"the command {shown(command)} cannot be written in {self.encoding}; nothing was sent") from None
        if b"\n" in data or (self._write_end and self._write_end in data):  # another terminator, or an encoding of two bytes
            raise LimitError(f"the command {shown(command)} holds what ends a command; nothing was sent")
        return data + self._write_end

    def _decoded(self, reply: bytes, asked: str) -> str:
        try:
            return reply.decode(self.encoding)
        except UnicodeDecodeError:
            self.distrust("a reply in another encoding")
            raise BadReplyError(f"{self.name} answered {shown(reply)} to {asked!r}, which is no {self.encoding}") from None

    def _doubting(self) -> _Doubting:
        return _Doubting(self)


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


__all__ = ["LARGEST", "QUIET", "Session"]
