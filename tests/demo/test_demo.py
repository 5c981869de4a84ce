"""``agentlab demo`` as a user runs it: to its end, interrupted, and with somebody killed in the middle."""

import csv
import os
import re
import signal
import time

import pytest
from PIL import Image

from agentlab.instruments.simulated.sample import LINES, transmission
from agentlab.runs.store import RunStore
from tests.cli.program import agentlab, checked, complaint, finish, start
from tests.timing import soon

posix = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


def read(directory):
    with (directory / "spectrum.csv").open(encoding="utf-8", newline="") as file:
        return [(float(row["wavelength_nm"]), float(row["power_mw"])) for row in csv.DictReader(file)]


def test_it_takes_shows_and_saves_a_spectrum(tmp_path):
    outcome = agentlab("demo", "--quick", cwd=tmp_path)
    assert (outcome.code, outcome.err) == (0, "")
    table = outcome.out[outcome.out.index("of 121 points") :].splitlines()
    assert max(map(len, table[:-3])) <= 80
    for word in ("Laser", "Stage", "Meter", "SCPI", "name server at 127.0.0.1:", "121 points", "power (mW)", "spectrum.png"):
        assert word in outcome.out
    assert "another client tunes the laser: refused" in outcome.out
    assert re.search(r"Meter is offline.*\n.*Meter is online again", outcome.out, re.DOTALL)
    assert "beam found by moving the stage: 12.5 mm" in outcome.out
    assert all(line.name in outcome.out for line in LINES)
    points = read(tmp_path / "agentlab-demo")
    assert len(points) == 121
    assert all(abs(power - transmission(nm)) < 0.06 for nm, power in points)
    runs = {run.name: run for run in RunStore(tmp_path / "agentlab-demo" / "runs.sqlite").runs()}
    assert {name: (run.state, len(run)) for name, run in runs.items()} == {"beam": ("done", 29), "spectrum": ("done", 121)}
    with Image.open(tmp_path / "agentlab-demo" / "spectrum.png") as picture:
        picture.verify()


def test_demonstrations_do_not_meet_and_the_same_seed_gives_the_same_spectrum(tmp_path):
    seeds = {"a": 7, "b": 7, "c": 8}
    running = [start("demo", "--quick", "--seed", seed, "-o", tmp_path / name) for name, seed in seeds.items()]
    for process in running:
        assert checked(finish(process)).code == 0
    same, again, other = ((tmp_path / name / "spectrum.csv").read_text("utf-8") for name in seeds)
    assert same == again
    assert same != other


def test_the_whole_demonstration_ends_by_itself_in_time(tmp_path):
    began = time.monotonic()
    assert agentlab("demo", "-o", tmp_path).code == 0
    assert time.monotonic() - began < soon(40)
    assert len(read(tmp_path)) == 241


def test_a_directory_that_cannot_be_is_told_before_anything_starts(tmp_path):
    (tmp_path / "file").touch()
    began = time.monotonic()
    line = complaint(agentlab("demo", "--output", tmp_path / "file"), 2)
    assert "--output" in line
    assert time.monotonic() - began < soon(5)


def pids(process):
    """Read what a demonstration says at its start, and give the pids of its agents: it is scanning then."""
    found = {}
    while len(found) < 3:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        if match := re.match(r"  (\w+) +pid (\d+)", line):
            found[match[1]] = int(match[2])
    return found


@posix
def test_interrupted_it_ends_everything(tmp_path):
    process = start("demo", cwd=tmp_path)
    agents = pids(process)
    process.send_signal(signal.SIGINT)
    outcome = finish(process, 15)
    assert complaint(outcome, 130) == "agentlab: interrupted"
    for pid in agents.values():
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@posix
@pytest.mark.parametrize("who", ["Meter"])
def test_an_agent_killed_in_the_middle_is_told_in_one_line(tmp_path, who):
    process = start("demo", cwd=tmp_path)
    agents = pids(process)
    os.kill(agents.pop(who), signal.SIGKILL)
    line = complaint(finish(process, 20), 1)
    assert who in line
    assert "run the demo again" in line
    for pid in agents.values():
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@posix
def test_a_terminated_script_leaves_nothing_behind(tmp_path):
    process = start("demo", cwd=tmp_path)
    pids(process)
    process.terminate()
    out, err = process.communicate(timeout=20)  # conftest looks for what is left
    assert process.returncode == -signal.SIGTERM
    assert "Traceback" not in out + err
