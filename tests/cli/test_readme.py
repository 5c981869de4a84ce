"""The README: its program runs, its links lead somewhere, its commands exist."""

import re
import subprocess
import sys
import textwrap
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from docutils import nodes
from docutils.core import publish_doctree
from docutils.utils import Reporter

from agentlab.cli.verbs import VERBS

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.rst").read_text("utf-8")
BLOCK = re.compile(r"^\.\. code-block:: python\n\n((?:(?:   .*)?\n)+)", re.MULTILINE)


def programs():
    return [textwrap.dedent(block) for block in BLOCK.findall(README)]


def run(program, folder):
    (folder / "program.py").write_text(program, "utf-8")
    done = subprocess.run([sys.executable, "program.py"], cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def test_its_program_is_short_and_prints_what_it_says(tmp_path):
    program, _ = programs()
    assert sum(bool(line.strip()) for line in program.splitlines()) <= 10
    assert f"It prints ``{run(program, tmp_path)}``." in README


def test_its_instruments_measure_what_it_says(tmp_path, monkeypatch):
    monkeypatch.setenv("AGENTLAB_RUNS", str(tmp_path / "runs.sqlite"))
    _, program = programs()
    assert sum(bool(line.strip()) for line in program.splitlines()) <= 15
    said = re.search(r"^(\d\.\d+) mW$", run(program, tmp_path), re.MULTILINE)
    written = re.search(r"print\(meter.get.*# (\d\.\d+) mW$", README, re.MULTILINE)
    assert float(said[1]) == pytest.approx(float(written[1]), rel=0.1)  # noise, of which polling takes its share
    assert len((tmp_path / "scan.csv").read_text("utf-8").splitlines()) >= 12


def test_it_counts_the_verbs():
    (line,) = (line for line in README.splitlines() if line.startswith("Command line:"))
    named = set(re.findall(r"``(\w+)``", line))
    verbs = {verb for theme in VERBS.values() for verb in theme}
    assert named <= verbs
    assert f" and {len(verbs - named)} more " in line


def test_it_is_clean_restructured_text():
    tree = publish_doctree(README, settings_overrides={"report_level": Reporter.INFO_LEVEL, "halt_level": Reporter.WARNING_LEVEL})
    links = [element[key] for element in tree.findall(nodes.Element) for key in ("refuri", "uri") if key in element]
    assert "docs/_static/parts.svg" in links
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []


def test_the_picture_says_in_words_what_it_shows():
    names = {"svg": "http://www.w3.org/2000/svg"}
    picture = ET.parse(ROOT / "docs" / "_static" / "parts.svg").getroot()
    for part in ("title", "desc"):
        assert picture.find(f"svg:{part}", names).text


def test_its_commands_exist():
    verbs = set(re.findall(r"^    agentlab (\w+)", README, re.MULTILINE))
    assert {"check", "up", "down", "ps", "ls", "call", "logs"} <= verbs
    assert verbs <= {verb for group in VERBS.values() for verb in group}
