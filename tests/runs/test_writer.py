"""Writing a run: what is in the file is what was measured, whatever happens to the writer and to the values meanwhile."""

import contextlib
import sqlite3
import sys

import numpy as np
import pytest

from agentlab.errors import RunError
from agentlab.runs import RunStore, sweep, tables
from agentlab.runs.model import Axis, Column
from agentlab.runs.place import Process

X, Y = Axis("x", "", tuple(range(10))), Column("y")


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(tables, "BLOCK", 2)


def raw(store, statement, *values):
    with contextlib.closing(sqlite3.connect(store.path)) as connection, connection:
        return connection.execute(statement, values).fetchall()


def ys(store, which="last"):
    return [row["y"] for row in store.run(which).rows()]


def test_an_array_that_its_driver_uses_again_is_kept_as_it_was(store, small_blocks):
    buffer = np.zeros(2)

    def camera():
        buffer[:] += 1
        return buffer

    run = sweep(None, range(5), reads=camera, progress=False)
    assert [row["camera"].tolist() for row in run.rows()] == [[i, i] for i in range(1, 6)]
    buffer[:] = 0
    with store.begin("", [X], [Y]) as writer:
        writer.extend([0.0, i, [camera()]] for i in range(5))
    assert [one[0].tolist() for one in ys(store)] == [[i, i] for i in range(1, 6)]


def test_blocks_of_large_values_have_few_rows(store, monkeypatch):
    monkeypatch.setattr(tables, "BLOCK_BYTES", 1000)
    traces = [np.full(50, float(i)) for i in range(10)]
    with store.begin("", [X], [Y]) as writer:
        for i in range(5):
            writer.append([0.0, i, traces[i]])
            assert writer._size < 1000
        writer.extend([0.0, i, traces[i]] for i in range(5, 10))
    sizes = raw(store, "SELECT count, length(data) FROM block")
    assert sum(count for count, _ in sizes) == 10 and all(count <= 3 and length < 2000 for count, length in sizes)
    assert [one.tolist() for one in ys(store)] == [one.tolist() for one in traces]


def test_a_row_that_sqlite_cannot_hold_is_refused_and_the_run_goes_on(store, monkeypatch):
    monkeypatch.setattr(tables, "ROW_BYTES", 100_000)
    with store.begin("", [X], [Y]) as writer:
        with pytest.raises(RunError, match=r"a row of 1 MB cannot be kept in a run, which takes 0 MB; give less, or write it"):
            writer.append([0.0, 0, np.zeros(100_000)])
        writer.append([0.0, 0, 1.0])
    assert ys(store) == [1.0]


def test_a_run_that_has_ended_takes_nothing_more(store):
    writer = store.begin("", [X], [Y])
    writer.finish("done")
    for call in (lambda: writer.append([0.0, 1, 1]), lambda: writer.extend([]), lambda: writer.take_snapshot({})):
        with pytest.raises(RunError, match=r"run 1 has ended, .* RunStore.resume\(1\)"):
            call()


def test_who_has_lost_a_run_to_another_process_writes_no_more(store, small_blocks):
    """A process that stood still, while another one was told to go on with its run."""
    old = store.begin("", [X], [Y])
    old.append([0.0, 0, 0.0])
    raw(store, "UPDATE run SET pid = pid + 1")
    for call in (lambda: old.append([0.0, 1, 9.0]), lambda: old.extend([[0.0, i, 9.0] for i in range(5)])):
        with pytest.raises(RunError, match="run 1 was deleted, or another process goes on with it"):
            call()
    with pytest.raises(RunError, match="another process"):
        old.finish("failed", "it knows no better")
    assert raw(store, "SELECT state FROM run") == [("running",)]
    assert ys(store) == [0.0]


def test_a_run_that_is_open_here_is_open_by_any_name_of_its_file(store, tmp_path, monkeypatch):
    writer = store.begin("", [X], [Y])
    (tmp_path / "link.sqlite").symlink_to(store.path)
    monkeypatch.chdir(tmp_path)
    for path in ("runs.sqlite", "link.sqlite"):
        with pytest.raises(RunError, match="still being measured"):
            RunStore(path).resume(1)
    writer.finish("done")


def test_a_disk_too_full_for_tidying_has_the_rows_and_the_end(store, monkeypatch):
    writer = store.begin("", [X], [Y])
    writer.append([0.0, 0, 1.0])

    def full(_rows):
        raise RunError("the disk is full")

    monkeypatch.setattr(writer, "_gather", full)
    writer.finish("done")
    assert store.run(1).state == "done"
    assert ys(store) == [1.0]


def test_texts_that_no_file_can_hold_are_spelt_out(store):
    def odd():
        raise ValueError("x\udcff" + "y" * 5000)

    def surrogate(_value):
        return None

    surrogate.name = "µ\udc80"
    run = sweep((surrogate, [1]), reads=odd, name="n\udcff", progress=False, on_error="nan")
    assert (run.name, run.columns[1].name) == ("n\\udcff", "µ\\udc80")
    ((_, _, remark),) = run.remarks
    assert remark.startswith("ValueError: x\\udcffyyy") and len(remark) < 1100
    with pytest.raises(ValueError, match="x"):
        sweep(None, [1], reads=odd, progress=False)
    assert (store.run("last").state, len(store.run("last").info.reason) < 1100) == ("failed", True)


def test_a_snapshot_with_anything_in_it_is_kept(store):
    circle = {}
    circle["itself"] = circle
    odd = {("a", 1): object(), 2: 1j, "text": "\udcff", "array": np.arange(2), "bytes": b"x", "circle": circle}
    store.begin("", [X], [Y], instruments={"psu": odd, "dmm": {"voltage": {"value": 1.5}}}).finish("done")
    kept = store.run(1).snapshot
    assert kept["dmm"] == {"voltage": {"value": 1.5}}
    assert (kept["psu"]["2"], kept["psu"]["text"], kept["psu"]["array"]) == ("1j", "\\udcff", [0, 1])


# --- Ctrl-C -------------------------------------------------------------------------------------------------------


class Interrupt:
    """Counts the lines of ours that are run, and raises KeyboardInterrupt at one of them."""

    FILES = ("scan.py", "store.py", "writer.py", "database.py")

    def __init__(self, at=None):
        self.at, self.count = at, 0

    def __call__(self, frame, _event, _arg):
        return self.line if frame.f_code.co_filename.replace("\\", "/").endswith(self.FILES) else None

    def line(self, _frame, event, _arg):
        if event == "line":
            self.count += 1
            if self.count == self.at:
                raise KeyboardInterrupt
        return self.line

    def measure(self):
        """Give what was measured in a scan."""
        measured = []

        def y():
            measured.append(float(len(measured)))
            return measured[-1]

        before = sys.gettrace()
        sys.settrace(self)
        try:
            sweep(None, range(5), reads=y, progress=False, snapshot=False)
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(before)
        return measured


def test_whenever_ctrl_c_comes_the_run_is_aborted_and_has_its_rows(store, small_blocks):
    whole = Interrupt()
    whole.measure()
    moments = 10
    keeper = store.begin("keeper")  # while a store is open, nobody has to tidy its log at every closing
    for i in range(1, moments):
        interrupt = Interrupt(whole.count * i // moments)
        before = store.run("last").id
        measured = interrupt.measure()
        assert interrupt.count >= interrupt.at
        run = store.run("last")
        assert run.id > before or not measured
        if run.id > before:
            rows = [row["y"] for row in run.rows()]
            assert run.state == "aborted" or (run.state, len(run)) == ("done", 5)
            assert rows == [float(i) for i in range(len(rows))] == list(run.data["y"])
            assert len(rows) >= len(measured) - 1
            with store.resume(run.id) as writer:
                writer.extend([0.0, i, float(i)] for i in range(writer.count, 5))
            assert ys(store, run.id) == [0.0, 1.0, 2.0, 3.0, 4.0]
    keeper.finish("done")


def test_a_run_that_could_not_be_begun_leaves_those_of_others_alone(store, monkeypatch):
    give_up, others = RunStore._not_opened, []

    def late(self, *args):
        others.append(RunStore(store.path).begin("other", [X], [Y]))
        give_up(self, *args)

    monkeypatch.setattr(RunStore, "_not_opened", late)
    with pytest.raises(RunError):
        store.begin("mine", [Axis("x", "", (object(),))], [Y])
    assert [(run.name, run.state) for run in store.runs()] == [("other", "running")]
    others[0].finish("done")


# --- runs of other machines ---------------------------------------------------------------------------------------


def test_a_run_whose_process_died_elsewhere_is_given_up_by_hand(store, monkeypatch):
    elsewhere = Process("lab7", 5, "boot 1")
    monkeypatch.setattr(Process, "this", classmethod(lambda cls: elsewhere))
    writer = store.begin("", [X], [Y])
    assert store.run(1).heard == store.run(1).info.started
    writer.append([12.5, 0, 1.0])
    monkeypatch.undo()
    run = store.run(1)
    assert (run.state, run.heard) == ("running", 12.5)
    for call in (store.resume, store.delete):
        with pytest.raises(RunError, match="process 5 on lab7; .* if that process has gone, mark it: agentlab runs abort 1"):
            call(1)
    store.abort(1)
    assert (store.run(1).state, store.run(1).info.reason.startswith("given up by")) == ("aborted", True)
    writer.append([13.5, 1, 2.0])  # it lives after all
    writer.finish("done")
    assert (store.run(1).state, ys(store)) == ("done", [1.0, 2.0])
    store.abort(1)
    assert store.run(1).state == "done"


def test_a_run_that_is_measured_here_is_not_given_up(store):
    writer = store.begin("", [X], [Y])
    with pytest.raises(RunError, match="still being measured, by process"):
        store.abort(1)
    writer.finish("done")
