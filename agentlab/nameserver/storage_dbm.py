"""Names in a dbm file: name to URI, without metadata, as Pyro kept them. See :mod:`~.storage` for what is promised.

No kind of dbm survives a crash while it is written, so it is not written while names change: they are appended to a
journal beside it (``FILE.journal``), which holds everything and is what counts as long as it exists. A clean close writes
the dbm file anew and then removes the journal; after a crash the next name server begins with the journal.

A value is the URI, then after tabs the lease (empty without one), the instance and the time of the claim. Old releases of
Pyro wrote only URIs, which are read too. A file is kept in its own kind of dbm; a new one is of the best kind that this
Python has.
"""

from __future__ import annotations

import contextlib
import dbm
import importlib
import logging
import math
import os
import sqlite3
from collections.abc import Sequence
from dataclasses import replace as with_fields
from pathlib import Path

from agentlab.errors import ConfigurationError
from agentlab.nameserver.journal import Journal, encode, replay
from agentlab.nameserver.registration import Change, Registration, check_registration
from agentlab.nameserver.storage import FileLock, corrupt, in_use, not_written, unusable

log = logging.getLogger("agentlab.nameserver")

COMPACT_FROM = 1 << 20
"""Bytes of a journal from which it is written anew once it has grown to four times what it began with."""
_SUFFIXES = ("", ".db", ".dat", ".dir", ".bak", ".pag")
# What the kinds of dbm raise for a damaged file; the plainest one reads its index as Python literals.
_DAMAGED = (*dbm.error, sqlite3.Error, ValueError, SyntaxError, TypeError, KeyError, EOFError, MemoryError, RecursionError)
_CURE = "make room, allow writing there, or choose another storage_file"


class DbmStorage:
    """A dbm file with its journal and its lock (``FILE.lock``). See :class:`~.storage.Storage`.

    Args:
        file: The path that is given to dbm, which may add a suffix of its own.

    Raises:
        ConfigurationError: it cannot be opened; the text says why.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._journal_file = _beside(file, ".journal")
        self._kind = ""
        self._journal: Journal | None = None
        try:
            self._lock = FileLock(_beside(file, ".lock"))
        except BlockingIOError:
            raise in_use(file) from None
        except OSError as error:
            raise unusable(file, f"it cannot be written ({error.strerror})", _CURE) from None
        try:
            self._known = self._read()
            self._journal = Journal(self._journal_file, self._known.values())
        except OSError as error:
            self._lock.release()
            raise unusable(file, f"it cannot be written ({error.strerror})", _CURE) from None
        except BaseException:
            self._lock.release()
            raise
        self._compact_at = self._next_compaction()

    def load(self) -> list[Registration]:
        """Give what is kept.

        A leased registration looks a moment older than it is, so that the first renewal of its agent brings the metadata back.
        """
        return [
            one if one.lease is None else with_fields(one, since=math.nextafter(one.since, -math.inf))
            for one in self._known.values()
        ]

    def apply(self, changes: Sequence[Change]) -> None:
        """Append changes to the journal."""
        if self._journal is None:
            raise not_written(self._file, "it is closed")
        durable = any(change.registration.lease is None for change in changes)
        try:
            self._journal.append(b"".join(map(encode, changes)), durable=durable)
        except OSError as error:
            raise not_written(self._journal_file, str(error.strerror or error)) from None
        for change in changes:
            if change.kind == "removed":
                self._known.pop(change.name, None)
            else:
                self._known[change.name] = with_fields(change.registration, metadata={})
        if self._journal.size >= self._compact_at:
            self._compact()

    def close(self) -> None:
        """Write the dbm file, remove the journal, let go of both."""
        journal, self._journal = self._journal, None
        if journal is None:
            return
        written = False
        try:
            self._write()
            written = True
        except (*_DAMAGED, ImportError) as error:
            log.warning("%s was not written (%s); its journal is kept and read next time", self._file, str(error))
        finally:
            journal.close(remove=written)
            self._lock.release()

    def _read(self) -> dict[str, Registration]:
        kind = dbm.whichdb(os.fspath(self._file))
        self._kind = kind or ""
        try:
            return replay(self._journal_file.read_bytes(), self._journal_file)
        except FileNotFoundError:
            pass  # closed cleanly, or never opened: what the dbm file says counts
        if kind is None and not self._file.exists():
            return {}
        if not kind:
            self._file.open("rb").close()  # says it better where it may not be read
            raise corrupt(self._file, "no kind of dbm that is known here")
        try:
            if kind == "dbm.sqlite3":
                _check_database(self._file)
            with importlib.import_module(kind).open(os.fspath(self._file), "r") as db:
                return dict(_decode(bytes(key), bytes(db[key])) for key in list(db.keys()))
        except ImportError:
            raise unusable(self._file, f"this Python has no {kind}, which wrote it", "use that Python, or another file") from None
        except (*_DAMAGED, ConfigurationError) as error:
            raise corrupt(self._file, str(error)) from None

    def _write(self) -> None:
        """Write the dbm file anew. May end half way: the journal is what counts until it is removed."""
        path = os.fspath(self._file)
        kind = importlib.import_module(self._kind) if self._kind else dbm
        with kind.open(path, "n", 0o600) as db:
            for name, one in self._known.items():
                db[name.encode()] = _encode(one)
        for suffix in _SUFFIXES:
            with contextlib.suppress(FileNotFoundError), _beside(self._file, suffix).open("r+b") as file:
                os.fsync(file.fileno())

    def _compact(self) -> None:
        assert self._journal is not None
        try:
            self._journal.restart(self._known.values())
        except OSError as error:
            log.warning("%s was not shortened: %s; it is used on as it is", self._journal_file, error.strerror)
            self._compact_at = 2 * self._journal.size
        else:
            self._compact_at = self._next_compaction()

    def _next_compaction(self) -> int:
        assert self._journal is not None
        return max(COMPACT_FROM, 4 * self._journal.size)


def _check_database(file: Path) -> None:
    """Raise sqlite3.Error where it is damaged: dbm.sqlite3 would find out only later, and leave it open."""
    with contextlib.closing(sqlite3.connect(file)) as db:
        db.execute("PRAGMA quick_check(1)").fetchall()
        db.execute("SELECT key, value FROM Dict LIMIT 1").fetchall()


def _beside(file: Path, suffix: str) -> Path:
    return file.with_name(file.name + suffix)


def _encode(one: Registration) -> bytes:
    lease = "" if one.lease is None else repr(one.lease)
    return "\t".join([one.uri, lease, one.instance, repr(one.since)]).encode()


def _decode(key: bytes, value: bytes) -> tuple[str, Registration]:
    name = key.decode()
    uri, *rest = value.decode().split("\t")
    if not rest:
        return name, check_registration(Registration(name, uri))
    lease, instance, since = rest
    return name, check_registration(Registration(name, uri, instance, {}, float(lease) if lease else None, float(since)))
