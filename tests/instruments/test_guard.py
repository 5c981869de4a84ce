"""Interlock rules at work, on a clock of the test's own: no process and no socket."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from agentlab.agent.agent import Agent
from agentlab.errors import DriverError
from agentlab.instruments.engine.interlocks import Rule
from agentlab.instruments.model.reading import Reading
from agentlab.instruments.serving.guard import LEAST_AGE, Guard

HOT = "stage.temperature > 320 K -> heater.safe()"
OWN = "heater.current >= 2 -> heater.power = 0"


class Bench:
    """A guard, its clock, and what it did."""

    def __init__(self, agent: Agent, *rules: str) -> None:
        self.now = 1000.0
        self.acts: list[tuple[str, str]] = []
        self.guard = Guard(agent, rules, self._act, lambda: self.now)

    def _act(self, rule: Rule, why: str) -> None:
        self.acts.append((rule.what, why))

    def say(self, source: str, name: str, value: Any, unit: str = "", poll: float | None = None, **more: Any) -> None:
        self.guard.take(source, {**Reading(value, unit, self.now, name=name, **more).to_dict(), "poll": poll})

    def say_old(self, ago: float, link: str, sequence: int = 2) -> None:
        """Say that the stage's temperature is stale since it was read so many seconds ago, with the link to the stage."""
        reading = Reading(300.0, "K", self.now - ago, "stale", "temperature", sequence)
        self.guard.take("stage", {**reading.to_dict(), "poll": 0.1, "link": link})


@pytest.fixture
def agent() -> Iterator[Agent]:
    agent = Agent("heater")
    yield agent
    agent._close()


def test_a_violation_acts_at_each_look_until_it_is_over(agent: Agent) -> None:
    bench = Bench(agent, HOT)
    bench.say("stage", "temperature", 300.0, "K")
    assert bench.acts == []
    bench.say("stage", "temperature", 321.0, "K")
    bench.guard.look()
    assert [what for what, _ in bench.acts] == ["safe", "safe"]
    assert "321 K" in bench.acts[0][1]
    assert list(bench.guard.violations) == [HOT]
    bench.say("stage", "temperature", 60.0, "degC")  # 333 K: in another unit
    assert len(bench.acts) == 3
    bench.say("stage", "temperature", 20.0, "degC")
    assert bench.guard.violations == {}
    assert len(bench.acts) == 3


def test_a_source_that_is_silent_violates_after_its_time(agent: Agent) -> None:
    bench = Bench(agent, HOT)
    bench.guard.look()
    assert bench.acts == []  # it is only being found
    bench.now += LEAST_AGE + 0.1
    bench.guard.look()
    assert "has no reading" in bench.acts[0][1]


def test_a_reading_grows_stale_with_the_sources_own_period(agent: Agent) -> None:
    bench = Bench(agent, HOT)
    bench.say("stage", "temperature", 300.0, "K", poll=10.0)
    bench.now += 29.0
    bench.guard.look()
    assert bench.acts == []
    bench.now += 2.0
    bench.guard.look()
    assert "31 s old" in bench.acts[0][1]
    bench.say("stage", "temperature", 300.0, "K", poll=0.1)
    bench.now += LEAST_AGE + 0.1
    bench.guard.look()
    assert len(bench.acts) == 2


@pytest.mark.parametrize("ahead", [100.0, -100.0])
def test_clocks_of_other_machines_may_be_wrong(agent: Agent, ahead: float) -> None:
    bench = Bench(agent, HOT)

    def say(delay: float = 0.0) -> None:
        bench.guard.take("stage", Reading(300.0, "K", bench.now + ahead - delay, name="temperature").to_dict())

    say(0.01)
    bench.guard.look()
    assert bench.acts == []
    bench.now += 2.5
    bench.guard.look()
    assert len(bench.acts) == 1  # and yet a silence is noticed
    say(5.0)
    assert len(bench.acts) == 2  # and so is a reading that was under way for long


def test_of_two_conditions_one_is_enough_while_the_other_source_is_found(agent: Agent) -> None:
    bench = Bench(agent, "stage.temperature > 320 K or pump.pressure > 1 bar -> heater.safe()")
    bench.say("stage", "temperature", 300.0, "K")
    assert bench.acts == []
    bench.say("stage", "temperature", 330.0, "K")
    assert len(bench.acts) == 1
    both = Bench(agent, "stage.temperature > 320 K and pump.pressure > 1 bar -> heater.safe()")
    both.say("stage", "temperature", 330.0, "K")
    assert both.acts == []
    both.now += LEAST_AGE + 0.1
    both.guard.look()
    assert len(both.acts) == 1


@pytest.mark.parametrize(
    ("rule", "least"), [(HOT, LEAST_AGE), ("stage.temperature > 320 K, max_age 10 s -> heater.safe()", 10.0)]
)
def test_a_reading_that_grew_old_while_its_instrument_is_busy_is_as_old_as_the_rule_allows(
    agent: Agent, rule: str, least: float
) -> None:
    bench = Bench(agent, rule)
    bench.say("stage", "temperature", 300.0, "K", poll=0.1, sequence=1)
    bench.now += 0.4
    bench.say_old(0.4, "online")  # three polls have failed to come: the stage runs a long action
    bench.now += least - 0.5
    bench.guard.look()
    assert bench.acts == []
    bench.now += 0.2
    bench.guard.look()
    assert f"old, more than {least:g} s" in bench.acts[0][1]


@pytest.mark.parametrize("link", ["offline", "fault", None, 7])
def test_a_device_that_is_gone_violates_at_once_whatever_age_is_allowed(agent: Agent, link: Any) -> None:
    bench = Bench(agent, "stage.temperature > 320 K, max_age 10 s -> heater.safe()")
    bench.say("stage", "temperature", 300.0, "K", poll=0.1, sequence=1)
    bench.say_old(0.4, "online", 2)
    assert bench.acts == []
    bench.say_old(0.5, link, 3)
    assert bench.acts[0][1] == "the reading of stage.temperature is stale"
    bench.say_old(0.5, "online", 4)  # and nobody believes it again before it is read
    assert len(bench.acts) == 2
    bench.guard.look()
    assert len(bench.acts) == 3


def test_a_guard_that_comes_late_believes_no_reading_that_is_old_already(agent: Agent) -> None:
    bench = Bench(agent, "stage.temperature > 320 K, max_age 10 s -> heater.safe()")
    bench.say_old(5.0, "online", 2)
    assert bench.acts[0][1] == "the reading of stage.temperature is stale"


def test_a_reading_that_is_told_again_to_newcomers_makes_no_old_reading_fresh(agent: Agent) -> None:
    bench = Bench(agent, HOT)
    reading = Reading(300.0, "K", bench.now, name="temperature", sequence=7)
    for _ in range(40):  # more than a clock remembers
        bench.guard.take("stage", {**reading.to_dict(), "poll": 0.1, "link": "online"})
        bench.now += 0.1
    assert "old, more than 2 s" in bench.guard.held()


@pytest.mark.parametrize("quality", ["stale", "bad", "weird", ""])
def test_what_is_no_knowledge_violates(agent: Agent, quality: str) -> None:
    bench = Bench(agent, HOT)
    bench.say("stage", "temperature", 300.0, "K", quality=quality)
    assert quality in bench.acts[0][1]


def test_topics_that_go_on_are_not_mixed_up(agent: Agent) -> None:
    bench = Bench(agent, HOT)
    bench.say("stage", "temperature", 300.0, "K")
    bench.say("stage", "temperature_of_lid", 900.0, "K")
    bench.say("oven", "temperature", 900.0, "K")
    assert bench.acts == []


def test_its_own_readings_need_no_socket(agent: Agent) -> None:
    bench = Bench(agent, OWN)
    bench.guard.begin(None)
    assert agent.list_timers() == ["_interlocks"]
    bench.say("heater", "current", 2.5, "A")
    assert bench.acts[0][0] == "power"


def test_a_rule_of_somebody_else_is_refused(agent: Agent) -> None:
    with pytest.raises(DriverError, match="acts on 'pump'"):
        Bench(agent, "stage.temperature > 320 K -> pump.safe()")


def test_a_rule_that_cannot_be_carried_out_keeps_no_other_from_it(agent: Agent) -> None:
    bench = Bench(agent, OWN, HOT)
    act = bench.guard._act

    def done(rule: Rule, why: str) -> None:
        act(rule, why)
        if rule.text == OWN:
            raise OSError("no room")

    bench.guard._act = done
    bench.guard.take("stage", message(value=400.0))
    bench.acts.clear()
    bench.now += LEAST_AGE + 0.1
    with pytest.raises(OSError, match="no room"):
        bench.guard.look()
    assert [what for what, _ in bench.acts] == ["power", "safe"]


def test_somebody_looks_instead_of_a_loop_that_stands_still(agent: Agent) -> None:
    bench = Bench(agent, HOT)
    bench.say("stage", "temperature", 300.0, "K")
    bench.now += LEAST_AGE + 0.1
    bench.guard.look_instead()
    assert bench.acts == []  # it may have stood still all together: the loop will look at once
    bench.guard.look()
    assert len(bench.acts) == 1
    for _ in range(2):
        bench.guard.look_instead()
    assert len(bench.acts) == 1
    bench.say("heater", "current", 1.0)  # own readings come also while the agent is stopped
    bench.guard.look_instead()
    assert len(bench.acts) == 2
    bench.guard.look_instead()
    assert len(bench.acts) == 3
    for _ in range(10):
        bench.guard.look()
        bench.say("stage", "temperature", 300.0, "K")
        bench.guard.look_instead()
    assert bench.guard.violations == {} and len(bench.acts) == 4


def test_without_rules_there_is_no_timer(agent: Agent) -> None:
    Bench(agent).guard.begin(None)
    assert agent.list_timers() == []


def message(**changed: Any) -> dict[str, Any]:
    return {**Reading(300.0, "K", 1000.0, name="temperature").to_dict(), "poll": 0.1, **changed}


@pytest.mark.parametrize(
    "rubbish",
    [
        *(None, 7, "hot", b"", [], {}, [message()], ...),
        *(message(**{key: value}) for key in ("timestamp", "poll") for value in ("x", float("nan"), float("inf"), [1])),
        *(message(name=None), message(name=[]), message(timestamp=None), message(quality=7), message(unit=None)),
        *(message(value=value) for value in (None, float("nan"), "hot", [], {}, True, b"1")),
    ],
    ids=repr,
)
def test_rubbish_violates_and_harms_nobody(agent: Agent, rubbish: Any) -> None:
    bench = Bench(agent, HOT)
    bench.guard.take("stage", message())
    assert bench.acts == []
    bench.guard.take("stage", rubbish)
    assert bench.acts
    bench.acts.clear()
    bench.guard.take("stage", message(timestamp=1000.5))
    bench.now += 0.5
    bench.guard.look()
    assert bench.acts == []
    bench.now += LEAST_AGE
    bench.guard.look()
    assert bench.acts  # and silence is still noticed


def test_a_clock_that_is_set_back_hides_no_silence(agent: Agent) -> None:
    bench = Bench(agent, HOT)
    bench.guard.take("stage", message(timestamp=1000.0))
    bench.guard.take("stage", message(timestamp=5000.0))  # set forward by more than an hour
    bench.guard.look()
    assert bench.acts == []
    bench.now += LEAST_AGE + 0.1
    bench.guard.look()
    assert len(bench.acts) == 1
