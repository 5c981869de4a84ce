"""Messages cut out of the bytes of one line. What they mean, and whether they can be trusted, is the session's business."""

from __future__ import annotations

import time
from collections.abc import Callable

from agentlab.errors import BadReplyError, CancelledCallError, DeviceTimeoutError, DriverError, LimitError, OfflineError
from agentlab.instruments.model.values import shown
from agentlab.instruments.visa.line import Line

LARGEST = 16 * 1024 * 1024
"""Bytes of the longest reply that is taken."""
QUIET = 0.05
"""Seconds without a byte after which a line is called quiet."""
LONGEST = 1e6
"""Seconds that a reply may take at most."""
_SLICE = 0.1  # seconds after which a query that waits looks whether it is to go on


class Exchange:
    """An open line, or none, and what came over it. One thread at a time, except :meth:`close` and ``interrupted``.

    Args:
        connect: Opens a line.
        name: What errors call the device, such as its address.
        ends: What ends a reply (empty: the line tells), and what is put after each command.
        encoding: Of commands and replies.
        largest: Bytes of the longest reply.
        greeting: Seconds without a byte that are waited for after opening, while what the device says by itself is dropped.

    Attributes:
        unheard: Whether nothing of the line has been heard since it was opened.
        pings: How often the device was asked who it is and has not answered yet, as far as this line knows.
        interrupted: Why a wait for a reply is to end; empty: it is not.

    Raises:
        DriverError: the encoding is none, or cannot write the terminators.
    """

    def __init__(
        self,
        connect: Callable[[], Line],
        *,
        name: str,
        ends: tuple[str, str],
        encoding: str,
        largest: int,
        greeting: float,
    ) -> None:
        self.name, self.encoding, self.largest = name, encoding, largest
        self._connect, self._greeting = connect, greeting
        try:
            self._end, self._write_end = (end.encode(encoding) for end in ends)
        except UnicodeError as error:
            found = getattr(error, "object", ends)
            raise DriverError(f"the termination {found!r} cannot be written in {encoding}") from None
        except (LookupError, ValueError):
            raise DriverError(f"encoding {encoding!r} is not known; give one of Python's, such as 'ascii' or 'utf-8'") from None
        self._line: Line | None = None
        self._buffer = bytearray()
        self.unheard = True
        self.pings = 0
        self.interrupted = ""

    # ------------------------------------------------------------------------------------ the line

    @property
    def closed(self) -> bool:
        """Whether no line is open."""
        return self._line is None

    def line(self) -> Line:
        """Give the open line. Raises OfflineError where there is none."""
        line = self._line
        if line is None:
            raise OfflineError(f"the session with {self.name} is closed")
        return line

    def frames(self) -> bool:
        """Tell whether the line tells where a message ends."""
        return self._line is not None and self._line.frames

    def fresh(self) -> bool:
        """Tell whether opening a line anew drops what the device may still say."""
        return self._line is None or self._line.fresh

    def open(self) -> None:
        """Open a line in place of the last one, of which nothing is kept. Blocks while it connects.

        Raises:
            OfflineError: the device is not there.
            DriverError: replies could never be read.
        """
        self.close()
        line = self._connect()
        try:
            if not self._end and not line.frames:
                raise DriverError(
                    f"replies of {self.name} cannot be read without a read_termination; give what ends them, as '\\n'"
                )
            self._line, self.unheard = line, True
            self._buffer.clear()
            if line.fresh:
                self.pings = 0
            if self._greeting or not (line.fresh or line.frames):
                quiet = self._greeting or QUIET
                self.drain(quiet, max(1.0, quiet))
        except BaseException:  # a device that takes one client only hangs up at once, at every attempt
            self._line = None
            line.close()
            raise

    def close(self) -> None:
        """Close the line. Any thread; twice is fine; never raises. What came stays until the next is opened."""
        line, self._line = self._line, None
        if line is not None:
            line.close()

    def clear(self) -> None:
        """Have the device drop what it does and wants to say, and drop what came. Raises OfflineError."""
        line = self.line()
        line.clear()
        self._buffer.clear()
        if not line.frames:
            self.drain(QUIET, 1.0)

    # ------------------------------------------------------------------------------------ messages

    def send(self, data: bytes, limit: float) -> None:
        """Send bytes, as :meth:`Line.send`."""
        self.line().send(data, limit)

    def waiting(self) -> bytes:
        """Give what came and was not read, without waiting. Raises OfflineError if the device is gone."""
        line = self.line()
        return bytes(self._buffer) or line.waiting()

    def listen(self, seconds: float) -> bytes:
        """Give what came and was not read; if there is nothing, what comes within so many seconds. It stays."""
        if seconds > 0 and not self._buffer:
            try:
                self._buffer += self.line().receive(seconds)[0]
            except DeviceTimeoutError:
                return b""
        return self.waiting()

    def drain(self, quiet: float, limit: float) -> bytes:
        """Drop what comes until nothing has come for `quiet` seconds, at most for `limit` seconds; give it."""
        dropped = bytearray(self._buffer)
        self._buffer.clear()
        line, deadline = self.line(), time.monotonic() + limit
        while (left := deadline - time.monotonic()) > 0 and len(dropped) < self.largest:
            try:
                dropped += line.receive(min(quiet, left))[0]
            except DeviceTimeoutError:
                break
        return bytes(dropped)

    def reply(self, deadline: float, asked: str, limit: float, *, alone: bool = True) -> bytes:
        """Give the next message, without its end; `alone` that nothing may come right behind it."""
        line, buffer, end, seen, ended = self.line(), self._buffer, self._end, 0, False
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

    def exactly(self, count: int, deadline: float, limit: float) -> bytes:
        """Give exactly so many bytes, terminators included."""
        line = self.line()
        while len(self._buffer) < count:
            self._more(line, deadline, f"{count} bytes", limit)
        found = bytes(self._buffer[:count])
        del self._buffer[:count]
        return found

    def _more(self, line: Line, deadline: float, asked: str, limit: float) -> bool:
        """Receive once into the buffer; give whether the message ends there."""
        if len(self._buffer) > self.largest:
            raise BadReplyError(f"{self.name} answered more than {self.largest} bytes to {asked}, and no end of it is in sight")
        while True:
            if self.interrupted:
                raise CancelledCallError(f"the wait for the reply to {asked} was ended: {self.interrupted}")
            left = deadline - time.monotonic()
            if left <= 0:
                raise DeviceTimeoutError(self._silence(asked, limit))
            try:
                data, ended = line.receive(min(left, _SLICE) if line.patient else left)
            except DeviceTimeoutError:
                continue
            self._buffer += data
            return ended

    def _silence(self, asked: str, limit: float) -> str:
        text = f"{self.name} did not answer {asked} within {limit:g} s"
        if not self._buffer:
            return f"{text}; see whether it knows that command, or give it more time"
        return f"{text}: {len(self._buffer)} bytes came, {shown(bytes(self._buffer[-40:]))}, without the end {shown(self._end)}"

    # ------------------------------------------------------------------------------------ text

    def encoded(self, command: str) -> bytes:
        """Give a command as it is sent.

        Raises:
            LimitError: it is no text, or cannot be sent as one line in this encoding.
        """
        if not isinstance(command, str):
            raise LimitError(f"the command {shown(command)} is no text; nothing was sent")
        if "\n" in command or "\r" in command:
            raise LimitError(f"the command {shown(command)} holds a line end, which would make two of it; nothing was sent")
        try:
            data = command.encode(self.encoding)
        except UnicodeError:
            raise LimitError(f"the command {shown(command)} cannot be written in {self.encoding}; nothing was sent") from None
        if b"\n" in data or (self._write_end and self._write_end in data):  # another terminator, or an encoding of two bytes
            raise LimitError(f"the command {shown(command)} holds what ends a command; nothing was sent")
        return data + self._write_end

    def decoded(self, reply: bytes, asked: str) -> str:
        """Give a reply's text. Raises BadReplyError where it is in another encoding."""
        try:
            return reply.decode(self.encoding)
        except UnicodeError:
            raise BadReplyError(f"{self.name} answered {shown(reply)} to {asked!r}, which is no {self.encoding}") from None


__all__ = ["LARGEST", "LONGEST", "QUIET", "Exchange"]
