"""What an instrument agent makes of readings that are published, or were kept: no process and no socket."""

from __future__ import annotations

import logging
from collections import deque
from types import SimpleNamespace
from typing import Any

import pytest

from agentlab.errors import InstrumentError
from agentlab.instruments.agent import InstrumentAgent
from agentlab.instruments.engine.answers import Answer
from agentlab.instruments.engine.interlocks import parse_interlock
from agentlab.instruments.model.reading import Reading
from agentlab.instruments.serving import operations
from agentlab.instruments.serving.operations import read_history
from agentlab.wire.serializers import get_serializer


def test_a_history_is_no_load_for_the_process_that_drives_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    class Samples:
        def __init__(self, _path: str) -> None: ...

        def query(self, *_: Any, limit: int, every: float | None) -> list[Any]:
            return [SimpleNamespace(value=1.0, unit="V", timestamp=1.0, quality="good", sequence=1)] * min(limit, 5)

    monkeypatch.setattr("agentlab.runs.history.History", Samples)
    monkeypatch.setattr(operations, "MOST_ROWS", 4)
    with pytest.raises(InstrumentError, match=r"psu\.voltage has more than 4 readings in that time; narrow it"):
        read_history("lab.sqlite", "psu", "voltage", None, None, None, None)
    assert len(read_history("lab.sqlite", "psu", "voltage", None, None, 3, None)) == 3


class Publisher:
    """Encodes, and keeps what would be sent."""

    closed = False

    def __init__(self, serializer: str) -> None:
        self.serializer = get_serializer(serializer)
        self.sent: list[tuple[bytes, dict[str, Any]]] = []

    def publish(self, topic: bytes, message: dict[str, Any]) -> None:
        self.serializer.encode(message)
        self.sent.append((topic, message))


class Bench:
    """An agent that has no socket, no device and no loop, and what its interlocks are told."""

    def __init__(self, serializer: str = "pickle") -> None:
        self.publisher = Publisher(serializer)
        self.taken: list[dict[str, Any]] = []
        self.failures: list[BaseException] = []
        agent: Any = InstrumentAgent.__new__(InstrumentAgent)
        log = logging.getLogger("agentlab.tests")
        device = SimpleNamespace(table=SimpleNamespace(parameters={}), link="online")
        agent.__dict__.update(
            name="psu", device=device, _publisher=self.publisher, _unpublished=set(), _last={}, _coming=deque(),
            _guard=SimpleNamespace(take=self._take), _reporter=SimpleNamespace(logger=log), _history=None, _told=False,
            _faults=SimpleNamespace(failed=lambda error, _what: self.failures.append(error)),
            _loop=SimpleNamespace(post=lambda _function: None),
        )  # fmt: skip
        self.agent = agent
        self.fail: Exception | None = None

    def _take(self, _source: str, message: dict[str, Any]) -> None:
        self.taken.append(message)
        if self.fail is not None:
            raise self.fail

    def say(self, *values: Any) -> list[dict[str, Any]]:
        for value in values:
            self.agent._on_reading(Reading(value, "V", 1.0, name="x"))
        self.agent._publish_all()
        return [message for _, message in self.publisher.sent]


@pytest.mark.parametrize(("serializer", "value"), [("pickle", object()), ("msgpack", object()), ("msgpack", 1j), ("json", b"x")])
def test_a_value_that_cannot_be_published_is_bad_and_loses_no_other(
    serializer: str, value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(serializer)
    told = bench.say(value, 1.0, value)
    assert [(one["value"], one["quality"]) for one in told] == [(None, "bad"), (1.0, "good"), (None, "bad")]
    assert bench.taken == told  # an interlock that reads it is violated at once
    assert sum("psu.x is published without its value" in one.message for one in caplog.records) == 1
    bench.agent._tell_newcomer(b"x")
    assert bench.publisher.sent[-1][1]["quality"] == "bad"


def test_a_device_that_is_asked_too_early_is_no_hang() -> None:
    agent = Bench().agent
    agent._in_charge = False
    for ask in (lambda: agent.read("x"), lambda: agent.write("x", 1), lambda: agent.act("zero")):
        with pytest.raises(InstrumentError, match="not in on_init"):
            ask()


def test_an_interlock_that_fails_loses_no_reading_and_is_told() -> None:
    bench = Bench()
    bench.fail = OSError("no room")
    assert [one["value"] for one in bench.say(1.0, 2.0)] == [1.0, 2.0]
    assert bench.failures == [bench.fail, bench.fail]


@pytest.mark.parametrize("fails", [True, False])
def test_what_a_rule_demands_and_cannot_be_done_ends_in_the_safe_state(fails: bool) -> None:
    answer, orders = Answer(), []
    agent = Bench().agent
    agent._acted = {}
    agent.device = SimpleNamespace(
        latched=False, enforce=lambda _rule, _why: answer, make_safe=lambda reason, by: orders.append((reason, by))
    )
    rule = parse_interlock("stage.position > 5 mm -> psu.output = off")
    agent._enforce(rule, "stage.position is 6 mm, > 5 mm")
    agent._enforce(rule, "stage.position is 6 mm, > 5 mm")  # at each look, and carried out once a second
    if fails:
        answer.fail(OSError("no room"))
    else:
        answer.give(None)
    assert orders == ([("it could not be carried out: no room", f"interlock {rule.text}")] if fails else [])
