"""Tables of commands as nobody should write them, and values that want to be more than a value."""

from __future__ import annotations

import math

import pytest

from agentlab.errors import DriverError, LimitError
from agentlab.instruments import InstrumentSpec, ScpiDevice
from agentlab.instruments.drivers.loading import load_driver
from agentlab.instruments.scpi.model import set_commands
from agentlab.instruments.scpi.table import read_table
from agentlab.testing.transcript import Transcript
from agentlab.yamlfile.problems import ProblemsError


def entry_of(**says):
    return read_table({"p": {"get": "P?", **says}}).entries["p"]


def sent(value, **says):
    entry = entry_of(**says)
    return set_commands(entry, entry.parameter.check(value))


@pytest.mark.parametrize(
    ("says", "text"),
    [
        ({"set": "V {0.__class__}"}, "plain name"),
        ({"set": "V {value.__class__.__mro__}"}, "plain name"),
        ({"set": "V {value[0]}"}, "plain name"),
        ({"set": "V {:{value}}"}, "place within"),
        ({"set": "V {value!r}"}, "no use"),
        ({"set": "V {:999999999999}"}, "more than 999"),
        ({"set": "V {:.9999f}"}, "more than 999"),
        ({"set": "V {:%Y}"}, "does not fit"),
        ({"set": "V {"}, "no format"),
        ({"set": "V {:g}", "map": {"on": "A", "off": 0}}, "does not fit"),
        ({"set": "V {}", "map": {"on": "1\nV 9", "off": 0}}, "termination"),
        ({"set": "V {:g}", "choices": ["a", "b"], "type": "float"}, "found 'a' for type float"),
        ({"set": "V {:g}", "choices": [1, 2], "min": 5}, "no choice within"),
        ({"set": "V {}", "type": "str", "min": 5}, "only numbers"),
        ({"timeout": math.inf}, "allowed are seconds"),
        ({"min": math.nan}, "finite"),
        ({"min": 10**400}, "no float"),
        ({"unit": "K/min/bananas"}, "is no unit"),
        ({"unit": "V**999999999"}, "is no unit"),
    ],
)
def test_a_parameter_that_cannot_be_is_told_when_it_is_read(says, text):
    with pytest.raises(DriverError, match=text) as caught:
        entry_of(**says)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "settings",
    [
        {"address": "x"}, {"parameters": "x"}, {"ping": "x"}, {"session": 1}, {"visalib": 1}, {"largest": -1}, {"largest": "x"},
        {"greeting": "x"}, {"greeting": -1}, {"encoding": 5}, {"timeout": "x"}, {"timeout": math.inf}, {"visa_library": 5},
        {5: 1},
    ],
    ids=str,
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(settings):
    with Transcript([]).serve() as server, pytest.raises(DriverError, match=f"{next(iter(settings))}") as caught:
        ScpiDevice(server.address, {"settings": settings}).open()
    assert "\n" not in str(caught.value)


def test_a_word_that_is_a_number_may_be_written_as_one():
    assert sent("on", set="OUTP {:d}", map={"on": 1, "off": 0}) == ["OUTP 1"]
    assert sent(True, set="OUTP {:02d}", map={"on": 1, "off": 0}, type="bool") == ["OUTP 01"]
    assert sent("low", set="RANG {:.2f}", map={"low": 0.5, "high": 5}) == ["RANG 0.50"]


def test_true_and_false_are_keys_of_a_map_in_yaml_too(tmp_path):
    path = tmp_path / "psu.yml"
    path.write_text("output: {get: 'OUTP?', set: 'OUTP {:d}', map: {true: 1, false: 0}}\n")
    entry = read_table(path).entries["output"]
    assert entry.parameter.type == "bool" and set_commands(entry, True) == ["OUTP 1"]
    path.write_text("output: {get: 'OUTP?', set: 'OUTP {}', map: {1: a, true: b}}\n")
    with pytest.raises(ProblemsError, match="twice"):
        read_table(path)
    path.write_text("true: {get: 'OUTP?'}\n")
    with pytest.raises(ProblemsError, match="the name True"):
        read_table(path)


@pytest.mark.parametrize(
    "value",
    [
        "a\nOUTP ON",
        "a\rOUTP ON",
        "a;OUTP ON",
        "a\x00",
        "a\x03",
        "a\x1b",
        "a\x85b",
        "a\u2028b",
        "a\x7f",
        '"a";*RST',
        '"a;*RST',
        "';'\";",
    ],
    ids=repr,
)
def test_a_text_is_never_a_second_command(value):
    with pytest.raises(LimitError, match="nothing was sent"):
        sent(value, set="LAB {}", type="str")


def test_what_stands_within_quotes_stays_there():
    assert sent("a;b, 'c'", set='LAB "{}"', type="str") == ["LAB \"a;b, 'c'\""]
    assert sent('"a;b"', set="LAB {}", type="str") == ['LAB "a;b"']
    assert sent("A;B", set="{}", type="str") == ["A;B"]  # where the whole command is the caller's, it is
    assert sent("x", set="P {}", map={"x": "1;*TRG"}) == ["P 1;*TRG"]  # and the table's own words are its own
    with pytest.raises(LimitError, match="end the text"):
        sent('a";OUTP ON;"', set='LAB "{}"', type="str")
    with pytest.raises(LimitError, match="second|another command"):
        sent("a;b", set='LAB "x",{}', type="str")


@pytest.mark.parametrize("value", ["1;OUTP ON", "1\nOUTP ON"])
def test_an_argument_of_an_action_is_never_a_second_command(value):
    transcript = Transcript([("*IDN?", "A")])
    table = {"actions": {"go": {"write": "GO {x}"}, "look": {"query": "LOOK? {x}"}}}
    with transcript.serve() as server, ScpiDevice(server.address, table) as device:
        for name in ("go", "look"):
            with pytest.raises(LimitError):
                device.call(name, value)
    assert transcript.received == []


def test_a_number_is_no_character_that_ends_a_command():
    with pytest.raises(DriverError, match="end the command"):
        entry_of(set="V {:c}", type="int")


def test_a_terminator_of_its_own_within_a_command_is_refused():
    transcript = Transcript([("A", None)], read_termination="#")
    with transcript.serve() as server, ScpiDevice(server.address, write_termination="#") as device:
        with pytest.raises(LimitError, match="ends a command"):
            device.write("A#B")
        with ScpiDevice(server.address, encoding="utf-16-le") as wide, pytest.raises(LimitError, match="ends a command"):
            wide.write("\u0a0a")
    assert transcript.received == []


def test_a_text_with_a_line_end_is_refused_for_instruments_of_libraries_too():
    pytest.importorskip("pymeasure")
    transcript = Transcript([("*IDN?", "A,B,1,2"), ("LAB x", None)])
    with transcript.serve() as server:
        driver = load_driver(InstrumentSpec("x", labelled(), server.address, kwargs={"visa_library": "@py"}))
        driver.open()
        try:
            with pytest.raises(LimitError, match="line end"):
                driver.set("label", "x\nOUTP ON")
        finally:
            driver.close()
    assert all("OUTP" not in one for one in transcript.received)


def labelled():
    """Give a class of PyMeasure with a parameter of text."""
    from pymeasure.instruments import Instrument

    class Labelled(Instrument):
        label = Instrument.control("LAB?", "LAB %s", "The label.")

        def __init__(self, adapter, **kwargs):
            super().__init__(adapter, "labelled", includeSCPI=False, **kwargs)

    return Labelled
