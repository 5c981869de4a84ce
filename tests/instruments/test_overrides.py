"""What a laboratory says over a driver's own table."""

from __future__ import annotations

import pytest

from agentlab.errors import ConfigurationError, DriverError, LimitError
from agentlab.instruments import InstrumentSpec, Parameter
from agentlab.instruments.model.overrides import apply_overrides, apply_poll, prepared
from agentlab.instruments.model.table import Action, Table

TABLE = Table.of(
    "any",
    [
        Parameter("voltage", unit="V", minimum=0, maximum=30),
        Parameter("power", unit="W", writable=False),
        Parameter("output", "bool"),
        Parameter("mode", "str", choices=("a", "b")),
        Parameter("trace", "array"),
        Parameter("secret", readable=False),
    ],
    [Action("trigger"), Action("reset")],
)


def test_limits_are_narrowed_and_the_given_table_stays():
    found = apply_overrides(
        TABLE,
        {"voltage": {"min": "5 mV", "max": 5, "step": "100 mV", "delay": 0.01, "poll": "500 ms", "label": "U", "doc": "Bias."}},
    )
    voltage = found.parameters["voltage"]
    assert (voltage.minimum, voltage.maximum, voltage.step, voltage.delay, voltage.poll) == (0.005, 5, 0.1, 0.01, 0.5)
    assert (voltage.label, voltage.doc) == ("U", "Bias.")
    with pytest.raises(LimitError):
        voltage.check(6)
    assert TABLE.parameters["voltage"].maximum == 30 and list(found.parameters) == list(TABLE.parameters)


def test_widening_is_said_in_the_doc():
    assert "the driver says 0 to 30 V" in apply_overrides(TABLE, {"voltage": {"max": 60}}).parameters["voltage"].doc
    assert "the driver says" in apply_overrides(TABLE, {"mode": {"choices": ["a", "c"]}}).parameters["mode"].doc
    assert apply_overrides(TABLE, {"mode": {"choices": ["a"]}}).parameters["mode"].doc == ""


def test_null_takes_away():
    found = apply_overrides(TABLE, {"voltage": {"max": None, "delay": None}, "mode": {"choices": None}})
    assert found.parameters["voltage"].check(1e6) == 1e6 and found.parameters["mode"].choices is None


def test_unit_type_and_access_are_changed():
    found = apply_overrides(TABLE, {"voltage": {"unit": "kV", "writable": False}, "output": {"type": "int"}})
    assert found.parameters["voltage"].unit == "kV" and not found.parameters["voltage"].writable
    assert found.parameters["output"].type == "int"


def test_names_are_hidden_and_actions_marked():
    found = apply_overrides(
        TABLE, {"power": {"hidden": True}, "reset": {"hidden": True}, "trigger": {"reads": True, "doc": "Ask."}}
    )
    assert "power" not in found.parameters and list(found.actions) == ["trigger"]
    assert found.actions["trigger"].reads and found.actions["trigger"].doc == "Ask."


@pytest.mark.parametrize(
    ("overrides", "text"),
    [
        ({"votlage": {}}, "did you mean 'voltage'"),
        ({"voltage": {"maxx": 3}}, "did you mean 'max'"),
        ({"voltage": {"max": "much"}}, "max of 'voltage'"),
        ({"voltage": {"max": "5 A"}}, "max of 'voltage'"),
        ({"voltage": {"max": True}}, "max of 'voltage'"),
        ({"voltage": {"min": 31}}, "above its maximum"),
        ({"voltage": {"type": "flaot"}}, "did you mean 'float'"),
        ({"voltage": {"unit": 3}}, "unit of 'voltage'"),
        ({"voltage": {"hidden": "yes"}}, "hidden of 'voltage'"),
        ({"voltage": {"poll": 0}}, "poll"),
        ({"voltage": {"delay": "long"}}, "delay"),
        ({"voltage": 5}, "write for example"),
        ({"mode": {"choices": "a"}}, "give a list"),
        ({"mode": {"choices": []}}, "no choices"),
        ({"trigger": {"max": 3}}, "key 'max'"),
    ],
)
def test_a_slip_is_told(overrides, text):
    with pytest.raises(DriverError, match=text) as caught:
        apply_overrides(TABLE, overrides)
    assert isinstance(caught.value, ConfigurationError) and "\n" not in str(caught.value)


def test_polling_of_all_or_some():
    every = apply_poll(TABLE, 0.5).parameters
    assert {n for n, p in every.items() if p.poll == 0.5} == {"voltage", "power", "output", "mode"}
    some = prepared(TABLE, InstrumentSpec("x", "a:b", poll={"power": 1}, parameters={"voltage": {"max": 3}})).parameters
    assert some["power"].poll == 1 and some["voltage"].poll is None and some["voltage"].maximum == 3
    for wrong in ({"pwer": 1}, {"secret": 1}):
        with pytest.raises(DriverError):
            apply_poll(TABLE, wrong)


def test_limits_may_be_called_as_parameters_tell_them():
    found = apply_overrides(TABLE, {"voltage": {"minimum": 1, "maximum": 3}}).parameters["voltage"]
    assert (found.minimum, found.maximum) == (1, 3)
    with pytest.raises(DriverError, match="twice"):
        apply_overrides(TABLE, {"voltage": {"max": 1, "maximum": 3}})


def test_a_step_is_a_difference_and_limits_are_not():
    table = Table.of("any", [Parameter("cold", unit="K"), Parameter("warm", unit="degC"), Parameter("power", unit="dBm")])
    says = {"step": "0.5 degC", "max": "0 degC"}
    found = apply_overrides(table, {"cold": says, "warm": {**says, "step": "0.5 K"}, "power": {"step": "3 dB"}}).parameters
    assert [one.step for one in found.values()] == [0.5, 0.5, 3]
    assert found["cold"].maximum == 273.15 and found["warm"].maximum == 0
