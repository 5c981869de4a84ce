"""A file that is only ever appended to: what names were at its beginning, and every change since.

It begins with :data:`MAGIC`; then come records, each with its length and a checksum (4 bytes each, big-endian) before
msgpack of ``[name, uri, instance, lease, since]``, or ``[name]`` where the name went. It appears under its name only when
it is whole, and a write that is cut short leaves a damaged end, which the next reader drops. So whatever moment the
process is killed at, what was appended before is there. Damage that whole records follow is no write that was cut short.
"""

from __future__ import annotations

import contextlib
import logging
import os
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import msgpack

from agentlab.errors import ConfigurationError
from agentlab.nameserver.registration import MAX_BYTES, Change, Registration, check_registration
from agentlab.nameserver.storage import corrupt

log = logging.getLogger("agentlab.nameserver")

MAGIC = b"agentlab names 1\n"
_HEAD = struct.Struct(">II")
_MAX_RECORD = 2 * MAX_BYTES
_FRESH = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


def encode(change: Change) -> bytes:
    """Give the record of a change."""
    return _record([change.name]) if change.kind == "removed" else _encode_registration(change.registration)


def replay(data: bytes, file: Path) -> dict[str, Registration]:
    """Give the registrations after every whole record of a journal, by name.

    Args:
        data: All of the journal.
        file: Where it came from, for messages.

    Raises:
        ConfigurationError: it is no journal, or is damaged elsewhere than at its end.
    """
    if not data.startswith(MAGIC):
        raise corrupt(file, "it does not begin as a journal of names does")
    known: dict[str, Registration] = {}
    place = len(MAGIC)
    while place < len(data):
        record = _whole_record(data, place)
        if record is None:
            if any(_whole_record(data, later) for later in range(place + 1, len(data))):
                raise corrupt(file, f"wrong checksum at byte {place}")
            log.warning("%s ends with a write that was cut short and so never acknowledged; it is dropped", file)
            break
        _apply(known, record, file)
        place += _HEAD.size + len(record)
    return known


class Journal:
    """The journal of a running name server. One thread at a time.

    Args:
        file: Its path. What was there is replaced, in one step, by a journal that begins with these registrations.
        registrations: What names are now.

    Raises:
        OSError: it cannot be written; what was there is still there.
    """

    def __init__(self, file: Path, registrations: Iterable[Registration]) -> None:
        self._file = file
        self._open: IO[bytes] | None = None
        self._torn = False
        self.size = 0
        self.restart(registrations)

    def restart(self, registrations: Iterable[Registration]) -> None:
        """Begin anew, shorter: with what names are now. Raises OSError where it cannot; the old one is used on."""
        fresh = self._file.with_name(self._file.name + ".new")
        data = b"".join([MAGIC, *map(_encode_registration, registrations)])
        try:
            fresh.unlink(missing_ok=True)  # of a killed process, or another's link
            with os.fdopen(os.open(fresh, _FRESH, 0o600), "wb", buffering=0) as file:
                _write(file, data)
                os.fsync(file.fileno())
            old, self._open = self._open, None
            if old is not None:
                old.close()  # Windows replaces no file that is open
            fresh.replace(self._file)
            self._torn, self.size = False, len(data)
            _sync_directory(self._file.parent)
        except OSError:
            with contextlib.suppress(OSError):
                fresh.unlink(missing_ok=True)
            raise
        finally:
            if self._open is None and self._file.exists():
                self._open = self._file.open("r+b", buffering=0)

    def append(self, records: bytes, *, durable: bool) -> None:
        """Append records, all or none.

        Args:
            records: What :func:`encode` gave, one after another.
            durable: Whether to wait until they are on the disk itself.

        Raises:
            OSError: they could not be written.
        """
        file = self._open
        if file is None:
            raise OSError(f"{self._file} is gone")
        if self._torn:
            file.truncate(self.size)  # a rest of what failed before must not follow what is written now
            self._torn = False
        try:
            file.seek(self.size)
            _write(file, records)
            if durable:
                os.fsync(file.fileno())
        except OSError:
            self._torn = True
            with contextlib.suppress(OSError):  # tried again before the next append
                file.truncate(self.size)
                self._torn = False
            raise
        self.size += len(records)

    def close(self, *, remove: bool) -> None:
        """Close it; remove the file where all of it is kept elsewhere."""
        file, self._open = self._open, None
        if file is not None:
            file.close()
        if remove:
            self._file.unlink(missing_ok=True)


def _encode_registration(one: Registration) -> bytes:
    return _record([one.name, one.uri, one.instance, one.lease, one.since])


def _record(fields: list[Any]) -> bytes:
    body: bytes = msgpack.packb(fields)
    return _HEAD.pack(len(body), zlib.crc32(body)) + body


def _whole_record(data: bytes, place: int) -> bytes | None:
    """Give the record that begins at a byte; None where none does, or not all of it is there."""
    body = place + _HEAD.size
    if body > len(data):
        return None
    size, check = _HEAD.unpack_from(data, place)
    if not 0 < size <= min(_MAX_RECORD, len(data) - body):
        return None
    record = data[body : body + size]
    return record if zlib.crc32(record) == check else None


def _apply(known: dict[str, Registration], record: bytes, file: Path) -> None:
    try:
        name, *rest = msgpack.unpackb(record)
        if not rest:
            known.pop(name, None)
            return
        uri, instance, lease, since = rest
        known[name] = check_registration(Registration(name, uri, instance, {}, lease, since))
    except (ConfigurationError, ValueError, TypeError, msgpack.UnpackException) as error:
        raise corrupt(file, str(error)) from None


def _write(file: IO[bytes], data: bytes) -> None:
    """Write all of it: a single write may end early where the disk is nearly full."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]


def _sync_directory(directory: Path) -> None:
    """Have a new name in a directory outlast a power failure, where the system can do that."""
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):  # not every file system takes it
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
