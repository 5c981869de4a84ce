"""What a clumsy or hostile user did at the command line, and what broke: each test failed once."""

import os
import signal
import threading
import time

import psutil
import pytest

from agentlab.lab.client import LabClient, wait_for_end
from agentlab.lab.lock import FileLock
from agentlab.lab.orders import digest
from agentlab.lab.places import lab_places
from agentlab.testing import wait_condition
from tests.cli.inprocess import Runner
from tests.cli.program import complaint, finish, start
from tests.lab.fakelab import running
from tests.timing import soon

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and sockets of POSIX")


@pytest.fixture
def run(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    return Runner(capsys)


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A lab without processes, in this one."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "lab.yml"
    path.write_text("Laser Scan")
    with running(path) as lab:
        assert lab.ready.wait(5)
        lab.file = path
        yield lab


def test_ctrl_c_while_the_file_is_checked_starts_nothing(tmp_path):
    """It said that the lab goes on and how to end it; but `down` found nothing to end, and then the lab came up."""
    (tmp_path / "slowly.py").write_text(
        "import os, pathlib, time\n"
        "pathlib.Path('importing').write_text(str(os.getpid()))\n"
        "time.sleep(8)\n"
        "from agentlab import Agent as Slow\n"
    )
    (tmp_path / "lab.yml").write_text("nameservers: {default: {ns_port: 0}}\nagents: {A: {class: 'slowly:Slow'}}\n")
    process = start("up", cwd=tmp_path)
    flag = tmp_path / "importing"
    assert wait_condition(lambda: flag.exists() and flag.read_text() != "", timeout=10)
    importing = psutil.Process(int(flag.read_text()))
    os.killpg(process.pid, signal.SIGINT)
    outcome = finish(process)
    assert outcome.code == 130
    assert "nothing was started" in outcome.err
    assert wait_for_end(importing, 2.5)
    with LabClient(tmp_path / "lab.yml") as client:
        assert not client.is_up()


def test_down_of_a_file_that_is_not_there_is_a_mistake(run, tmp_path, monkeypatch):
    """`agentlab down lba.yml` said that it is not up, and somebody walked away from a lab that was."""
    monkeypatch.chdir(tmp_path)
    assert "there is no lab file lba.yml" in complaint(run("down", "lba.yml"), 2)


def test_a_lab_whose_state_directory_was_deleted_is_reached_all_the_same(run, fake):
    fake.client.places.address.unlink()
    assert run("ps").code == 0
    came = run("up")
    assert came.code == 0 and "is up already" in came.out


def test_a_lab_whose_runtime_directory_was_deleted_is_not_called_down(run, fake, monkeypatch):
    """Logging out deletes it where nobody lingers; then `down` said that the lab is not up, which it was."""
    monkeypatch.setattr("agentlab.cli.down.GRACE", 0.2)
    fake.client.places.socket.unlink()
    for verb in ("ps", "down"):
        outcome = run(verb)
        assert outcome.code != 0
        assert f"pid {os.getpid()}" in outcome.err and "control socket is gone" in outcome.err


def test_down_of_a_lab_that_just_ends_waits_for_its_end(run, fake):
    """The one that ended second said that the lab is not up, while its lock was held yet."""
    places = fake.client.places
    fake.client.down(1.0)
    fake.thread.join(5)
    lock = FileLock(places.lock)
    assert lock.acquire()
    threading.Timer(0.3, lock.release).start()
    outcome = run("down")
    assert (outcome.code, outcome.out) == (0, "lab.yml is not up\n")
    assert not lock.held


def test_a_second_down_may_be_less_patient(fake):
    """It was told that all is well, and waited for the first one's ten seconds."""
    supervisor, stopping, hurried = fake.supervisor, threading.Event(), threading.Event()
    stop = supervisor.stop

    def slow_stop(timeout=10.0):
        if timeout < 5:
            hurried.set()
        else:
            stopping.set()
            hurried.wait(timeout)
        stop(timeout)

    supervisor.stop = slow_stop
    fake.client.down(8.0)
    assert stopping.wait(5)
    began = time.monotonic()
    fake.client.down(20.0)  # more patience does not help who has less
    fake.client.down(0.5)
    fake.thread.join(5)
    assert time.monotonic() - began < soon(3)
    assert hurried.is_set() and fake.error is None


def test_a_pipe_is_no_file(run, tmp_path, monkeypatch):
    """Its reader waited for a writer for ever."""
    monkeypatch.chdir(tmp_path)
    os.mkfifo("lab.yml")
    keep = os.open("lab.yml", os.O_RDWR)  # so that the test ends, whatever happens
    opener = threading.Timer(60.0, os.close, (keep,))
    opener.start()
    began = time.monotonic()
    outcome = run("check")
    assert (outcome.code, outcome.out) == (2, "lab.yml: is no file of text, but a pipe\n")
    assert digest(tmp_path / "lab.yml") == b""
    assert time.monotonic() - began < soon(3)
    opener.cancel()
    os.close(keep)


def test_a_lock_that_somebody_holds_is_told(tmp_path):
    path = tmp_path / "lab.yml"
    path.write_text("")
    places = lab_places(path)
    places.make()
    with LabClient(path) as client, FileLock(places.lock) as lock:
        assert client.holder() is None
        assert lock.acquire()
        lock.note("pid 12 runs it")
        assert client.holder() == "pid 12 runs it"
