"""What a new instrument is waited for: that it is online, or will never be."""

from __future__ import annotations

import types

import pytest

from agentlab.errors import BadReplyError, DriverError, InstrumentError
from agentlab.instruments.run import _await_first_attempt, run_instrument
from agentlab.instruments.serving.questions import told_status


class OwnBadReplyError(BadReplyError):
    """A driver's own."""


class OwnDriverError(DriverError):
    """A driver's own."""


def device(fault, state="fault"):
    """Give what an instrument's proxy and its engine have in common, of an instrument with this fault."""
    engine = types.SimpleNamespace(fault=fault, status=lambda: {"state": state, "reason": str(fault)})
    return types.SimpleNamespace(name="psu", status=lambda: told_status(engine))


@pytest.mark.parametrize("fault", [InstrumentError("full"), BadReplyError("rubbish"), OwnBadReplyError("rubbish"), None])
def test_what_may_pass_or_is_no_fault_of_the_driver_leaves_the_agent_running(fault):
    _await_first_attempt(device(fault), 10.0)


@pytest.mark.parametrize("fault", [DriverError("no such class"), OwnDriverError("no such class")])
def test_a_driver_that_can_never_work_is_told(fault):
    with pytest.raises(DriverError, match="^no such class$"):
        _await_first_attempt(device(fault), 10.0)


def test_an_error_that_says_nothing_of_the_device_is_the_drivers():
    with pytest.raises(DriverError, match="the driver of psu cannot be opened: 12 is no channel"):
        _await_first_attempt(device(ValueError("12 is no channel")), 10.0)


@pytest.mark.parametrize("base", [OwnDriverError, "Agent", None])
def test_an_agent_that_holds_no_instrument_is_refused_before_anything_starts(base):
    with pytest.raises(DriverError, match="give a class that inherits from InstrumentAgent"):
        run_instrument("psu", "agentlab.instruments.simulated:PowerSupply", base=base)
