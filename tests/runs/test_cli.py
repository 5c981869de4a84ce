"""``agentlab runs``, in this process; and what it shows of a run that is measured meanwhile."""

import csv
import io
import json
import signal

import h5py
import pytest
from PIL import Image

from agentlab.cli.runs import complete_action, complete_run
from agentlab.runs import RunStore, sweep
from agentlab.runs.model import Axis, Column
from agentlab.runs.place import Process
from tests.cli.inprocess import Runner
from tests.cli.program import complaint, start


@pytest.fixture
def run(capsys):
    return Runner(capsys)


@pytest.fixture
def store():
    store = RunStore()
    for name, power in (("flat", 0), ("peak", 2)):
        setting = []
        setting_append = setting.append
        sweep(setting_append, [-1.0, 0.0, 1.0], reads=lambda p=power, s=setting: 1.0 - s[-1] ** p, name=name)
    return store


def test_no_runs_yet(run):
    outcome = run("runs")
    assert outcome.code == 0
    assert outcome.out.startswith("no runs in ")
    assert complaint(run("runs", "show"), 2).endswith("it has none yet")


def test_a_list(run, store):
    outcome = run("runs")
    lines = outcome.out.splitlines()
    assert lines[0].split() == ["run", "name", "state", "since", "rows", "axes", "readings"]
    assert [line.split()[:3] for line in lines[1:]] == [["1", "flat", "done"], ["2", "peak", "done"]]
    assert max(map(len, lines)) <= 80
    assert run("runs", "ls", "-n", "1").out.splitlines()[1].split()[1] == "peak"
    assert len(run("runs", "ls", "-n", "-1").out.splitlines()) == 3
    rows = json.loads(run("runs", "ls", "--json").out)
    assert [(row["id"], row["name"], row["rows"], row["state"]) for row in rows] == [
        (1, "flat", 3, "done"),
        (2, "peak", 3, "done"),
    ]


@pytest.mark.parametrize("which", [[], ["last"], ["2"], ["peak"]])
def test_all_of_one(run, store, which):
    outcome = run("runs", "show", *which)
    assert outcome.code == 0
    assert "2, peak" in outcome.out and "3 of 3" in outcome.out
    assert [line.split() for line in outcome.out.splitlines()[-2:]] == [
        ["append", "-", "-1", "1", "1"],
        ["y1", "-", "0", "1", "0"],
    ]
    assert max(map(len, outcome.out.splitlines())) <= 80 + len(str(store.path))
    known = json.loads(run("runs", "show", *which, "--json").out)
    assert (known["id"], known["axes"], known["remarks"]) == (2, {"append": [-1.0, 0.0, 1.0]}, [])


def test_a_wait_for_a_device_is_shown_however_much_else_is_remarked(run, store):
    with store.begin("night", [Axis("x", "", range(3))], [Column("y")]) as writer:
        writer.append([0.0, 0, 1], {"y": "stale"})
        writer.append([0.0, 1, 1], {"y": "waited 4.2 s, from 2026-01-01 00:00:00: OfflineError: gone"})
        writer.append([0.0, 2, 1], {"y": "waited 1.0 s, from 2026-01-01 00:00:09: OfflineError: gone"})
    lines = run("runs", "show", "night").out.splitlines()
    assert "waited       2 times, the first: row 1, y: waited 4.2 s, from 2026-01-01 00:00:00: OfflineError: gone" in lines
    assert "remarks      row 0, y: stale" in lines


def test_a_plot(run, store, tmp_path):
    outcome = run("runs", "plot", "peak")
    assert "y1" in outcome.out and "┤" in outcome.out
    assert max(map(len, outcome.out.splitlines())) <= 80
    assert run("runs", "plot", "-o", tmp_path / "x.png").out.endswith("the picture of run 2 'peak'\n")
    with Image.open(tmp_path / "x.png") as picture:
        assert picture.format == "PNG"
    assert "append" in run("runs", "plot", "--y", "append").out
    assert json.loads(run("runs", "plot", "--json").out)["run"] == 2


def test_an_export(run, store, tmp_path):
    rows = list(csv.reader(io.StringIO(run("runs", "export").out)))
    assert rows[0] == ["time (s)", "append", "y1"]
    assert [row[1:] for row in rows[1:]] == [["-1.0", "0.0"], ["0.0", "1.0"], ["1.0", "0.0"]]
    for name in ("x.csv", "x.parquet", "x.h5", "x.hdf5"):
        outcome = run("runs", "export", "peak", "-o", tmp_path / name)
        assert outcome.out == f"{tmp_path / name}: 3 rows of run 2 'peak'\n"
    assert json.loads(run("runs", "export", "-o", tmp_path / "any", "--format", "hdf5", "--json").out)["rows"] == 3
    with h5py.File(tmp_path / "any") as file:
        assert len(file["y1"]) == 3
    lines = [json.loads(line) for line in run("runs", "export", "--json").out.splitlines()]
    assert [line["y1"] for line in lines] == [0.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["shwo"], "there is no action 'shwo'; did you mean 'show'?"),
        (["show", "9"], "no run '9' in "),
        (["show", "paek"], "the newest is 2; see agentlab runs"),
        (["plot", "--y", "y2"], "run 2 'peak' has no column 'y2'; it has 'time', 'append', 'y1'"),
        (["export", "-o", "x.foo"], "'x.foo' tells no format; give a name that ends in one of .csv, .parquet, .h5, .hdf5"),
        (["export", "--format", "hdf"], "there is no format 'hdf'; did you mean 'hdf5'?"),
        (["export", "--format", "hdf5"], "hdf5 is not for a terminal; give a file: -o run2.h5"),
        (["--store", "absent.sqlite"], "there is no run store 'absent.sqlite'"),
    ],
)
def test_a_mistake_is_told_in_one_line(run, store, args, says):
    assert says in complaint(run("runs", *args), 2)


def test_a_store_that_cannot_be_read_is_a_failure(run, store, tmp_path):
    (tmp_path / "bad.sqlite").write_text("no database" * 500)
    assert "it is no database" in complaint(run("runs", "--store", tmp_path / "bad.sqlite"), 1)
    assert "cannot be written" in complaint(run("runs", "export", "-o", tmp_path / "bad.sqlite" / "x.csv"), 1)


def test_a_run_is_removed_and_given_up(run, store, monkeypatch):
    for action in ("rm", "abort"):
        assert complaint(run("runs", action), 2).endswith(f"{action} must be told which run; see agentlab runs")
    assert run("runs", "rm", "flat").out == "run 1 'flat': removed\n"
    assert run("runs", "abort", "peak").out == "run 2 'peak': was done already\n"
    monkeypatch.setattr(Process, "this", classmethod(lambda cls: Process("lab7", 5, "boot 1")))
    writer = store.begin("away", [Axis("x", "", (1,))])
    monkeypatch.undo()
    assert "heard        0 s ago, its newest row" in run("runs", "show", "--store", store.path).out
    assert json.loads(run("runs", "abort", "away", "--store", store.path, "--json").out) == {"run": 3, "was": "running"}
    assert [found.state for found in RunStore(store.path).runs()] == ["done", "aborted"]
    writer.finish("done")


def test_no_text_of_a_run_steers_the_terminal(run):
    def hostile():
        raise ValueError("no\x1b[2Jreply")

    store = RunStore()
    columns = [Column("y\x1b[2J", "W\u202e")]
    writer = store.begin("a\x1b[2Jb", [Axis("x\x1b[2J", "V", (1, 2))], columns)
    for i in (1, 2):
        writer.append([float(i), i, 2.0 * i], {"y": "old\x1b[2J"})
    writer.finish("done")
    with pytest.raises(ValueError, match="reply"):
        sweep(None, [1], reads=hostile, name="c\x1b[2J", progress=False)
    for words in (["ls"], ["show", "1"], ["show", "2"], ["show", "1", "--follow"], ["plot", "1"], ["rm", "1"]):
        outcome = run("runs", *words)
        assert outcome.code == 0
        assert not {"\x1b", "\u202e"} & set(outcome.out), words


def test_names_and_numbers_are_proposed(store):
    class Context:
        params = {"store": None}

    assert complete_run(Context, "") == ["last", "peak", "flat", "2", "1"]
    assert complete_run(Context, "p") == ["peak"]
    assert complete_action("s") == ["show"]


@pytest.mark.parametrize("action", ["show", "plot"])
def test_a_run_is_followed_to_its_end(tmp_path, action):
    store = RunStore()
    writer = store.begin("live", [Axis("x", "V", (1, 2, 3))], [Column("y", "W")])
    writer.append([1e9, 1, 0.5])
    program = start("runs", action, "--follow", "--json")
    try:
        if action == "show":
            assert json.loads(program.stdout.readline())["y"] == 0.5
        writer.append([1e9, 2, 0.25])
        if action == "show":
            assert json.loads(program.stdout.readline())["y"] == 0.25
        writer.finish("done")
        out, errors = program.communicate(timeout=30)
    finally:
        program.kill()
        program.communicate()
    assert (program.returncode, errors) == (0, "")
    assert out == "" if action == "show" else json.loads(out)["run"] == 1


def test_following_ends_with_ctrl_c():
    writer = RunStore().begin("live", [Axis("x", "V", (1,))], [Column("y", "W")])
    writer.append([1e9, 1, 0.5])
    program = start("runs", "show", "-f")
    try:
        assert program.stdout.readline().split()[1:] == ["x", "1", "V", "y", "0.5", "W"]
        program.send_signal(signal.SIGINT)
        _, errors = program.communicate(timeout=30)
    finally:
        program.kill()
        program.communicate()
    writer.finish("done")
    assert (program.returncode, errors) == (0, ""), "its normal end"
