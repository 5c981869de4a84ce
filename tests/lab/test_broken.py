"""What a clumsy or hostile user did to labs, and what broke: each test failed once."""

from __future__ import annotations

import os
import socket
import threading
import time

import pytest

from agentlab import Agent
from agentlab.agent.pulse import NOTE_AFTER, TURNED, read_pulse
from agentlab.agent.vitals import Vitals
from agentlab.errors import ConfigurationError, WrongAddressError
from agentlab.lab.file import read_lab
from agentlab.lab.places import STATE_VARIABLE, lab_places
from agentlab.settings import runtime_dir
from agentlab.testing.waiting import wait_condition
from agentlab.transport.ipc import IpcClaim
from agentlab.yamlfile.problems import ProblemsError


def test_a_loop_that_has_nothing_to_do_waits_for_nobody():
    """Else it could be frozen for three seconds more before anybody began to count."""
    path = str(runtime_dir() / "pulse-of-an-idle-loop")
    agent = Agent("Idle")
    agent._loop.pulse.open(path)
    thread = threading.Thread(target=agent.run)
    thread.start()
    try:
        assert wait_condition(lambda: agent.is_running() and agent._loop.mailbox.sleeping)
        agent._loop.pulse.cells[TURNED] = time.monotonic() - NOTE_AFTER - 0.1
        Vitals(agent).sample()
        assert read_pulse(path).busy == 0
    finally:
        agent.stop()
        thread.join(5)
        agent._close()


def _said(tmp_path, text):
    path = tmp_path / "lab.yml"
    path.write_text(text)
    with pytest.raises(ProblemsError) as caught:
        read_lab(path, inspect=False)
    return str(caught.value)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("hang_timeout: 0", "found 0, allowed are numbers greater than 0 or null"),
        ("stop_timeout: .inf", "found inf (not finite), allowed are numbers greater than 0"),
        ("start_timeout: .nan", "found nan (not finite), allowed are numbers greater than 0"),
    ],
)
def test_a_number_out_of_range_is_told_with_the_range(tmp_path, line, said):
    assert said in _said(tmp_path, f"agents: {{A: {{class: m.C, {line}}}}}\n")


def test_a_unix_socket_with_too_long_a_path_is_told_before_anything_starts(tmp_path):
    """It came to light when the daemon started, with the cure for another socket."""
    said = _said(tmp_path, f"daemons: {{d: {{unixsocket: /tmp/{'x' * 200}}}}}\n")
    assert "daemons.d.unixsocket: the path has 205 bytes, sockets have at most 107; give a shorter one" in said


def test_a_state_directory_that_cannot_be_made_is_told_with_its_own_variable(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "file"))
    with pytest.raises(ConfigurationError, match=f"set {STATE_VARIABLE} to another"):
        lab_places(tmp_path / "lab.yml").make()


@pytest.mark.skipif(os.name != "posix", reason="sockets in the file system")
def test_a_socket_never_takes_the_place_of_somebodys_file(tmp_path):
    """A daemon whose `unixsocket` named a file by mistake deleted that file, and so did a socket's `addr`."""
    for name in ("data.csv", "poetry"):
        (tmp_path / name.replace("poetry", "poetry.lock")).write_text("of great value")
        with pytest.raises(WrongAddressError, match="of somebody else's is there; choose another path"):
            IpcClaim(str(tmp_path / name))
    (tmp_path / "folder").mkdir()
    with pytest.raises(WrongAddressError, match="choose another path"):
        IpcClaim(str(tmp_path / "folder"))
    assert (tmp_path / "data.csv").read_text() == (tmp_path / "poetry.lock").read_text() == "of great value"
    assert not (tmp_path / "data.csv.lock").exists()

    left = tmp_path / "left"  # what a killed process left is replaced, as ever
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(left))
    IpcClaim(str(left)).release()
    assert not left.exists()
