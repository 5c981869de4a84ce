"""Exports, read back by the libraries that others read them with."""

import csv
import json
import math
import sys

import h5py
import numpy as np
import pyarrow.parquet
import pytest
import xarray
from PIL import Image

from agentlab.errors import RunError
from agentlab.runs import sweep
from agentlab.runs.model import Axis, Column


@pytest.fixture
def run(store):
    """One of everything: numbers, whole numbers, truth, text, complex numbers, traces, and what is missing."""
    readings = [Column("power", "mW"), Column("count"), Column("on"), Column("text"), Column("z", "Ohm"), Column("trace", "V")]
    writer = store.begin("all", [Axis("a.b", "V", (1, 2, 3))], readings, instruments={"psu": {"voltage": {"value": 1}}})
    with writer:
        for i in range(3):
            power = math.nan if i == 1 else i / 3
            writer.append([1e9 + i, i + 1, power, i, i > 0, f"näme {i}", complex(i, -1), np.arange(4.0) + i])
    return store.run("all")


def test_csv(run, tmp_path):
    path = run.to_csv(tmp_path / "new" / "run.csv")
    assert path == (tmp_path / "new" / "run.csv").resolve()
    with path.open(encoding="utf-8", newline="") as file:
        heading, *rows = csv.reader(file)
    assert heading == ["time (s)", "a.b (V)", "power (mW)", "count", "on", "text", "z (Ohm)", "trace (V)"]
    assert [float(row[2]) for row in rows] == [0.0, pytest.approx(math.nan, nan_ok=True), 2 / 3]
    assert [row[4] for row in rows] == ["False", "True", "True"]
    assert rows[2][5:] == ["näme 2", "(2-1j)", "[2.0, 3.0, 4.0, 5.0]"]
    assert len(list(path.parent.iterdir())) == 1


def test_parquet(run, tmp_path):
    table = pyarrow.parquet.read_table(run.to_parquet(tmp_path / "run.parquet"))
    columns = table.to_pydict()
    assert columns["a.b"] == [1, 2, 3]
    assert columns["power"][::2] == [0.0, 2 / 3] and math.isnan(columns["power"][1])
    assert columns["on"] == [False, True, True]
    assert columns["text"] == ["näme 0", "näme 1", "näme 2"]
    assert (columns["z.real"], columns["z.imag"]) == ([0.0, 1.0, 2.0], [-1.0] * 3)
    assert columns["trace"][1] == [1.0, 2.0, 3.0, 4.0]
    assert table.schema.field("power").metadata == {b"unit": b"mW", b"role": b"reading"}
    about = json.loads(table.schema.metadata[b"agentlab"])
    assert (about["name"], about["rows"], about["snapshot"]["psu"]["voltage"]["value"]) == ("all", 3, 1)


def test_hdf5(run, tmp_path):
    with h5py.File(run.to_hdf5(tmp_path / "run.h5")) as file:
        assert file["a.b"][:].tolist() == [1, 2, 3]
        assert file["power"].attrs["unit"] == "mW"
        assert math.isnan(file["power"][1])
        assert file["on"][:].tolist() == [False, True, True]
        assert file["text"].asstr()[:].tolist() == ["näme 0", "näme 1", "näme 2"]
        assert file["z"][2] == 2 - 1j
        assert file["trace"].shape == (3, 4)
        assert json.loads(file.attrs["agentlab"])["name"] == "all"
        assert json.loads(file["snapshot"].asstr()[()])["psu"]["voltage"]["value"] == 1


def test_xarray(run):
    found = run.to_xarray()
    assert isinstance(found, xarray.Dataset)
    assert found["a.b"].values.tolist() == [1, 2, 3]
    assert found["power"].attrs == {"units": "mW"}
    assert found["trace"].dims == ("a.b", "trace_0")
    assert found["text"].sel({"a.b": 2}).item() == "näme 1"
    assert found["on"].dtype == bool
    assert found.attrs["name"] == "all"


def test_xarray_of_a_snake_that_was_cut_off():
    values = {}
    run = sweep(
        (lambda y: values.update(y=y), [10, 20]),
        (lambda x: values.update(x=x), [1, 2, 3]),
        reads=[lambda: values["x"] * values["y"], lambda: values["x"]],
        snake=True,
        until=lambda row: row["y1"] == 40,
    )
    found = run.to_xarray()
    assert found["y1"].shape == (2, 3)
    assert found["y1"].values[0].tolist() == [10, 20, 30]
    assert math.isnan(found["y1"].values[1][0])
    assert found["y1"].values[1][1:].tolist() == [40, 60]


def test_a_run_without_rows_can_be_exported(store, tmp_path):
    store.begin("none", [Axis("x", "", (1,))], [Column("y")]).finish("done")
    run = store.run("none")
    assert run.to_csv(tmp_path / "x.csv").read_text() == "time (s),x,y\n"
    assert pyarrow.parquet.read_table(run.to_parquet(tmp_path / "x.parquet")).num_rows == 0
    with h5py.File(run.to_hdf5(tmp_path / "x.h5")) as file:
        assert file["y"].shape == (0,)
    assert math.isnan(run.to_xarray()["y"].values[0])


def test_what_has_nothing_in_common_is_exported_as_text(store, tmp_path):
    with store.begin("odd", [Axis("x", "", (1, 2, 3))], [Column("y")]) as writer:
        for i, value in enumerate((1.5, "up", [1, 2])):
            writer.append([0.0, i, value])
    run = store.run("odd")
    texts = ["1.5", "up", "[1, 2]"]
    assert pyarrow.parquet.read_table(run.to_parquet(tmp_path / "x.parquet")).to_pydict()["y"] == texts
    with h5py.File(run.to_hdf5(tmp_path / "x.h5")) as file:
        assert file["y"].asstr()[:].tolist() == texts


@pytest.mark.parametrize(
    ("library", "call", "extra"),
    [("pyarrow", "to_parquet", "parquet"), ("h5py", "to_hdf5", "hdf5"), ("xarray", "to_xarray", "xarray")],
)
def test_a_missing_library_names_what_to_install(run, tmp_path, monkeypatch, library, call, extra):
    monkeypatch.setitem(sys.modules, library, None)
    arguments = () if library == "xarray" else (tmp_path / "x",)
    with pytest.raises(RunError, match=rf'needs {library}, which is not installed; python -m pip install "agentlab\[{extra}\]"'):
        getattr(run, call)(*arguments)
    assert not (tmp_path / "x").exists()


def test_a_file_that_cannot_be_written_leaves_nothing(run, tmp_path):
    (tmp_path / "file").touch()
    for call in (run.to_csv, run.to_parquet, run.to_hdf5, run.plot):
        with pytest.raises(RunError, match="cannot be written: .*; give another file"):
            call(tmp_path / "file" / "x")
    assert [path.name for path in tmp_path.iterdir() if "sqlite" not in path.name] == ["file"]


def test_an_older_file_stays_when_writing_fails(run, tmp_path, monkeypatch):
    path = run.to_csv(tmp_path / "x.csv")
    before = path.read_text()
    monkeypatch.setattr("agentlab.runs.export._cell", lambda _value: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run.to_csv(path)
    assert path.read_text() == before
    assert [found.name for found in tmp_path.glob("*csv*")] == ["x.csv"]


def test_plots_are_pictures_and_text(run, tmp_path):
    picture = run.plot(tmp_path / "x.png", y="count")
    with Image.open(tmp_path / "x.png") as kept:
        assert kept.size == picture.size
    assert "count" in run.text_plot(y="count")
    assert run.text_plot(ascii_only=True).isascii()
    with pytest.raises(RunError, match="did you mean 'power'"):
        run.plot(y="powr")


ODD = {
    "a number beside complex ones": ([1j, "a"], ["1j", "a"]),
    "nothing, then a complex one": ([None, 1j], [None, "1j"]),
    "mappings": ([{"a": 1}, {"b": "x"}], ['{"a": 1}', '{"b": "x"}']),
    "lists of several types": ([[1, "a"], [2]], ['[1, "a"]', "[2]"]),
    "great numbers and halves": ([2**53 + 1, 2.5], ["9007199254740993", "2.5"]),
}


@pytest.mark.parametrize("what", ODD)
def test_what_parquet_has_no_type_for_is_text(store, tmp_path, what):
    values, kept = ODD[what]
    with store.begin("", [Axis("x", "", (1, 2))], [Column("y")]) as writer:
        for i, value in enumerate(values):
            writer.append([0.0, i, value])
    columns = pyarrow.parquet.read_table(store.run(1).to_parquet(tmp_path / "x.parquet")).to_pydict()
    assert columns["y"] == kept


def test_a_run_without_axes_is_over_its_rows(store):
    with store.begin("", [], [Column("y", "V")]) as writer:
        for i in range(3):
            writer.append([0.0, i * 0.5])
    found = store.run(1).to_xarray()
    assert (found["y"].dims, found["y"].values.tolist()) == (("point",), [0.0, 0.5, 1.0])
