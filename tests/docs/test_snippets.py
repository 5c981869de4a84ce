"""Every program in the documentation runs, and says what the pages say it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agentlab import run_nameserver
from agentlab.testing import agent_dies

DOCS = Path(__file__).resolve().parents[2] / "docs"
SNIPPETS = DOCS / "snippets"
PAIR = ["lab_start.py", "lab_use.py"]  # for two terminals
PROGRAMS = sorted(path.name for path in SNIPPETS.glob("*.py") if path.name not in PAIR)
PAGES = sorted(path for path in DOCS.rglob("*.rst") if "_build" not in path.parts)
ANYTHING = "…"  # stands in an expected text for whatever varies: times, paths, tracebacks

# An instrument tells its log when it is online: before or after the program's next line, as the two processes are scheduled.
OF_ITSELF = re.compile(r"^\[[^]]+\] \((\w+)\): \1 (is|was) .*\n", re.MULTILINE)


def expected(name: str) -> str:
    path = SNIPPETS / name
    return path.read_text("utf-8") if path.exists() else ""


def matches(pattern: str, text: str) -> bool:
    parts = [re.escape(part) for part in pattern.strip().split(ANYTHING)]
    return re.fullmatch("(?s:.*?)".join(parts), text.strip()) is not None


def run(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    is_test = "\ndef test_" in (SNIPPETS / program).read_text("utf-8")
    how = ["-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider"] if is_test else ["-u"]
    command = [sys.executable, *how, str(SNIPPETS / program)]
    environ = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("programs", [PROGRAMS[i : i + 3] for i in range(0, len(PROGRAMS), 3)], ids="+".join)
def test_each_program_says_what_the_page_says(programs, tmp_path):
    with ThreadPoolExecutor(len(programs)) as pool:  # they mostly wait, and every other test waits for them
        for check in [pool.submit(check_program, program, tmp_path / program) for program in programs]:
            check.result()


def check_program(program, folder):
    folder.mkdir()
    stem = program.removesuffix(".py")
    result = run(program, folder)
    assert result.returncode == 0, result.stdout + result.stderr
    said = OF_ITSELF.sub("", result.stdout)
    assert matches(expected(f"{stem}.txt"), said), result.stdout
    assert matches(expected(f"{stem}.err"), result.stderr), result.stderr


def test_the_two_scripts_work_together(tmp_path, monkeypatch):
    ns = run_nameserver()
    try:
        monkeypatch.setenv("AGENTLAB_NAMESERVER_ADDRESS", str(ns.addr()))
        command = [sys.executable, "-u", str(SNIPPETS / PAIR[0])]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, cwd=tmp_path, stdin=pipe, stdout=pipe, text=True) as first:
            try:
                assert "The laser runs" in first.stdout.readline()
                second = run(PAIR[1], tmp_path)
            finally:
                first.communicate("\n", timeout=20)
        assert first.returncode == 0
        assert (second.returncode, second.stderr) == (0, "")
        assert matches(expected("lab_use.txt"), second.stdout), second.stdout
        assert agent_dies("Laser", ns)
    finally:
        ns.shutdown()


@pytest.mark.parametrize("program", [*PROGRAMS, *PAIR])
def test_a_page_shows_the_program(program):
    assert any(f"snippets/{program}" in page.read_text("utf-8") for page in PAGES)


def test_every_expected_text_belongs_to_a_program():
    texts = {path.name for path in SNIPPETS.iterdir() if path.suffix in {".txt", ".err"}}
    assert {text.rpartition(".")[0] + ".py" for text in texts} <= {*PROGRAMS, *PAIR}


def test_no_page_has_python_that_is_not_run():
    loose = re.compile(r"^\s*(\.\. (code-block|code|sourcecode):: (python|py\b)|>>> )", re.MULTILINE)
    assert [page.name for page in PAGES if loose.search(page.read_text("utf-8"))] == []
    # a block behind "::" does not say what it is, so a program might hide there
    plain = re.compile(r"^(?!\s*\.\. ).*::\s*$", re.MULTILINE)
    assert [page.name for page in PAGES if plain.search(page.read_text("utf-8"))] == []


def test_expected_texts_can_differ():
    assert matches("a … b", "a 17 b\n")
    assert not matches("a … b", "a 17 c")
    assert not matches("", "something")
