"""When parameters are read by themselves, and what was read last. Time is handed in."""

from __future__ import annotations

import pytest

from agentlab.instruments.engine.polling import Book, PollPlan, patience, periods
from agentlab.instruments.model.parameter import Parameter
from agentlab.instruments.model.reading import Reading
from agentlab.instruments.model.table import Table


def test_what_is_polled_stands_in_the_table():
    table = Table.of("t", [Parameter("a", poll=0.5), Parameter("b"), Parameter("c", poll=1.0, readable=False)])
    assert periods(table) == {"a": 0.5}


def test_all_are_due_at_once_and_then_each_in_its_period():
    plan = PollPlan({"a": 1.0, "b": 2.0}, 10.0)
    assert plan.next_time() == 10.0
    assert plan.due(9.9) == []
    assert plan.due(10.0) == ["a", "b"]
    assert plan.next_time() == 11.0
    assert plan.due(11.0) == ["a"]
    assert plan.due(12.0) == ["a", "b"]


def test_times_that_were_missed_are_skipped_and_the_phase_stays():
    plan = PollPlan({"a": 1.0}, 0.0)
    plan.due(0.0)
    assert plan.due(5.3) == ["a"]
    assert plan.next_time() == 6.0


def test_nothing_polled_is_never_due():
    plan = PollPlan({}, 0.0)
    assert plan.next_time() is None
    assert plan.due(100.0) == []


def publish(book, name="a", value=1.0, when=100.0, quality="good"):
    return book.publish(Reading(value, "V", when, quality, name))


def test_published_readings_are_numbered_by_parameter():
    book = Book()
    assert [publish(book).sequence, publish(book).sequence, publish(book, "b").sequence] == [1, 2, 1]
    assert book.note("a", 2.0, "V", 101.0).sequence == 0
    assert book.snapshot(101.0, {}, online=True)["a"].value == 2.0
    assert publish(book).sequence == 3


def test_a_snapshot_tells_what_is_old_and_all_of_what_is_gone():
    book = Book()
    publish(book, "a", when=100.0)
    publish(book, "b", when=100.0)
    book.note("c", 3.0, "V", 10.0)
    found = book.snapshot(103.5, {"a": 1.0, "b": 2.0}, online=True)
    assert {name: one.quality for name, one in found.items()} == {"a": "stale", "b": "good", "c": "good"}
    found = book.snapshot(100.1, {"a": 1.0}, online=False)
    assert {one.quality for one in found.values()} == {"stale"}
    assert found["c"].value == 3.0


def test_what_grows_stale_is_told_once_until_it_is_read_again():
    book, polls = Book(), {"a": 1.0, "never": 1.0}
    publish(book, when=100.0)
    assert book.next_stale(polls) == pytest.approx(103.0)
    assert book.to_tell(polls, 102.9, online=True) == []
    (told,) = book.to_tell(polls, 103.1, online=True)
    assert (told.quality, told.value) == ("stale", 1.0)
    assert book.publish(told).sequence == 2
    assert book.to_tell(polls, 200.0, online=True) == []
    (gone,) = book.to_tell(polls, 201.0, online=False)  # that it is gone is another matter
    assert book.publish(gone, gone=True).sequence == 3
    assert book.to_tell(polls, 202.0, online=False) == book.to_tell(polls, 203.0, online=True) == []
    assert book.next_stale(polls) is None
    publish(book, when=201.0)
    assert [one.quality for one in book.to_tell(polls, 201.1, online=False)] == ["stale"]


def test_an_overload_keeps_its_quality_in_a_book():
    book = Book()
    assert book.note("a", float("inf"), "V", 1.0).quality == "overload"
    assert book.note("a", float("nan"), "V", 1.0).quality == "bad"


def test_ages_do_not_go_by_the_time_of_day():
    now = [50.0]
    book = Book(lambda: now[0])
    book.publish(Reading(1.0, "V", 5000.0, name="a"))
    now[0] += 2.0
    assert book.to_tell({"a": 1.0}, now[0], online=True) == []
    assert book.snapshot(now[0], {"a": 1.0}, online=True)["a"].quality == "good"
    assert book.next_stale({"a": 1.0}) == pytest.approx(53.0)
    now[0] += 1.1
    (stale,) = book.to_tell({"a": 1.0}, now[0], online=True)
    assert book.publish(stale).timestamp == 5000.0
    assert book.snapshot(now[0], {"a": 1.0}, online=True)["a"].quality == "stale"


def test_what_was_set_is_the_last_reading():
    book = Book()
    book.note_set("a", 2.5, "V", 100.0)
    reading = book.snapshot(100.0, {}, online=True)["a"]
    assert (reading.value, reading.unit, reading.quality, reading.timestamp) == (2.5, "V", "good", 100.0)


def test_who_never_answers_is_asked_less_and_less():
    assert [patience(1.0, times) for times in (1, 2, 3, 4, 5, 10_000)] == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    assert patience(60.0, 5) == 60.0


def test_a_poll_that_is_put_off_keeps_none_of_the_others():
    plan = PollPlan({"a": 1.0, "b": 1.0}, 0.0)
    plan.due(0.0)
    plan.put_off("a", 4.0)
    assert [plan.due(now) for now in (1.0, 2.0, 3.0, 4.0)] == [["b"], ["b"], ["b"], ["a", "b"]]
    assert plan.next_time() == 5.0


def test_what_is_doubted_is_stale_until_it_is_read():
    book = Book()
    publish(book, "a")
    book.note_set("b", 2.0, "V", 100.0)
    book.doubt(["a", "b", "never"])
    assert {one.quality for one in book.snapshot(100.0, {}, online=True).values()} == {"stale"}
    publish(book, "a")
    assert book.snapshot(100.0, {}, online=True)["a"].quality == "good"
