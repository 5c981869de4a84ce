"""The waiting helpers."""

from __future__ import annotations

import time

import pytest

from agentlab import ConfigurationError, run_agent, run_logger, run_nameserver
from agentlab.testing import (
    TestBench,
    agent_dies,
    logger_received,
    sync_agent_logger,
    wait_agent_attr,
    wait_agent_condition,
    wait_condition,
)
from tests.agent.live import Collector
from tests.timing import soon


@pytest.fixture
def ns():
    proxy = run_nameserver()
    yield proxy
    proxy.shutdown()


@pytest.fixture
def agent():
    """An agent that needs no process: its attributes are asked for in the same way."""
    with TestBench() as bench:
        yield bench.agent(Collector)


def test_a_condition_that_comes_true():
    looks = []

    def condition(wanted, *, step):
        looks.append(step)
        return len(looks) >= wanted

    assert wait_condition(condition, 3, step="x", timeout=2, poll=0.001)
    assert looks == ["x"] * 3


def test_a_condition_that_never_does():
    began = time.monotonic()
    assert wait_condition(lambda: False, timeout=0.05) is False
    assert 0.05 <= time.monotonic() - began < soon(1)


def test_with_no_time_at_all_it_is_asked_all_the_same():
    assert wait_condition(lambda: True, timeout=0)
    assert not wait_condition(lambda: False, timeout=0)


def test_what_a_condition_raises_comes_through():
    with pytest.raises(ZeroDivisionError):
        wait_condition(lambda: 1 / 0)


@pytest.mark.parametrize(
    ("found", "conditions", "met"),
    [
        ([1, 2, 3], {"length": 3}, True),
        ([1, 2, 3], {"length": 2}, True),
        ([1, 2, 3], {"length": 4}, False),
        ([1, 2, 3], {"data": 2}, True),
        ([1, 2, 3], {"data": 5}, False),
        ([1, 2, 3], {"value": [1, 2, 3]}, True),
        ([1, 2, 3], {"value": [1, 2]}, False),
        ([1, 2, 3], {"endswith": [2, 3]}, True),
        ([1, 2, 3], {"endswith": [1, 2]}, False),
        ([1, 2, 3], {"endswith": []}, True),
        ([1, 2, 3], {"length": 3, "data": 1, "endswith": [3]}, True),
        ([1, 2, 3], {"length": 3, "data": 7}, False),
        ("hello", {"endswith": "lo"}, True),
        ((1, 2), {"endswith": (2,)}, True),
        (5, {"value": 5}, True),
        (0, {"value": 0}, True),
        ("", {"value": ""}, True),
    ],
)
def test_an_attribute_must_meet_all_conditions(agent, found, conditions, met):
    agent.received = found
    assert wait_agent_attr(agent, timeout=0, **conditions) is met


def test_an_attribute_that_is_not_there(agent):
    assert wait_agent_attr(agent, "nothing", value=1, timeout=0.02) is False


def test_no_condition_at_all_is_refused(agent):
    with pytest.raises(ConfigurationError, match="nothing is said about attribute 'received'"):
        wait_agent_attr(agent)


def test_a_wrong_level_is_refused(agent):
    with pytest.raises(ConfigurationError, match="'LOUD' is no level"):
        logger_received(agent, "x", "LOUD")


def test_with_agents_in_processes(ns):
    agent = run_agent("agent", base=Collector)
    agent.after(0.05, lambda agent: agent.take("late"))
    assert wait_agent_attr(agent, length=1)
    assert wait_agent_condition(agent, lambda agent, wanted: agent.received == [wanted], "late")
    assert not wait_agent_condition(agent, lambda agent, *, wanted: agent.received == wanted, wanted=5, timeout=0.05)
    assert agent_dies("agent", ns, timeout=0.05) is False
    agent.shutdown()
    assert agent_dies("agent", ns)
    assert agent_dies("never there", ns)


def test_what_a_logger_received(ns):
    agent, logger = run_agent("agent"), run_logger("logger")
    agent.set_logger(logger)
    assert sync_agent_logger(agent, logger)
    agent.log_info("the first")
    agent.log_info("the second")
    agent.log_warning("odd: 42")
    agent.log_error("bad")
    assert logger_received(logger, "the second")
    assert logger_received(logger, r"\(agent\): the (first|second)$")
    assert logger_received(logger, "the second", position=-1)
    assert not logger_received(logger, "the first", position=-1, timeout=0.05)
    assert not logger_received(logger, "the first", position=100, timeout=0.05)
    assert logger_received(logger, r"odd: \d+", "WARNING")
    assert logger_received(logger, "bad", log_name="log_history_error")
    assert logger_received(logger, "bad", log_name="")
    assert not logger_received(logger, "bad", "INFO", timeout=0.05)
    assert not logger_received(logger, "never said", timeout=0.05)


def test_an_agent_without_that_logger_does_not_sync(ns, capfd):
    agent, logger = run_agent("agent"), run_logger("logger")
    assert sync_agent_logger(agent, logger, timeout=0.2) is False
