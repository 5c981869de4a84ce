"""The test kit: for tests of programs that are written with agentlab.

With processes: :func:`wait_condition`, :func:`wait_agent_attr` and the other waiting helpers.
Without: :class:`TestBench` runs agents in the test's own thread, step by step, over a :class:`Network` of queues
and with a :class:`ManualClock`.
"""

from agentlab.testing.bench import TestBench
from agentlab.testing.clock import ManualClock
from agentlab.testing.network import Network
from agentlab.testing.waiting import (
    agent_dies,
    logger_received,
    sync_agent_logger,
    wait_agent_attr,
    wait_agent_condition,
    wait_condition,
)

__all__ = [
    "ManualClock",
    "Network",
    "TestBench",
    "agent_dies",
    "logger_received",
    "sync_agent_logger",
    "wait_agent_attr",
    "wait_agent_condition",
    "wait_condition",
]
