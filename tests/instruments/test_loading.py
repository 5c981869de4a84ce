"""From a class path to a driver: what is wrong is told before anything is built."""

from __future__ import annotations

import sys
import textwrap

import pytest

from agentlab.errors import ConfigurationError, DriverError
from agentlab.instruments import InstrumentSpec
from agentlab.instruments.drivers.anyclass import AnyClassDriver
from agentlab.instruments.drivers.driver import Driver
from agentlab.instruments.drivers.loading import adapter_of, build, check_arguments, load_class, load_driver, missing_library
from agentlab.instruments.model.table import Table


class Supply:
    built = 0

    class Channel:
        pass

    def __init__(self, address, baud=9600, *, timeout=2.0):
        Supply.built += 1
        self.given = (address, baud, timeout)


class Own(Driver):
    def __init__(self, port):
        self.port = port

    def table(self):
        return Table("own")

    def open(self): ...
    def close(self): ...
    def prove(self):
        return ""

    def recover(self): ...
    def get(self, name): ...
    def set(self, name, value): ...
    def call(self, name, args, kwargs): ...


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Give a function that writes a module and gives its name."""
    monkeypatch.syspath_prepend(tmp_path)
    made = []

    def write(name, text):
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
        made.append(name)
        return name

    yield write
    for name in made:
        sys.modules.pop(name, None)


def spec(driver=Supply, *args, **more):
    return InstrumentSpec("x", driver, args=args, **more)


def test_a_class_is_found_by_its_path():
    assert load_class("agentlab.instruments.model.table:Table") is Table
    assert load_class(Supply) is Supply


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("nocolon", "write package.module:Class"),
        (":Class", "write package.module:Class"),
        ("no_such_package.x:Y", "no module is called 'no_such_package'"),
        ("agentlab.instruments.nothing:Y", "no module is called 'agentlab.instruments.nothing'"),
        ("agentlab.instruments.model.table:Tabel", "did you mean 'Table'"),
        ("agentlab.instruments.model.table:field", "no class"),
        (".relative:X", "write package.module:Class"),
    ],
)
def test_a_wrong_path_is_told(path, text):
    with pytest.raises(DriverError, match=text) as caught:
        load_driver(spec(path))
    assert isinstance(caught.value, ConfigurationError) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("library", "cure"),
    [
        ("pymeasure", r'"agentlab\[pymeasure\]"'),
        ("qcodes", r"agentlab\[qcodes\]"),
        ("ophyd_async", r"agentlab\[ophyd\]"),
        ("serial", r"agentlab\[serial\]"),
        ("odd_one", "install it"),
    ],
)
def test_a_missing_library_names_what_brings_it(module, monkeypatch, library, cure):
    monkeypatch.setitem(sys.modules, library, None)  # as if it was not installed
    monkeypatch.delitem(sys.modules, f"{library}.instruments", raising=False)  # another test may have loaded it
    name = module(f"driver_of_{library}", f"import {library}.instruments\nclass D: pass\n")
    with pytest.raises(DriverError, match=cure):
        load_class(f"{name}:D")
    if library != "odd_one":
        with pytest.raises(DriverError, match=cure):
            load_class(f"{library}.instruments:D")


def test_a_module_that_fails_is_told_with_its_cause(module):
    name = module("failing_driver", "raise ValueError('no licence')\n")
    with pytest.raises(DriverError, match="ValueError: no licence") as caught:
        load_class(f"{name}:D")
    assert isinstance(caught.value.__cause__, ValueError)


@pytest.mark.parametrize(
    ("args", "kwargs", "text"),
    [
        ((), {}, "address"),
        (("a", 1, 2), {}, "too many"),
        (("a",), {"bauds": 1}, "did you mean 'baud'"),
        (("a",), {"address": "b"}, "multiple values"),
    ],
)
def test_arguments_are_checked_before_anything_is_built(args, kwargs, text):
    before = Supply.built
    with pytest.raises(DriverError, match=text):
        load_driver(spec(Supply, *args, kwargs=kwargs))
    assert Supply.built == before


def test_a_class_without_a_signature_is_not_checked():
    check_arguments(type("Odd", (), {"__signature__": "none"}), (1, 2), {"x": 3})


def test_loading_builds_nothing_and_building_hands_the_timeout_in():
    before = Supply.built
    driver = load_driver(spec(Supply, address="COM3", timeout=0.5))
    assert isinstance(driver, AnyClassDriver) and Supply.built == before
    assert build(spec(Supply, address="COM3", timeout=0.5), Supply).given == ("COM3", 9600, 0.5)
    assert build(spec(Supply, address="COM3", timeout=0.5, kwargs={"timeout": 3}), Supply).given == ("COM3", 9600, 3)
    assert build(spec(Supply, "COM3", 1), Supply).given == ("COM3", 1, 2.0)


def test_a_driver_of_the_users_own_is_taken_as_it_is():
    driver = load_driver(spec(Own, address="COM3"))
    assert isinstance(driver, Own) and driver.port == "COM3"


@pytest.mark.parametrize(
    ("module_name", "name", "adapter"),
    [
        ("pymeasure.instruments.instrument", "Instrument", "pymeasure:PyMeasureDriver"),
        ("pymeasure.instruments.common_base", "CommonBase", "pymeasure:PyMeasureDriver"),
        ("qcodes.instrument.instrument_base", "InstrumentBase", "qcodes:QCoDeSDriver"),
        ("ophyd_async.core._device", "Device", "ophyd:OphydDriver"),
        ("agentlab.instruments.scpi.device", "ScpiDevice", "scpi.driver:ScpiDriver"),
        ("pyvisa.resources.resource", "Resource", "scpi.driver:ScpiDriver"),
        ("pymeasurement.fake", "Instrument", "anyclass:AnyClassDriver"),
        ("mylab", "Device", "anyclass:AnyClassDriver"),
    ],
)
def test_the_adapter_is_told_by_the_bases_and_no_library_is_loaded(module_name, name, adapter):
    base = type(name, (), {"__module__": module_name})
    derived = type("Mine", (type("Between", (base,), {}),), {})
    assert adapter_of(derived).endswith(adapter)


def test_a_library_that_is_not_there_is_not_told_to_lack_a_part_of_itself():
    lost = missing_library(ModuleNotFoundError("x", name="pymeasure"), "pymeasure.instruments:X")
    assert "needs pymeasure, which is not installed; " in str(lost)
    part = missing_library(ModuleNotFoundError("x", name="pymeasure.no"), "pymeasure.no:X")
    assert "not installed, or has no 'pymeasure.no'" in str(part)
