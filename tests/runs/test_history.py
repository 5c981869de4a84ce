"""The history of readings."""

import contextlib
import logging
import math
import sqlite3
import time

import numpy as np
import pytest

from agentlab.errors import ConfigurationError, RunError
from agentlab.runs import History, HistoryWriter, Sample
from agentlab.runs import history as module
from tests.runs.fakes import FakeReading
from tests.timing import soon


@pytest.fixture
def path(tmp_path):
    return tmp_path / "history.sqlite"


@pytest.fixture
def writer(path):
    writer = HistoryWriter(path)
    yield writer
    writer.close()


def put(writer, value=1.0, when=100.0, *, name="voltage", unit="V", quality="good", sequence=0, instrument="dmm"):
    writer.append(FakeReading(value, unit, when, quality, name, sequence), instrument)


def test_what_is_written_can_be_asked_for_by_time(writer, path):
    for i in range(10):
        put(writer, i * 0.5, 100.0 + i, sequence=i)
    put(writer, 9.0, 105.0, name="current", unit="A")
    put(writer, 9.0, 105.0, instrument="psu")
    assert writer.flush()
    history = History(path)
    found = history.query("dmm", "voltage")
    assert [sample.value for sample in found] == [i * 0.5 for i in range(10)]
    assert found[3] == Sample(1.5, "V", 103.0, "good", 3)
    assert [s.timestamp for s in history.query("dmm", "voltage", 103.0, 106.0)] == [103.0, 104.0, 105.0]
    assert [s.timestamp for s in history.query("dmm", "voltage", limit=2)] == [108.0, 109.0]
    assert [s.timestamp for s in history.query("dmm", "voltage", every=5.0)] == [104.0, 109.0]
    assert [s.value for s in history.query("dmm", "voltage", every=5.0, limit=1)] == [4.5]
    assert history.query("dmm", "other") == []
    assert history.parameters() == [("dmm", "current"), ("dmm", "voltage"), ("psu", "voltage")]


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (3, 3),
        (True, True),
        ("up", "up"),
        (None, None),
        (math.inf, math.inf),
        (b"\x00", b"\x00"),
        ([1, 2], [1, 2]),
        (1j, 1j),
        (np.float64(1.5), 1.5),
        (2**63, float(2**63)),
    ],
)
def test_any_value_comes_back(writer, path, value, kept):
    put(writer, value)
    assert writer.flush()
    (sample,) = History(path).query("dmm", "voltage")
    assert sample.value == kept
    assert type(sample.value) is type(kept)


def test_no_number_and_no_object_are_kept_too(writer, path):
    put(writer, math.nan, quality="bad")
    put(writer, np.array([1.0, 2.0]), 101.0)
    put(writer, ValueError("odd"), 102.0)
    assert writer.flush()
    missing, array, odd = History(path).query("dmm", "voltage")
    assert math.isnan(missing.value) and missing.quality == "bad"
    assert array.value.tolist() == [1.0, 2.0]
    assert odd.value == "odd"


def test_a_unit_that_changes_goes_with_its_readings(writer, path):
    put(writer, 1.0, 100.0, unit="V")
    put(writer, 1000.0, 101.0, unit="mV")
    assert writer.flush()
    assert [(s.value, s.unit) for s in History(path).query("dmm", "voltage")] == [(1.0, "V"), (1000.0, "mV")]


def test_two_writers_share_a_file_and_readers_see_what_is_there(writer, path):
    with_other = HistoryWriter(path)
    try:
        for i in range(200):
            put(writer, i, 100.0 + i)
            put(with_other, i, 100.0 + i, instrument="psu")
        assert writer.flush() and with_other.flush()
        assert [len(History(path).query(name, "voltage")) for name in ("dmm", "psu")] == [200, 200]
    finally:
        with_other.close()


def test_the_end_writes_what_waits(path):
    writer = HistoryWriter(path, period=60.0)
    put(writer)
    began = time.monotonic()
    writer.close()
    writer.close()
    assert time.monotonic() - began < soon(5)
    assert len(History(path).query("dmm", "voltage")) == 1
    put(writer)
    assert writer.lost == 1


def test_taking_a_reading_is_quick_and_a_batch_is_one_change(path):
    writer = HistoryWriter(path, period=60.0)
    try:
        began = time.perf_counter()
        for i in range(5000):
            put(writer, i, 100.0 + i)
        assert (time.perf_counter() - began) / 5000 < soon(0.0005)
        assert writer.flush()
        assert len(History(path).query("dmm", "voltage")) == 5000
    finally:
        writer.close()


def test_old_readings_go(path):
    writer = HistoryWriter(path, keep=1.0)
    try:
        now = time.time()
        other = HistoryWriter(path)
        put(other, 3.0, now - 2 * 86400, instrument="psu")
        other.close()
        put(writer, 1.0, now - 2 * 86400)
        put(writer, 2.0, now)
        assert writer.flush()
        assert [s.value for s in History(path).query("dmm", "voltage")] == [2.0]
        assert [s.value for s in History(path).query("psu", "voltage")] == [3.0]  # another's, who keeps them for good
    finally:
        writer.close()


def test_while_it_cannot_be_written_readings_wait(writer, path, caplog):
    put(writer, 0.0, 100.0)
    assert writer.flush()
    real = writer._database.writing

    def full():
        raise RunError("history: the disk is full")

    writer._database.writing = full
    put(writer, 1.0, 101.0)
    assert not writer.flush()
    put(writer, 2.0, 102.0)
    assert not writer.flush()
    assert [record.message for record in caplog.records if record.levelno == logging.ERROR] == [
        "readings wait in memory: history: the disk is full"
    ]
    writer._database.writing = real
    put(writer, 3.0, 103.0, unit="mV")
    assert writer.flush()
    assert [s.value for s in History(path).query("dmm", "voltage")] == [0.0, 1.0, 2.0, 3.0]
    assert writer.lost == 0


def test_more_than_fits_is_counted(path, monkeypatch):
    monkeypatch.setattr(module, "MOST_WAITING", 10)
    writer = HistoryWriter(path)
    writer._database.writing = lambda: (_ for _ in ()).throw(RunError("full"))
    try:
        for i in range(5):
            for _ in range(5):
                put(writer, i)
            writer.flush()
    finally:
        writer.close()
    assert writer.lost == 25, "those that did not fit, and those that still waited at the end"


def test_a_place_that_cannot_be_written_is_told_at_once(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"history '.*': "):
        HistoryWriter(tmp_path / "file" / "history.sqlite")


def test_what_is_no_history_is_told(path):
    assert History(path).query("a", "b") == []
    assert History(path).parameters() == []
    assert not path.exists()
    with contextlib.closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("CREATE TABLE theirs (a)")
    raw.close()
    with pytest.raises(RunError, match="it is a database of something else"):
        History(path).query("a", "b")


def test_a_reading_is_kept_as_it_was_when_it_was_taken(path):
    writer = HistoryWriter(path, period=60.0)
    buffer = np.array([1.0])
    put(writer, buffer)
    buffer[:] = 9.0
    assert writer.flush()
    writer.close()
    assert History(path).query("dmm", "voltage")[0].value.tolist() == [1.0]


def test_a_reading_that_nobody_can_keep_keeps_no_other_one_out(writer, path):
    circle = []
    circle.append(circle)
    put(writer, 1.0, math.nan)
    put(writer, 1.0, None)
    for i, value in enumerate((circle, 10**400, object(), "x\udcff")):
        put(writer, value, 100.0 + i, unit="\udcff", quality="\udcff", sequence=2**70)
    put(writer, 2.0, 110.0, unit=None)
    assert writer.flush()
    found = History(path).query("dmm", "voltage")
    assert [found[-2].value, found[-1].value, found[-1].unit] == ["x\\udcff", 2.0, ""]
    assert (len(found), writer.lost) == (5, 2)


def test_attempts_become_rarer_while_none_succeeds(writer):
    writer._database.writing = lambda: (_ for _ in ()).throw(RunError("full"))
    put(writer)
    for _ in range(8):
        assert not writer.flush()
    assert writer._pause == module._LONGEST


def test_what_is_too_old_is_removed_by_hand(writer, path):
    for when in (100.0, 200.0):
        put(writer, 1.0, when)
        put(writer, 1.0, when, instrument="psu")
    assert writer.flush()
    assert History(path).remove(150.0) == 2
    assert [s.timestamp for s in History(path).query("psu", "voltage")] == [200.0]
    assert History(path.with_name("none.sqlite")).remove(1.0) == 0


@pytest.mark.parametrize(
    "options", [{"start": "yesterday"}, {"stop": math.nan}, {"every": True}, {"limit": 1.5}, {"limit": "2"}], ids=str
)
def test_a_wrong_question_is_told(path, options):
    with pytest.raises(ConfigurationError, match=f"{next(iter(options))} is "):
        History(path).query("dmm", "voltage", **options)


def test_a_history_that_is_spoilt_or_newer_is_told_in_a_line(writer, path):
    put(writer, [1, 2])
    assert writer.flush()
    spoilt = {"update reading set value = x'c1'": "it is damaged", "pragma user_version = 2": "a newer release"}
    for statement, said in spoilt.items():
        with contextlib.closing(sqlite3.connect(path)) as raw, raw:
            raw.execute(statement)
        with pytest.raises(RunError, match=f"^history '.*': {said}"):
            History(path).query("dmm", "voltage")
