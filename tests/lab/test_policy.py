"""The rules of supervision, held against a model of OTP's supervisor that is written in another way."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentlab.lab.policy import Backoff, Decision, Group, GroupPolicy, is_abnormal

NO_WAIT = Backoff(first=0.0)


def policy(strategy="one_for_one", intensity=5, period=10.0, backoff=NO_WAIT, **members):
    members = members or {"a": "permanent", "b": "permanent", "c": "permanent"}
    return GroupPolicy(Group("g", tuple(members), strategy, intensity, period, backoff), members)


@pytest.mark.parametrize(
    ("restart", "abnormal", "again"),
    [
        ("permanent", False, True),
        ("permanent", True, True),
        ("transient", False, False),
        ("transient", True, True),
        ("temporary", False, False),
        ("temporary", True, False),
    ],
)
def test_who_is_started_again(restart, abnormal, again):
    decision = policy(a=restart).ended("a", abnormal=abnormal, now=0.0)
    assert decision == Decision(start=("a",) if again else ())


@pytest.mark.parametrize(("code", "abnormal"), [(0, False), (1, True), (75, True), (-9, True), (None, True)])
def test_what_counts_as_abnormal(code, abnormal):
    assert is_abnormal(code) is abnormal


@pytest.mark.parametrize(
    ("strategy", "stop", "start"),
    [
        ("one_for_one", (), ("b",)),
        ("one_for_all", ("c", "a"), ("a", "b", "c")),
        ("rest_for_one", ("c",), ("b", "c")),
    ],
)
def test_who_goes_along(strategy, stop, start):
    assert policy(strategy).ended("b", abnormal=True, now=0.0) == Decision(stop, start)


def test_a_temporary_member_that_goes_along_does_not_come_back():
    rules = policy("one_for_all", a="permanent", b="temporary", c="transient")
    assert rules.ended("a", abnormal=True, now=0.0) == Decision(("c", "b"), ("a", "c"))
    assert "b" not in rules.ended("c", abnormal=True, now=1.0).start
    rules.admit("b")  # somebody starts it by hand
    assert rules.ended("b", abnormal=True, now=2.0) == Decision()


def test_a_member_that_somebody_stopped_stays_stopped():
    rules = policy("one_for_all")
    rules.leave(["b"])
    assert rules.ended("a", abnormal=True, now=0.0).start == ("a", "c")
    rules.admit("b")
    assert rules.ended("a", abnormal=True, now=0.0).start == ("a", "b", "c")


def test_the_group_is_given_up_when_restarts_come_too_fast():
    rules = policy("rest_for_one", intensity=2, period=10.0)
    for now in (0.0, 5.0, 10.1):  # the first is forgotten when the third comes
        assert not rules.ended("b", abnormal=True, now=now).gave_up
    decision = rules.ended("a", abnormal=True, now=10.2)
    assert decision.stop == ("c", "b") and decision.start == ()
    assert decision.gave_up == "group 'g', last a, ended 3 times within 10 s; allowed are 2 restarts"


def test_a_unit_of_its_own_is_named_without_a_group():
    rules = policy(intensity=0, period=3.0, a="permanent")
    assert rules.ended("a", abnormal=True, now=0.0).gave_up == "a ended 1 time within 3 s; allowed are 0 restarts"


def test_the_first_restart_comes_at_once_and_further_ones_later_and_later():
    rules = policy(backoff=Backoff(0.1, 2.0, 0.3), intensity=9, a="permanent", b="permanent")
    delays = [rules.ended("a", abnormal=True, now=float(n)).delay for n in range(5)]
    assert delays == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.3])
    assert rules.ended("b", abnormal=True, now=5.0).delay == 0.0  # another one's failures are not its own
    assert rules.ended("a", abnormal=True, now=20.0).delay == 0.0  # the period is over


def test_a_group_that_restarts_together_waits_together():
    rules = policy("one_for_all", backoff=Backoff(0.1, 2.0, 10.0))
    assert [rules.ended(name, abnormal=True, now=0.0).delay for name in "abc"] == pytest.approx([0.0, 0.1, 0.2])


@given(
    st.integers(-1, 10**6),
    st.floats(0, 100, allow_nan=False),
    st.floats(0, 100, allow_nan=False),
    st.floats(0, 1000, allow_nan=False),
)
def test_no_delay_overflows(earlier, first, factor, most):
    assert 0.0 <= Backoff(first, factor, most).delay(earlier) <= most


def test_a_policy_goes_on_from_an_earlier_one():
    first = policy(intensity=1)
    first.leave(["c"])
    first.ended("a", abnormal=True, now=0.0)
    second = policy("one_for_all", intensity=1)
    second.take_over(first)
    assert second.ended("a", abnormal=True, now=1.0).gave_up
    assert second.ended("a", abnormal=True, now=2.0).start == ("a", "b")


# --- the model: supervisor.erl's process table, every step of it played ------------------------------------------------


@dataclass
class Row:
    id: str
    kind: str
    alive: bool = True


class Otp:
    """A supervisor as OTP has it: a table of children that is split, stopped from its end and started from its beginning."""

    def __init__(self, strategy, intensity, period, members):
        self.strategy, self.intensity, self.period = strategy, intensity, period
        self.table = [Row(name, kind) for name, kind in members.items()]
        self.restarts = []
        self.is_over = False
        self.log = []

    def alive(self):
        return {row.id for row in self.table if row.alive}

    def exit(self, name, normal, now):
        index = next(i for i, row in enumerate(self.table) if row.id == name)
        row = self.table[index]
        row.alive = False
        match (row.kind, normal):
            case ("temporary", _):
                del self.table[index]
            case ("transient", True):
                pass
            case _:
                self._restart(index, now)

    def _restart(self, index, now):
        self.restarts.insert(0, now)
        within = 0
        for when in self.restarts:
            if when < now - self.period:
                break
            within += 1
        self.restarts = self.restarts[:within]
        if within > self.intensity:
            self._terminate(self.table)
            self.table, self.is_over = [], True
            return
        first = {"one_for_one": index, "one_for_all": 0, "rest_for_one": index}[self.strategy]
        if self.strategy == "one_for_one":
            self._start(self.table[index : index + 1])
            return
        before, rest = self.table[:first], self.table[first:]
        rest = self._terminate(rest)
        self._start(rest)
        self.table = before + rest

    def _terminate(self, rows):
        kept = []
        for row in reversed(rows):
            if row.alive:
                self.log.append(("stop", row.id))
            row.alive = False
            if row.kind != "temporary":
                kept.insert(0, row)
        return kept

    def _start(self, rows):
        for row in rows:
            self.log.append(("start", row.id))
            row.alive = True


class Played:
    """What a policy's decisions do to processes that obey at once."""

    def __init__(self, rules, members):
        self.rules = rules
        self.living = set(members)
        self.is_over = False
        self.log = []

    def exit(self, name, normal, now):
        self.living.discard(name)
        decision = self.rules.ended(name, abnormal=not normal, now=now)
        for other in decision.stop:
            if other in self.living:
                self.living.discard(other)
                self.log.append(("stop", other))
        for other in decision.start:
            self.living.add(other)
            self.log.append(("start", other))
        self.is_over = bool(decision.gave_up)


KINDS = st.sampled_from(["permanent", "transient", "temporary"])
EXIT = st.tuples(st.integers(0, 4), st.booleans(), st.sampled_from([0.0, 0.5, 1.0, 3.0, 4.0, 11.0]))


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(["one_for_one", "one_for_all", "rest_for_one"]),
    st.integers(0, 4),
    st.sampled_from([1.0, 4.0, 10.0]),
    st.lists(KINDS, min_size=1, max_size=5),
    st.lists(EXIT, max_size=25),
)
def test_it_does_what_otp_does(strategy, intensity, period, kinds, exits):
    members = {f"m{number}": kind for number, kind in enumerate(kinds)}
    otp = Otp(strategy, intensity, period, members)
    ours = Played(policy(strategy, intensity, period, **members), members)
    now = 0.0
    for which, normal, step in exits:
        now += step
        living = sorted(otp.alive())
        if not living:
            break
        name = living[which % len(living)]
        otp.exit(name, normal, now)
        ours.exit(name, normal, now)
        assert (ours.log, ours.living, ours.is_over) == (otp.log, otp.alive(), otp.is_over)
        if otp.is_over:
            break
