"""The verbs that read lab files and start nothing: check, schema, rename."""

import json

import pytest

from tests.cli.inprocess import Runner
from tests.cli.program import agentlab, complaint
from tests.lab.written import DEVICES, write

LAB = """\
agents:
  Meter: {class: "devices:Meter"}   # a comment
  Scan: {class: "devices:Scan", after: [Meter]}
services:
  catalogue: {module: devices, classname: Catalogue, parameters: {path: x}}
wires: [Meter.power -> Scan.on_power]
"""


@pytest.fixture
def run(capsys):
    return Runner(capsys)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, DEVICES, "devices.py")
    write(tmp_path, LAB)
    return tmp_path


def test_a_lab_that_is_well(run, here):
    outcome = run("check")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == "lab.yml: 2 agents, 1 service, 1 daemon, 1 name server, 1 wire: well\n"


def test_all_problems_one_per_line(run, here):
    write(here, LAB.replace("[Meter]", "[Metre], restart: allways").replace("on_power", "on_powr").replace("{path: x}", "{}"))
    outcome = run("check", "lab.yml")
    assert outcome.code == 2 and outcome.err == ""
    assert [line.split(" ")[0:2] for line in outcome.out.splitlines()] == [
        ["lab.yml:3:41:", "agents.Scan.after[0]:"],
        ["lab.yml:3:49:", "agents.Scan.restart:"],
        ["lab.yml:5:54:", "services.catalogue.parameters:"],
        ["lab.yml:6:9:", "wires[0]:"],
    ]


def test_without_importing(run, here):
    write(here, LAB.replace("devices", "nowhere").replace("on_power", "on_powr"))
    assert run("check", "--no-import").code == 0
    outcome = run("check")
    assert outcome.code == 2 and outcome.out.count("no module is called 'nowhere'") == 3


def test_notes_are_problems_where_somebody_is_strict(run, here):
    write(here, LAB + "daemons: {spare: {}}\n")
    lenient, strict = run("check"), run("check", "--strict")
    assert lenient.code == 0 and strict.code == 2
    assert (
        "lab.yml:7:11: daemons.spare: hosts no service (a note: allowed, but perhaps not meant)\nlab.yml: 2 agents" in lenient.out
    )
    assert strict.out == "lab.yml:7:11: daemons.spare: hosts no service\n"


def test_check_as_json(run, here):
    told = json.loads(run("check", "--json").out)
    assert told["well"] is True and told["problems"] == [] and told["counts"]["agents"] == 2
    write(here, "agents: {A: {class: C}}")
    outcome = run("check", "--json")
    told = json.loads(outcome.out)
    assert outcome.code == 2 and told["well"] is False
    assert told["problems"] == [
        {
            "file": "lab.yml",
            "line": 1,
            "column": 14,
            "key": "agents.A.class",
            "text": "'C' names no class; write package.module:Class",
        }
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "nothing.yml: there is no such file"),
        (b"", "nothing.yml:1:1: the file is empty"),
        (b"\0\0", "is binary, not YAML text"),
        (b"x" * (10 * 1024 * 1024), "is larger than 1024 KiB"),
        (b"include: [nothing.yml]", "includes itself: nothing.yml -> nothing.yml"),
        (b"a: !!python/object/apply:os.abort []", "found the tag '!!python/object/apply:os.abort'"),
    ],
)
def test_files_that_are_none(run, here, content, said):
    if content is not None:
        (here / "nothing.yml").write_bytes(content)
    outcome = run("check", "nothing.yml")
    assert outcome.code == 2 and said in outcome.out and len(outcome.out.splitlines()) == 1


def test_what_modules_print_does_not_spoil_the_output_and_a_script_sees_the_exit_code(here):
    write(here, "print('noise')\nimport os\nos.system('echo more noise')\n" + DEVICES, "devices.py")
    outcome = agentlab("check", "--json", cwd=here)
    assert outcome.code == 0 and json.loads(outcome.out)["well"] and outcome.err == ""
    write(here, "raise SystemExit('go away')", "devices.py")
    outcome = agentlab("check", cwd=here)
    assert outcome.code == 2 and "sys.exit('go away')" in outcome.out


def test_the_schema(run, here):
    printed = json.loads(run("schema").out)
    assert printed["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    outcome = run("schema", "--output", "lab.schema.json")
    assert json.loads((here / "lab.schema.json").read_text("utf-8")) == printed
    assert "# yaml-language-server: $schema=lab.schema.json" in outcome.out
    assert run("schema", "-o", "no/such/folder.json").code == 1


def test_renaming(run, here):
    outcome = run("rename", "Meter", "Power", "--dry-run")
    assert outcome.code == 0 and (here / "lab.yml").read_text() == LAB
    assert outcome.out.splitlines()[-1] == "agent/Meter would be agent/Power; 3 lines changed"
    outcome = run("rename", "Meter", "Power")
    assert outcome.code == 0
    assert 'lab.yml:2:\n  was: Meter: {class: "devices:Meter"}   # a comment\n  now: Power: {class' in outcome.out
    assert 'lab.yml:2: still says so: Power: {class: "devices:Meter"}' in outcome.out
    changed = LAB.replace("Meter:", "Power:").replace("[Meter]", "[Power]").replace("Meter.power", "Power.power")
    assert (here / "lab.yml").read_text() == changed
    told = json.loads(run("rename", "catalogue", "books", "lab.yml", "--json").out)
    assert (told["unit"], told["new"], told["written"]) == ("service/catalogue", "service/books", True)
    assert run("check").code == 0


def test_renaming_that_is_refused(run, here):
    assert "there is agent/Scan already" in complaint(run("rename", "Meter", "Scan"), 2)
    assert "did you mean 'Meter'?" in complaint(run("rename", "Metre", "X"), 2)
    assert "cannot be a name" in complaint(run("rename", "Meter", "a/b"), 2)
    assert "lab2.yml: there is no such file" in complaint(run("rename", "Meter", "X", "lab2.yml"), 2)
    assert (here / "lab.yml").read_text() == LAB
