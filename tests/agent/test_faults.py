"""What an agent's log says of an error: whose function it was, and its traceback without the loop's own frames."""

from __future__ import annotations

import asyncio
import logging
from functools import partial

import pytest

from agentlab.agent.faults import Faults, checked_on_error
from agentlab.agent.handlers import resolve, resolve_many
from agentlab.agent.loop import Loop


class Scan:
    def on_item(self, item):
        return self.divide(item)

    def divide(self, item):
        return 10 / item

    async def wait_for(self, item):
        return 10 / item


@pytest.fixture
def failed(caplog):
    """Tell faults of an error, and give the record's first line and the functions of its traceback."""

    def tell(error, what="a handler"):
        logger = logging.getLogger("test_faults")
        Faults(logger, lambda: "continue", lambda mode: None).failed(error, what)
        first, _, trace = caplog.messages[-1].partition("\n")
        return first, [line.rpartition(" in ")[2] for line in trace.splitlines() if line.startswith("  File")]

    return tell


def error_in_loop(function):
    """Run a function as the loop does, with frames of ours above it; give what it raised."""
    met = []
    loop = Loop(lambda error, what: met.append(error))
    loop._guarded(function, "a handler")
    loop.close("over")
    return met[0]


def test_the_handler_is_named_and_the_frames_above_it_are_left_out(failed):
    scan = Scan()
    call = resolve_many(scan, ["on_item"])
    error = error_in_loop(partial(call, 0))
    first, functions = failed(error)
    assert first == "handler on_item() raised ZeroDivisionError: division by zero"
    assert functions == ["on_item", "divide"]


def test_what_kind_of_thing_it_was_stays(failed):
    error = error_in_loop(partial(resolve(Scan(), "on_item"), 0))
    assert failed(error, "a handler of topic 'red'")[0].startswith("handler on_item() of topic 'red' raised Zero")
    assert failed(error, "a timer")[0].startswith("timer on_item() raised Zero")
    assert failed(error, "call of move()")[0].startswith("call of move() raised Zero")


def test_lambdas_and_coroutines(failed):
    error = error_in_loop(partial(resolve(Scan(), lambda agent, item: 10 / item), 0))
    assert failed(error) == ("handler <lambda> raised ZeroDivisionError: division by zero", ["<lambda>"])
    with pytest.raises(ZeroDivisionError) as met:
        asyncio.run(Scan().wait_for(0))
    trace = met.value.__traceback__.tb_next  # without this function, which asyncio does not have above it
    first, functions = failed(met.value.with_traceback(trace), "an async handler")
    assert (first, functions) == ("async handler wait_for() raised ZeroDivisionError: division by zero", ["wait_for"])


def test_an_error_of_our_own_keeps_all_its_frames(failed):
    error = error_in_loop(partial(checked_on_error, "explode"))
    first, functions = failed(error)
    assert first.startswith("a handler raised ")
    assert functions[0] == "_guarded" and len(functions) > 1
