"""The lab's log: one thread reads what all units write, makes records of it, and writes them to files."""

from __future__ import annotations

import logging
import os
import queue
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

from agentlab.errors import ConfigurationError
from agentlab.lab.logfile import RotatingFile, file_name
from agentlab.lab.loglines import Allowance, LogRecord, StreamReader, clean

log = logging.getLogger(__name__)

FILE_SIZE: Final = 5_000_000
FILES_KEPT: Final = 3
RATE: Final = 256 * 1024
"""Bytes per second that a unit may log for ever."""
BURST: Final = 4 * 1024 * 1024
REMEMBERED: Final = 200
"""Records of each unit that are kept in memory, for reports of crashes."""

_CHUNK = 64 * 1024
_TEXT_KEPT = 4000  # characters of a remembered record: a thousand units fit into memory
_DRAIN_LIMIT = 4 * 1024 * 1024  # bytes read at once of a stream that shall be read to its end
_SYNC_PATIENCE = 0.5
_HAS_PIPE_POLL = os.name == "posix"


class _Unit:
    """What the thread keeps for one unit."""

    def __init__(self, file: RotatingFile, rate: float, burst: float) -> None:
        self.file = file
        self.allowance = Allowance(rate, burst)
        self.ring: deque[str] = deque(maxlen=REMEMBERED)
        self.pending: list[bytes] = []


class _Pipe:
    """The reading end of a unit's stdout or stderr."""

    def __init__(self, unit: str, stream: str, descriptor: int) -> None:
        self.unit = unit
        self.descriptor = descriptor
        self.reader = StreamReader(unit, stream)


class Logbook:
    """Writes the log of a lab. All methods may be called in any thread; its own thread is the only one that writes.

    A unit that writes without end is read to its end, so it never waits, but only a part is kept, and what was dropped is
    counted. Where the disk is full, records are lost and counted; nothing here ever raises because of it.

    Args:
        directory: Where its files are; made when it is not there.
        size: Bytes at which a unit's file is put aside and a new one begun.
        keep: How many older files each unit has.
        rate: Bytes per second that each unit may log for ever.
        burst: Bytes that each unit may log at once.

    Raises:
        ConfigurationError: the directory cannot be made.
    """

    def __init__(
        self, directory: Path, *, size: int = FILE_SIZE, keep: int = FILES_KEPT, rate: float = RATE, burst: float = BURST
    ) -> None:
        self.directory = Path(directory)
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"cannot make the log directory {str(directory)!r}: {error.strerror}") from None
        self._options = (size, keep, rate, burst)
        self._units: dict[str, _Unit] = {}
        self._pipes: dict[int, _Pipe] = {}
        self._touched: set[str] = set()
        self._joining: set[_Pipe] = set()
        self._lost = 0
        self._complaint = ""
        self._closed = False
        self._tasks: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._selector = selectors.DefaultSelector()
        self._wake_end, self._waker = _socketpair()
        self._selector.register(self._wake_end, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="agentlab-logbook", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self, unit: str) -> tuple[int, int]:
        """Give descriptors for a unit's stdout and stderr.

        They belong to the caller, who closes both once the unit's process has them: only then is their end seen. Call it
        again for each start of the unit.
        """
        writers = []
        for stream in ("stdout", "stderr"):
            reader, writer = os.pipe()
            pipe = _Pipe(unit, stream, reader)
            if _HAS_PIPE_POLL:
                os.set_blocking(reader, False)
                self._post(lambda pipe=pipe: self._watch(pipe))  # type: ignore[misc]
            else:
                threading.Thread(target=self._pump, args=(pipe,), name="agentlab-log-pipe", daemon=True).start()
            writers.append(writer)
        return writers[0], writers[1]

    def write(self, unit: str, level: str, text: str) -> None:
        """Write a record about a unit that it did not write itself; returns at once."""
        text = "\n".join(map(clean, text.split("\n")))  # it may quote what a unit said
        record = LogRecord(time.time(), unit, "supervisor", level, text)
        self._post(lambda: self._add(record))

    def tail(self, unit: str, n: int = 20) -> list[str]:
        """Give the last records that a unit has written itself, oldest first; a traceback is one, with several lines.

        Those that it has just written are there too: waits up to half a second for what is in its pipes.
        """
        done = threading.Event()
        self._post(lambda: self._sync(unit, done))
        done.wait(_SYNC_PATIENCE if self._thread.is_alive() else 0.0)
        found = self._units.get(unit)
        return list(found.ring.copy())[-n:] if found is not None and n > 0 else []

    def close(self, timeout: float = 2.0) -> None:
        """Read what is there, write it, and end. Twice is fine."""
        if self._closed:
            return
        self._closed = True
        self._wake()
        self._thread.join(timeout)
        self._waker.close()

    # ---------------------------------------------------------------- any thread

    def _post(self, task: Callable[[], None]) -> None:
        self._tasks.put(task)
        self._wake()

    def _wake(self) -> None:
        try:
            self._waker.send(b"x")
        except OSError:  # full, so it will wake anyway; or closed
            return

    def _pump(self, pipe: _Pipe) -> None:
        """Read a pipe in a thread of its own, where pipes cannot be polled."""
        while data := os.read(pipe.descriptor, _CHUNK):
            self._post(lambda data=data: self._take(pipe, data))  # type: ignore[misc]
        os.close(pipe.descriptor)
        self._post(lambda: self._keep_all(pipe.reader.end(time.time())))

    # ---------------------------------------------------------------- the thread

    def _run(self) -> None:
        try:
            while not self._closed:
                self._turn(self._patience())
            self._finish()
        finally:
            self._selector.close()
            self._wake_end.close()
            for unit in self._units.values():
                unit.file.close()

    def _turn(self, timeout: float | None) -> None:
        for key, _ in self._selector.select(timeout):
            if key.data is None:
                self._wake_end.recv(4096)
            else:
                self._read(key.data)
        while not self._tasks.empty():
            self._tasks.get()()
        self._flush(time.time())
        self._write_out()

    def _finish(self) -> None:
        while not self._tasks.empty():
            self._tasks.get()()
        for pipe in list(self._pipes.values()):
            self._drain(pipe)
            if pipe.descriptor in self._pipes:
                self._end(pipe)
        self._flush(time.time(), at_once=True)
        self._write_out()

    def _watch(self, pipe: _Pipe) -> None:
        self._pipes[pipe.descriptor] = pipe
        self._selector.register(pipe.descriptor, selectors.EVENT_READ, pipe)

    def _read(self, pipe: _Pipe) -> int:
        """Read once, so that no unit keeps the others waiting; give how many bytes."""
        try:
            data = os.read(pipe.descriptor, _CHUNK)
        except BlockingIOError:
            return 0
        if data:
            self._take(pipe, data)
        else:
            self._end(pipe)
        return len(data)

    def _end(self, pipe: _Pipe) -> None:
        del self._pipes[pipe.descriptor]
        self._selector.unregister(pipe.descriptor)
        os.close(pipe.descriptor)
        self._keep_all(pipe.reader.end(time.time()))

    def _take(self, pipe: _Pipe, data: bytes) -> None:
        self._keep_all(pipe.reader.feed(data, time.time()))
        if pipe.reader.due() is not None:
            self._joining.add(pipe)

    def _sync(self, unit: str, done: threading.Event) -> None:
        for pipe in [pipe for pipe in self._pipes.values() if pipe.unit == unit]:
            self._drain(pipe)
            self._keep_all(pipe.reader.flush(float("inf")))
        done.set()

    def _drain(self, pipe: _Pipe) -> None:
        size = 0
        while size < _DRAIN_LIMIT and pipe.descriptor in self._pipes and (read := self._read(pipe)):
            size += read

    def _unit(self, name: str) -> _Unit:
        unit = self._units.get(name)
        if unit is None:
            size, keep, rate, burst = self._options
            unit = self._units[name] = _Unit(RotatingFile(self.directory / file_name(name), int(size), int(keep)), rate, burst)
        return unit

    def _keep_all(self, records: list[LogRecord]) -> None:
        for record in records:
            self._keep(record)

    def _keep(self, record: LogRecord) -> None:
        """Take what a unit has said: remember it, and have it written unless it says too much."""
        unit = self._unit(record.unit)
        unit.ring.append(record.text if len(record.text) <= _TEXT_KEPT else f"... {record.text[-_TEXT_KEPT:]}")
        self._touched.add(record.unit)
        if unit.allowance.take(len(record.text), time.time()):
            unit.pending.append(record.to_line())

    def _add(self, record: LogRecord) -> None:
        """Take what somebody else says of a unit."""
        self._unit(record.unit).pending.append(record.to_line())
        self._touched.add(record.unit)

    def _patience(self) -> float | None:
        """Give how long nothing needs to be done when nothing comes."""
        dues = [due for pipe in self._joining if (due := pipe.reader.due()) is not None]
        dues += [due for name in self._touched if (due := self._units[name].allowance.due()) is not None]
        return min(max(0.0, min(dues) - time.time()), 1.0) if dues else None

    def _flush(self, now: float, *, at_once: bool = False) -> None:
        for pipe in self._joining:
            self._keep_all(pipe.reader.flush(now))
        self._joining = {pipe for pipe in self._joining if pipe.reader.due() is not None}
        for name in self._touched:
            unit = self._units[name]
            count = unit.allowance.dropped(now, at_once=at_once)
            if count:
                text = f"{count} records dropped: it may write {self._options[2] / 1024:g} KiB per second to its log for ever"
                unit.pending.append(LogRecord(now, name, "supervisor", "WARNING", text).to_line())

    def _write_out(self) -> None:
        for name in self._touched:
            unit = self._units[name]
            if unit.pending:
                lines, unit.pending = unit.pending, []
                self._append(unit, lines)
        self._touched = {name for name in self._touched if self._units[name].allowance.due() is not None}

    def _append(self, unit: _Unit, lines: list[bytes]) -> None:
        try:
            unit.file.write(b"".join(lines))
        except OSError as error:
            self._lost += len(lines)
            if not self._complaint:  # once; then silence until it works again
                self._complaint = error.strerror or str(error)
                text = "the lab's log cannot be written in %s: %s; records are lost until it can"
                log.error(text, self.directory, self._complaint)  # noqa: TRY400 - the reason is all there is to say
            return
        if self._complaint:
            lost, reason = self._lost, self._complaint
            self._lost, self._complaint = 0, ""
            log.warning("the lab's log is written again; %d records were lost: %s", lost, reason)


def _socketpair() -> tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    return ours, theirs
