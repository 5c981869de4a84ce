"""What the project's own files say of each other, and what importing the package does not do."""

import re
import subprocess
import sys
import tomllib
from configparser import ConfigParser
from pathlib import Path

import pytest

import agentlab

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
INSTALL_AND_RUN = "python -m pip install . && agentlab demo"
INSTALL_AND_TEST = 'python -m pip install ".[test]" && python -m pytest'
SEES_WHAT_IMPORTING_DOES = """
import os, sys, threading
from pathlib import Path

done = []
WATCHED = {"socket.__new__", "socket.bind", "socket.connect", "subprocess.Popen", "os.fork", "os.mkdir", "os.rename", "os.link"}

def watch(event, args):
    if event in WATCHED or (event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)):
        done.append((event, args))

sys.dont_write_bytecode = True
before = dict(os.environ)
sys.addaudithook(watch)
import {module}
assert not done, done
assert threading.active_count() == 1, threading.enumerate()
assert dict(os.environ) == before
assert not list(Path.cwd().iterdir()), list(Path.cwd().iterdir())
assert not Path(os.environ["AGENTLAB_KEYS_DIR"]).exists()
fds = Path("/proc/self/fd")  # a socket made in C, as ZeroMQ's are, shows only here
opened = [os.readlink(fd) for fd in fds.iterdir() if int(fd.name) > 2 and fd.is_symlink()] if fds.exists() else []
assert not [name for name in opened if name.startswith(("socket:", "anon_inode:"))], opened
"""


def test_the_readme_shows_the_two_commands_and_ci_runs_the_second():
    readme = (ROOT / PYPROJECT["project"]["readme"]).read_text("utf-8")
    assert INSTALL_AND_RUN in readme
    assert INSTALL_AND_TEST in readme
    assert INSTALL_AND_TEST in (ROOT / ".ci" / "run").read_text("utf-8")


def test_the_version_stands_in_one_place_and_in_the_list_of_changes():
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.?(dev|a|b|rc)\d+)?", agentlab.__version__)
    assert "version" in PYPROJECT["project"]["dynamic"]
    assert re.search(rf"^{re.escape(agentlab.__version__)} \(.+\)\n-+$", (ROOT / "CHANGES.rst").read_text("utf-8"), re.MULTILINE)


def test_every_public_name_is_there():
    assert len(set(agentlab.__all__)) == len(agentlab.__all__)
    assert [name for name in agentlab.__all__ if not hasattr(agentlab, name)] == []


def test_every_module_stands_on_a_floor():
    floors = next(c for c in PYPROJECT["tool"]["importlinter"]["contracts"] if c["id"] == "floors")
    listed = set(re.findall(r"agentlab\.(\w+)", " ".join(floors["layers"])))
    modules = {path.stem for path in (ROOT / "agentlab").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert modules - {"__init__", "__main__"} - listed == set()


def test_no_module_imports_from_above_or_beside():
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()", "--no-cache"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_oldest_versions_that_are_tested_are_those_that_are_allowed():
    tox = ConfigParser()
    tox.read(ROOT / "tox.ini", "utf-8")
    pinned = dict(line.split("==") for line in tox["testenv:floors"]["deps"].split())
    project = PYPROJECT["project"]
    allowed = dict(line.split(">=") for line in project["dependencies"] + project["optional-dependencies"]["numpy"])
    assert {name: _numbers(version) for name, version in pinned.items()} == {n: _numbers(v) for n, v in allowed.items()}


@pytest.mark.parametrize("module", ["agentlab", "agentlab.cli.main", "agentlab.testing"])
def test_importing_writes_nothing_opens_no_socket_and_starts_no_thread(module, tmp_path, monkeypatch):
    monkeypatch.setenv("AGENTLAB_KEYS_DIR", str(tmp_path / "keys"))
    (tmp_path / "empty").mkdir()
    program = SEES_WHAT_IMPORTING_DOES.replace("{module}", module)
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path / "empty", capture_output=True, text=True, check=False, timeout=60
    )
    assert result.returncode == 0, result.stderr


def test_no_file_names_the_folders_of_whoever_wrote_it():
    forbidden = re.compile("|".join(rf"(?<![\w.}}])/{folder}(?![\w-])" for folder in ("work", "tmp/w")))
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in _texts()
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if forbidden.search(line)
    ]
    assert found == []


def _numbers(version):
    """26 and 26.0.0 are one version."""
    parts = [int(part) for part in version.split(".")]
    return parts + [0] * (3 - len(parts))


def _texts():
    """Give the text files that belong to the project: tracked, or new and not ignored."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    paths = [ROOT / name for name in names if name]
    texts = [path for path in paths if path.is_file() and b"\0" not in path.read_bytes()]
    assert ROOT / "pyproject.toml" in texts
    return texts
