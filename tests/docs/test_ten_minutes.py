"""The page "A lab in ten minutes" can be followed from its first line to its last."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from tests.docs.following import DOCS, Follower, steps

PAGE = "ten_minutes.rst"
LOOKING = ("ps", "ls", "get", "logs", "graph", "call Recorder")  # what they show may need a moment
MEASURING = ("up", "ps", "ls", "watch", "logs", "call Recorder", "down")  # what they show has other numbers each time


@pytest.fixture
def follower(tmp_path):
    folder = tmp_path / "lab"
    folder.mkdir()
    environ = {"XDG_STATE_HOME": str(tmp_path / "state"), "XDG_DATA_HOME": str(tmp_path / "data")}
    # A lab has a name server at port 9090, where another one may be on this machine.
    port = {"lab.yml": "nameservers: {default: {ns_port: 0}}\n"}
    here = {platform.node(): "lab1"}
    follower = Follower(folder, environ, again=LOOKING, loosely=MEASURING, append=port, here=here)
    yield follower
    command = [sys.executable, "-m", "agentlab", "down", "--timeout", "3"]
    subprocess.run(command, cwd=folder, env=follower.environ, capture_output=True, check=True, timeout=30)


def test_every_step_of_the_page_does_what_it_says(follower):
    assert follower.follow(PAGE) >= 15


def test_the_picture_names_who_is_in_the_lab():
    picture = (DOCS / "_static" / "ten_minutes.svg").read_text("utf-8")
    last = [step for step in steps(PAGE) if getattr(step, "name", "") == "lab.yml"][-1]
    agents = [line.strip(" :") for line in last.text.splitlines() if line.startswith("  ") and line[2:3].isupper()]
    assert agents == ["Laser", "Recorder", "Alarm"]
    assert [name for name in agents if f">{name}<" not in picture] == []
