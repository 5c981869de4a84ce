"""Timers without a clock: time is handed in."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentlab.agent.timers import Timers
from agentlab.errors import AliasError


def run(timers, now):
    """Run what is due at this moment, each timer at most once; give how many ran."""
    ran = 0
    for _ in range(len(timers)):
        action = timers.pop_due(now)
        if action is None:
            break
        action()
        ran += 1
    return ran


@pytest.fixture
def seen():
    return []


def test_each_is_due_at_once_and_then_by_its_period(seen):
    timers = Timers()
    timers.each(2.0, lambda: seen.append(1), now=10.0)
    assert timers.next_time() == 10.0
    assert run(timers, 9.9) == 0
    assert run(timers, 10.0) == 1
    assert timers.next_time() == 12.0
    assert run(timers, 11.9) == 0
    assert run(timers, 12.0) == 1
    assert timers.next_time() == 14.0


def test_after_is_due_once_and_then_forgotten(seen):
    timers = Timers()
    alias = timers.after(2.0, lambda: seen.append(1), now=10.0)
    assert timers.aliases() == [alias]
    assert run(timers, 11.9) == 0
    assert run(timers, 12.5) == 1
    assert timers.aliases() == []
    assert timers.next_time() is None
    assert len(timers) == 0
    assert timers.stop(alias) is False


def test_missed_ticks_are_skipped_and_the_phase_is_kept(seen):
    timers = Timers()
    timers.each(1.0, lambda: seen.append(1), now=0.0)
    run(timers, 0.0)
    assert run(timers, 3.5) == 1
    assert timers.next_time() == 4.0
    assert run(timers, 3.9) == 0
    assert run(timers, 4.0) == 1


def test_a_tick_exactly_on_the_next_one_is_not_bunched(seen):
    timers = Timers()
    timers.each(1.0, lambda: seen.append(1), now=0.0)
    run(timers, 0.0)
    assert run(timers, 2.0) == 1
    assert timers.next_time() == 3.0
    assert run(timers, 2.0) == 0


def test_timers_run_in_the_order_of_their_times_then_of_their_start(seen):
    timers = Timers()
    for name, delay in (("late", 3.0), ("a", 1.0), ("b", 1.0), ("early", 0.5)):
        timers.after(delay, lambda name=name: seen.append(name), now=0.0)
    run(timers, 5.0)
    assert seen == ["early", "a", "b", "late"]


def test_each_of_zero_is_due_again_at_once_but_lets_others_in(seen):
    timers = Timers()
    timers.each(0.0, lambda: seen.append("zero"), now=0.0)
    timers.after(0.0, lambda: seen.append("other"), now=0.0)
    run(timers, 0.0)
    assert sorted(seen) == ["other", "zero"]
    assert timers.next_time() == 0.0
    run(timers, 7.0)
    assert timers.next_time() == 7.0


def test_a_stopped_timer_is_not_due(seen):
    timers = Timers()
    alias = timers.each(1.0, lambda: seen.append(1), now=0.0)
    assert timers.stop(alias) is True
    assert timers.stop(alias) is False
    assert run(timers, 10.0) == 0
    assert timers.next_time() is None


def test_an_action_may_stop_its_own_timer(seen):
    timers = Timers()

    def tick():
        seen.append(1)
        timers.stop("own")

    timers.each(1.0, tick, now=0.0, alias="own")
    run(timers, 0.0)
    assert run(timers, 5.0) == 0
    assert seen == [1]


def test_an_action_may_start_a_timer_of_its_own_alias_again(seen):
    timers = Timers()

    def tick():
        seen.append(1)
        if len(seen) < 3:
            timers.after(1.0, tick, now=float(len(seen)), alias="own")

    timers.after(0.0, tick, now=0.0, alias="own")
    for now in range(5):
        run(timers, float(now))
    assert seen == [1, 1, 1]


def test_stop_all(seen):
    timers = Timers()
    for _ in range(5):
        timers.each(1.0, lambda: seen.append(1), now=0.0)
    timers.stop_all()
    assert (timers.aliases(), len(timers), timers.next_time()) == ([], 0, None)


def test_aliases_are_made_up_kept_and_not_used_twice(seen):
    timers = Timers()
    one, two = (timers.after(1.0, list, now=0.0) for _ in range(2))
    assert one != two
    assert timers.after(1.0, list, now=0.0, alias="mine") == "mine"
    assert timers.aliases() == [one, two, "mine"]
    with pytest.raises(AliasError, match="'mine' runs already"):
        timers.each(1.0, list, now=0.0, alias="mine")
    timers.stop("mine")
    assert timers.each(1.0, list, now=0.0, alias="mine") == "mine"


@pytest.mark.parametrize("wrong", [-1, -0.001, math.inf, math.nan, "soon", "2", b"2", None, [1], 1j, 10**400])
def test_times_that_cannot_be_are_refused(wrong):
    timers = Timers()
    for start, what in ((timers.each, "period"), (timers.after, "delay")):
        with pytest.raises(ValueError, match=f"timer's {what} .*; give seconds, 0 or more") as refused:
            start(wrong, list, now=0.0)
        assert repr(wrong) in str(refused.value)
    assert len(timers) == 0


def test_stopped_timers_do_not_pile_up():
    timers = Timers()
    for _ in range(10_000):
        timers.stop(timers.after(3600.0, list, now=0.0))
    assert len(timers._heap) < 200


@given(
    period=st.floats(0.001, 100.0),
    delays=st.lists(st.floats(0.0, 500.0), min_size=1, max_size=30),
)
def test_ticks_are_never_bunched_nor_early(period, delays):
    timers, now, ticks = Timers(), 0.0, []
    timers.each(period, list, now=0.0)
    for delay in delays:
        now += delay
        ran = run(timers, now)
        assert ran <= 1
        if ran:
            ticks.append(now)
        following = timers.next_time()
        assert following is not None
        assert following - now <= period * (1 + 1e-9)
        assert abs(following / period - round(following / period)) < 1e-6  # the phase is that of the start


@given(st.lists(st.tuples(st.sampled_from(["each", "after", "stop"]), st.integers(0, 5), st.floats(0, 10)), max_size=60))
def test_what_is_live_is_what_was_started_and_is_neither_over_nor_stopped(steps):
    timers, now, model = Timers(), 0.0, {}
    for what, name, number in steps:
        alias = str(name)
        if what == "stop":
            assert timers.stop(alias) == (model.pop(alias, None) is not None)
        elif alias in model:
            with pytest.raises(AliasError):
                getattr(timers, what)(number, list, now=now, alias=alias)
        else:
            getattr(timers, what)(number, list, now=now, alias=alias)
            model[alias] = (what, now + number)
        now += number / 3
        run(timers, now)
        model = {a: (w, t) for a, (w, t) in model.items() if w == "each" or t > now}
        assert sorted(timers.aliases()) == sorted(model)
