"""Devices that answer from a transcript: for tests of drivers, without hardware.

A transcript says which command gets which reply. It serves them over TCP, for any driver in any process, or in memory, for a
:class:`~agentlab.instruments.visa.session.Session`; it notes what it did not expect, and can be slow, late, silent, garbled or
talkative. :func:`record` makes one from a real device.
"""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentlab.errors import ConfigurationError, InstrumentError, OfflineError
from agentlab.instruments.visa.line import Line
from agentlab.testing.transcript_server import MemoryLine, TranscriptServer


@dataclass(frozen=True, slots=True)
class Reply:
    """What a device does after a command.

    Args:
        data: Text is followed by the terminator; bytes are sent as they are; None: nothing is sent.
        delay: Seconds before it. The connection that asked is not served meanwhile, others are.
        then: What comes after it, without having been asked for.
        hang_up: Whether the connection is closed at last.
    """

    data: str | bytes | None = None
    delay: float = 0.0
    then: Reply | None = None
    hang_up: bool = False


def late(text: str, seconds: float) -> Reply:
    """A reply that comes late."""
    return Reply(text, delay=seconds)


def raw(data: bytes) -> Reply:
    """Bytes as they are: garbage, another encoding, no terminator."""
    return Reply(data)


def twice(text: str, delay: float = 0.0) -> Reply:
    """A reply, and after a while the same again: a device that talks too much."""
    return Reply(text, then=Reply(text, delay))


SILENCE = Reply()
"""No reply."""
HANG_UP = Reply(hang_up=True)
"""The connection is closed instead of a reply."""

Answer = str | bytes | Reply | None


class Transcript:
    """Commands and their replies.

    Args:
        exchanges: Pairs of command and reply: text, bytes, a :class:`Reply`, or None for a command without one. If a command
            stands there several times, its replies are given in turn, and the last again and again.
        ordered: Whether the commands must come in exactly this order, each once.
        read_termination: What ends a command, as the device sees it.
        write_termination: What the device puts behind each reply.
        encoding: Of both.

    Attributes:
        received: All commands that came, in order.
        unexpected: Those that stand nowhere, or were not next; they get no reply.
    """

    def __init__(
        self,
        exchanges: Iterable[tuple[str, Answer]],
        *,
        ordered: bool = False,
        read_termination: str = "\n",
        write_termination: str = "\n",
        encoding: str = "utf-8",
    ) -> None:
        self.exchanges: list[tuple[str, Answer]] = [(command, reply) for command, reply in exchanges]
        self.ordered = ordered
        self.received: list[str] = []
        self.unexpected: list[str] = []
        self._end, self._reply_end = read_termination.encode(encoding), write_termination.encode(encoding)
        self._encoding = encoding
        self._mutex = threading.Lock()
        self._next = 0
        self._turns: dict[str, int] = defaultdict(int)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], **options: Any) -> Transcript:
        r"""Read a transcript from a file of text.

        Each line is ``> command``, or behind it ``< reply``; ``<! reply`` stands for bytes with Python's escapes (``\xff``), as
        they are. Empty lines and those that begin with ``#`` are passed over.

        Args:
            path: The file, in UTF-8.
            **options: Further arguments.

        Raises:
            ConfigurationError: a line is none of that; the text says which.
        """
        try:
            said = Path(path).read_text("utf-8")
        except UnicodeDecodeError as error:
            raise ConfigurationError(f"{path} is no text in UTF-8: {error}; give a transcript") from None
        found: list[tuple[str, Answer]] = []
        for number, line in enumerate(said.split("\n"), 1):  # not splitlines(): a reply may hold what that takes for an end
            mark, _, text = line.partition(" ")
            if not line.strip() or line.startswith("#"):
                continue
            if mark == ">":
                found.append((text, None))
            elif mark in {"<", "<!"} and found and found[-1][1] is None:
                try:
                    reply: Answer = text if mark == "<" else text.encode("latin-1").decode("unicode_escape").encode("latin-1")
                except UnicodeError as error:
                    raise ConfigurationError(f"{path}:{number}: found {line!r}, whose escapes are none: {error}") from None
                found[-1] = (found[-1][0], reply)
            else:
                raise ConfigurationError(f"{path}:{number}: found {line!r}, allowed is '> command', then '< reply'")
        return cls(found, **options)

    def to_file(self, path: str | os.PathLike[str]) -> None:
        """Write it so that :meth:`from_file` can read it; delays are left out."""
        lines = []
        for command, reply in self.exchanges:
            data = reply.data if isinstance(reply, Reply) else reply
            if isinstance(data, str) and ("\n" in data or "\r" in data):  # it would be two lines of the file
                data = self.encoded(data)
            lines.append(f"> {command}")
            if isinstance(data, str):
                lines.append(f"< {data}")
            elif data is not None:
                lines.append(f"<! {data.decode('latin-1').encode('unicode_escape').decode('ascii')}")
        Path(path).write_text("\n".join(lines) + "\n", "utf-8")

    @property
    def missing(self) -> list[str]:
        """Commands that have not come yet."""
        with self._mutex:
            if self.ordered:
                return [command for command, _ in self.exchanges[self._next :]]
            return list(dict.fromkeys(command for command, _ in self.exchanges if command not in self.received))

    def check(self) -> None:
        """Check that all commands came, and no other.

        Raises:
            AssertionError: with what was missing or unexpected.
        """
        missing = self.missing
        if missing or self.unexpected:
            raise AssertionError(f"commands that did not come: {missing}; that were not expected: {self.unexpected}")

    def answer(self, command: str) -> Reply:
        """Give what a command gets, and note that it came. Any thread."""
        with self._mutex:
            self.received.append(command)
            if self.ordered:
                known = self._next < len(self.exchanges) and self.exchanges[self._next][0] == command
                replies = [self.exchanges[self._next][1]] if known else []
                self._next += known
            else:
                replies = [reply for asked, reply in self.exchanges if asked == command]
            if not replies:
                self.unexpected.append(command)
                return SILENCE
            turn = min(self._turns[command], len(replies) - 1)
            self._turns[command] += not self.ordered
            found = replies[turn]
            return found if isinstance(found, Reply) else Reply(found)

    def serve(self, host: str = "127.0.0.1", port: int = 0) -> TranscriptServer:
        """Answer at a TCP port from now on; close what is given, or use it in a ``with``."""
        return TranscriptServer(self, host, port)

    def line(self) -> Line:
        """Give a line in memory: ``Session(transcript.line)``."""
        return MemoryLine(self)

    def encoded(self, data: str | bytes) -> bytes:
        """Give what the device sends for a reply: text with its terminator, bytes as they are."""
        return self._bytes(Reply(data))

    def _bytes(self, reply: Reply) -> bytes:
        data = reply.data
        return data.encode(self._encoding) + self._reply_end if isinstance(data, str) else data or b""

    def _commands(self, buffer: bytearray) -> Iterator[str]:
        """Take complete commands from what came."""
        while (at := buffer.find(self._end)) >= 0:
            command = bytes(buffer[:at]).decode(self._encoding, "backslashreplace")
            del buffer[: at + len(self._end)]
            yield command


@contextmanager
def record(address: str, path: str | os.PathLike[str], **settings: Any) -> Iterator[str]:
    """Stand between a driver and a real device, and write a transcript of what they say.

    Commands that hold a ``?`` are taken for queries. What the device did not answer, or not as one line of text, is noted as
    unanswered.

    Args:
        address: The device's VISA address, on any bus.
        path: The file to write, when the block ends, in whatever way.
        **settings: Arguments of :func:`agentlab.instruments.visa.door.open_session`.

    Yields:
        The VISA address to give to the driver, a TCP socket of this machine.

    Raises:
        OfflineError: the device is not there.
    """
    from agentlab.instruments.visa.door import open_session

    session = open_session(address, **settings)
    try:
        passing = _Passing(session)
        try:
            with passing.serve() as server:
                yield server.address
        finally:
            passing.to_file(path)
    finally:
        session.close()


class _Passing(Transcript):
    """Passes commands on to a session, and notes the replies."""

    def __init__(self, session: Any) -> None:
        super().__init__([])
        self._session = session

    def answer(self, command: str) -> Reply:
        with self._mutex:
            command = command.rstrip("\r")
            self.received.append(command)
            reply: str | None = None
            try:
                if self._session.doubt:
                    self._session.recover()
                if "?" in command:
                    reply = self._session.query(command)
                    if self._session.frames:  # the bus tells the end of a message; its line end is still there
                        reply = reply.removesuffix("\n").removesuffix("\r")
                else:
                    self._session.write(command)
            except OfflineError:
                self.unexpected.append(command)
                return HANG_UP
            except InstrumentError:
                self.unexpected.append(command)
            self.exchanges.append((command, reply))
            return Reply(reply)


__all__ = ["HANG_UP", "SILENCE", "Reply", "Transcript", "TranscriptServer", "late", "raw", "record", "twice"]
