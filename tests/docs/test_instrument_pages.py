"""The pages about instruments: their commands do what they say, and what they show of examples is what these print."""

from __future__ import annotations

import platform
import re
import subprocess
import sys

import pytest

from tests.docs.following import DOCS, Follower
from tests.examples.test_examples import EXAMPLES, EXPECTED, lines

LOOKING = ("get", "instruments", "describe", "who", "estop")
MEASURING = ("up", "get meter", "get supply.measured", "instruments", "watch", "who", "lock", "logs", "runs")
INSTRUMENTS = (
    "first_instrument",
    "instruments",
    "instrument_drivers",
    "sharing",
    "safety",
    "sweeps",
    "driver_testing",
    "visa_traps",
)


@pytest.fixture
def follower(tmp_path):
    folder = tmp_path / "lab"
    folder.mkdir()
    environ = {
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "XDG_DATA_HOME": str(tmp_path / "data"),
        "AGENTLAB_RUNS": str(tmp_path / "runs.sqlite"),
    }
    any_port = "nameservers: {default: {ns_port: 0}}\n"  # another one may be at 9090 of this machine
    port = {"lab.yml": any_port, "lab_real.yml": any_port}
    here = {platform.node(): "lab1"}
    follower = Follower(folder, environ, again=LOOKING, loosely=MEASURING, append=port, here=here)
    yield follower
    for file in folder.glob("lab*.yml"):
        command = [sys.executable, "-m", "agentlab", "down", file.name, "--timeout", "3"]
        subprocess.run(command, cwd=folder, env=follower.environ, capture_output=True, check=True, timeout=30)


@pytest.mark.timeout(400)  # a hundred commands, one after the other
def test_every_step_of_the_pages_does_what_it_says(follower):
    """Three pages use the same lab, one after the other; the others use none."""
    assert follower.follow("first_instrument.rst") >= 12
    assert follower.follow("sharing.rst") >= 6
    assert follower.follow("safety.rst") >= 4
    assert follower.follow("sweeps.rst") >= 4
    assert follower.follow("driver_testing.rst") == 1


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_what_a_page_shows_of_an_example_is_what_it_prints(name):
    text = (DOCS / f"{name}.rst").read_text("utf-8")
    shown = re.findall(r"^\.\. literalinclude:: \.\./examples/(\w+)\.py$", text, re.MULTILINE)
    for example in shown:
        block = text.partition(f"../examples/{example}.py\n")[2].partition(".. code-block:: text\n")[2]
        body = re.match(r"\n((?:   .*\n|\n)+)", block)[1]
        assert lines(body) == lines(EXPECTED[example]), f"{name}.rst shows something else of {example}.py"


def test_every_page_about_instruments_is_listed():
    index = (DOCS / "index.rst").read_text("utf-8")
    listed = index.partition(":caption: Instruments\n")[2].partition(".. toctree::")[0].split()
    assert [name for name in INSTRUMENTS if name not in listed] == []


def test_every_example_about_instruments_is_shown():
    pages = "".join((DOCS / f"{name}.rst").read_text("utf-8") for name in INSTRUMENTS)
    table = (EXAMPLES / "README.rst").read_text("utf-8").partition("Instruments, all simulated")[2].partition("When things")[0]
    listed = re.findall(r"^``(\w+)\.py``", table, re.MULTILINE)
    assert listed
    assert [name for name in listed if f"examples/{name}.py" not in pages] == []
