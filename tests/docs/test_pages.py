"""The pages build without a warning, and name what there is."""

from __future__ import annotations

import pickle
import re
import runpy
import subprocess
import sys
import typing
from pathlib import Path

import pytest
import typer

import agentlab
from agentlab import instruments, runs, testing
from agentlab.agent.door import ALWAYS_UNSAFE
from agentlab.cli.main import app
from agentlab.lab import read_lab
from agentlab.lab.model import BackoffModel, GroupModel
from agentlab.lab.policy import Restart, Strategy
from agentlab.lab.units import State
from agentlab.settings import config
from agentlab.yamlfile.problems import ProblemsError

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def page(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


@pytest.fixture(scope="module")
def trees(tmp_path_factory) -> Path:
    """Read all pages and follow their references; the pages of HTML, which take longer, are made by .ci/run."""
    folder = tmp_path_factory.mktemp("trees")
    command = [sys.executable, "-m", "sphinx", "-b", "dummy", "-n", "-W", "--keep-going", "-q", "-d", str(folder), str(DOCS)]
    result = subprocess.run([*command, f"{folder}-out"], cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return folder


def test_every_public_name_is_in_the_reference(trees):
    domain = pickle.loads((trees / "environment.pickle").read_bytes()).domaindata["py"]
    described = {*domain["objects"], *domain["modules"]}
    wanted = [f"agentlab.{name}" for name in agentlab.__all__] + [f"agentlab.testing.{name}" for name in testing.__all__]
    wanted += [f"agentlab.runs.{name}" for name in runs.__all__]
    wanted += [f"agentlab.instruments.{name}" for name in set(instruments.__all__) - set(runs.__all__)]
    errors = {f"agentlab.{name.rpartition('.')[2]}" for name in described if name.startswith("agentlab.errors.")}
    settings = {"agentlab.config"} if "agentlab.settings.config" in described else set()
    assert sorted(set(wanted) - described - errors - settings) == []


def test_the_table_of_settings_is_what_the_program_knows(trees):
    text = pickle.loads((trees / "configuration.doctree").read_bytes()).astext()
    for key, (_, variable, meaning) in config.describe().items():
        assert f"{key}\n" in text
        assert variable in text
        assert " ".join(meaning.split())[:40] in " ".join(text.replace("’", "'").replace("‘", "'").split())


def test_pictures_are_there_and_have_a_description():
    for name in re.findall(r"_static/(\S+\.svg)", "".join(path.read_text("utf-8") for path in DOCS.glob("*.rst"))):
        picture = page(f"_static/{name}")
        assert "<title" in picture
        assert "<desc" in picture


def test_the_page_of_the_command_line_names_every_verb():
    text = page("command_line.rst")
    named = set(re.findall(r"``agentlab ([a-z]+)``", text))
    assert named >= set(typer.main.get_command(app).commands)


def test_the_reference_of_the_command_line_is_current():
    made = runpy.run_path(str(DOCS / "make_command_line_reference.py"))["command_line_reference"]()
    assert page("command_line_reference.rst") == made, "run: python docs/make_command_line_reference.py"
    for name, verb in typer.main.get_command(app).commands.items():
        part = made.partition(f".. _verb-{name}:")[2].partition(".. _verb-")[0]
        for option in (option for parameter in verb.params for option in parameter.opts if option.startswith("--")):
            assert f"``{option}``" in part, f"{option} of agentlab {name}"


@pytest.mark.parametrize("path", sorted(DOCS.glob("files/**/lab*.yml")), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_lab_files_of_the_pages_are_well(path):
    if path.stem == "lab_typo":
        with pytest.raises(ProblemsError, match="permanant"):
            read_lab(path)
    else:
        assert read_lab(path).notes == ()


def test_the_page_of_supervision_has_the_words_of_the_code():
    words = re.findall(r"^``(\w+)``", page("supervision.rst"), re.MULTILINE)
    for kind in (State, Restart, Strategy):
        assert [word for word in typing.get_args(kind) if word not in words] == []
    group, backoff = GroupModel(members=["A"]), BackoffModel()
    said = f"{group.intensity} restarts within {group.period:g} seconds, waits from {backoff.first} s to {backoff.most:g} s"
    assert said in page("supervision.rst")


def test_every_file_of_a_page_is_shown():
    shown = {name for path in DOCS.glob("*.rst") for name in re.findall(r"literalinclude:: (files/\S+)", path.read_text("utf-8"))}
    there = {path.relative_to(DOCS).as_posix() for path in DOCS.glob("files/**/*.*") if "__pycache__" not in path.parts}
    assert there == shown


def test_every_decision_is_listed():
    listed = page("decisions/index.rst")
    for path in (DOCS / "decisions").glob("0*.rst"):
        assert path.stem in listed
        assert [word for word in ("Why", "Decision", "Consequences") if f"**{word}.**" not in path.read_text("utf-8")] == []


def test_lists_of_the_pages_agree_with_the_code():
    sentence = re.search(r"These are always unsafe.*?starts with", page("calls.rst"), re.DOTALL)[0]
    assert set(re.findall(r"``(\w+)``", sentence)) >= ALWAYS_UNSAFE


@pytest.mark.parametrize("name", ["osbrain.rst", "patterns.rst", "agents.rst", "calls.rst"])
def test_methods_that_tables_name_exist(name):
    no_names = {"locate_ns", "pyro_log", "safe_call", "iterate", "running", "yield"}
    known = {*dir(agentlab.Agent), *dir(agentlab.Proxy), *dir(agentlab.NSProxy), *dir(agentlab.AgentProcess)}
    known |= {*dir(testing), *dir(agentlab), *config, *dir(agentlab.AgentAddressSerializer)}
    words = re.findall(r"^``([a-z_]+)(?:\(\))?``", page(name), re.MULTILINE)
    assert [
        word
        for word in words
        if word not in known | no_names
        and not hasattr(agentlab.run_agent, word)
        and word not in agentlab.run_agent.__annotations__
    ] == []
