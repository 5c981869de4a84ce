"""What becomes of the bytes that a unit writes: lines, records, and a limit to how much of them. Pure: time is handed in."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

LINE_LIMIT: Final = 64 * 1024
"""Bytes of a line that are kept."""
CUT_MARK: Final = f" [cut here: a line may have {LINE_LIMIT} bytes]"
RECORD_MARK: Final = b"\x1e"
"""Begins a line that is a record in JSON, as agents of a lab write what they log."""
TRACEBACK: Final = "Traceback (most recent call last):"
JOINED_LIMIT: Final = 256 * 1024
"""Characters of one traceback; what comes after them is a record of its own."""
QUIET: Final = 0.2
"""Seconds after which a traceback that nobody continues is taken to be whole."""

LEVELS: Final = {"DEBUG": 10, "INFO": 20, "OUTPUT": 20, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}
"""Levels of records; OUTPUT is what a unit printed, and counts as INFO."""

_OLDEST: Final = 3600.0
_NEWEST: Final = 60.0
"""Seconds before and after now that a record may say it is from; any other is from now."""

_OPENINGS = (TRACEBACK, "Fatal Python error:", "(most recent call first):")
_BETWEEN = ("During handling of the above exception,", "The above exception was the direct cause")
_ANSI = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_CONTROL = dict.fromkeys(
    [*(c for c in range(32) if c != 9), *range(127, 160), *range(0x2028, 0x202F), *range(0x2066, 0x206A)], "\ufffd"
)


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One record of a lab's log.

    Attributes:
        time: Seconds since 1970.
        unit: Who it is about, as ``agent/Laser``; ``lab`` for the supervisor itself.
        stream: Where it came from: ``stdout``, ``stderr``, ``log`` (the agent's own record) or ``supervisor``.
        level: One of :data:`LEVELS`.
        text: What was said; a traceback has several lines.
    """

    time: float
    unit: str
    stream: str
    level: str
    text: str

    def to_line(self) -> bytes:
        """Give it as a line of JSON, with its end."""
        plain = {"time": self.time, "unit": self.unit, "stream": self.stream, "level": self.level, "text": self.text}
        return json.dumps(plain, ensure_ascii=False).encode("utf-8", "replace") + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> LogRecord | None:
        """Give the record of such a line; None for one that a full disk or a crash has damaged."""
        try:
            plain = json.loads(line)
            return cls(float(plain["time"]), *(str(plain[key]) for key in ("unit", "stream", "level", "text")))
        except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
            return None


class LineCutter:
    """Cuts a stream of bytes into lines; keeps at most one line in memory, and at most :data:`LINE_LIMIT` bytes of it."""

    def __init__(self) -> None:
        self._rest = b""
        self._overlong = False

    def feed(self, data: bytes) -> list[bytes]:
        """Give the lines that end in these bytes, without their ends."""
        *whole, rest = (self._rest + data).split(b"\n")
        lines = []
        for line in whole:
            if self._overlong:  # its end; its beginning was given already
                self._overlong = False
            else:
                lines.append(_cut(line))
        if self._overlong:
            rest = b""
        elif len(rest) > LINE_LIMIT:
            lines.append(_cut(rest))
            self._overlong, rest = True, b""
        self._rest = rest
        return lines

    def end(self) -> list[bytes]:
        """Give what is left when the stream has ended."""
        rest, self._rest, self._overlong = self._rest, b"", False
        return [rest] if rest else []


def _cut(line: bytes) -> bytes:
    return line[:LINE_LIMIT] + CUT_MARK.encode() if len(line) > LINE_LIMIT else line


def clean(text: str) -> str:
    """Give text without terminal colours and with U+FFFD for control characters, so that showing it is harmless."""
    return text if text.isprintable() else _ANSI.sub("", text).translate(_CONTROL)


class StreamReader:
    """Makes records of what one unit writes to one stream: joins the lines of a traceback, knows agents' own records.

    Args:
        unit: The unit.
        stream: ``stdout`` or ``stderr``.
    """

    def __init__(self, unit: str, stream: str) -> None:
        self._unit, self._stream = unit, stream
        self._level = "ERROR" if stream == "stderr" else "OUTPUT"
        self._lines = LineCutter()
        self._joined: list[str] = []
        self._size = 0
        self._told = False  # whether the line with the exception itself has come
        self._began = self._latest = 0.0

    def feed(self, data: bytes, now: float) -> list[LogRecord]:
        """Give the records that are whole with these bytes."""
        records: list[LogRecord] = []
        for line in self._lines.feed(data):
            self._line(line, now, records)
        return records

    def due(self) -> float | None:
        """When :meth:`flush` has something to give; None: nothing waits."""
        return self._latest + QUIET if self._joined else None

    def flush(self, now: float) -> list[LogRecord]:
        """Give a traceback that nobody has continued for a while."""
        due = self.due()
        return [] if due is None or self._latest <= now < due else self._release()  # earlier: the clock was set back

    def end(self, now: float) -> list[LogRecord]:
        """Give all that is left, as the stream has ended."""
        records: list[LogRecord] = []
        for line in self._lines.end():
            self._line(line, now, records)
        return records + self._release()

    def _line(self, line: bytes, now: float, records: list[LogRecord]) -> None:
        if line.startswith(RECORD_MARK):
            record = self._own(line[1:], now)
            if record is not None:
                records += self._release()
                records.append(record)
                return
            line = line[1:]
        text = clean(line.rstrip(b"\r").decode("utf-8", "replace"))
        opens = any(opening in text for opening in _OPENINGS)
        if self._joined and not (opens or self._continues(text)):
            records += self._release()
        if self._joined or opens:
            self._join(text, now)
        elif text.strip():
            records.append(LogRecord(now, self._unit, self._stream, self._level, text))

    def _own(self, data: bytes, now: float) -> LogRecord | None:
        """Give the record that an agent has made itself; None for bytes that only look like one."""
        try:
            plain: Any = json.loads(data)
            level, text, when = str(plain["level"]), str(plain["message"]), float(plain["time"])
        except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
            return None
        if not now - _OLDEST <= when <= now + _NEWEST:  # nor NaN: what reads the log must be able to sort and to show it
            when = now
        text = "\n".join(map(clean, text.splitlines()))
        return LogRecord(when, self._unit, "log", level if level in LEVELS else "ERROR", text)

    def _continues(self, text: str) -> bool:
        if self._size + len(text) > JOINED_LIMIT:
            return False
        return not self._told or not text.strip() or text[0] in " \t|+" or any(part in text for part in _BETWEEN)

    def _join(self, text: str, now: float) -> None:
        if not self._joined:
            self._began, self._size, self._told = now, 0, False
        self._told = TRACEBACK not in text and (self._told or _ends_traceback(text))
        self._joined.append(text)
        self._size += len(text) + 1
        self._latest = now

    def _release(self) -> list[LogRecord]:
        lines, self._joined = self._joined, []
        text = "\n".join(lines).strip("\n")
        return [LogRecord(self._began, self._unit, self._stream, "ERROR", text)] if text else []


def _ends_traceback(text: str) -> bool:
    """Tell whether a line may be the last one of a traceback: what comes next belongs to it only if it looks like it."""
    if any(mark in text for mark in _OPENINGS[1:]):
        return True
    if text.lstrip().startswith("+-"):  # the frame around an exception group
        return True
    return bool(text.strip()) and text[0] not in " \t|+" and not any(part in text for part in (TRACEBACK, *_BETWEEN))


class Allowance:
    """How much a unit may write to its file: a bucket that fills with time.

    Args:
        rate: Bytes per second that it may write for ever.
        burst: Bytes that it may write at once after it was quiet.
    """

    RECORD = 100
    """Bytes that a record counts beside its text."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate, self._burst, self._left = rate, burst, burst
        self._at: float | None = None
        self._dropped = 0
        self._since = 0.0

    def take(self, size: int, now: float) -> bool:
        """Take a record's bytes; False: there are not so many, and the record is counted as dropped."""
        if self._at is not None:
            self._left = min(self._burst, self._left + max(0.0, now - self._at) * self._rate)
        self._at = now
        if self._left >= size + self.RECORD:
            self._left -= size + self.RECORD
            return True
        if self._dropped == 0:
            self._since = now
        self._dropped += 1
        return False

    def due(self) -> float | None:
        """When :meth:`dropped` has something to give; None: nothing was dropped."""
        return self._since + 1.0 if self._dropped else None

    def dropped(self, now: float, *, at_once: bool = False) -> int:
        """Give how many records were dropped, once a second at most, and begin to count again; 0: nothing to tell yet."""
        due = self.due()
        if due is None or (self._since <= now < due and not at_once):
            return 0
        count, self._dropped = self._dropped, 0
        return count
