"""The run store as a file: what is kept, what others see, what is refused."""

import contextlib
import math
import os
import sqlite3
import threading
from pathlib import Path

import numpy as np
import pytest

from agentlab.errors import RunError
from agentlab.runs import RunStore, database, tables
from agentlab.runs.model import Axis, Column
from agentlab.runs.place import Process, store_path

X = Axis("x", "V", (1.0, 2.0, 3.0))
Y = Column("y", "W")


def write(store, rows=3, *, finish="done", **options):
    writer = store.begin("some", [X], [Y], **options)
    for i in range(rows):
        writer.append([100.0 + i, X.values[i % 3], i * 0.5])
    if finish:
        writer.finish(finish)
    return writer


def test_nothing_is_made_before_the_first_run(tmp_path, monkeypatch):
    monkeypatch.setenv("AGENTLAB_RUNS", str(tmp_path / "deep" / "runs.sqlite"))
    store = RunStore()
    assert store.path == store_path() == tmp_path / "deep" / "runs.sqlite"
    assert store.runs() == []
    assert store.find("last") is None
    with pytest.raises(RunError, match="no run 1 in .*; it has no run yet"):
        store.run(1)
    assert list(tmp_path.iterdir()) == []
    write(store)
    assert (store.path.stat().st_mode & 0o777) == 0o600


def test_a_run_is_as_it_was_written(store):
    write(store, instruments={"psu": {"voltage": {"value": 1.5, "unit": "V"}}}, snake=True)
    run = store.run(1)
    assert (run.id, run.name, run.state, len(run)) == (1, "some", "done", 3)
    assert [column.label for column in run.columns] == ["time (s)", "x (V)", "y (W)"]
    assert run.data["y"].tolist() == [0.0, 0.5, 1.0]
    assert run.data["x"].dtype == float
    assert list(run.rows()) == [{"time": 100.0 + i, "x": X.values[i], "y": i * 0.5} for i in range(3)]
    assert [row["y"] for row in run.rows(1, 2)] == [0.5]
    assert run.axes == {"x": [1.0, 2.0, 3.0]}
    assert run.snapshot["psu"]["voltage"]["value"] == 1.5
    assert (run.info.shape, run.info.snake, run.info.planned) == ((3,), True, 3)
    assert run.info.ended >= run.info.started
    assert repr(run) == "<run 1 'some': done, 3 of 3 points>"
    assert run


def test_runs_are_found_by_number_name_and_as_the_last(store):
    for _ in range(2):
        write(store)
    store.begin("other", [X], [Y]).finish("failed", "ValueError: no")
    assert [run.id for run in store.runs()] == [1, 2, 3]
    assert store.run("some").id == 2
    assert store.run("last").id == store.run(3).id == store.run("3").id == 3
    assert (store.run(3).state, store.run(3).info.reason) == ("failed", "ValueError: no")
    with pytest.raises(RunError, match=r"no run 'sme' in .*; the newest is run 3 'other'"):
        store.run("sme")


@pytest.mark.parametrize("count", [tables.BLOCK - 1, tables.BLOCK, tables.BLOCK + 1, 2 * tables.BLOCK + 5])
def test_rows_are_the_same_before_and_after_they_moved_into_blocks(store, count):
    writer = write(store, count, finish="")
    wanted = [i * 0.5 for i in range(count)]
    for _ in range(2):
        run = store.run(1)
        assert len(run) == count
        assert run.data["y"].tolist() == wanted
        assert [row["y"] for row in run.rows()] == wanted
        assert [row["y"] for row in run.rows(count - 2)] == wanted[-2:]
        writer.finish("done")
    with contextlib.closing(sqlite3.connect(store.path)) as raw, raw:
        assert raw.execute("SELECT count(*) FROM point").fetchone() == (0,)
    raw.close()


def test_many_rows_at_once_follow_those_that_were_written_one_by_one(store):
    writer = write(store, 5, finish="")
    writer.extend([200.0 + i, 1.0, float(i)] for i in range(2500))
    writer.append([300.0, 2.0, -1.0])
    writer.finish("done")
    run = store.run(1)
    assert len(run) == 2506
    assert run.data["y"].tolist() == [row["y"] for row in run.rows()] == [0, 0.5, 1, 1.5, 2, *map(float, range(2500)), -1.0]


def test_anything_can_be_kept(store):
    rows = [[0.0, "a", np.array([1.0, 2.0])], [1.0, "b", np.array([3.0, 4.0])], [2.0, "c", np.array([5.0, math.nan])]]
    with store.begin("", [Axis("x", "", ("a", "b", "c"))], [Column("trace", "V")]) as writer:
        for row in rows:
            writer.append(row)
        with pytest.raises(RunError, match="cannot be kept"):
            writer.append([3.0, "d", object()])
        with pytest.raises(RunError, match="has 3 values, not 2"):
            writer.append([3.0, "d"])
    data = store.run(1).data
    assert data["x"].tolist() == ["a", "b", "c"]
    assert data["trace"].shape == (3, 2)
    assert math.isnan(data["trace"][2, 1])


def test_remarks_stand_beside_values(store):
    with store.begin("", [X], [Y]) as writer:
        writer.append([0.0, 1.0, 0.0])
        writer.append([1.0, 2.0, math.nan], {"y": "OfflineError: gone"})
    assert store.run(1).remarks == [(1, "y", "OfflineError: gone")]


@pytest.mark.parametrize(
    ("error", "state", "reason"),
    [
        (None, "done", ""),
        (ValueError("no\nmore"), "failed", "ValueError: no more"),
        (KeyboardInterrupt(), "aborted", "interrupted"),
        (SystemExit(), "aborted", "SystemExit"),
    ],
)
def test_the_end_of_a_block_ends_the_run(store, error, state, reason):
    def body():
        with store.begin("", [X], [Y]) as writer:
            writer.append([0.0, 1.0, 2.0])
            if error is not None:
                raise error

    if error is None:
        body()
    else:
        with pytest.raises(type(error)):
            body()
    info = store.run(1).info
    assert (info.state, info.reason, info.rows) == (state, reason, 1)


def test_who_follows_sees_rows_as_they_come(store):
    writer = store.begin("", [X], [Y])
    seen, together = [], threading.Barrier(2, timeout=10)

    def follow():
        for row in RunStore(store.path).follow(1, timeout=10):
            seen.append(row["y"])
            together.wait()

    follower = threading.Thread(target=follow)
    follower.start()
    try:
        for i in range(3):
            writer.append([0.0, 1.0, float(i)])
            together.wait()  # it has come before the next one is written
    finally:
        writer.finish("done")
        follower.join(10)
    assert seen == [0.0, 1.0, 2.0]
    assert list(store.follow(1)) == list(store.run(1).rows()), "of a run that is over, all rows and the end"


def test_who_follows_a_run_that_stands_still_may_give_up(store):
    writer = write(store, 1, finish="")
    with pytest.raises(TimeoutError, match="no row of run 1 'some' came within 0.01 s"):
        list(store.follow(1, timeout=0.01))
    writer.finish("done")


def test_a_run_goes_on_after_its_last_row(store):
    write(store, 2, finish="aborted")
    writer = store.resume(1)
    assert writer.count == 2
    assert store.run(1).state == "running"
    with pytest.raises(RunError, match=rf"run 1 'some' is still being measured, by process {os.getpid()} on"):
        store.resume(1)
    with pytest.raises(RunError, match="still being measured"):
        store.delete(1)
    writer.append([0.0, 3.0, 9.0])
    writer.finish("done")
    assert store.run(1).data["y"].tolist() == [0.0, 0.5, 9.0]


def test_a_run_whose_process_is_gone_is_aborted_and_can_go_on(store, monkeypatch):
    gone = Process(Process.this().host, os.getpid(), "another boot 1")
    monkeypatch.setattr(Process, "this", classmethod(lambda cls: gone))
    writer = write(store, 2, finish="")
    writer._stack.close()
    monkeypatch.undo()
    store = RunStore(store.path)
    assert (store.run(1).state, store.run(1).info.reason) == ("aborted", "its process was killed")
    with contextlib.closing(sqlite3.connect(store.path)) as raw, raw:
        assert raw.execute("SELECT state FROM run").fetchone() == ("running",), "looking writes nothing"
    write(store)
    with contextlib.closing(sqlite3.connect(store.path)) as raw, raw:
        assert raw.execute("SELECT state FROM run WHERE id = 1").fetchone() == ("aborted",)
    raw.close()
    writer = store.resume(1)
    assert writer.count == 2
    writer.finish("done")


def test_a_deleted_run_is_gone_and_its_number_is_not_given_again(store):
    write(store)
    old = store.run(1)
    store.delete(1)
    assert store.runs() == []
    assert write(store).id == 2
    old._info = store.run(2).info.__class__(**{**_fields(old.info), "state": "running"})
    with pytest.raises(RunError, match="run 1 is no more"):
        _ = old.state


def _fields(info):
    return {name: getattr(info, name) for name in info.__slots__}


# ------------------------------------------------------------------------------------------------ bad files


def test_a_store_of_a_newer_release_is_not_touched(store):
    write(store)
    with contextlib.closing(sqlite3.connect(store.path)) as raw, raw:
        raw.execute("PRAGMA user_version = 2")
    raw.close()
    for use in (lambda s: s.runs(), write):
        with pytest.raises(RunError, match=r"run store '.*runs.sqlite': a newer release wrote it \(format 2\)"):
            use(RunStore(store.path))


def test_anothers_database_is_not_touched(store):
    with contextlib.closing(sqlite3.connect(store.path)) as raw, raw:
        raw.execute("CREATE TABLE theirs (a)")
    raw.close()
    for use in (lambda s: s.runs(), write):
        with pytest.raises(RunError, match="it is a database of something else; choose another file"):
            use(store)


def test_a_file_that_is_no_database_is_not_touched(store):
    text = "time,x\n" * 1000
    store.path.write_text(text)
    for use in (lambda s: s.runs(), write):
        with pytest.raises(RunError, match="it is no database; choose another file"):
            use(store)
    assert store.path.read_text() == text


def test_an_empty_file_becomes_a_store(store):
    store.path.touch()
    assert store.runs() == []
    write(store)
    assert len(store.runs()) == 1


@pytest.mark.parametrize("path", ["file/runs.sqlite", "."])
def test_a_place_that_cannot_be_written_is_told(tmp_path, path):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"run store '.*': .*choose another file"):
        write(RunStore(tmp_path / path))


def test_a_full_disk_ends_the_run_and_keeps_its_rows(store):
    writer = write(store, 3, finish="")
    pages = writer._connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    writer._connection.rollback()
    writer._connection.connection.dbapi_connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(RunError, match="the disk is full; make room: what was kept before is still there"):
        writer.append([0.0, 1.0, "x" * 100_000])
    assert writer.count == 3
    writer.finish("failed", "full")
    assert store.run(1).data["y"].tolist() == [0.0, 0.5, 1.0]


def test_a_run_that_could_not_even_be_ended_can_go_on(store):
    writer = write(store, 2, finish="")
    writer._connection.connection.dbapi_connection.execute("PRAGMA query_only = 1")
    with pytest.raises(RunError, match="it cannot be written"):
        writer.finish("failed")
    assert store.run(1).state == "running", "nobody could write anything else"
    again = store.resume(1)
    again.append([0.0, 3.0, 9.0])
    again.finish("done")
    assert store.run(1).data["y"].tolist() == [0.0, 0.5, 9.0]


def test_a_run_that_could_not_even_be_ended_can_be_removed(store):
    writer = write(store, 2, finish="")
    with pytest.raises(RunError, match="still being measured"):
        store.delete(1)
    writer._connection.connection.dbapi_connection.execute("PRAGMA query_only = 1")
    with pytest.raises(RunError, match="it cannot be written"):
        writer.finish("failed")
    store.delete(1)
    assert store.runs() == []


def test_a_row_that_was_written_but_not_counted_is_kept(store):
    writer = write(store, 3, finish="")
    writer.count -= 1
    writer._loose.pop()
    writer.finish("aborted", "interrupted")
    assert store.run(1).data["y"].tolist() == [0.0, 0.5, 1.0]
    assert [row["y"] for row in store.run(1).rows()] == [0.0, 0.5, 1.0]
    assert store.resume(1).count == 3


def test_a_store_that_nobody_here_may_write_can_be_read(store, monkeypatch):
    write(store)
    monkeypatch.setattr(os, "access", lambda *_args, **_options: False)
    assert database._address(store.path).query["immutable"] == "1"
    frozen = RunStore(store.path)
    assert frozen.run(1).data["y"].tolist() == [0.0, 0.5, 1.0]
    assert sorted(path.name for path in store.path.parent.iterdir()) == ["runs.sqlite"]
    with pytest.raises(RunError, match="it cannot be written; allow writing there, or choose another file"):
        write(frozen)


def test_a_name_with_signs_of_addresses_is_a_name(tmp_path, monkeypatch):
    store = RunStore(tmp_path / "a?b#c 100%.sqlite")
    write(store)
    monkeypatch.setattr(os, "access", lambda *_args, **_options: False)
    assert len(RunStore(store.path).runs()) == 1
    assert Path(store.path).exists()


def test_a_store_on_a_network_drive_has_no_shared_memory(store, monkeypatch):
    write(store)
    assert _journal(store) == "wal"
    monkeypatch.setattr(database, "is_network", lambda _path: True)
    again = RunStore(store.path)
    write(again)
    assert _journal(store) == "delete"
    writer = write(again, 2, finish="")
    assert again.run("last").state == "running"
    assert not list(store.path.parent.glob("*-shm"))
    writer.finish("done")


def _journal(store):
    with contextlib.closing(sqlite3.connect(store.path)) as raw:
        return raw.execute("PRAGMA journal_mode").fetchone()[0]


def test_who_may_only_read_sees_what_others_write_later(store, monkeypatch):
    write(store)
    writer = RunStore(store.path)
    may = os.access
    monkeypatch.setattr(os, "access", lambda *_args, **_options: False)
    frozen = RunStore(store.path)
    assert len(frozen.runs()) == 1
    monkeypatch.setattr(os, "access", may)
    other = write(writer, finish="")
    monkeypatch.setattr(os, "access", lambda *_args, **_options: False)
    assert len(frozen.runs()) == 2, "a log is there now, so somebody writes"
    monkeypatch.undo()
    other.finish("done")


def test_only_the_newest_runs_may_be_asked_for(store):
    for _ in range(4):
        write(store, 0)
    assert [run.id for run in store.runs(2)] == [3, 4]
    assert store.runs(0) == []


def test_a_store_may_be_named_from_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AGENTLAB_RUNS", "~/lab.sqlite")
    assert RunStore().path == tmp_path / "lab.sqlite"
