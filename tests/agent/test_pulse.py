"""The pulse of a loop: what another process can see of it at any moment."""

from __future__ import annotations

import array
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest

from agentlab import Agent
from agentlab.agent.pulse import NOTE_AFTER, NOTE_LASTS, TURNED, WAITED, Pulse, PulseState, is_waiting, read_pulse
from agentlab.errors import WrongAddressError
from agentlab.settings import runtime_dir
from agentlab.transport.ipc import sweep_stale


@pytest.fixture
def path():
    return str(runtime_dir() / "pulse-of-a-test")


@pytest.fixture
def agent(path):
    made = Agent("Alice")
    made._loop.pulse.open(path)
    yield made
    made._close()


def test_a_loop_that_stands_still_is_suspected_unless_it_may():
    assert PulseState(10.0, 0, True).still(12.5) == 2.5
    assert PulseState(10.0, 1, True).still(12.5) == 0.0
    assert PulseState(10.0, 0, False).still(12.5) == 0.0
    assert PulseState(10.0, 0, True).still(9.0) == 0.0


def test_without_a_file_nobody_is_told_and_the_loop_sleeps_as_long_as_it_likes():
    pulse = Pulse()
    assert pulse.longest is None
    assert isinstance(pulse.cells, array.array)
    pulse.close()


def test_the_file_tells_of_a_run(agent, path):
    assert read_pulse(path).running is False
    seen = []

    def look():
        seen.append((read_pulse(path), time.monotonic()))

    agent.after(0.0, lambda _: look())
    agent.after(0.02, lambda _: (look(), agent.stop()))
    began = time.monotonic()
    agent.run()
    (first, at), (second, later) = seen
    assert first.running and second.running
    assert began <= first.turned <= at < second.turned <= later
    assert not read_pulse(path).running


def test_an_idle_loop_turns_once_a_second(agent, path, monkeypatch):
    monkeypatch.setattr(agent._loop.pulse, "longest", 0.02)
    turns = []
    agent.before_loop = lambda: turns.append(read_pulse(path).turned)
    asked = [0]

    def keep_going():
        asked[0] += 1
        turns.append(read_pulse(path).turned)
        return asked[0] < 4

    agent._loop.run(keep_going)
    assert all(0.015 < b - a < 1.0 for a, b in pairwise(turns[1:]))


def test_busy_is_known_before_the_block_and_counted(agent, path):
    assert read_pulse(path).busy == 0
    with agent.busy():
        assert read_pulse(path).busy == 1
        with pytest.raises(ZeroDivisionError):
            _busy_and_failing(agent, path)
        assert read_pulse(path).busy == 1
    state = read_pulse(path)
    assert state.busy == 0
    assert time.monotonic() - state.turned < 1.0  # the time of the block is forgiven


def _busy_and_failing(agent, path):
    with agent.busy():
        assert read_pulse(path).busy == 2
        raise ZeroDivisionError


def test_the_file_goes_with_the_loop_which_goes_on(agent, path):
    agent._loop.pulse.begin()
    agent._loop.pulse.close()
    assert read_pulse(path) is None
    assert not Path(path).exists() and not Path(path + ".lock").exists()
    agent._loop.pulse.cells[TURNED] = 5.0
    with agent.busy():
        pass
    agent._loop.pulse.close()


def test_two_loops_do_not_share_a_file(agent, path):
    with pytest.raises(WrongAddressError, match="in use"):
        Pulse().open(path)
    assert read_pulse(path) is not None


@pytest.mark.parametrize("content", [b"", b"agpulse1", b"x" * 40, b"agpulse1" + b"\0" * 100])
def test_another_file_is_no_pulse(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    assert read_pulse(tmp_path / "file") is None
    assert read_pulse(tmp_path / "nothing") is None
    assert read_pulse(tmp_path) is None


def test_the_file_of_a_killed_process_is_read_to_the_end_and_swept_away(path):
    code = (
        "import os, signal, sys\n"
        "from agentlab.agent.pulse import Pulse\n"
        "pulse = Pulse()\n"
        "pulse.open(sys.argv[1])\n"
        "pulse.begin()\n"
        "pulse.busy(1)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, path], check=False, timeout=30)
    left = read_pulse(path)
    assert left.running and left.busy == 1
    assert sweep_stale() >= 1
    assert read_pulse(path) is None


@pytest.mark.parametrize(
    ("module", "waits"),
    [
        ("agentlab.control.connection", True),
        ("agentlab.transport.sockets", True),
        ("agentlab.runtime.calling", True),
        ("agentlab.wire.serializers", False),
        ("agentlab.agent.loop", False),
        ("agentlabs.control.x", False),
        ("__main__", False),
        ("mylab.devices", False),
    ],
)
def test_one_who_waits_in_our_own_code_is_told_from_one_who_hangs(module, waits):
    scope = {"__name__": module, "sys": sys}
    exec("def here(): return sys._getframe()", scope)
    assert is_waiting(scope["here"]()) is waits


def test_frames_of_the_standard_library_are_passed():
    inner = {"__name__": "selectors", "sys": sys, "frames": []}
    exec("def select(): frames.append(sys._getframe())", inner)
    for name, waits in (("agentlab.control.stream", True), ("mylab.devices", False)):
        outer = {"__name__": name, "select": inner["select"]}
        exec("select()", outer)
        assert is_waiting(inner["frames"].pop()) is waits


def test_a_note_of_waiting_holds_for_some_seconds(agent, path):
    cells = agent._loop.pulse.cells
    agent._loop.pulse.begin()
    now = time.monotonic()
    cells[TURNED], cells[WAITED] = now - 2.0, now - 1.0
    assert read_pulse(path).busy == 1
    cells[WAITED] = now - NOTE_LASTS - 1.0
    cells[TURNED] = cells[WAITED] - 1.0
    assert read_pulse(path).busy == 0  # whoever makes the notes is stuck himself
    cells[WAITED], cells[TURNED] = now - 1.0, now
    assert read_pulse(path).busy == 0  # it has turned since


def test_notes_are_made_of_loops_that_stand_still(agent, path):
    pulse, call = agent._loop.pulse, agent._loop.post(lambda: None)
    thread = threading.Thread(target=call.wait)  # as who waits for another agent's loop
    thread.start()
    try:
        pulse.note_wait(thread.ident)
        assert read_pulse(path).busy == 0  # it has turned a moment ago
        pulse.cells[TURNED] = time.monotonic() - NOTE_AFTER - 0.1
        pulse.note_wait(None)
        assert read_pulse(path).busy == 0
        while read_pulse(path).busy == 0:  # the thread may not have come there yet
            pulse.note_wait(thread.ident)
        pulse.cells[WAITED] = 0.0
        pulse.note_wait(threading.get_ident())  # this thread works
        assert read_pulse(path).busy == 0
    finally:
        agent._loop.mailbox.run_one()
        thread.join(5)
    assert not is_waiting(None)
