"""States, back-off and latch of an instrument. Time is handed in."""

from __future__ import annotations

import itertools

import pytest

from agentlab.instruments.engine.latch import Latch
from agentlab.instruments.engine.states import STATES, Backoff, States

EVENTS = ("opened", "away", "failed", "doubted")


def test_a_link_begins_as_connecting_and_was_never_open():
    states = States(5.0)
    assert (states.link, states.since, states.opened) == ("connecting", 5.0, False)


@pytest.mark.parametrize(
    ("events", "link"),
    [
        (["opened"], "online"),
        (["away"], "offline"),
        (["failed"], "fault"),
        (["opened", "away"], "offline"),
        (["opened", "doubted"], "connecting"),
        (["opened", "doubted", "opened"], "online"),
        (["opened", "doubted", "away", "opened"], "online"),
        (["opened", "failed"], "fault"),
        (["away", "failed", "away", "opened"], "online"),
        (["away", "doubted"], "offline"),
        (["failed", "doubted"], "fault"),
    ],
)
def test_the_link_follows_its_table(events, link):
    states = States(0.0)
    for now, event in enumerate(events, start=1):
        states.move(event, float(now), "why")
    assert states.link == link
    assert states.opened == ("opened" in events)


def test_every_row_of_events_leads_to_a_state_that_people_know():
    for row in itertools.product(EVENTS, repeat=4):
        states = States(0.0)
        for event in row:
            states.move(event, 1.0)
        for working, latched in itertools.product((False, True), repeat=2):
            assert states.shown(working=working, latched=latched) in STATES


def test_only_a_change_is_a_change_and_sets_the_time():
    states = States(0.0)
    assert states.move("opened", 1.0)
    assert not states.move("opened", 2.0)
    assert states.since == 1.0
    assert states.move("away", 3.0, "no route")
    assert not states.move("away", 4.0, "timed out")
    assert (states.since, states.reason) == (3.0, "timed out")
    assert states.move("opened", 5.0)
    assert states.reason == ""


def test_an_unknown_event_is_a_mistake():
    with pytest.raises(ValueError, match="'gone' is no event"):
        States(0.0).move("gone", 1.0)


def test_busy_and_safe_are_shown_only_of_what_is_online():
    states = States(0.0)
    assert states.shown(working=True, latched=True) == "connecting"
    states.move("opened", 1.0)
    assert states.shown(working=False, latched=False) == "online"
    assert states.shown(working=True, latched=True) == "busy"
    assert states.shown(working=False, latched=True) == "safe"
    states.move("away", 2.0)
    assert states.shown(working=True, latched=True) == "offline"


def test_attempts_come_at_once_then_ever_later_up_to_a_bound():
    backoff = Backoff(0.1, 1.0)
    backoff.again(10.0)
    assert backoff.next_time == 10.0
    delays = []
    now = 10.0
    for _ in range(6):
        delays.append(round(backoff.failed(now) - now, 6))
        now = backoff.next_time
    assert delays == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    backoff.again(now)
    assert backoff.next_time == now
    assert backoff.failed(now) == pytest.approx(now + 0.1)


def test_a_first_delay_above_the_bound_is_kept():
    backoff = Backoff(5.0, 1.0)
    backoff.again(0.0)
    assert [backoff.failed(0.0), backoff.failed(0.0)] == [5.0, 5.0]


def test_the_latch_holds_its_first_reason_until_it_is_reset():
    latch = Latch("psu")
    assert latch.refusal() is None and latch.info() is None
    assert latch.set("smoke", "anna", 100.0)
    assert not latch.set("panic", "bert", 200.0)
    assert latch.info() == {"reason": "smoke", "by": "anna", "since": 100.0, "times": 2}
    assert str(latch.refusal()) == "psu was made safe by anna: smoke; see to the cause, then reset it"
    assert latch.reset().reason == "smoke"
    assert latch.reset() is None
    assert latch.refusal() is None
    assert not latch
