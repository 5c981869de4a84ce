"""Names in an SQLite database, everything that is known of them included. See :mod:`~.storage` for what is promised.

The write-ahead log makes a change one short append, and a process that is killed in the middle of it leaves a tail that
the next one drops. ``synchronous`` is NORMAL for changes of leased names: a killed process loses nothing, for what was
written is the kernel's; only a power failure may take the last of them. It is FULL for names without a lease.
``locking_mode`` EXCLUSIVE keeps every other program out while we live: two name servers on one file would undo each other.

A database that Pyro5's name server left (tables ``pyro_names`` and ``pyro_metadata``) is taken over when it is first opened.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgpack

from agentlab.errors import ConfigurationError
from agentlab.nameserver.registration import Change, Registration, check_registration
from agentlab.nameserver.storage import LOCK_PATIENCE, corrupt, in_use, not_written, unusable

log = logging.getLogger("agentlab.nameserver")

APPLICATION_ID = 0x414C4E53  # "ALNS"; SQLite's header has a place for it, so that nobody's other database is taken for ours
VERSION = 1

_CREATE = """CREATE TABLE registration (
    name TEXT PRIMARY KEY, uri TEXT NOT NULL, instance TEXT NOT NULL, metadata BLOB NOT NULL, lease REAL, since REAL NOT NULL
) WITHOUT ROWID"""
_PUT = "INSERT OR REPLACE INTO registration (name, uri, instance, metadata, lease, since) VALUES (?, ?, ?, ?, ?, ?)"
_READ_ONLY = ("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_FULL", "SQLITE_IOERR")


class SqlStorage:
    """A database that is ours alone until it is closed. See :class:`~.storage.Storage`.

    Args:
        file: Where it is, or will be.

    Raises:
        ConfigurationError: it cannot be opened; the text says why.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._full: bool | None = None
        with contextlib.suppress(OSError):  # there already, or SQLite says what is wrong
            os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))  # its log beside it gets the same mode
        try:
            self._db = sqlite3.connect(file, timeout=LOCK_PATIENCE, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise self._unusable(error) from None
        try:
            self._open()
        except sqlite3.Error as error:
            self._db.close()
            raise self._unusable(error) from None
        except BaseException:
            self._db.close()
            raise

    def load(self) -> list[Registration]:
        """Give what is kept."""
        try:
            rows = self._db.execute("SELECT name, uri, instance, metadata, lease, since FROM registration").fetchall()
            return [
                check_registration(Registration(name, uri, instance, msgpack.unpackb(metadata), lease, since))
                for name, uri, instance, metadata, lease, since in rows
            ]
        except (sqlite3.Error, ConfigurationError, ValueError, TypeError, msgpack.UnpackException) as error:
            raise corrupt(self._file, str(error)) from None

    def apply(self, changes: Sequence[Change]) -> None:
        """Keep changes in one transaction."""
        try:
            self._sync(full=any(change.registration.lease is None for change in changes))
            with self._transaction():
                for change in changes:
                    if change.kind == "removed":
                        self._db.execute("DELETE FROM registration WHERE name = ?", (change.name,))
                    else:
                        self._put(change.registration)
        except sqlite3.Error as error:
            raise not_written(self._file, str(error)) from None

    def close(self) -> None:
        """Move the log into the database and let go of it."""
        try:
            self._db.close()
        except sqlite3.Error as error:  # the log stays beside it, and is read next time
            log.warning("%s was not put in order: %s", self._file, error)

    def _open(self) -> None:
        # The mode of locking first: then the log's index is memory of ours, and no third file is needed.
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._db.execute("PRAGMA journal_mode = WAL")
        found = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise corrupt(self._file, str(found))
        version = self._version()
        with self._transaction():
            if not version:
                self._db.execute(_CREATE)
                self._take_over()
            # Written each time: it shows at once where writing is forbidden.
            self._db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            self._db.execute(f"PRAGMA user_version = {VERSION}")

    def _version(self) -> int:
        """Give the version of our tables; 0 where there are none yet."""
        application, version = (
            int(self._db.execute(f"PRAGMA {key}").fetchone()[0]) for key in ("application_id", "user_version")
        )
        if application == APPLICATION_ID:
            if version > VERSION:
                raise unusable(self._file, f"a newer release wrote it (format {version})", "use that release, or another file")
            return version
        tables = self._tables()
        if application or (tables and "pyro_names" not in tables):
            raise unusable(self._file, "it is a database of another program", "choose another storage_file")
        return 0

    def _tables(self) -> set[str]:
        return {row[0] for row in self._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}

    def _take_over(self) -> None:
        """Read what Pyro5's name server kept; its tables stay as they are."""
        tables = self._tables()
        if "pyro_names" not in tables:
            return
        for key, name, uri in self._db.execute("SELECT id, name, uri FROM pyro_names").fetchall():
            rows = (
                self._db.execute("SELECT metadata FROM pyro_metadata WHERE object = ?", (key,))
                if "pyro_metadata" in tables
                else ()
            )
            tags = sorted(str(row[0]) for row in rows)
            try:
                self._put(check_registration(Registration(name, uri, "", {"tags": tags} if tags else {})))
            except ConfigurationError as error:
                log.warning("left out of what Pyro5 kept in %s: %s", self._file, error)

    def _put(self, one: Registration) -> None:
        row = (one.name, one.uri, one.instance, msgpack.packb(one.metadata), one.lease, one.since)
        self._db.execute(_PUT, row)

    def _sync(self, *, full: bool) -> None:
        if full is not self._full:  # not within a transaction: SQLite would ignore it
            self._db.execute(f"PRAGMA synchronous = {'FULL' if full else 'NORMAL'}")
            self._full = full

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # SQLite has ended it already after some errors
                self._db.execute("ROLLBACK")
            raise

    def _unusable(self, error: sqlite3.Error) -> ConfigurationError:
        name = str(getattr(error, "sqlite_errorname", ""))
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return in_use(self._file)
        if name.startswith(_READ_ONLY):
            return unusable(
                self._file, f"it cannot be written ({error})", "make room, allow writing there, or choose another storage_file"
            )
        return corrupt(self._file, str(error))
