"""The schema for editors: it lets pass what the reader lets pass."""

import json

import jsonschema
import pytest

from agentlab.lab.schema import DRAFT, lab_schema
from agentlab.yamlfile.document import read_yaml
from tests.lab.test_file import SEED
from tests.lab.test_rename import LAB
from tests.lab.written import problems, write

SCHEMA = lab_schema()


def complaints(folder, text):
    """Give what an editor would say; it sees a file before merge keys are merged and variables replaced."""
    data = read_yaml(write(folder, text)).data
    return [error.json_path for error in jsonschema.Draft202012Validator(SCHEMA).iter_errors(data)]


def test_it_is_a_schema_of_the_draft_that_it_names_and_json():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == DRAFT == jsonschema.Draft202012Validator.META_SCHEMA["$id"]
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA


def test_every_key_has_a_description():
    models = {"the file": SCHEMA, **SCHEMA["$defs"]}
    missing = [
        (name, key) for name, model in models.items() for key, value in model["properties"].items() if "description" not in value
    ]
    assert missing == []
    assert set(SCHEMA["$defs"]["AgentModel"]["properties"]) >= {"class", "restart", "on_error", "hang_timeout"}
    assert (
        "from" in SCHEMA["$defs"]["WireModel"]["properties"] and "name" not in SCHEMA["$defs"]["NameServerConfig"]["properties"]
    )


@pytest.mark.parametrize(
    "text",
    [
        LAB,
        SEED,
        "agents:\nservices:\nnameservers:\n  default:",
        "x-anything: &a [1]\nsettings: {SERIALIZER: json, LEASE: 2}",
        "agents: {Lüfter-1: {class: m.C, sockets: {a: PUB, b: {kind: REP, handler: f}}}}",
        "agents: {A: {class: m.C, sockets: {a: PUB}}, B: {class: m.C}}\nwires: [A.a -> B.f, {from: A.a, to: A.f, topics: [x]}]",
    ],
)
def test_what_the_reader_lets_pass_the_editor_does_too(tmp_path, text):
    assert complaints(tmp_path, text) == []


def test_variables_may_stand_for_numbers_and_words():
    data = {"daemons": {"d": {"port": "${PORT:9000}", "servertype": "${TYPE:thread}"}}}
    assert list(jsonschema.Draft202012Validator(SCHEMA).iter_errors(data)) == []
    assert list(jsonschema.Draft202012Validator(SCHEMA).iter_errors({"daemons": {"d": {"port": "9000"}}}))


@pytest.mark.parametrize(
    "text",
    [
        "agent: {}",
        "agents: {A: {}}",
        "agents: {A: {class: m.C, restart: allways}}",
        "agents: {A: {class: m.C, sockets: {x: PUBB}}}",
        "agents: {A: {class: m.C, hang_timeout: 0}}",
        "agents: {a b: {class: m.C}}",
        "daemons: {d: {port: 65536}}",
        "nameservers: [{default: {ns_prot: 1}}]",
        "settings: {LEESE: 3}",
        "settings: {SERIALIZER: xml}",
        "wires: [A.x]",
        "wires: [{from: A.x}]",
        "groups: {g: {members: []}}",
        "version: 2",
        "autolaunch: {agent: []}",
    ],
)
def test_what_the_reader_refuses_the_editor_does_too(tmp_path, text):
    assert complaints(tmp_path, text) and problems(tmp_path, text)
