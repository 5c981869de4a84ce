"""Classes and modules as a laboratory really has them, and worse: looked at without being run, served or refused."""

from __future__ import annotations

import abc
import asyncio
import enum
import json
import subprocess
import sys
import threading
from typing import Annotated
from unittest.mock import MagicMock

import numpy as np
import pytest

from agentlab.errors import CancelledCallError, DriverError, InstrumentError
from agentlab.instruments import Choices, InstrumentSpec, Range, Unit
from agentlab.instruments.drivers.driver import Driver
from agentlab.instruments.drivers.loading import check_arguments, load_class, load_driver
from agentlab.instruments.engine.hand import Hand
from agentlab.instruments.visa.translation import translated

TOUCHED: list[str] = []


class ReadsExplode:
    @property
    def v(self):
        TOUCHED.append("v")
        raise RuntimeError("v")

    connected = cancelled = progress = idn_number = v

    def connect(self):
        TOUCHED.append("connect")


class GetattrBomb:
    def __getattr__(self, name):
        TOUCHED.append(name)
        raise RuntimeError(f"no {name}")


class AllBomb:
    def __getattribute__(self, name):
        TOUCHED.append(name)
        raise RuntimeError(f"no {name}")


class SetBomb:
    def __setattr__(self, name, value):
        raise RuntimeError(f"no {name}")


class Explosive:
    def __get__(self, instance, owner=None):
        TOUCHED.append("descriptor")
        raise RuntimeError("descriptor")

    def __set__(self, instance, value):
        TOUCHED.append("descriptor")


class WithDescriptor:
    level = Explosive()


class Meta(type):
    def __call__(cls, *args, **kwargs):
        return super().__call__(*args, **kwargs)


class WithMeta(metaclass=Meta):
    def __init__(self, port: str):
        self.port = port


class BadMeta(type):
    def __getattribute__(cls, name):
        if name == "__class__":
            return BadMeta
        raise RuntimeError(f"bad {name}")


class BadRepr:
    def __repr__(self):
        raise ZeroDivisionError


class BadDefault:
    def go(self, a=BadRepr()):  # noqa: B008
        return 5


class OddDict:
    def __init__(self):
        self.__dict__.update({5: 1, "a b": 2, "class": 3, "fine": 4})


class Emergency:
    """Its words are ours, and mean something else: they want arguments."""

    def safe(self, level):
        TOUCHED.append(f"safe {level}")

    def abort(self, level):
        TOUCHED.append(f"abort {level}")

    def close(self, shutter):
        TOUCHED.append(f"close {shutter}")

    def idn(self, channel):
        return f"channel {channel}"


class Streams:
    def rows(self):
        TOUCHED.append("rows")
        yield 1

    async def events(self):
        TOUCHED.append("events")
        yield 1

    def chained(self):
        return self

    def lazily(self):
        return (one for one in (1, 2))


class Ends:
    @property
    def value(self) -> float:
        sys.exit(3)

    @property
    def stop(self) -> float:
        raise StopIteration

    def leave(self):
        raise KeyboardInterrupt


class OtherThing:
    def __new__(cls):
        return 5


class NumpyLimits:
    level: Annotated[float, Unit("V"), Range(np.int64(0), np.float32(5))] = 1.0


class Unfinished(abc.ABC):
    @abc.abstractmethod
    def go(self): ...


class UnfinishedDriver(Driver):
    def table(self):
        raise AssertionError


class Modes(enum.Enum):
    A = 1


class HoldsOthers:
    """Keeps objects that would send a command for any attribute they are asked for."""

    def __init__(self):
        self.inner, self.all, self.reads, self.made = GetattrBomb(), AllBomb(), ReadsExplode(), MagicMock()
        self.level, self.table, self.number, self.mode = 1.5, np.zeros(3), np.float32(2), Modes.A


class OursInNames:
    """Has names of the proxy's own."""

    status, get, lock = 1, 2, 3

    def snapshot(self):
        return 4


def opened(cls, **more):
    TOUCHED.clear()
    driver = load_driver(InstrumentSpec("x", cls, **more))
    driver.table()
    assert TOUCHED == []
    driver.open()
    return driver


@pytest.mark.parametrize("cls", [ReadsExplode, GetattrBomb, AllBomb, SetBomb, WithDescriptor, OddDict, BadDefault, OursInNames])
def test_what_explodes_is_looked_at_cancelled_and_asked_for_its_progress_without_being_run(cls):
    driver = opened(cls)
    TOUCHED.clear()
    table = driver.table()
    json.dumps(table.to_dict())
    assert driver.progress() is None
    driver.cancel()
    driver.close()
    assert [one for one in TOUCHED if one not in ("cancelled", "__class__")] == []


def test_a_class_that_cannot_tell_whether_it_is_connected_is_connected():
    driver = opened(ReadsExplode)
    assert TOUCHED[-1] == "connect"
    with pytest.raises(RuntimeError):
        driver.get("v")


def test_names_that_are_none_are_passed_over():
    assert list(opened(OddDict).table().parameters) == ["fine"]


@pytest.mark.parametrize(
    ("cls", "text"),
    [
        (Unfinished, "abstract.*go"),
        (UnfinishedDriver, "abstract.*call"),
        (Modes, "cannot be built"),
    ],
)
def test_a_class_that_cannot_be_a_driver_is_told_before_it_is_built(cls, text):
    with pytest.raises(DriverError, match=text) as caught:
        load_driver(InstrumentSpec("x", cls))
    assert "\n" not in str(caught.value)


def test_a_class_whose_metaclass_explodes_is_refused():
    hostile = BadMeta("Hostile", (), {})
    with pytest.raises(DriverError, match="cannot be looked at: RuntimeError: bad"):
        load_driver(InstrumentSpec("x", hostile))


def test_a_class_that_makes_something_else_is_refused():
    with pytest.raises(DriverError, match="gave int"):
        opened(OtherThing)


def test_arguments_of_a_class_whose_metaclass_takes_any_are_checked():
    with pytest.raises(DriverError, match="takes no argument 'prot'.*'port'"):
        check_arguments(WithMeta, (), {"prot": "COM1"})
    with pytest.raises(DriverError, match="missing a required argument: 'port'"):
        check_arguments(WithMeta, (), {})
    check_arguments(WithMeta, ("COM1",), {})


def test_emergency_words_that_want_arguments_are_actions_of_their_own():
    driver = opened(Emergency)
    table = driver.table()
    assert set(table.actions) == {"safe", "abort", "close", "idn"} and not table.has_safe and not table.has_abort
    assert driver.prove() == "" and driver.safe() is False and driver.abort() is False
    driver.close()
    assert TOUCHED == []


def test_an_action_that_would_give_its_values_one_by_one_is_refused_before_it_runs():
    driver = opened(Streams)
    for name in ("rows", "events"):
        with pytest.raises(InstrumentError, match="one by one.*list"):
            driver.call(name, (), {})
    assert TOUCHED == []
    with pytest.raises(InstrumentError, match="one by one.*list"):
        driver.call("lazily", (), {})
    assert driver.call("chained", (), {}) is None
    driver.close()


def test_a_driver_that_wants_to_end_the_program_ends_only_its_call():
    driver = opened(Ends)
    hand, table = Hand(driver), driver.table()
    with pytest.raises(InstrumentError, match="SystemExit"):
        hand.read(table.parameter("value"))
    with pytest.raises(RuntimeError, match="StopIteration"):
        hand.read(table.parameter("stop"))  # neither a generator nor a future of asyncio can carry it
    with pytest.raises(InstrumentError, match="KeyboardInterrupt"):
        hand.call("leave", (), {})
    assert "no licence" in str(translated(SystemExit("no licence")))
    assert isinstance(translated(asyncio.CancelledError()), CancelledCallError)


def test_limits_of_numpy_in_an_annotation():
    parameter = opened(NumpyLimits).table().parameter("level")
    assert (parameter.minimum, parameter.maximum, parameter.unit) == (0, 5.0, "V")


def test_marks_that_say_nothing_are_told():
    class Wrong:
        level: Annotated[float, Unit(5)] = 1.0

    class Empty:
        mode: Annotated[str, Choices()] = "a"

    for cls, text in ((Wrong, "unit 5"), (Empty, "no choices")):
        with pytest.raises(DriverError, match=text):
            load_driver(InstrumentSpec("x", cls))


@pytest.mark.parametrize("cls", [int, dict, list, type, object, threading.Thread, np.ndarray, Exception, property, memoryview])
def test_classes_of_the_language_are_served_or_refused(cls):
    try:
        driver = opened(cls)
    except (DriverError, TypeError):
        return
    json.dumps(driver.table().to_dict(), default=str)
    driver.close()


MODULES = {
    "leaves": ("import sys; sys.exit(0)", "SystemExit"),
    "raises": ("raise ValueError('one\\ntwo')", "ValueError: one two"),
    "unwritten": ("class D(", "SyntaxError"),
    "unnamed": ("raise ModuleNotFoundError('which')", "which"),
    "bomb": ("def __getattr__(name): raise RuntimeError('module bomb')", "module bomb"),
    "odd_dir": ("def __dir__(): return [1, None, 'Devise']", "no class"),
    "dir_bomb": ("def __dir__(): raise RuntimeError('dir bomb')\n__all__ = 5", "no class"),
    "lazy": ("__all__ = ['Device', 'Stage']\ndef __getattr__(name): raise AttributeError(name)", "did you mean 'Device'"),
}


@pytest.mark.parametrize(("text", "told"), MODULES.values(), ids=MODULES)
def test_a_module_that_misbehaves_is_told_in_one_line(tmp_path, monkeypatch, text, told):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "hostile_module.py").write_text(text)
    try:
        with pytest.raises(DriverError, match=told) as caught:
            load_class("hostile_module:Devise")
    finally:
        sys.modules.pop("hostile_module", None)
    assert "\n" not in str(caught.value)


def test_a_slip_in_a_name_that_is_loaded_when_it_is_asked_for_names_the_nearest():
    code = (
        "from agentlab.instruments.drivers.loading import load_class\n"
        "try: load_class('agentlab.instruments:ScpiDevise')\n"
        "except ValueError as error: print(error)\n"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "did you mean 'ScpiDevice'" in told and "'Any'" not in told


def test_what_an_instance_holds_is_told_by_its_class_alone():
    driver = opened(HoldsOthers)
    assert TOUCHED == [] and not driver.instance.made.mock_calls
    assert {name: one.type for name, one in driver.table().parameters.items()} == {
        "level": "float", "table": "array", "number": "float", "mode": "any"
    }  # fmt: skip
