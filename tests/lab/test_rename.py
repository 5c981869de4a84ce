"""Renaming: what changes in the text, what stays, and what is refused."""

import stat
from pathlib import Path

import pytest

from agentlab.errors import ConfigurationError
from agentlab.lab.file import read_lab
from agentlab.lab.rename import plan_renaming
from agentlab.yamlfile.problems import ProblemsError
from tests.lab.written import write

LAB = """\
# Meter is the meter
version: 1
nameservers:
  - default: {ns_port: 0}   # Meter's
  - spare:
      ns_port: 9191
agents:
  Meter:          # the Meter
    class: devices:Meter
    sockets: {power: PUB}
    attributes: {about: Meter}
  'Scan':
    class:   devices:Scan
    after: [ Meter, "cat" ]   # Meter first
    nameserver: spare
  Meter.2: {class: devices:Meter, after: [agent/Meter, service/cat], sockets: {x: PULL}}
services:
  cat: {module: devices, classname: Cat, daemon: d, nameservers: [spare, "default"]}
daemons:
  d: {nameservers: [ default ]}
groups:
  g: {members: [agent/Meter, 'Scan', d]}
wires:
  - Meter.power   ->   Scan.on_power   # Meter
  - {from: "Meter.power", to: 'Meter.2.f', topic: a}
  - 'Meter.out -> Meter.2.x'
autolaunch:
  agents:
    - Meter
    - Scan
  daemons: [d]
"""


def renamed(folder, old, new, text=LAB):
    path = write(folder, text)
    plan = plan_renaming(path, old, new)
    plan.write()
    after = path.read_text("utf-8")
    read_lab(path, inspect=False)
    return plan, {
        number: line
        for number, (was, line) in enumerate(zip(text.splitlines(), after.splitlines(), strict=True), 1)
        if was != line
    }


def test_an_agent(tmp_path):
    plan, changed = renamed(tmp_path, "Meter", "Power")
    assert changed == {
        8: "  Power:          # the Meter",
        14: '    after: [ Power, "cat" ]   # Meter first',
        16: "  Meter.2: {class: devices:Meter, after: [agent/Power, service/cat], sockets: {x: PULL}}",
        22: "  g: {members: [agent/Power, 'Scan', d]}",
        24: "  - Power.power   ->   Scan.on_power   # Meter",
        25: "  - {from: \"Power.power\", to: 'Meter.2.f', topic: a}",
        26: "  - 'Power.out -> Meter.2.x'",
        29: "    - Power",
    }
    assert (plan.unit, plan.new) == ("agent/Meter", "agent/Power")
    assert [(change.line, change.after) for change in plan.changes] == list(changed.items())
    assert [mention.line for mention in plan.mentions] == [1, 4, 8, 9, 11, 14, 16, 24]


def test_the_right_end_of_wires(tmp_path):
    assert renamed(tmp_path, "agent/Meter.2", "Second")[1] == {
        16: "  Second: {class: devices:Meter, after: [agent/Meter, service/cat], sockets: {x: PULL}}",
        25: "  - {from: \"Meter.power\", to: 'Second.f', topic: a}",
        26: "  - 'Meter.out -> Second.x'",
    }
    assert 24 in renamed(tmp_path, "Scan", "scan-2")[1]


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ("cat", "catalogue", {14, 16, 18}),
        ("d", "default", {18, 20, 22, 31}),
        ("g", "all", {22}),
        ("spare", "other", {5, 15, 18}),
        ("nameserver/default", "main", None),
    ],
)
def test_the_other_kinds(tmp_path, old, new, lines):
    if lines is None:  # Meter says nothing of its name server, so it means `default`
        with pytest.raises(ProblemsError, match=r"agents\.Meter\.nameserver: is missing"):
            renamed(tmp_path, old, new)
    else:
        assert set(renamed(tmp_path, old, new)[1]) == lines


def test_what_is_meant_without_being_said_is_not_changed_in_silence(tmp_path):
    text = "daemons: {default: {port: 9000}}\nservices: {s: {module: m, classname: C}}"
    with pytest.raises(ConfigurationError, match="something that means it without saying so would change"):
        renamed(tmp_path, "default", "d", text)
    text = "nameservers: {default: {}}\nagents: {A: {class: m.C}}"
    assert renamed(tmp_path, "default", "n", text)[1] == {1: "nameservers: {n: {}}"}


@pytest.mark.parametrize("new", ["3", "1e3", "null", "true", "0x1"])
def test_a_name_that_yaml_would_take_for_something_else_is_quoted(tmp_path, new):
    _, changed = renamed(tmp_path, "Scan", new)
    assert changed[12] == f"  '{new}':" and changed[22].endswith(f"'{new}', d]}}") and changed[30] == f"    - '{new}'"


def test_included_files_are_changed_too(tmp_path):
    inner = write(tmp_path, "agents:\n  A: {class: m.C, after: [B]}\n", "more/a.yml")
    path = write(tmp_path, "include: [more/a.yml]\nagents: {B: {class: m.C}}\n")
    plan = plan_renaming(path, "B", "C")
    assert [(change.file.name, change.line) for change in plan.changes] == [("lab.yml", 2), ("a.yml", 2)]
    plan.write()
    assert "after: [C]" in inner.read_text() and "{C: {class" in path.read_text()
    plan_renaming(path, "A", "Z").write()
    assert path.read_text() == "include: [more/a.yml]\nagents: {C: {class: m.C}}\n"


def test_anchors_are_edited_where_they_stand(tmp_path):
    text = "x-a: &a {after: &list [B, &b !!str B], class: m.C}\nx-who: &who   'B'\nagents:\n  A: {<<: *a}\n  B: {class: m.C}\n"
    text += "  D: {<<: *a}\n  E: {class: m.C, after: [*b]}\n  F: {class: m.C, after: [*who]}\n"
    assert renamed(tmp_path, "B", "C", text)[1] == {
        1: "x-a: &a {after: &list [C, &b !!str C], class: m.C}",
        2: "x-who: &who   'C'",
        5: "  C: {class: m.C}",
    }


def test_line_ends_and_the_byte_order_mark_stay(tmp_path):
    path = tmp_path / "lab.yml"
    path.write_bytes(b"\xef\xbb\xbfagents:\r\n  A: {class: m.C}  # \xc3\xa9\r\n  B: {class: m.C, after: [A]}")
    path.chmod(0o640)
    plan_renaming(path, "A", "Ä").write()
    assert (
        path.read_bytes()
        == b"\xef\xbb\xbfagents:\r\n  \xc3\x84: {class: m.C}  # \xc3\xa9\r\n  B: {class: m.C, after: [\xc3\x84]}"
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o640 and [file.name for file in tmp_path.iterdir()] == ["lab.yml"]


def test_a_link_stays_a_link(tmp_path):
    real = write(tmp_path, "agents: {A: {class: m.C}}", "real.yml")
    (tmp_path / "lab.yml").symlink_to(real)
    plan_renaming(tmp_path / "lab.yml", "A", "B").write()
    assert (tmp_path / "lab.yml").is_symlink() and "B:" in real.read_text()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("Metre", "X", "nothing to rename: found 'Metre', but there is no such .*did you mean 'Meter'?"),
        ("service/Meter", "X", "nothing to rename: found 'Meter', but"),
        ("wire/Meter", "X", "nothing to rename: found 'wire/Meter', allowed are"),
        ("Meter", "Scan", "cannot rename agent/Meter to 'Scan': there is agent/Scan already"),
        ("Meter", "Meter", "there is agent/Meter already"),
        ("d", "a b", "cannot rename daemon/d: found 'a b', which cannot be a name"),
        ("cat", "daemon", "every daemon calls its own control object"),
        ("Meter", "service/x", "cannot be a name"),
        ("daemon/default", "x", "daemon/default is there by itself and stands in no file"),
        ("Meter", "cat", r"lab\.yml:14:14: agents\.Scan\.after\[0\]: found 'cat', which may be .*as it would be after renaming"),
    ],
)
def test_what_is_refused(tmp_path, old, new, said):
    path = write(tmp_path, LAB)
    with pytest.raises(ConfigurationError, match=said):
        plan_renaming(path, old, new)
    assert path.read_text() == LAB


def test_a_file_with_problems_is_not_touched(tmp_path):
    path = write(tmp_path, LAB.replace("after: [ Meter", "after: [ Metre"))
    with pytest.raises(ProblemsError, match="found 'Metre'"):
        plan_renaming(path, "Meter", "X")


def test_a_name_that_is_not_spelt_out_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("WHO", "A")
    path = write(tmp_path, "agents: {A: {class: m.C}, B: {class: m.C, after: ['${WHO}']}}")
    with pytest.raises(ConfigurationError, match=r"lab\.yml:1:51: 'A' is not spelt out there"):
        plan_renaming(path, "A", "C")
    path = write(tmp_path, 'agents: {A: {class: m.C}, B: {class: m.C, after: ["\\x41"]}}')
    with pytest.raises(ConfigurationError, match="'A' is not spelt out there"):
        plan_renaming(path, "A", "C")
    path = write(tmp_path, "agents: {A: {class: m.C, sockets: {x: PUB}}, B: {class: m.C}}\nwires:\n  - >-\n    A.x -> B.f")
    with pytest.raises(ConfigurationError, match="'A' is not spelt out there"):
        plan_renaming(path, "A", "C")


def test_nothing_is_written_over_what_somebody_else_wrote(tmp_path):
    path = write(tmp_path, LAB)
    plan = plan_renaming(path, "Meter", "X")
    path.write_text(LAB + "# mine\n")
    with pytest.raises(ConfigurationError, match="was changed by somebody else just now"):
        plan.write()
    assert path.read_text() == LAB + "# mine\n" and [file.name for file in tmp_path.iterdir()] == ["lab.yml"]


def test_where_one_file_cannot_be_written_none_is(tmp_path, monkeypatch):
    inner = write(tmp_path, "agents: {A: {class: m.C, after: [B]}}", "a.yml")
    path = write(tmp_path, "include: [a.yml]\nagents: {B: {class: m.C}}")
    plan = plan_renaming(path, "B", "C")
    inner.unlink()
    with pytest.raises(ConfigurationError, match=r"a\.yml cannot be written: No such file or directory; nothing was renamed"):
        plan.write()
    assert "{B:" in path.read_text() and [file.name for file in tmp_path.iterdir()] == ["lab.yml"]
    assert isinstance(plan.changes[0].file, Path)
