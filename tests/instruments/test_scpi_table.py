"""Tables of commands: what they say, and all that can be wrong in them. No device, no network."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentlab.errors import DriverError, LimitError
from agentlab.instruments.scpi.model import set_commands
from agentlab.instruments.scpi.table import load_table, read_table
from agentlab.instruments.scpi.templates import Template, Words
from agentlab.yamlfile.problems import ProblemsError

PSU = r"""
doc: A power supply.
ping: "*IDN?"
check: "SYST:ERR?"
settings: {timeout: 5, read_termination: '\r\n', encoding: latin-1}
safe: {output: false, voltage: 0}
abort: ABOR
parameters:
  voltage: {get: "VOLT?", set: "VOLT {:g}", type: float, unit: V, min: 0, max: 30, step: 1, delay: 0.1, poll: 2, doc: Output.}
  output: {get: "OUTP?", set: "OUTP {}", type: bool, check: false}
  mode: {get: "MODE?", set: "MODE {}", map: {slow: 0, fast: 1}, reply: OK}
  heater: {get: "HEAT?", set: "HEAT {}", type: bool, map: {on: HI, off: LO}}
  range: {get: "RANG?", set: "RANG {value:d}", type: int, choices: [1, 10, 100]}
  ch_1.current: {get: "CURR? 1", unit: A, max: 5 mA, pattern: 'CURR ([-+\d.eE]+) A', timeout: 9}
  trace: {get: "TRAC?", set: ["TRAC:CLE", "TRAC {:.2f}"], type: array}
actions:
  trigger: {write: "*TRG", doc: Go.}
  ramp:
    write: "RAMP:RATE {rate:g}"
    query: "RAMP? {target:g}"
    type: float
    unit: V
    timeout: 60
    reads: true
    arguments: {target: {type: float, unit: V, max: 30}, rate: {default: 0.5, min: 0}}
"""


@pytest.fixture
def psu(tmp_path):
    (tmp_path / "psu.yml").write_text(PSU)
    return read_table(tmp_path / "psu.yml")


def test_parameters(psu):
    table = psu.table()
    voltage = table.parameter("voltage")
    assert (voltage.type, voltage.unit, voltage.minimum, voltage.maximum) == ("float", "V", 0, 30)
    assert (voltage.step, voltage.delay, voltage.poll, voltage.doc) == (1, 0.1, 2, "Output.")
    assert voltage.readable and voltage.writable
    assert table.parameter("range").choices == (1, 10, 100)
    assert table.parameter("mode").choices == ("slow", "fast") and table.parameter("mode").type == "str"
    assert table.parameter("heater").type == "bool" and table.parameter("heater").choices is None
    current = table.parameter("ch_1.current")
    assert current.maximum == pytest.approx(0.005) and not current.writable
    assert psu.entries["ch_1.current"].timeout == 9
    assert psu.entries["voltage"].check == "SYST:ERR?" and psu.entries["output"].check == ""
    assert psu.entries["mode"].reply == "OK"
    assert table.has_safe and table.has_abort and table.doc == "A power supply."


def test_head(psu):
    assert psu.ping == "*IDN?"
    assert psu.safe == ("OUTP 0", "VOLT 0")
    assert psu.abort == ("ABOR",)
    assert psu.settings == {"timeout": 5, "read_termination": "\r\n", "encoding": "latin-1"}
    assert read_table({"ping": None}).ping == "" and read_table({}).ping is None


def test_actions(psu):
    ramp = psu.calls["ramp"]
    assert ramp.action.parameters == [("rate", 1, "0.5"), ("target", 1, None)]
    assert ramp.asks and ramp.action.reads and ramp.timeout == 60
    assert ramp.result.unit == "V"
    assert not psu.calls["trigger"].asks and not psu.calls["trigger"].action.reads


@pytest.mark.parametrize(
    ("name", "value", "sent"),
    [
        ("voltage", 3.0, ["VOLT 3"]),
        ("voltage", 1e-7, ["VOLT 1e-07"]),
        ("output", True, ["OUTP 1"]),
        ("mode", "fast", ["MODE 1"]),
        ("heater", False, ["HEAT LO"]),
        ("range", 10, ["RANG 10"]),
        ("trace", [1, 2.5], ["TRAC:CLE", "TRAC 1.00,2.50"]),
    ],
)
def test_what_is_sent(psu, name, value, sent):
    entry = psu.entries[name]
    assert set_commands(entry, entry.parameter.check(value)) == sent


def test_a_flat_table_needs_no_section():
    table = read_table({"voltage": {"get": "VOLT?"}, "actions": {"go": {"write": "GO"}}})
    assert list(table.entries) == ["voltage"] and list(table.calls) == ["go"]


WRONG = [
    ('v: {get: "V?", set: "V {:q}"}', "1:16", "Unknown format code 'q'"),
    ('v: {get: "V?", set: "V {:d}"}', "1:16", "Unknown format code 'd'"),
    ('v: {get: "V?", set: "V {"}', "1:16", "no format"),
    ('v: {get: "V?", set: "V {a.b}"}', "1:16", "allowed is a plain name"),
    ('v: {get: "V?", set: "V {0[x]}"}', "1:16", "allowed is a plain name"),
    ('v: {get: "V?", set: "V {!r}"}', "1:16", "take it away"),
    ('v: {get: "V?", set: "V {:{w}}"}', "1:16", "place within a place"),
    ('v: {get: "V?", set: "V"}', "1:16", "without a place"),
    ('v: {get: "V?", set: "V {volt}"}', "1:16", "allowed is one place"),
    ('v: {get: "V?", set: "V {:g}\\nOUTP 1"}', "1:16", "line end"),
    ('v: {get: "V?\\nOUTP 1"}', "1:5", "line end"),
    ('v: {get: "V?", gett: 1}', "1:16", "did you mean 'get'"),
    ('v: {get: "V?", type: flot}', "1:16", "did you mean 'float'"),
    ('v: {get: "V?", min: low}', "1:16", "low"),
    ('v: {get: "V?", min: 5 K, unit: V}', "1:16", "K"),
    ('v: {get: "V?", min: 5, max: 1}', "1:1", "above its maximum"),
    ('v: {get: "V?", choices: 5}', "1:16", "allowed is a list"),
    ('v: {get: "V?", map: [1, 2]}', "1:16", "allowed is a mapping"),
    ('v: {get: "V?", map: {a: 1, b: 1.0}}', "1:16", "one word to two values"),
    ('v: {get: "V?", pattern: "("}', "1:16", "no regular expression"),
    ('v: {get: "V?", pattern: "V"}', "1:16", "allowed is one"),
    ('v: {get: "V?", timeout: 0}', "1:16", "seconds above 0"),
    ('v: {get: "V?", poll: often}', "1:16", "allowed is a number"),
    ('v: {get: "V?", unit: furlongz}', "1:16", "furlongz"),
    ("v: {get: 5}", "1:5", "allowed is text"),
    ("v: {unit: V}", "1:1", "neither get nor set"),
    ("v: V?", "1:1", "allowed is a mapping"),
    ('1v: {get: "V?"}', "1:1", "found the name '1v'"),
    ('parameters: {v: {get: "V?"}}\npings: x', "2:1", "did you mean 'ping'"),
    ("parameters: [1]", "1:1", "allowed is a mapping"),
    ("- 1", "1:", "allowed is a mapping"),
    ("safe: {v: 1}", "1:8", "is no parameter"),
    ('v: {set: "V {:g}", max: 5}\nsafe: {v: 6}', "2:8", "out of limits"),
    ("safe: 5", "1:1", "allowed is a list of commands"),
    ("abort: [1]", "1:1", "allowed is a list of commands"),
    ("settings: 5", "1:1", "allowed is a mapping"),
    ("actions: {a: {doc: x}}", "1:11", "neither write nor query"),
    ("actions: {a: {write: '{x:q}'}}", "1:11", "Unknown format code"),
    ("actions: {a: {write: A, type: float}}", "1:11", "nothing is asked"),
    ("actions: {a: {write: A, arguments: {y: {}}}}", "1:", "in none of the commands"),
    ("actions: {a: {write: A, reads: 1}}", "1:25", "true and false"),
    ("v: {get: 'V?'}\nactions: {v: {write: A}}", "2:11", "is a parameter too"),
]


@pytest.mark.parametrize(("text", "place", "said"), WRONG, ids=[text for text, _, _ in WRONG])
def test_what_is_wrong_is_told_with_its_place(tmp_path, text, place, said):
    (tmp_path / "psu.yml").write_text(text)
    with pytest.raises(ProblemsError) as caught:
        read_table(tmp_path / "psu.yml")
    assert f"psu.yml:{place}" in str(caught.value)
    assert said in str(caught.value)
    with pytest.raises(DriverError) as again:
        load_table(tmp_path / "psu.yml")
    assert said in str(again.value) and "\n" not in str(again.value)


def test_all_problems_are_told_at_once(tmp_path):
    (tmp_path / "psu.yml").write_text('v: {get: "V?", set: "{:q}", typ: 1}\nw: 5\n')
    with pytest.raises(ProblemsError) as caught:
        read_table(tmp_path / "psu.yml")
    assert len(caught.value.problems) == 3


def test_a_dict_is_checked_too():
    with pytest.raises(DriverError, match=r"table of commands is wrong: v.typ: .*; v.set: "):
        read_table({"v": {"get": "V?", "set": "{:q}", "typ": 1}})


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.floats(),
    st.sampled_from(["", "V?", "V {:g}", "{", "{x}", "{:d}", "float", "5 mV", "(", "(.)", "a\nb", "on", "µ"]),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.one_of(SCALARS), inner, max_size=3))
)
KEYS = st.sampled_from(
    (
        *("get", "set", "type", "unit", "min", "max", "choices", "map", "pattern", "step", "delay", "poll", "doc", "label"),
        *("timeout", "reply", "check", "write", "query", "arguments", "reads", "default", "nonsense", "x"),
    )
)
SAID = st.one_of(VALUES, st.dictionaries(KEYS, VALUES, max_size=6))
NAMES = st.sampled_from(["ping", "check", "safe", "abort", "settings", "doc", "parameters", "actions", "v", "ch.v", "_x", 5])


@given(st.dictionaries(NAMES, st.one_of(SAID, st.dictionaries(st.sampled_from(["v", "x", 1]), SAID, max_size=3)), max_size=6))
@settings(max_examples=100, deadline=None)
def test_nothing_that_can_stand_in_a_table_breaks_its_reader(data):
    try:
        read_table(data).table().to_dict()
    except DriverError as error:
        assert "\n" not in str(error)  # noqa: PT017 - most tables are wrong, some are not


def test_a_missing_file():
    with pytest.raises(DriverError, match=r"nowhere.yml: there is no such file"):
        load_table("nowhere.yml")


def test_templates_reach_into_nothing():
    for text in ("{a.__class__}", "{a[0]}", "{!r}", "{__x}"):
        with pytest.raises(ValueError, match="found"):
            Template(text)
    assert Template("{{{}}} {x:.1f}").fill({"value": 1, "x": 2}) == "{1} 2.0"
    with pytest.raises(LimitError, match="nothing was sent"):
        Template("{:d}").fill({"value": 1.5})
    with pytest.raises(LimitError):
        Template("{}").fill({"value": object()})


def test_words_are_found_however_the_device_writes_them():
    words = Words({True: "ON", False: 0, "auto": "1.5"})
    assert [words.value(said) for said in ("on", '"ON"', "0", "+0.0E+00", "1.50")] == [True, True, False, False, "auto"]
    with pytest.raises(KeyError):
        words.value("off")


def test_a_dict_needs_neither_yaml_nor_pydantic_nor_pyvisa():
    code = (
        "import sys; from agentlab.instruments import ScpiDevice as D; D('x', {'v': {'get': 'V?', 'unit': 'mm/min'}});"
        "print([m for m in ('yaml', 'pydantic', 'pyvisa', 'pint', 'numpy', 'sqlalchemy', 'rich', 'typer') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


def test_what_the_safe_state_sets_is_known(psu):
    assert psu.safe_values == {"output": False, "voltage": 0}
    assert read_table({"safe": ["OUTP 0"]}).safe_values == {}


def test_a_wrong_format_is_told_once():
    for data in ({"v": {"set": "V {"}}, {"actions": {"a": {"write": "V {"}}}):
        with pytest.raises(DriverError) as caught:
            read_table(data)
        assert "no format" in str(caught.value) and "neither" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"v": {"get": "V?\\n"}}, "v.get: holds a line end"),
        ({"v": {"get": "V?", "set": "V {:g}\\r\\n"}}, "v.set: holds a line end"),
        ({"v": {"get": "V?", "set": "V {:g},{:g}"}}, "v.set: found 2 places in 'V {:g},{:g}', allowed is one"),
        ({"v": {"get": "V?"}, "settings": {"timeuot": 1}}, "settings.timeuot: there is no setting 'timeuot'"),
        ({"v": {"get": "V?"}, "settings": {"baud_rat": 1}}, "did you mean 'baud_rate'"),
    ],
)
def test_what_would_only_be_seen_at_the_device_is_told_before(data, said):
    with pytest.raises(DriverError) as caught:
        read_table(data)
    assert said in str(caught.value)


def test_one_mistake_brings_no_other():
    with pytest.raises(DriverError) as caught:
        read_table({"on": {"get": "O?", "type": "boolean", "choices": ["on"]}, "safe": {"on": True, "outptu": 1}})
    assert str(caught.value).count("; ") == 3  # two mistakes, each with a hint
    assert "for type float" not in str(caught.value)
    assert "safe.on" not in str(caught.value) and "known names: 'on'" in str(caught.value)


def test_an_instrument_tells_the_first_mistakes_and_how_to_see_all(tmp_path):
    data = {f"v{number}": {"get": 5} for number in range(9)}
    (tmp_path / "psu.yml").write_text("\n".join(f"{name}: {{get: 5}}" for name in data))
    for source in (data, tmp_path / "psu.yml"):
        with pytest.raises(DriverError) as caught:
            load_table(source)
        assert "v2" in str(caught.value) and "v3" not in str(caught.value)
        assert str(caught.value).endswith("; and 6 more: agentlab check FILE, or read_table(), shows all")
    with pytest.raises(DriverError, match="v8"):
        read_table(data)
