"""Checking a document against a model: every problem at once, in words of ours, at its line and column."""

import enum
import logging
import pickle
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
import pytest

from agentlab.yamlfile.document import read_yaml
from agentlab.yamlfile.models import Model, validate
from agentlab.yamlfile.problems import Problem, Problems, ProblemsError, key_text


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


class Socket(Model):
    kind: Literal["PUB", "SUB"]
    handler: str | None = None


class Agent(Model):
    class_: str = pydantic.Field(alias="class")
    restart: Literal["permanent", "transient", "temporary"] = "transient"
    port: Annotated[int, pydantic.Field(ge=0, le=65535)] = 0
    period: float = pydantic.Field(default=1.0, gt=0)
    timeout: float | None = pydantic.Field(default=None, ge=0)
    sockets: dict[str, Socket | Literal["PUB", "PUSH"]] = pydantic.Field(default_factory=dict)
    tags: list[str] = pydantic.Field(default_factory=list)
    pair: tuple[int, ...] = pydantic.Field(default=(), strict=False)
    path: Path | None = pydantic.Field(default=None, strict=False)
    colour: Colour = pydantic.Field(default=Colour.RED, strict=False)
    either: int | str | None = None
    on: bool = False
    name: str = pydantic.Field(default="x", min_length=1)
    limits: dict[str, float] = pydantic.Field(default_factory=dict)
    anything: Any = None

    @pydantic.field_validator("class_")
    @classmethod
    def _has_a_colon(cls, value: str) -> str:
        if ":" not in value:
            raise ValueError(f"found {value!r}, allowed is module:Class")
        return value


class Lab(Model):
    version: Literal[1] = 1
    agents: dict[str, Agent] = pydantic.Field(default_factory=dict)
    group: Socket | None = None

    @pydantic.model_validator(mode="after")
    def _has_no_ghost(self) -> "Lab":
        if "Ghost" in self.agents:
            raise ValueError("found an agent Ghost, which nobody can see")
        return self


class Nothing(Model):
    a: int = 1


@pytest.fixture
def check(tmp_path):
    def check(text, model=Lab, path=(), **options):
        file = tmp_path / "lab.yml"
        file.write_text(text, "utf-8")
        problems = Problems()
        made = validate(model, read_yaml(file, environ={}), path, problems=problems, **options)
        said = [str(problem).removeprefix(f"{tmp_path}/") for problem in problems]
        assert (made is None) == bool(said)
        return made, said

    return check


def test_what_is_right_becomes_a_model(check):
    lab, _ = check(
        "agents:\n  Laser:\n    class: lab:Laser\n    period: 5\n    timeout:\n    sockets: {a: PUB, b: {kind: SUB}}\n"
        "    tags: [x]\n    pair: [1, 2]\n    path: /tmp\n    colour: green\n    either: 5\n    on: true\n"
        "    anything: {1: [2]}\n"
    )
    laser = lab.agents["Laser"]
    assert (laser.class_, laser.period, laser.timeout, laser.restart) == ("lab:Laser", 5.0, None, "transient")
    assert laser.sockets == {"a": "PUB", "b": Socket(kind="SUB")}
    assert (laser.tags, laser.pair, laser.path, laser.colour) == (["x"], (1, 2), Path("/tmp"), Colour.GREEN)
    assert (laser.either, laser.on, laser.anything) == (5, True, {1: [2]})
    with pytest.raises(pydantic.ValidationError):
        laser.period = 2.0  # nothing changes later
    assert Agent(class_="lab:Laser").class_ == "lab:Laser"  # from Python under either name


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("restart: permanant", "found 'permanant', allowed are permanent, transient, temporary; did you mean 'permanent'?"),
        ("restart: 5", "found 5, allowed are permanent, transient, temporary"),
        ("restart:", "found nothing (null), allowed are permanent, transient, temporary"),
        ("port: 70000", "found 70000, allowed are whole numbers from 0 to 65535"),
        ("port: -1", "found -1, allowed are whole numbers from 0 to 65535"),
        ("port: '80'", "found '80', allowed are whole numbers from 0 to 65535; take the quotes away"),
        ("port: 80.0", "found 80.0, allowed are whole numbers from 0 to 65535"),
        ("port: true", "found true, allowed are whole numbers from 0 to 65535"),
        ("port: [1]", "found a list, allowed are whole numbers from 0 to 65535"),
        ("port: {}", "found an empty mapping, allowed are whole numbers from 0 to 65535"),
        ("period: 0", "found 0, allowed are numbers greater than 0"),
        ("period: .nan", "found nan (not finite), allowed are numbers greater than 0"),
        ("period: .inf", "found inf (not finite), allowed are numbers greater than 0"),
        ("timeout: -1", "found -1, allowed are numbers of at least 0 or null"),
        ("timeout: soon", "found 'soon', allowed are numbers of at least 0 or null"),
        ("tags: x", "found 'x', allowed are a list of text"),
        ("pair: 5", "found 5, allowed are a list of whole numbers"),
        ("path: 5", "found 5, allowed are a path or null"),
        ("colour: gren", "found 'gren', allowed are red, green; did you mean 'green'?"),
        ("either: [1]", "found a list, allowed are whole numbers, text or null"),
        ("either: 1.5", "found 1.5, allowed are whole numbers, text or null"),
        ("on: yes", "found 'yes', allowed are true and false"),
        ("on: 1", "found 1, allowed are true and false"),
        ("name: 5", "found 5, allowed are text that is not empty; put it in quotes"),
        ("name: ''", "found '', allowed are text that is not empty"),
        (f"name: [{'x' * 99}]", "found a list, allowed are text that is not empty"),
        (f"on: {'x' * 99}", f"found '{'x' * 56}..., allowed are true and false"),
        ("limits: [1]", "found a list, allowed are a mapping"),
        ("sockets: 7", "found 7, allowed are a mapping"),
        ("restat: x", "; did you mean 'restart'?"),
        ("class_: lab:X", "found an unknown key, allowed are class, "),
    ],
)
def test_one_wrong_value(check, line, says):
    _, (said,) = check(f"agents:\n  Laser:\n    class: a:B\n    {line}\n")
    key = line.split(":")[0]
    assert said.startswith(f"lab.yml:4:5: agents.Laser.{key}: ")
    assert says in said
    if "allowed" in says and says.startswith("found") and "class, " not in says:
        assert said == f"lab.yml:4:5: agents.Laser.{key}: {says}"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("agents: {A: {}}", "lab.yml:1:10: agents.A.class: is missing; allowed are text"),
        ("agents:\n  A:\n", "lab.yml:2:3: agents.A.class: is missing; allowed are text"),
        ("agents:\n  A: 7\n", "lab.yml:2:3: agents.A: found 7, allowed are a mapping with the keys class, restart, "),
        ("agents: []", "lab.yml:1:1: agents: found an empty list, allowed are a mapping"),
        ("agents:\n  5: {class: a:b}\n", "lab.yml:2:3: agents[5]: found the key 5, allowed are keys of text; put it in quotes"),
        ("agents:\n  A: {class: x}\n", "lab.yml:2:7: agents.A.class: found 'x', allowed is module:Class"),
        ("agents:\n  Ghost: {class: a:b}\n", "lab.yml:1:1: found an agent Ghost, which nobody can see"),
        ("[1]", "lab.yml:1:1: found a list, allowed are a mapping with the keys version, agents, group"),
        ("5", "lab.yml:1:1: found 5, allowed are a mapping with the keys version, agents, group"),
        ("version: 2", "lab.yml:1:1: version: found 2, allowed are 1"),
        ("group: {kind: PUP}", "lab.yml:1:9: group.kind: found 'PUP', allowed are PUB, SUB; did you mean 'PUB'?"),
        (
            "agents: {A: {class: a:b,\n  sockets: {x: PUBB}}}",
            "lab.yml:2:13: agents.A.sockets.x: found 'PUBB', allowed are a mapping with the keys kind, handler or PUB, PUSH;",
        ),
        (
            "agents: {A: {class: a:b,\n  sockets: {x: {kind: PUP}}}}",
            "lab.yml:2:17: agents.A.sockets.x.kind: found 'PUP', allowed are PUB, SUB; did you mean 'PUB'?",
        ),
        (
            "agents: {A: {class: a:b,\n  sockets: {x: {kid: PUB, kind: PUB}}}}",
            "lab.yml:2:17: agents.A.sockets.x.kid: found an unknown key, allowed are kind, handler; did you mean 'kind'?",
        ),
        (
            "agents: {A: {class: a:b,\n  tags: [a, 5]}}",
            "lab.yml:2:13: agents.A.tags[1]: found 5, allowed are text; put it in quotes",
        ),
        ("agents: {A: {class: a:b,\n  limits: {a: x}}}", "lab.yml:2:12: agents.A.limits.a: found 'x', allowed are numbers"),
    ],
)
def test_where_it_stands(check, text, says):
    _, (said,) = check(text)
    assert said.startswith(says)


MANY = """
agents:
  Laser: {class: a:b, port: x, period: -1, restrat: never}
  Meter:
    tags: {}
  3: {class: a:b}
wires: []
group: {handler: 5}
"""


def test_all_problems_at_once_and_none_in_pydantics_words(check):
    _, said = check(MANY)
    keys = [line.split(": ")[1] for line in said]
    assert sorted(keys) == sorted(
        [
            "agents.Laser.port",
            "agents.Laser.period",
            "agents.Laser.restrat",
            "agents.Meter.class",
            "agents.Meter.tags",
            "agents[3]",
            "group.kind",
            "group.handler",
            "wires",
        ]
    )
    jargon = re.compile(r"pydantic|Input should|Field required|https?:|extra_forbidden|valid (integer|string)|Extra inputs")
    assert [line for line in said if jargon.search(line)] == []


def test_unknown_keys_may_be_left_out_with_a_warning(check, caplog):
    with caplog.at_level(logging.WARNING):
        lab, said = check(
            "agents:\n  A: {class: a:b, restrat: x, sockets: {s: {kind: PUB, hander: x}}}\nwirse: 5\n", strict=False
        )
    assert said == []
    assert lab.agents["A"].sockets["s"] == Socket(kind="PUB")
    warnings = [record.getMessage().rpartition("lab.yml")[2] for record in caplog.records]
    assert [text.split(",")[0] for text in warnings] == [
        ":2:19: agents.A.restrat: found an unknown key",
        ":2:56: agents.A.sockets.s.hander: found an unknown key",
        ":3:1: wirse: found an unknown key",
    ]
    assert "which is ignored" in warnings[0]
    assert warnings[1].endswith("did you mean 'handler'?")
    _, (said,) = check("agents: {A: {class: 5, x: 1}}", strict=False)  # other problems stay problems
    assert "agents.A.class: found 5" in said


def test_a_part_of_a_document(check):
    made, _ = check("x:\n  - one: {kind: SUB}\n", Socket, ("x", 0, "one"))
    assert made == Socket(kind="SUB")
    _, (said,) = check("x:\n  - one:\n      kind: SUP\n", Socket, ("x", 0, "one"))
    assert said == "lab.yml:3:7: x[0].one.kind: found 'SUP', allowed are PUB, SUB; did you mean 'SUB'?"
    assert check("a:\n", Nothing, ("a",)) == (Nothing(), [])
    assert check("a:\n", Nothing, ("b",)) == (Nothing(), [])


# --- the problems themselves ------------------------------------------------------------------------------------------


def test_problems_are_told_once_sorted_and_survive_pickling(tmp_path):
    file = tmp_path / "lab.yml"
    file.write_text("a: 1\nb:\n  c: [1, 2]\n", "utf-8")
    document = read_yaml(file)
    problems = Problems()
    problems.raise_if_any()
    for _ in range(2):
        problems.add(document, ("b", "c", 1), "second")
        problems.add(document, ("a",), "first")
        problems.extend([Problem("other.yml", 0, 0, "", "third")])
    assert len(problems) == 3
    with pytest.raises(ProblemsError) as caught:
        problems.raise_if_any()
    assert str(caught.value) == f"{file}:1:1: a: first\n{file}:3:10: b.c[1]: second\nother.yml: third"
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (str(copy), copy.problems, copy.args) == (str(caught.value), caught.value.problems, caught.value.args)
    again = Problems()
    again.extend(copy)
    assert list(again) == list(copy.problems)


def test_keys_as_text():
    assert key_text(()) == ""
    assert key_text(("a", 0, "b", "c d", 12)) == "a[0].b.c d[12]"
    assert key_text((0, "a")) == "[0].a"
