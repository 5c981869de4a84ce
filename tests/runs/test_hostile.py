"""Stores that are spoilt, values that nobody expects, options that cannot be, and a disk that is full."""

import json
import math
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from agentlab.errors import ConfigurationError, RunError
from agentlab.runs import RunStore, sweep
from agentlab.runs.model import Axis

sqlite3 = pytest.importorskip("sqlite3")


def measured(store, rows=5, **options):
    return sweep(None, range(rows), reads=lambda: 1.0, store=store, progress=False, **options)


def change(store, *statements):
    connection = sqlite3.connect(store.path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


SPOILT = {
    "columns": "update run set columns = '[[1]]'",
    "json": "update run set columns = '{'",
    "shape": "update run set shape = '5'",
    "axis": "update axis set data = x'01', code = 'm'",
    "block": "update block set data = x'c1ff'",
    "half a block": "update block set data = x'93'",
    "other block": "update block set data = x'01'",
    "snapshot": "update snapshot set instruments = '{'",
}


@pytest.mark.parametrize("how", SPOILT)
def test_a_spoilt_store_is_told_in_a_line(store, how):
    measured(store, snapshot=True)
    change(store, SPOILT[how], "insert into snapshot values (1, 5.0, '{')")

    def look():
        run = store.run(1)
        return run.snapshots if how == "snapshot" else None, run.axes, run.data, list(run.rows())

    with pytest.raises(RunError, match="it is damaged; put it aside") as told:
        look()
    assert "\n" not in str(told.value) and str(store.path) in str(told.value)


def test_a_point_that_is_spoilt_is_told_too(store):
    writer = store.begin("", [Axis("x", "", (1, 2))])
    writer.append([1.0, 1])
    change(store, "update point set data = x'c1'")
    with pytest.raises(RunError, match="damaged"):
        list(store.run(1).rows())
    with pytest.raises(RunError, match="damaged"):
        _ = store.run(1).data
    writer.finish("done")  # it knows what it wrote
    assert list(store.run(1).rows()) == [{"time": 1.0, "x": 1}]


@pytest.mark.parametrize(
    ("name", "said"),
    [("x" * 300, "File name too long"), ("a\0b", "no file can have such a name"), ("", "it cannot be opened")],
)
def test_a_file_that_cannot_be_is_told(tmp_path, name, said):
    with pytest.raises(RunError, match=said):
        RunStore(f"{tmp_path}/{name}").runs()


def test_no_run_has_such_a_number(store):
    measured(store)
    for which in ("9" * 30, "9" * 5000, 2**70, 0, -1):
        assert store.find(which) is None


# --- options ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"delay": -1},
        {"delay": math.nan},
        {"delay": math.inf},
        {"delay": "1"},
        {"delay": True},
        {"patience": -1},
        {"timeout": -1},
        {"timeout": "soon"},
        {"name": None},
        {"name": 5},
        {"plot": "nope"},
        {"on_error": "skip"},
        {"until": "nope > 1"},
    ],
    ids=str,
)
def test_options_that_cannot_be_leave_no_run_behind(store, options):
    asked = []
    with pytest.raises(ConfigurationError):
        sweep(None, [1, 2], reads=lambda: asked.append(1), progress=False, **options)
    assert asked == [] and store.runs() == []


def test_a_scan_that_would_never_end_is_refused(store):
    with pytest.raises(ConfigurationError, match=r"would have 1e\+20 points"):
        sweep(*[(None, range(10**4))] * 5, reads=lambda: 1 / 0, progress=False)
    assert store.runs() == []


def test_values_may_come_from_anything_that_can_be_gone_through(store):
    assert list(measured(store).axes.values()) == [[0, 1, 2, 3, 4]]
    for values in ((i for i in range(3)), iter([0, 1, 2]), {0: 1, 1: 1, 2: 1}.keys()):
        assert sweep(None, values, reads=lambda: 1.0, progress=False).axes["point"] == [0, 1, 2]
    for values in ([], iter(()), "012", {0: 1}, 3):
        with pytest.raises(ConfigurationError):
            sweep(None, values, reads=lambda: 1.0, progress=False)


# --- values -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "kept"),
    [("\udcff and µ", "\\udcff and µ"), ({"\udc80": ["\ud800"]}, {"\\udc80": ["\\ud800"]}), (2**70, 2.0**70), ("a\0b", "a\0b")],
)
def test_texts_and_numbers_of_all_kinds_are_kept(store, tmp_path, value, kept):
    run = sweep(None, [1], reads=lambda: value, progress=False)
    (row,) = run.rows()
    assert row["y1"] == kept
    assert run.to_csv(tmp_path / "x.csv").read_text("utf-8")


def test_what_cannot_be_kept_is_told_and_the_rows_before_it_are_there(store):
    deep, circle = [], []
    for _ in range(3000):
        deep = [deep]
    circle.append(circle)
    wrong = ((10**400, "1329 bits"), (deep, "cannot be kept"), (circle, "holds itself"), (object(), "a object cannot be kept"))
    for value, said in wrong:
        given = iter([1.0, value])
        with pytest.raises(RunError, match=said):
            sweep(None, [1, 2], reads=lambda given=given: next(given), progress=False)
        assert (store.run("last").state, len(store.run("last"))) == ("failed", 1)


def test_numbers_that_are_longer_than_ours(store):
    numpy = pytest.importorskip("numpy")
    run = sweep(None, [1], reads=lambda: numpy.longdouble(1.5), progress=False)
    assert run.data["y1"].tolist() == [1.5]


def test_columns_of_any_name_and_texts_of_any_kind_are_exported(store, tmp_path):
    h5py = pytest.importorskip("h5py")

    class Handle:
        unit = ""

        def __init__(self, name, value):
            self.name, self.value = name, value

        def get(self):
            return self.value

    names = ["", "/", ".", "..", "a/b", "a_b", "\0", "snapshot", "\n", "x" * 300]
    run = sweep(None, [1, 2], reads=[Handle(name, "a\0b" if name == "\n" else 1.5) for name in names], progress=False)
    with h5py.File(run.to_hdf5(tmp_path / "x.h5")) as file:
        assert len(file) == len(names) + 3 and all(isinstance(one, h5py.Dataset) for one in file.values())
        assert json.loads(file["snapshot"][()]) == {} and file["\n"][0] == rb"a\0b"
    for save, path in ((run.to_csv, "x.csv"), (run.plot, "x.png")):
        save(tmp_path / path)


# --- a full disk, a kill ------------------------------------------------------------------------------------------

FULL = """
import resource, signal
from agentlab.runs import RunStore, sweep
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
sweep(None, range(3), reads=lambda: 1.0, progress=False)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, -1))
try:
    sweep(None, range(5000), reads=lambda: [1.0] * 20, progress=False, name="big")
except Exception as error:
    print(type(error).__name__, len(RunStore().run("big")))
resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
print(sweep(None, range(5000), reads=lambda: [1.0] * 20, progress=False, resume="big").state)
"""
ENDLESS = """
from agentlab.runs import sweep
count = 0
def y():
    global count
    count += 1
    print(count, flush=True)
    return float(count)
sweep(None, range(100_000), reads=y, progress=False)
"""


@pytest.mark.skipif(os.name != "posix", reason="limits of POSIX")
def test_a_disk_that_was_full_has_the_rows_before_and_the_scan_goes_on():
    done = subprocess.run([sys.executable, "-c", FULL], capture_output=True, text=True, timeout=60, check=False)
    said, state = done.stdout.splitlines()
    assert said.startswith("RunError ") and int(said.split()[1]) > 10 and state == "done", done.stderr


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_whenever_it_is_killed_all_rows_are_there(store):
    """A row is there before the next point is measured: of those that were read, at most the last is missing."""
    moments = random.Random(4)
    processes = [subprocess.Popen([sys.executable, "-c", ENDLESS], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    read = []
    try:
        for process in processes:
            until = moments.choice((1, 7, 100, 999, 1001))
            told = [int(next(process.stdout)) for _ in range(until)]
            process.kill()
            read.append([*told, *map(int, filter(str.strip, process.stdout.read().splitlines()[:-1]))][-1])
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    runs = store.runs()
    assert [run.state for run in runs] == ["aborted"] * 4
    for run in runs:
        assert run.data["y"].tolist() == [float(i) for i in range(1, len(run) + 1)]
    assert all(have >= want - 1 for have, want in zip(sorted(map(len, runs)), sorted(read), strict=True))
    assert not list(Path(store.path).parent.glob("*.tmp"))
