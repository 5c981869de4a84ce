"""The lab's log: lines, records, limits, files, and reading them again."""

import itertools
import json
import logging
import os
import threading

import pytest

from agentlab.errors import ConfigurationError, UnknownUnitError
from agentlab.lab import logbook as logbook_module
from agentlab.lab.logbook import Logbook
from agentlab.lab.logfile import RotatingFile, file_name, older, unit_of
from agentlab.lab.loglines import CUT_MARK, LINE_LIMIT, Allowance, LineCutter, LogRecord, StreamReader, clean
from agentlab.lab.logread import Follower, LogReader, Query, level_number, logged_units, read_log
from agentlab.testing import wait_condition

PLAIN = """Traceback (most recent call last):
  File "a.py", line 1, in f
    1 / 0
ZeroDivisionError: division by zero"""
CHAINED = f"""{PLAIN}

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "b.py", line 2, in g
    raise ValueError("no") from None
ValueError: no"""
NESTED = """  + Exception Group Traceback (most recent call last):
  |   File "c.py", line 3, in <module>
  | ExceptionGroup: two (1 sub-exception)
  +-+---------------- 1 ----------------
    | ValueError: x
    +------------------------------------"""
FATAL = """Fatal Python error: Segmentation fault

Current thread 0x00007f (most recent call first):
  File "d.py", line 4 in h"""


# ------------------------------------------------------------------------------------------------ lines


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_lines_whatever_the_pieces_are(size):
    data = b"one\ntwo\n\nthree"
    cutter = LineCutter()
    lines = [line for i in range(0, len(data), size) for line in cutter.feed(data[i : i + size])]
    assert lines == [b"one", b"two", b""]
    assert cutter.end() == [b"three"]
    assert cutter.end() == []


@pytest.mark.parametrize("size", [1000, LINE_LIMIT, 10 * LINE_LIMIT])
def test_an_endless_line_is_cut_once_and_not_kept(size):
    cutter = LineCutter()
    data = b"x" * (3 * LINE_LIMIT) + b"\nnext\n"
    lines = [line for i in range(0, len(data), size) for line in cutter.feed(data[i : i + size])]
    assert lines == [b"x" * LINE_LIMIT + CUT_MARK.encode(), b"next"]
    assert cutter.end() == []


def test_what_could_harm_a_terminal_goes():
    assert clean("\x1b[1;31mred\x1b[0m\tand \x1b]0;title\x07rest") == "red\tand rest"
    assert clean("a\x00b\x1b") == "a\ufffdb\ufffd"
    assert clean("Ω und \N{SNOWMAN}") == "Ω und \N{SNOWMAN}"


# ------------------------------------------------------------------------------------------------ records


def _read(stream, *lines, at=1.0):
    reader = StreamReader("agent/A", stream)
    data = "\n".join(lines).encode() + b"\n"
    return [(r.level, r.text) for r in [*reader.feed(data, at), *reader.end(at)]]


def test_levels():
    assert _read("stdout", "hello", "", "  ") == [("OUTPUT", "hello")]
    assert _read("stderr", "oh") == [("ERROR", "oh")]


@pytest.mark.parametrize("text", [PLAIN, CHAINED, NESTED, FATAL])
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_traceback_is_one_record(text, stream):
    usual = "OUTPUT" if stream == "stdout" else "ERROR"
    assert _read(stream, "before", text, "after", text) == [
        (usual, "before"),
        ("ERROR", text),
        (usual, "after"),
        ("ERROR", text),
    ]


def test_a_traceback_in_pieces_comes_when_it_is_quiet():
    reader = StreamReader("agent/A", "stderr")
    assert reader.due() is None
    records = [r for i, byte in enumerate(PLAIN + "\n") for r in reader.feed(byte.encode(), 1.0 + i / 1000)]
    assert records == []
    due = reader.due()
    assert reader.flush(due - 0.01) == []
    assert [(r.time, r.text) for r in reader.flush(due)] == [(pytest.approx(1.034), PLAIN)]
    assert reader.due() is None and reader.flush(due + 9) == []


def test_an_endless_traceback_is_not_kept_in_memory():
    reader = StreamReader("agent/A", "stderr")
    given = reader.feed(b"Traceback (most recent call last):\n" + b"  File x\n" * 100_000, 1.0)
    assert given and max(len(r.text) for r in given) <= 256 * 1024


def test_agents_own_records():
    own = {"time": 5.5, "agent": "A", "level": "WARNING", "message": "two\nlines\x1b[0m"}
    reader = StreamReader("agent/A", "stdout")
    (record,) = reader.feed(b"\x1e" + json.dumps(own).encode() + b"\n", 9.0)
    assert record == LogRecord(5.5, "agent/A", "log", "WARNING", "two\nlines")


@pytest.mark.parametrize(
    "line", [b"\x1enot json", b'\x1e{"time": 1}', b'\x1e{"time": "x", "level": "INFO", "message": ""}', b"\x1e[]"]
)
def test_what_only_looks_like_a_record_is_output(line):
    (record,) = StreamReader("agent/A", "stdout").feed(line + b"\n", 9.0)
    assert (record.level, record.text) == ("OUTPUT", line[1:].decode())


def test_garbage_is_replaced():
    ((level, text),) = [(r.level, r.text) for r in StreamReader("a/A", "stdout").feed(b"\xff\xfe\x00abc\n", 1.0)]
    assert (level, text) == ("OUTPUT", "\ufffd\ufffd\ufffdabc")


def test_records_survive_their_line():
    record = LogRecord(1.25, "agent/Ä b", "stderr", "ERROR", 'a "b"\nΩ \ud800')
    again = LogRecord.from_line(record.to_line())
    assert again == LogRecord(1.25, "agent/Ä b", "stderr", "ERROR", 'a "b"\nΩ ?')
    assert record.to_line().count(b"\n") == 1


@pytest.mark.parametrize("line", [b"", b"{", b"[1]", b"null", b'{"time": 1}', b'{"time": null}', b"\xff", b"[" * 100_000])
def test_damaged_lines_are_no_records(line):
    assert LogRecord.from_line(line) is None


# ------------------------------------------------------------------------------------------------ the allowance


def test_an_allowance_drops_and_counts():
    allowance = Allowance(rate=1000.0, burst=2000.0)
    taken = [allowance.take(100, 10.0) for _ in range(20)]
    assert taken == [True] * 10 + [False] * 10
    assert allowance.dropped(10.5) == 0
    assert allowance.due() == 11.0
    assert allowance.dropped(11.0) == 10
    assert allowance.due() is None and allowance.dropped(20.0) == 0
    assert sum(allowance.take(100, 11.0) for _ in range(20)) == 5  # a second's worth


def test_a_clock_that_is_set_back_gives_nothing_away_and_stops_nothing():
    allowance = Allowance(rate=1000.0, burst=200.0)
    assert allowance.take(100, 10.0)
    assert not allowance.take(100, 5.0)
    assert allowance.dropped(1.0) == 1
    assert allowance.take(100, 5.3)


# ------------------------------------------------------------------------------------------------ files


@pytest.mark.parametrize("unit", ["lab", "agent/Laser", "agent/a.b/c d%", "agent/ÄΩ", "nameserver/default", "agent/.."])
def test_units_have_files(unit, tmp_path):
    name = file_name(unit)
    assert "/" not in name
    assert unit_of(tmp_path / name) == unit


def test_rotation_keeps_so_many(tmp_path):
    path = tmp_path / "x.jsonl"
    file = RotatingFile(path, size=10, keep=2)
    for number in range(8):
        file.write(b"%09d\n" % number)
    file.close()
    assert [p.read_bytes().split() for p in (*older(path), path)] == [[b"000000005"], [b"000000006"], [b"000000007"]]
    assert len(list(tmp_path.iterdir())) == 3


def test_a_torn_line_does_not_spoil_the_next(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"torn")
    file = RotatingFile(path, size=1000, keep=1)
    file.write(b"next\n")
    file.write(b"last\n")
    file.close()
    assert path.read_bytes() == b"torn\nnext\nlast\n"


def test_a_full_disk_loses_only_what_did_not_fit(tmp_path, monkeypatch):
    path, real, calls = tmp_path / "x.jsonl", os.write, itertools.count()

    def full(descriptor, data):
        if next(calls) == 0:
            return real(descriptor, data[:3])
        raise OSError(28, "No space left on device")

    file = RotatingFile(path, size=1000, keep=1)
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        file.write(b"first\n")
    with pytest.raises(OSError, match="No space"):
        file.write(b"second\n")
    monkeypatch.setattr(os, "write", real)
    file.write(b"third\n")
    file.close()
    assert path.read_bytes() == b"fir\nthird\n"


# ------------------------------------------------------------------------------------------------ the logbook


@pytest.fixture
def book(tmp_path):
    with Logbook(tmp_path / "logs") as book:
        yield book


def _say(book, unit, out=b"", err=b""):
    for descriptor, data in zip(book.open(unit), (out, err), strict=True):
        if data:
            os.write(descriptor, data)
        os.close(descriptor)


def test_it_remembers_and_writes(book):
    _say(book, "agent/A", b"hello\nworld", PLAIN.encode())
    assert sorted(book.tail("agent/A")) == sorted(["hello", "world", PLAIN])
    assert book.tail("agent/A", 1) in (["world"], [PLAIN])
    assert book.tail("agent/A", 0) == book.tail("agent/B") == []
    book.write("lab", "INFO", "up")
    book.close()
    book.close()
    assert [(r.unit, r.stream, r.text) for r in read_log(book.directory, level="INFO") if r.unit == "lab"] == [
        ("lab", "supervisor", "up")
    ]
    assert {r.text for r in read_log(book.directory, ["A"])} == {"hello", "world", PLAIN}
    assert book.tail("agent/A", 5)  # a closed book can still be asked


def test_what_was_just_written_is_in_the_tail_while_the_pipe_is_open(book):
    out, err = book.open("agent/A")
    for number in range(50):
        os.write(err, b"line %d\n" % number)
        assert book.tail("agent/A", 1) == [f"line {number}"]
    os.write(err, PLAIN.encode() + b"\n")
    assert book.tail("agent/A", 1) == [PLAIN]
    os.close(out)
    os.close(err)


def test_a_unit_that_floods_is_read_dropped_and_counted_and_blocks_nobody(tmp_path):
    with Logbook(tmp_path, rate=10_000, burst=20_000) as book:
        out, err = book.open("agent/flood")
        end = threading.Event()

        def flood():
            while not end.is_set():
                os.write(out, b"noise\n" * 2000)

        thread = threading.Thread(target=flood)
        thread.start()
        try:
            for number in range(20):
                _say(book, f"agent/{number}", b"quiet\n")
                assert wait_condition(lambda n=number: book.tail(f"agent/{n}") == ["quiet"])
        finally:
            end.set()
            thread.join()
            os.close(out)
            os.close(err)
        assert book.tail("agent/flood", 2) == ["noise", "noise"]
    kept = read_log(tmp_path, ["flood"])
    assert kept[-1].level == "WARNING"
    assert "records dropped" in kept[-1].text
    assert sum(file.stat().st_size for file in tmp_path.glob("agent.flood*")) < 200_000
    assert len(read_log(tmp_path, [str(n) for n in range(20)])) == 20


def test_a_full_disk_is_told_once_and_survived(book, monkeypatch, caplog):
    real, full = RotatingFile.write, True

    def write(self, lines):
        if full:
            raise OSError(28, "No space left on device")
        real(self, lines)

    monkeypatch.setattr(logbook_module.RotatingFile, "write", write)
    with caplog.at_level(logging.WARNING, logger=logbook_module.__name__):
        for number in range(5):
            _say(book, "agent/A", b"lost %d\n" % number)
            assert wait_condition(lambda n=number: f"lost {n}" in book.tail("agent/A"))
        assert wait_condition(lambda: book._lost == 5)
        full = False
        _say(book, "agent/A", b"kept\n")
        assert wait_condition(lambda: len(caplog.records) >= 2)
    assert [r.levelname for r in caplog.records] == ["ERROR", "WARNING"]
    assert "No space left" in caplog.records[0].getMessage()
    assert "5 records were lost" in caplog.records[1].getMessage()
    assert [r.text for r in read_log(book.directory)] == ["kept"]


def test_memory_of_many_lines_is_bounded(book):
    _say(book, "agent/A", b"".join(b"%d %s\n" % (n, b"x" * 5000) for n in range(12)))
    tail = book.tail("agent/A", 1000)
    assert len(tail) <= logbook_module.REMEMBERED and max(map(len, tail)) < 4100


def test_systems_without_polls_of_pipes(tmp_path, monkeypatch):
    monkeypatch.setattr(logbook_module, "_HAS_PIPE_POLL", False)
    with Logbook(tmp_path) as book:
        _say(book, "agent/A", b"one\ntwo\n", PLAIN.encode())
        assert wait_condition(lambda: sorted(book.tail("agent/A")) == sorted(["one", "two", PLAIN]))
    assert len(read_log(tmp_path)) == 3


def test_a_directory_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot make the log directory"):
        Logbook(tmp_path / "file" / "logs")


# ------------------------------------------------------------------------------------------------ reading


def _write(directory, unit, times, *, size=10**6, keep=3, level="INFO"):
    file = RotatingFile(directory / file_name(unit), size, keep)
    for when in times:
        file.write(LogRecord(when, unit, "log", level, f"{unit} {when:g}").to_line())
    file.close()


def test_all_units_in_order_of_time(tmp_path):
    _write(tmp_path, "agent/A", [1, 3, 5], size=100)
    _write(tmp_path, "agent/B", [2, 6, 4], level="ERROR")
    assert [r.time for r in read_log(tmp_path)] == [1, 2, 3, 4, 5, 6]
    assert [r.time for r in read_log(tmp_path, last=2)] == [5, 6]
    assert read_log(tmp_path, last=0) == []
    assert [r.time for r in read_log(tmp_path, ["agent/A"])] == [1, 3, 5]
    assert [r.time for r in read_log(tmp_path, ["B"], "warning")] == [2, 4, 6]
    assert read_log(tmp_path, ["A"], "error") == []
    assert logged_units(tmp_path) == ["agent/A", "agent/B"]
    assert logged_units(tmp_path / "no") == read_log(tmp_path / "no") == []


def test_misspelt(tmp_path):
    with pytest.raises(ConfigurationError, match="did you mean 'WARNING'"):
        level_number("warnin")
    with pytest.raises(UnknownUnitError, match="did you mean 'Laser'"):
        Query(("Lasr",)).check(["agent/Laser", "lab"])
    with pytest.raises(UnknownUnitError, match="did you mean 'agent/Laser'"):
        Query(("agent/Lasr",)).check(["agent/Laser", "lab"])
    Query(("Laser", "agent/Laser", "lab")).check(["agent/Laser", "lab"])


def test_following_across_rotations(tmp_path):
    path = tmp_path / file_name("agent/A")
    file, follower = RotatingFile(path, size=300, keep=5), Follower(path)
    assert list(follower.read()) == []
    seen, said = [], itertools.count()
    for batch in (1, 0, 2, 7, 3, 11, 1):  # some of them over several files
        for _ in range(batch):
            file.write(LogRecord(next(said), "agent/A", "log", "INFO", "x" * 20).to_line())
        seen += [r.time for r in follower.read()]
    assert seen == list(range(25))
    follower.close()
    file.close()


def test_following_a_half_written_line_and_damage(tmp_path):
    path = tmp_path / file_name("agent/A")
    line = LogRecord(1, "agent/A", "log", "INFO", "x").to_line()
    with path.open("wb", buffering=0) as file:
        follower = Follower(path)
        file.write(line[:10])
        assert list(follower.read()) == []
        file.write(line[10:] + b"damage\n" + line)
        assert len(list(follower.read())) == 2
        follower.close()


def test_a_unit_that_begins_later_is_followed_too(tmp_path):
    _write(tmp_path, "agent/A", [1])
    with LogReader(tmp_path, Query()) as reader:
        assert len(reader.last(10)) == 1
        _write(tmp_path, "agent/B", [2])
        _write(tmp_path, "agent/A", [3])
        assert [r.time for r in reader.read()] == [2, 3]

        def pause(_seconds):
            _write(tmp_path, "agent/C", [4])

        assert next(reader.follow(pause)).unit == "agent/C"
