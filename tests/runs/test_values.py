"""What needs no file: values as bytes, grids, conditions, the pace of a scan."""

import enum
import itertools
import math
import sys
from array import array
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentlab.errors import ConfigurationError, RunError
from agentlab.runs import place
from agentlab.runs.codec import join_column, pack, pack_column, unpack, unpack_column
from agentlab.runs.condition import condition
from agentlab.runs.model import Column, Grid
from agentlab.runs.place import Process, is_network, process_stamp
from agentlab.runs.plain import plain
from agentlab.runs.progress import Pace, duration

numbers = st.floats() | st.integers(-(2**63), 2**63 - 1) | st.booleans()
values = numbers | st.none() | st.text() | st.binary() | st.complex_numbers() | st.lists(numbers, max_size=3)


def same(one, other):
    return type(one) is type(other) and (one == other or repr(one) == repr(other))


@given(st.lists(values, max_size=20))
def test_a_column_of_anything_comes_back_as_it_was(column):
    found = unpack_column(*pack_column(column))
    if pack_column(column)[0] == "d":  # numbers that are exact as floats may become ones
        assert all(a == b or (math.isnan(a) and math.isnan(b)) for a, b in zip(column, found, strict=True))
    else:
        assert all(map(same, column, found)), (column, found)


@pytest.mark.parametrize(
    ("column", "code"),
    [
        ([1.0, math.nan], "d"),
        ([1, 2.5], "d"),
        ([2**53 + 1, 2.5], "m"),
        ([1, 2], "q"),
        ([True, False], "?"),
        ([True, 1], "m"),
        ([1j], "D"),
        (["a"], "m"),
        ([None, 1.0], "m"),
        ([], "m"),
    ],
)
def test_columns_of_numbers_are_their_bytes(column, code):
    assert pack_column(column)[0] == code


class Colour(enum.IntEnum):
    RED = 1


class Mode(enum.Enum):
    SLOW = "slow"


class Quantity:
    """As pint's: it passes on what its magnitude has, and warns that the unit is lost."""

    magnitude = np.array([1.5])

    def __getattr__(self, name):
        return getattr(self.magnitude, name)

    def tolist(self):
        raise AssertionError("a list of quantities")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.complex64(1j), 1j),
        (np.str_("x"), "x"),
        (np.array(3.0), 3.0),
        (Colour.RED, 1),
        (Mode.SLOW, "slow"),
        (bytearray(b"12"), b"12"),
        (memoryview(b"12"), b"12"),
        (array("d", [1.5]), [1.5]),
        (np.ma.masked, None),
        (Decimal("1.5"), 1.5),
        (2**70, float(2**70)),
        ((1, [2.0]), [1, [2.0]]),
        ({"a": np.int8(1)}, {"a": 1}),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        (np.array(["a"]), ["a"]),
    ],
)
def test_others_numbers_become_pythons_own(given, kept):
    assert same(plain(given), kept)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (np.ma.masked_array([1.0, 2.0], [False, True]), [1.0, math.nan]),
        (np.ma.masked_array([1, 2], [False, True]), [1.0, math.nan]),
        (np.ma.masked_array([1, 2]), [1, 2]),
        (Quantity(), [1.5]),
        (np.array([1.5], "f2"), [1.5]),
        (np.array([1.5], np.longdouble), [1.5]),
        (np.array([1 + 2j], np.clongdouble), [1 + 2j]),
    ],
)
def test_arrays_of_others_are_arrays_of_numbers(given, kept):
    found = unpack(pack(plain(given)))
    assert found.dtype.str[1:] in ("f4", "f8", "i8", "c16")
    assert [*map(repr, found.tolist())] == [*map(repr, kept)]


def test_great_whole_numbers_keep_their_digits_beside_others():
    """Nanoseconds since 1970 as floats are wrong by a hundred of them."""
    great = 2**60 + 1
    for parts in ([[great], [math.nan]], [[great, 1.5]], [[great], ["a"]]):
        found = join_column([pack_column(part) for part in parts])
        assert found[0] == great and type(found[0]) is int
    assert join_column([pack_column([1]), pack_column([math.nan])]).dtype == float
    assert join_column([pack_column([[1, "a"]])]).tolist() == [[1, "a"]], "a number does not become a text"


def test_what_cannot_be_kept_is_named():
    with pytest.raises(RunError, match=r"a object cannot be kept in a run; give a number"):
        plain(object())


@pytest.mark.parametrize("kind", ["f8", "f4", "i4", "u1", "?", "c16", ">f8"])
def test_arrays_come_back_with_type_and_shape(kind):
    array = np.arange(6).reshape(2, 3).astype(kind)
    found = unpack(pack(plain(array)))
    assert found.shape == (2, 3)
    assert found.dtype == array.dtype.newbyteorder("<")
    assert (found == array).all()


def test_without_numpy_columns_and_arrays_are_lists(monkeypatch):
    array = pack(np.array([[1.0, 2.0]], "f4"))
    waves = pack(np.array([1 + 2j]))
    parts = [pack_column([1.0]), pack_column([2])]
    monkeypatch.setitem(sys.modules, "numpy", None)
    assert unpack(array) == [[1.0, 2.0]]
    assert unpack(waves) == [1 + 2j]
    assert join_column(parts) == [1.0, 2]


@pytest.mark.parametrize(
    ("parts", "wanted"),
    [
        ([[1.0], [2.0]], np.array([1.0, 2.0])),
        ([[1.0], [2]], np.array([1.0, 2.0])),
        ([[1], [2]], np.array([1, 2])),
        ([[True], [False]], np.array([True, False])),
        ([["a"], ["bc"]], np.array(["a", "bc"])),
        ([[[1, 2]], [[3, 4]]], np.array([[1, 2], [3, 4]])),
        ([[np.array([1.0, 2.0])], [np.array([3.0, 4.0])]], np.array([[1.0, 2.0], [3.0, 4.0]])),
    ],
)
def test_parts_become_one_array(parts, wanted):
    found = join_column([pack_column(part) for part in parts])
    assert found.dtype.kind == wanted.dtype.kind
    assert found.tolist() == wanted.tolist()


def test_what_has_nothing_in_common_is_an_array_of_objects():
    for part in (["a", 1.0, None], [[1], [1, 2]], [math.nan, np.array([1.0])]):
        found = join_column([pack_column(part)])
        assert found.dtype == object
        assert found.shape == (len(part),)


# ------------------------------------------------------------------------------------------------ grids


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.booleans())
def test_a_grid_has_every_point_once_and_a_snake_never_jumps(shape, snake):
    grid = Grid(shape, snake=snake)
    points = [grid.indices(number) for number in range(grid.total)]
    assert len(set(points)) == grid.total == math.prod(shape)
    strides = [math.prod(shape[i + 1 :]) for i in range(len(shape))]
    assert [sum(i * s for i, s in zip(point, strides, strict=True)) for point in points] == grid.places(grid.total)
    if snake:
        assert all(sum(abs(a - b) for a, b in zip(one, other, strict=True)) == 1 for one, other in itertools.pairwise(points))
    else:
        assert points == sorted(points)


# ------------------------------------------------------------------------------------------------ conditions

COLUMNS = [Column("dmm.voltage", "V"), Column("on"), Column("name")]


@pytest.mark.parametrize(
    ("text", "row", "met"),
    [
        ("dmm.voltage > 5", {"dmm.voltage": 5.1}, True),
        ("dmm.voltage>5", {"dmm.voltage": 5.0}, False),
        ("dmm.voltage >= 5 V", {"dmm.voltage": 5.0}, True),
        ("dmm.voltage <= -1e-3", {"dmm.voltage": -1.0}, True),
        ("dmm.voltage != 5", {"dmm.voltage": math.nan}, False),
        ("on == true", {"on": True}, True),
        ("on == false", {"on": True}, False),
        ("dmm.voltage > 5 and on == true", {"dmm.voltage": 6.0, "on": False}, False),
        ("dmm.voltage > 5 or on == true", {"dmm.voltage": 4.0, "on": True}, True),
        ("name > 5", {"name": "a"}, False),
    ],
)
def test_a_condition_as_text(text, row, met):
    assert bool(condition(text, COLUMNS)(row)) is met


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("dmm.voltag > 5", "did you mean 'dmm.voltage'?"),
        ("dmm.voltage > five", "'five' is no number"),
        ("dmm.voltage > 5 mV", "dmm.voltage is in V, not in mV"),
        ("on == 1 V", "on has no unit"),
        ("dmm.voltage", "is no condition; write it as"),
        ("on == 1 and on == 1 or on == 1", "both 'and' and 'or'"),
        (5, "give a function of a row"),
    ],
)
def test_a_wrong_condition_is_told_before_anything_is_set(text, says):
    with pytest.raises(ConfigurationError, match=says):
        condition(text, COLUMNS)


# ------------------------------------------------------------------------------------------------ pace


def test_the_time_that_is_left_follows_the_pace():
    pace = Pace(total=100, done=40, now=0.0)
    assert pace.remaining(5.0) is None
    for done in range(41, 51):
        pace.advance(done, (done - 40) * 2.0)
    assert pace.remaining(20.0) == pytest.approx(100.0)
    assert pace.remaining(21.0) == pytest.approx(99.0)
    assert pace.remaining(500.0) == 0.0


@pytest.mark.parametrize(("seconds", "text"), [(None, "-:--"), (7, "0:07"), (750, "12:30"), (11100, "3:05:00")])
def test_times_are_short(seconds, text):
    assert duration(seconds) == text


# ------------------------------------------------------------------------------------------------ processes


def test_a_process_is_known_by_more_than_its_number():
    this = Process.this()
    assert not this.is_dead()
    assert Process(this.host, this.pid, "another boot 5").is_dead()
    assert Process(this.host, this.pid, "12.5").is_dead()
    assert not Process("another-host", 1, "").is_dead(), "nobody can tell from here"
    assert process_stamp(2**22 + 1) is None


def test_a_process_that_cannot_be_seen_is_not_called_dead(monkeypatch):
    this = Process.this()
    assert not Process(this.host, this.pid, "").is_dead(), "it could not read its own stamp"
    boot, tick, *_ = this.stamp.split()
    assert not Process(this.host, 1, f"{boot} 5 pid:[1]").is_dead(), "a container of the same name has its own pids"
    assert not Process(this.host, this.pid, f"{boot} {tick}").is_dead()
    assert Process(this.host, 1, f"{boot} 5").is_dead()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes of Linux")
def test_a_process_that_is_hidden_is_not_called_dead(monkeypatch):
    def hide(path):
        if "stat" in path:
            raise FileNotFoundError(path)
        return "boot"

    def refuse(_pid, _signal):
        raise PermissionError

    monkeypatch.setattr(place, "_read", hide)
    assert process_stamp(1) is None
    monkeypatch.setattr(place.os, "kill", refuse)
    assert process_stamp(1) == "" and not Process(Process.this().host, 1, "boot 5").is_dead()


DRIVES = [("/", "ext4"), ("/home", "nfs4"), ("/home/local", "xfs"), ("/mnt", "fuse.sshfs"), ("/data", "CIFS"), ("", "nfs")]


@pytest.mark.parametrize(
    ("path", "found"),
    [("/x", False), ("/home/x", True), ("/home/local/x", False), ("/homes/x", False), ("/mnt/a/x", True), ("/data/x", True)],
)
def test_a_network_drive_is_known_by_its_mount(path, found):
    assert is_network(Path(path), DRIVES) is found


def test_of_two_drives_at_one_place_the_later_counts():
    assert is_network(Path("/home/x"), [("/", "ext4"), ("/home", "autofs"), ("/home", "nfs4")])
    assert not is_network(Path("/home/x"), [("/home", "nfs4"), ("/home", "ext4")])


def test_a_system_that_tells_no_drives_has_stores_all_the_same(monkeypatch):
    def refuse(**_how):
        raise PermissionError

    monkeypatch.setattr(place.psutil, "disk_partitions", refuse)
    assert not is_network(Path("/home/x"))
