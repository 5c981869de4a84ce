"""How old the readings of interlock rules may be: in a lab file, as its check sees it, and when a name changes."""

from __future__ import annotations

import pytest

from agentlab.instruments.model.parameter import Parameter
from agentlab.lab.facts import Facts
from agentlab.lab.file import look_at_lab
from agentlab.lab.rename import plan_renaming
from agentlab.lab.rule_ages import age_notes, age_problems
from agentlab.lab.schema import lab_schema
from agentlab.lab.sources import load
from agentlab.yamlfile.problems import Problems
from tests.lab.written import lab, problems, write

TABLE = """
temperature: {get: "T?", type: float, unit: K, poll: 0.5}
actions:
  selftest: {query: "TEST?", type: str, timeout: 5}
  calibrate: {query: "CAL?", type: str, timeout: 30}
  quick: {query: "Q?", type: str}
"""
KNOWN = {
    "instrument/oven": Facts(
        parameters={"temperature": Parameter("temperature", unit="K", writable=False, poll=0.5).to_dict()},
        timeouts={"selftest": 5.0, "calibrate": 30.0},
    )
}
OVEN = "oven: {driver: 'agentlab.instruments:ScpiDevice', address: GPIB::1, parameters: oven.yml%s}"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "oven.yml").write_text(TABLE)
    return tmp_path


def sources_of(folder, rule, more=""):
    text = f"instruments: {{{OVEN % more}, psu: {{driver: m.C}}}}\ninterlocks: [{rule}]"
    return load(write(folder, text), Problems())


def said(folder, what, rule, more="", facts=KNOWN):
    sources = sources_of(folder, rule, more)
    return list(what(sources.interlocks[0].rule, sources, facts))


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("a.x > 3 K -> b.safe()", "a.x > 3 K -> b.safe()"),
        ("a.x > 3 K max_age 10 s -> b.safe()", "a.x > 3 K max_age 10 s -> b.safe()"),
        ("'a.x > 3 K, max_age 10 s -> b.safe()'", "a.x > 3 K, max_age 10 s -> b.safe()"),
        ("{when: a.x > 3 K, then: b.safe()}", "a.x > 3 K -> b.safe()"),
        ("{when: a.x > 3 K, then: b.x = 3, max_age: 10}", "a.x > 3 K, max_age 10 s -> b.x = 3"),
        ("{when: a.x > 3 K, then: b.safe(), max_age: 2 min}", "a.x > 3 K, max_age 2 min -> b.safe()"),
    ],
)
def test_a_rule_says_it_in_its_text_or_beside_it(tmp_path, rule, text):
    found = lab(tmp_path, f"instruments: {{a: {{driver: m.C, poll: 1}}, b: {{driver: m.C}}}}\ninterlocks: [{rule}]")
    assert found.interlocks == {"b": [text]}


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        ("{when: a.x > 3 K}", "interlocks[0].then: is missing"),
        ("{when: a.x > 3 K, then: b.safe(), maxage: 3}", "interlocks[0].maxage: found an unknown key"),
        ("{when: a.x > 3 K, then: b.safe(), max_age: -3}", "interlocks[0].max_age: found -3"),
        ("{when: a.x > 3 K, then: b.safe(), max_age: soon}", "there should be a time above 0, at most 86400 s, such as '10 s'"),
        ("{when: a.x > 3 K, then: b.safe(), max_age: 3 K}", "there should be a time above 0"),
        ("{when: a.x > 3 K -> c.safe(), then: b.safe()}", "interlocks[0]: found an arrow in when"),
        ("{when: a.x > 3 K max_age 2 s, then: b.safe(), max_age: 3}", "found max_age in when"),
        ("'a.x > 3 K, max_age 1 s -> b.safe()'", "a.x is read every 1 s, so its readings are older than max_age 1 s again and"),
    ],
)
def test_what_cannot_be(tmp_path, rule, wanted):
    found = problems(tmp_path, f"instruments: {{a: {{driver: m.C, poll: 1}}, b: {{driver: m.C}}}}\ninterlocks: [{rule}]")
    assert len(found) == 1 and wanted in found[0]


def test_an_action_that_may_outlast_what_a_rule_allows_is_noted(folder):
    (folder / "m.py").write_text("class C: ...")
    text = f"instruments: {{{OVEN % ''}, psu: {{driver: m.C}}}}\ninterlocks: [oven.temperature > 320 K -> psu.safe()]"
    found = look_at_lab(write(folder, text))
    (note,) = found.notes
    assert found.lab is not None and note.key == "interlocks[0]" and (note.line, note.column) == (2, 14)
    assert note.text == (
        "oven.calibrate may take 30 s (1 more likewise), and nothing is read meanwhile: when the last reading of "
        "oven.temperature is 2 s old, the rule acts; if it should not, give it max_age 31 s"
    )


@pytest.mark.parametrize(
    ("rule", "more", "facts", "named"),
    [
        ("oven.temperature > 320 K -> psu.safe()", "", KNOWN, "oven.calibrate may take 30 s (1 more likewise)"),
        ("oven.temperature > 320 K max_age 6 s -> psu.safe()", "", KNOWN, "oven.calibrate may take 30 s, and"),
        ("oven.temperature > 320 K max_age 31 s -> psu.safe()", "", KNOWN, None),
        ("{when: oven.temperature > 3 K, then: psu.safe(), max_age: 31}", "", KNOWN, None),
        ("oven.temperature > 320 K -> psu.safe()", ", poll: {temperature: 10}", KNOWN, None),  # 30 s are allowed
        ("oven.temperature > 320 K -> psu.safe()", "", None, None),  # nobody knows
        ("oven.temperature > 320 K or oven.temperature < 3 K -> psu.safe()", "", KNOWN, "oven.calibrate may take 30 s"),
    ],
)
def test_what_an_action_may_take_is_compared_with_what_a_rule_allows(folder, rule, more, facts, named):
    found = said(folder, age_notes, rule, more, facts)
    assert found == [] if named is None else len(found) == 1 and named in found[0]


def test_an_age_below_the_period_that_the_driver_says_is_a_mistake(folder):
    rule = "oven.temperature > 320 K max_age 0.4 s -> psu.safe()"
    (text,) = said(folder, age_problems, rule)
    assert "oven.temperature is read every 0.5 s, so its readings are older than max_age 0.4 s" in text
    assert said(folder, age_problems, rule, ", poll: {temperature: 0.1}") == []
    assert said(folder, age_problems, rule, ", poll: 0.1") == []
    assert said(folder, age_problems, rule, facts=None) == []


def test_a_rule_in_parts_is_renamed_in_its_parts(tmp_path):
    path = write(
        tmp_path,
        """
        instruments: {psu: {driver: m.C, poll: 1}, oven: {driver: m.C, poll: 1}}
        interlocks:
          - {when: "psu.voltage > 3 V and oven.t > 3", then: oven.safe(), max_age: 10 s}
          - when: oven.t > 3
            then: psu.safe()
        """,
    )
    plan_renaming(path, "psu", "supply").write()
    text = path.read_text("utf-8")
    assert 'when: "supply.voltage > 3 V and oven.t > 3", then: oven.safe()' in text
    assert "then: supply.safe()" in text and "psu" not in text


def test_editors_know_rules_in_parts():
    schema = lab_schema()
    assert schema["$defs"]["InterlockModel"]["required"] == ["when", "then"]
    items = schema["properties"]["interlocks"]["items"]["anyOf"]
    assert {"$ref": "#/$defs/InterlockModel"} in items and any(one.get("type") == "string" for one in items)
