"""The page on lab files: what it shows is what the program says, and the reference is what the models say."""

import importlib.util
import re
import shutil
from pathlib import Path

import pytest

from agentlab.lab.fields import SocketKind
from agentlab.lab.model import SECTIONS, FileModel
from tests.cli.inprocess import Runner

DOCS = Path(__file__).resolve().parents[2] / "docs"
FILES = DOCS / "files" / "lab_file"


@pytest.fixture
def here(tmp_path, monkeypatch):
    folder = shutil.copytree(FILES, tmp_path / "lab")
    monkeypatch.chdir(folder)
    monkeypatch.delenv("BENCH_PORT", raising=False)
    return folder


@pytest.mark.parametrize(
    ("shown", "verbs"),
    [
        ("check.txt", ["check"]),
        ("mistakes.txt", ["check", "mistakes.yml"]),
        ("rename.txt", ["rename", "Laser", "Source"]),
        ("instruments.txt", ["check", "instruments.yml"]),
    ],
)
def test_what_the_page_shows_is_what_the_program_says(here, capsys, shown, verbs):
    outcome = Runner(capsys)(*verbs)
    assert outcome.err == ""
    assert (FILES / shown).read_text("utf-8") == f"$ agentlab {' '.join(verbs)}\n{outcome.out}"


def test_the_program_of_the_page_runs(here, capsys):
    exec(compile((here / "read.py").read_text("utf-8"), "read.py", "exec"), {})
    assert capsys.readouterr().out.splitlines() == [
        "Laser: devices:Laser, restart permanent",
        "Analysis: devices:Analysis, restart transient",
        "Recorder: devices:Recorder, restart transient",
        "PUB: Laser.power -> Recorder.on_power",
        "PULL: Recorder.work -> Analysis.jobs",
    ]


def test_the_reference_is_made_from_the_models():
    spec = importlib.util.spec_from_file_location("make_lab_reference", DOCS / "make_lab_reference.py")
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    assert (DOCS / "lab_file_reference.rst").read_text("utf-8") == maker.lab_file_reference(), (
        "docs/lab_file_reference.rst is out of date; run python docs/make_lab_reference.py"
    )


def test_the_reference_has_every_key():
    text = (DOCS / "lab_file_reference.rst").read_text("utf-8")
    for model in (FileModel, *SECTIONS.values()):
        for name, info in model.model_fields.items():
            assert f"   * - ``{info.alias or name}``\n" in text


def test_the_page_names_every_section_that_it_shows_and_every_kind_of_socket():
    page = (DOCS / "lab_file.rst").read_text("utf-8")
    assert [kind for kind in SocketKind.__args__ if not re.search(rf"\b{kind}\b", page)] == []
    whole = "".join(path.read_text("utf-8") for path in FILES.rglob("*.yml"))
    assert [section for section in FileModel.model_fields if section != "description" and f"{section}:" not in whole] == []
