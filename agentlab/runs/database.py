"""The one door to SQLAlchemy: an SQLite file of ours, opened, checked and made; its errors become :class:`RunError`.

The write-ahead log lets any number of processes read while one writes. ``synchronous`` is NORMAL: a killed process loses
nothing that was committed, for the kernel has it; only a power failure may take the last rows, and never spoils the file.
On a network drive, where the log would need memory that two machines share, the file has a plain journal instead.
No connection is kept between two uses, so a store needs no closing, and may be used from any thread.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from agentlab.errors import RunError
from agentlab.runs.place import is_network

PATIENCE = 30.0
"""Seconds that a reader or writer waits for others."""
_STEP = 0.02
_WRITES = "agentlab_writes"
_DAMAGED = "it is damaged; put it aside, or mend it with: sqlite3 FILE .recover"


class Anything(sa.types.UserDefinedType[object]):
    """A column that keeps numbers, text and bytes as they are."""

    cache_ok = True

    def get_col_spec(self, **_options: object) -> str:
        """Give the type by which SQLite converts nothing."""
        return "BLOB"


@dataclass(frozen=True)
class Layout:
    """What is in a file of ours.

    Attributes:
        application: SQLite's header has a place for it, so that nobody's other database is taken for ours.
        version: Of the tables.
        tables: The tables.
        what: For errors: ``run store``.
    """

    application: int
    version: int
    tables: sa.MetaData
    what: str


class Database:
    """An SQLite file of ours. It is looked at when it is first used, and made when it is first written.

    All methods block as long as the disk and other writers do, :data:`PATIENCE` at most.

    Args:
        path: The file.
        layout: What is in it.
    """

    def __init__(self, path: Path, layout: Layout) -> None:
        self.path = path
        self._layout = layout
        if "\0" in str(path):
            raise self._error("no file can have such a name; choose another")
        self._engine: tuple[sa.URL, sa.Engine] | None = None
        self._made = False

    def exists(self) -> bool:
        """Tell whether there is such a file, so that there is something to read.

        Raises:
            RunError: there can be none of that name.
        """
        with self._faults():
            return self.path.exists()

    @contextlib.contextmanager
    def decoding(self) -> Iterator[None]:
        """Tell of content that is not as we write it that the file is damaged.

        Raises:
            RunError: it is.
        """
        try:
            yield
        except (ValueError, TypeError, LookupError, OverflowError) as error:
            raise self._error(_DAMAGED) from error

    @contextlib.contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Give a connection that sees the file as it is now, whatever others write meanwhile.

        Raises:
            RunError: it cannot be read, is none of ours, or was written by a newer release.
        """
        with self._faults():
            if not self._made:
                self._look()
            with self._open().connect() as connection, connection.begin():
                yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Give a connection in a transaction that is committed at the end of the block, or undone by an error.

        Raises:
            RunError: it cannot be written.
        """
        with self.writer() as connection, self.transaction(connection):
            yield connection

    @contextlib.contextmanager
    def writer(self) -> Iterator[sa.Connection]:
        """Give a connection for many transactions; closed at the end of the block."""
        with self._faults():
            self.make()
            with self._open().connect() as connection:
                yield connection.execution_options(**{_WRITES: True})

    @contextlib.contextmanager
    def transaction(self, connection: sa.Connection) -> Iterator[None]:
        """Run a block as one change of the file."""
        with self._faults():
            _undo(connection)  # what Ctrl-C left there at a moment at which nobody could
            try:  # not "with connection.begin()": Ctrl-C before its end would leave the connection useless
                begun = connection.begin()
                yield
                begun.commit()
            except BaseException:
                _undo(connection)
                raise

    def make(self) -> None:
        """Make the file and its directory where they are missing, and check that it can be written.

        Raises:
            RunError: it cannot.
        """
        if self._made and _is_writable(self.path):
            return
        with self._faults():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if not self.path.exists():
                with contextlib.suppress(FileExistsError):
                    os.close(
                        os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                    )  # the log beside it gets the mode too
            with self._open().connect() as connection:
                if is_network(self.path):
                    _use_plain_journal(connection)
                else:
                    _use_write_ahead_log(connection)
            writes = self._open().connect().execution_options(**{_WRITES: True})
            with writes as connection, connection.begin():
                if self._check(connection) == 0:
                    self._layout.tables.create_all(connection)
                    connection.exec_driver_sql(f"PRAGMA application_id = {self._layout.application}")
                    connection.exec_driver_sql(f"PRAGMA user_version = {self._layout.version}")
            self._made = True

    def _look(self) -> None:
        """See whether the file is one of ours that can be read."""
        with self._open().connect() as connection, connection.begin():
            version = self._check(connection)
        if version == 0:  # somebody is about to make it
            self.make()
        self._made = True

    def _check(self, connection: sa.Connection) -> int:
        """Give the version of our tables; 0: the file is empty."""
        application, version = (
            int(connection.exec_driver_sql(f"PRAGMA {key}").scalar_one()) for key in ("application_id", "user_version")
        )
        if application == self._layout.application:
            if version > self._layout.version:
                raise self._error(f"a newer release wrote it (format {version}); read it with that release")
            return version
        if application or sa.inspect(connection).get_table_names():
            raise self._error("it is a database of something else; choose another file")
        return 0

    def _open(self) -> sa.Engine:
        address = _address(self.path)  # who may not write must open it otherwise as soon as somebody else writes
        if self._engine is None or self._engine[0] != address:
            options = {"timeout": PATIENCE, "check_same_thread": False}
            engine = sa.create_engine(address, poolclass=NullPool, connect_args=options, json_serializer=_as_json)
            sa.event.listen(engine, "connect", _prepare)
            sa.event.listen(engine, "begin", _begin)
            sa.event.listen(engine, "handle_error", _stay_connected)
            self._engine = address, engine
        return self._engine[1]

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.DBAPIError as error:
            raise self._error(_cause(error)) from None
        except OSError as error:
            raise self._error(f"{error.strerror or error}; choose another file, or mend that") from None

    def _error(self, why: str) -> RunError:
        return RunError(f"{self._layout.what} {str(self.path)!r}: {why}")


def _as_json(value: object) -> str:
    return json.dumps(value, default=lambda one: one.tolist() if hasattr(one, "tolist") else str(one))


def _cause(error: sa.exc.DBAPIError) -> str:
    """Give what is wrong, and the cure, for what SQLite says."""
    code = str(getattr(error.orig, "sqlite_errorname", ""))
    cures = {
        "SQLITE_FULL": "the disk is full; make room: what was kept before is still there",
        "SQLITE_READONLY": "it cannot be written; allow writing there, or choose another file",
        "SQLITE_PERM": "it cannot be written; allow writing there, or choose another file",
        "SQLITE_CANTOPEN": "it cannot be opened; allow reading and writing there, or choose another file",
        "SQLITE_BUSY": f"another program has held it for {PATIENCE:g} s; end that one, or choose another file",
        "SQLITE_LOCKED": f"another program has held it for {PATIENCE:g} s; end that one, or choose another file",
        "SQLITE_NOTADB": "it is no database; choose another file",
        "SQLITE_CORRUPT": _DAMAGED,
        "SQLITE_IOERR": "the disk does not read or write; see the system's log",
        "SQLITE_TOOBIG": "a value is too large for it; give less",
    }
    said = next((text for key, text in cures.items() if code.startswith(key)), "")
    return said or " ".join(str(error.orig).split())


def _prepare(connection: object, _record: object) -> None:
    """Take beginnings of transactions out of Python's hands: its own guess breaks reading what one sees twice."""
    connection.isolation_level = None  # type: ignore[attr-defined]
    connection.execute("PRAGMA synchronous = NORMAL")  # type: ignore[attr-defined]


def _stay_connected(context: sa.ExceptionContext) -> None:
    """Keep a connection when Ctrl-C comes: SQLAlchemy would close it, and SQLite keep its transaction, and so all others out."""
    if not isinstance(context.original_exception, Exception):
        context.is_disconnect = False


def _begin(connection: sa.Connection) -> None:
    # A writer that begins as a reader can be refused in the middle, however long it would wait.
    writes = connection.get_execution_options().get(_WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _undo(connection: sa.Connection) -> None:
    """Undo a transaction, also one that has begun in the file, but of which SQLAlchemy does not know: nobody else could write."""
    connection.rollback()  # also of one whose beginning failed
    raw: Any = connection.connection.dbapi_connection
    if raw.in_transaction:
        raw.rollback()


def _use_write_ahead_log(connection: sa.Connection) -> None:
    """Switch the file to it; SQLite does not wait for others there, so we do."""
    raw = connection.connection.dbapi_connection
    assert raw is not None
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            if raw.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                raw.execute("PRAGMA journal_mode = WAL")  # what cannot have one, as some network drives, stays as it is
        except connection.dialect.dbapi.OperationalError as error:  # type: ignore[union-attr]
            if not str(getattr(error, "sqlite_errorname", "")).startswith("SQLITE_BUSY") or time.monotonic() > deadline:
                raise sa.exc.OperationalError("PRAGMA journal_mode", None, error) from None
            time.sleep(_STEP)
        else:
            return


def _use_plain_journal(connection: sa.Connection) -> None:
    """Switch the file to it, unless somebody else has it open: the next who writes tries again."""
    raw = connection.connection.dbapi_connection
    assert raw is not None
    with contextlib.suppress(connection.dialect.dbapi.OperationalError):  # type: ignore[union-attr]
        if raw.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
            raw.execute("PRAGMA journal_mode = DELETE")


def _is_writable(path: Path) -> bool:
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)


def _address(path: Path) -> sa.URL:
    """Give what SQLite is to open: a file that nobody here may write is opened so that SQLite does not try."""
    if not path.exists() or _is_writable(path):
        return sa.URL.create("sqlite", database=str(path))
    beside = path.with_name(path.name + "-wal")
    how = {"mode": "ro"} if beside.exists() else {"immutable": "1"}  # without a log, nobody writes
    return sa.URL.create("sqlite", database=f"file:{quote(str(path.absolute()))}", query={**how, "uri": "true"})
