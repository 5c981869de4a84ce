"""Names in files: what is acknowledged is there again, whatever happened to the process, the disk or the file."""

from __future__ import annotations

import contextlib
import dbm
import dbm.dumb
import gc
import logging
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from agentlab.errors import ConfigurationError, NameServerError
from agentlab.nameserver import journal, storage_dbm
from agentlab.nameserver.registration import Change, Registration
from agentlab.nameserver.storage import open_storage

KINDS = ["sql", "dbm"]
METADATA = {"tags": ["a", "µ"], "pid": 3, "raw": b"\0\xff", "x": 1.5, "nested": {"k": [None, True]}}
PLAIN = Registration("plain thing", "PYRO:x@127.0.0.1:1", "i", METADATA, None, 1000.1)
LEASED = Registration("Läser @ 2", "PYRO:y@./u:/run/y", "j", METADATA, 3.0, 1000.7)


# Python 3.13 tells of databases that Pyro5, and dbm.sqlite3 after an error, leave to the garbage collector to close.
leaves_databases_open = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


def made(*registrations):
    return [Change(i, "registered", one, "e") for i, one in enumerate(registrations, 1)]


def gone(*registrations):
    return [Change(i, "removed", one, "e") for i, one in enumerate(registrations, 1)]


def names(storage):
    return {one.name for one in storage.load()}


@contextlib.contextmanager
def opened(kind, path):
    with contextlib.closing(open_storage(kind, path)) as storage:
        yield storage


@contextlib.contextmanager
def full_disk():
    """Let this process write nothing into files."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextlib.contextmanager
def as_nobody():
    """Be a user who may write nowhere, where this one is root."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr("agentlab.nameserver.storage.LOCK_PATIENCE", 0.02)
    monkeypatch.setattr("agentlab.nameserver.storage_sql.LOCK_PATIENCE", 0.02)


def test_sql_keeps_everything(tmp_path):
    with opened("sql", tmp_path / "new" / "names.sql") as storage:
        assert storage.load() == []
        storage.apply(made(PLAIN, LEASED))
    with opened("sql", tmp_path / "new" / "names.sql") as storage:
        assert sorted(storage.load(), key=lambda r: r.name) == sorted([PLAIN, LEASED], key=lambda r: r.name)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["names.sql"]


def test_dbm_keeps_everything_but_metadata(tmp_path):
    with opened("dbm", tmp_path / "names") as storage:
        storage.apply(made(PLAIN, LEASED))
    for _ in range(2):
        with opened("dbm", tmp_path / "names") as storage:
            plain, leased = sorted(storage.load(), key=lambda one: one.lease or 0)
            assert plain == replace(PLAIN, metadata={})
            # A moment older than it was, so that a renewal with metadata counts as news.
            assert (
                leased == replace(LEASED, metadata={}, since=leased.since) and LEASED.since - 1e-6 < leased.since < LEASED.since
            )
    assert not (tmp_path / "names.journal").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_later_changes_win_and_removed_names_stay_away(kind, tmp_path):
    moved = replace(PLAIN, uri="PYRO:z@127.0.0.1:2")
    with opened(kind, tmp_path / "f") as storage:
        storage.apply(made(PLAIN, LEASED))
        storage.apply([*gone(LEASED), *made(moved)])
        storage.apply(gone(LEASED))
        storage.apply([])
    with opened(kind, tmp_path / "f") as storage:
        assert [(one.name, one.uri) for one in storage.load()] == [(PLAIN.name, moved.uri)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk_refuses_and_works_again_when_there_is_room(kind, tmp_path):
    with opened(kind, tmp_path / "f") as storage:
        storage.apply(made(PLAIN))
        for lease in (None, 3.0):
            with full_disk(), pytest.raises(NameServerError, match=r"cannot write '.*f.*' \(.+\); make room there") as caught:
                storage.apply(made(replace(LEASED, lease=lease)))
            assert "\n" not in str(caught.value)
        storage.apply(made(LEASED))
    with opened(kind, tmp_path / "f") as storage:
        assert names(storage) == {PLAIN.name, LEASED.name}


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk_in_the_middle_of_a_write_leaves_nothing_half(kind, tmp_path):
    resource = pytest.importorskip("resource")
    many = made(*(replace(LEASED, name=f"n{i}") for i in range(500)))
    with opened(kind, tmp_path / "f") as storage:
        storage.apply(made(PLAIN))
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        size = max(path.stat().st_size for path in tmp_path.iterdir())
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10_000, hard))
        try:
            with pytest.raises(NameServerError):
                storage.apply(many)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        storage.apply(made(LEASED))
    copy = tmp_path / "copy"  # as if it had been killed right after the failure
    copy.mkdir()
    for name, data in before.items():
        (copy / name).write_bytes(data)
    with opened(kind, copy / "f") as storage:
        assert names(storage) == {PLAIN.name}
    with opened(kind, tmp_path / "f") as storage:
        assert names(storage) == {PLAIN.name, LEASED.name}


@pytest.mark.parametrize("kind", KINDS)
def test_where_the_disk_is_full_from_the_beginning_is_said(kind, tmp_path):
    with full_disk(), pytest.raises(ConfigurationError, match="cannot be written .*; make room, allow writing there, or choose"):
        open_storage(kind, tmp_path / "f")
    with opened(kind, tmp_path / "f") as storage:
        storage.apply(made(PLAIN))


@pytest.mark.parametrize("kind", KINDS)
def test_one_name_server_at_a_time(kind, tmp_path, impatient):
    with opened(kind, tmp_path / "f") as storage:
        storage.apply(made(PLAIN))
        with pytest.raises(
            ConfigurationError, match=r"'.*/f': another name server has it open; stop that one, or choose another"
        ):
            open_storage(kind, tmp_path / "f")
        storage.apply(made(LEASED))
        storage.close()
        storage.close()
        with pytest.raises(NameServerError):
            storage.apply(made(LEASED))
    with opened(kind, tmp_path / "f") as storage:
        assert len(storage.load()) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_places_that_cannot_be(kind, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="its directory cannot be made or read: .*; choose another storage_file"):
        open_storage(kind, tmp_path / "file" / "f")
    with pytest.raises(ConfigurationError, match="it is a directory; choose another"):
        open_storage(kind, tmp_path)
    for nothing in (None, ""):
        with pytest.raises(ConfigurationError, match="needs a file; give storage_file, or use the type 'memory'"):
            open_storage(kind, nothing)


def test_kinds(tmp_path):
    assert open_storage("memory", None) is None
    with pytest.raises(ConfigurationError, match="'redis' does not exist; allowed are memory, dbm, sql"):
        open_storage("redis", tmp_path / "f")


@pytest.mark.skipif(os.name != "posix", reason="users")
@pytest.mark.parametrize("kind", KINDS)
def test_a_directory_or_file_that_may_not_be_written(kind, tmp_path):
    with opened(kind, tmp_path / "f") as storage:  # imports what it needs, as this user
        storage.apply(made(PLAIN))
    open_to_all = Path(tempfile.mkdtemp(dir="/tmp"))
    try:
        for path in tmp_path.iterdir():
            shutil.copy(path, open_to_all)
            (open_to_all / path.name).chmod(0o444)
        open_to_all.chmod(0o555)
        with as_nobody():
            for name in ("f", "new", "no/such"):
                with pytest.raises(ConfigurationError, match="cannot be (written|made or read)") as caught:
                    open_storage(kind, open_to_all / name)
                assert "\n" not in str(caught.value)
    finally:
        open_to_all.chmod(0o755)
        shutil.rmtree(open_to_all)


def garbage():
    rng = random.Random(7)
    yield from (
        b"",
        b"\0" * 100,
        b"SQLite format 3\0" + bytes(200),
        b"'a', (0, 3)\n",
        b"hello: world\n",
        journal.MAGIC + b"x" * 50,
    )
    yield from (rng.randbytes(rng.randrange(1, 5000)) for _ in range(30))


def test_garbage_is_called_corrupt(tmp_path):
    for number, data in enumerate(garbage()):
        path = tmp_path / f"f{number}"
        path.write_bytes(data)
        for kind in ["dbm", "sql"] if data else ["dbm"]:  # an empty file is a new database
            with pytest.raises(ConfigurationError, match="it is corrupt .*; restore it from a copy, or move it away") as caught:
                open_storage(kind, path)
            assert "\n" not in str(caught.value)
        assert path.read_bytes() == data


def test_a_damaged_database_is_called_corrupt(tmp_path):
    path = tmp_path / "f"
    with opened("sql", path) as storage:
        storage.apply(made(*(replace(PLAIN, name=f"n{i}") for i in range(300))))
    data = bytearray(path.read_bytes())
    data[4096:8192] = random.Random(1).randbytes(4096)
    path.write_bytes(data)
    with pytest.raises(ConfigurationError, match="corrupt"):
        open_storage("sql", path)


def test_a_damaged_index_of_a_plain_dbm_is_called_corrupt_and_runs_nothing(tmp_path):
    for bad in ["'a', (0, 3)\n'b', (9999, 3)\n", "'a' (", "'a', print('boo')\n", "'a', (0, 'x')\n", "'a'\n", "'a', (0, 3)\n\0"]:
        (tmp_path / "f.dat").write_bytes(b"PYRO:x@h:1")
        (tmp_path / "f.dir").write_text(bad)
        with pytest.raises(ConfigurationError, match="corrupt"):
            open_storage("dbm", tmp_path / "f")


def test_other_peoples_databases_are_left_alone(tmp_path):
    for statement in ("CREATE TABLE mine (x)", "PRAGMA application_id = 77"):
        path = tmp_path / f"{len(statement)}.db"
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute(statement)
        with pytest.raises(ConfigurationError, match="database of another program"):
            open_storage("sql", path)
    newer = tmp_path / "newer.db"
    with opened("sql", newer) as storage:
        storage.apply(made(PLAIN))
    with contextlib.closing(sqlite3.connect(newer)) as db:
        db.execute("PRAGMA user_version = 9")
    with pytest.raises(ConfigurationError, match=r"a newer release wrote it \(format 9\); use that release"):
        open_storage("sql", newer)


@leaves_databases_open
def test_what_stock_pyro_kept_in_its_database_is_taken_over(tmp_path):
    stock = pytest.importorskip("Pyro5.nameserver")
    with contextlib.closing(stock.SqlStorage(str(tmp_path / "f"))) as theirs:
        theirs["thing"] = ("PYRO:x@127.0.0.1:1", {"hot", "cold"})
        theirs["other"] = ("PYRO:y@./u:/run/y", set())
        theirs["n" * 300] = ("PYRO:z@127.0.0.1:1", set())  # no name here
    gc.collect()
    for _ in range(2):
        with opened("sql", tmp_path / "f") as storage:
            found = {one.name: one for one in storage.load()}
            assert set(found) == {"thing", "other"}
            assert found["thing"].uri == "PYRO:x@127.0.0.1:1" and found["thing"].tags() == ("cold", "hot")
            assert found["thing"].lease is None


@pytest.mark.parametrize("module", [dbm, dbm.dumb])
def test_an_old_dbm_of_names_and_uris_is_read_and_kept_in_its_kind(module, tmp_path):
    path = str(tmp_path / "f")
    with module.open(path, "n") as db:
        db[b"thing"] = b"PYRO:x@127.0.0.1:1"
        db["Läser".encode()] = b"PYRO:y@./u:/run/y"
    kind = dbm.whichdb(path)
    with opened("dbm", path) as storage:
        assert {one.name: (one.uri, one.lease) for one in storage.load()} == {
            "thing": ("PYRO:x@127.0.0.1:1", None),
            "Läser": ("PYRO:y@./u:/run/y", None),
        }
        storage.apply(gone(Registration("thing", "u")))
    assert dbm.whichdb(path) == kind
    with opened("dbm", path) as storage:
        assert names(storage) == {"Läser"}


def test_a_journal_cut_anywhere_gives_what_came_before(tmp_path, caplog):
    caplog.set_level(logging.ERROR)
    steps = [*made(PLAIN, LEASED), *gone(PLAIN), *made(replace(PLAIN, name="B"))]
    states, data = [{}], journal.MAGIC
    places = [len(data)]
    for change in steps:
        data += journal.encode(change)
        places.append(len(data))
        state = dict(states[-1])
        state.pop(change.name, None)
        if change.kind != "removed":
            state[change.name] = replace(change.registration, metadata={})
        states.append(state)
    file = tmp_path / "f"
    for cut in range(len(journal.MAGIC), len(data) + 1):
        whole = sum(1 for place in places if place <= cut) - 1
        assert journal.replay(data[:cut], file) == states[whole]
        assert journal.replay(data[:cut] + bytes(40), file) == states[whole]
    for place in range(places[0], places[-2]):
        bent = bytearray(data)
        bent[place] ^= 0x55
        with pytest.raises(ConfigurationError, match="corrupt"):
            journal.replay(bytes(bent), file)


def test_a_journal_does_not_grow_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(storage_dbm, "COMPACT_FROM", 2000)
    with opened("dbm", tmp_path / "f") as storage:
        for number in range(500):
            storage.apply(made(replace(LEASED, name=f"n{number % 7}", instance=str(number))))
        storage.apply(made(PLAIN))
        assert (tmp_path / "f.journal").stat().st_size < 4000
        assert len(storage.load()) == 8 and {"493", "499"} < {one.instance for one in storage.load()}


def test_a_journal_that_cannot_be_shortened_is_used_on(tmp_path, monkeypatch):
    monkeypatch.setattr(storage_dbm, "COMPACT_FROM", 200)
    with opened("dbm", tmp_path / "f") as storage:
        (tmp_path / "f.journal.new").mkdir()
        for number in range(50):
            storage.apply(made(replace(LEASED, name=f"n{number % 7}", instance=str(number))))
        (tmp_path / "f.journal.new").rmdir()
    with opened("dbm", tmp_path / "f") as storage:
        assert {one.instance for one in storage.load()} == {str(number) for number in range(43, 50)}


@leaves_databases_open
def test_a_dbm_that_cannot_be_written_at_the_end_leaves_its_journal(tmp_path):
    storage = open_storage("dbm", tmp_path / "f")
    storage.apply(made(PLAIN))
    with full_disk():
        storage.close()
    gc.collect()
    assert (tmp_path / "f.journal").exists()
    with opened("dbm", tmp_path / "f") as storage:
        assert names(storage) == {PLAIN.name}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="SIGKILL")
@pytest.mark.parametrize("kind", KINDS)
def test_killed_at_any_moment_every_acknowledged_change_is_there(kind, tmp_path):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    command = [sys.executable, "-m", "tests.nameserver.kill_writer", kind, str(tmp_path / "f"), str(seed), "20"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
    print(run.stdout)
    assert run.stdout.count("killed") == 20
