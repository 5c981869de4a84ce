"""Units, limits and choices of the arguments of actions: of any class, of a table, of a subclass of ScpiDevice."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest

from agentlab.cli.describeinstrument import actions
from agentlab.errors import DriverError, LimitError, UnitError
from agentlab.instruments import Choices, InstrumentSpec, Range, ScpiDevice, Unit
from agentlab.instruments.drivers.anyclass import AnyClassDriver
from agentlab.instruments.drivers.introspection import look_at_class
from agentlab.instruments.drivers.members import action_of
from agentlab.instruments.engine.instrument import Instrument
from agentlab.instruments.model.arguments import bound_arguments
from agentlab.instruments.model.table import Action
from agentlab.instruments.scpi.driver import ScpiDriver

Millimetres = Annotated[float, Unit("mm"), Range(0, 10)]


class Stage:
    """A stage that notes what it was told."""

    def __init__(self):
        self._told: list[Any] = []

    def move(self, mm: Millimetres, mode: Annotated[str, Choices("fast", "slow")] = "fast", *, note: str = "") -> list[Any]:
        """Move it."""
        self._told.append([mm, mode, note])
        return self._told[-1]

    def path(self, *points: Millimetres, **axes: Annotated[int, Range(0, 3)]) -> Any:
        return [list(points), axes]

    def home(self, mm: Millimetres | None = None, loose: Annotated[float, Unit("s")] = 1.0, kind: Literal["a"] = "a") -> Any:
        return [mm, loose, kind]

    @staticmethod
    def beep(volume: Annotated[int, Range(0, 3)]) -> int:
        return volume


FOUND = look_at_class(Stage).actions


def bound(action, *args, **kwargs):
    return bound_arguments(FOUND[action], args, kwargs)


@pytest.mark.parametrize(
    ("args", "kwargs", "gets"),
    [
        ((5,), {}, ((5.0,), {})),
        (("3 um", "SLOW"), {}, ((pytest.approx(0.003), "slow"), {})),
        ((), {"mm": "1 cm", "note": "5 V"}, ((10.0,), {"note": "5 V"})),
    ],
)
def test_arguments_come_in_their_unit(args, kwargs, gets):
    assert bound("move", *args, **kwargs) == gets


@pytest.mark.parametrize(
    ("action", "args", "kwargs", "error", "said"),
    [
        ("move", (500,), {}, LimitError, "mm = 500 mm is out of limits; it takes 0 to 10 mm; nothing was sent"),
        ("move", (), {"mm": float("nan")}, LimitError, "^mm "),
        ("move", ("5 V",), {}, UnitError, "^mm: .*nothing was sent"),
        ("move", (5, "quick"), {}, LimitError, "mode = 'quick' is none of 'fast', 'slow'"),
        ("path", (1, 2, 11), {}, LimitError, "points = 11 mm is out of limits"),
        ("path", (), {"x": 4}, LimitError, "axes = 4 is out of limits"),
        ("home", ("11 mm",), {}, LimitError, "^mm = 11 mm"),
        ("beep", (4,), {}, LimitError, "volume = 4"),
        ("move", (), {}, TypeError, "move.*mm"),
    ],
)
def test_what_may_not_be_is_refused_with_the_arguments_name(action, args, kwargs, error, said):
    with pytest.raises(error, match=said):
        bound(action, *args, **kwargs)


def test_what_says_nothing_of_limits_is_left_alone():
    assert bound("home", None, kind="b") == ((None,), {"kind": "b"})
    assert bound("path", "1 mm", 2, x=3) == ((1.0, 2.0), {"x": 3})


def test_the_method_is_not_called_with_what_is_refused():
    driver = AnyClassDriver(InstrumentSpec("stage", "x:Stage"), Stage)
    engine = Instrument(InstrumentSpec("stage", "x:Stage"), load=lambda _spec: driver)
    engine.start()
    try:
        assert engine.call("move", ("3 mm",)).wait(10) == [3.0, "fast", ""]
        with pytest.raises(LimitError, match="mm = 500 mm is out of limits"):
            engine.call("move", (500,)).wait(10)
        with pytest.raises(UnitError):
            engine.call("move", ("5 V",)).wait(10)
        assert driver.instance._told == [[3.0, "fast", ""]]
    finally:
        engine.close()


def test_limits_that_cannot_be_evaluated_are_an_error():
    class Lost:
        def move(self, mm: Annotated[float, Range(0, MOST)]) -> None:  # noqa: F821
            pass

    with pytest.raises(DriverError, match="annotation of 'mm'"):
        look_at_class(Lost)


def test_adapters_of_libraries_and_subclasses_of_scpi_device_find_them_too():
    assert action_of("move", Stage.__dict__["move"]).limits == FOUND["move"].limits

    class Own(ScpiDevice):
        commands = {"voltage": {"get": "V?"}}

        def sweep(self, seconds: Annotated[float, Unit("s"), Range(0, 60)]) -> None:
            pass

    table = ScpiDriver(InstrumentSpec("own", "x:Own", "TCPIP::127.0.0.1::1::SOCKET"), Own).table()
    with pytest.raises(LimitError, match="seconds = 61 s"):
        bound_arguments(table.action("sweep"), (61,), {})


def test_a_table_says_its_own_and_is_refused_before_the_queue():
    says = {"write": "PURGE {seconds:g}", "arguments": {"seconds": {"unit": "s", "min": 0, "max": 60, "default": 5}}}
    spec = InstrumentSpec(
        "pump", "x:y", "TCPIP::127.0.0.1::1::SOCKET", kwargs={"parameters": {"parameters": {}, "actions": {"purge": says}}}
    )
    action = ScpiDriver(spec).table().action("purge")
    with pytest.raises(LimitError, match="seconds = 120 s is out of limits; it takes 0 to 60 s"):
        bound_arguments(action, ("2 min",), {})
    assert bound_arguments(action, (), {}) == ((), {})
    assert action.limits_text() == "seconds: 0 to 60 s"


def test_people_are_told_them_and_they_travel():
    action = FOUND["move"]
    again = Action.from_dict(action.to_dict())
    assert again == action
    assert again.limits_text() == "mm: 0 to 10 mm; mode: 'fast', 'slow'"
    assert "limits" not in Action("beep").to_dict()
    driver = {"actions": [action.to_dict(), FOUND["home"].to_dict()]}
    shown = dict(actions(driver))
    assert next(iter(shown.values())) == "Move it.; mm: 0 to 10 mm; mode: 'fast', 'slow'"
    assert list(shown.values())[1] == "mm: 0 to 10 mm; loose: in s"
