"""One supervisor per lab, by a lock that ends with its process; and where a lab's files are."""

import os
import subprocess
import sys

import pytest

from agentlab.lab.lock import FileLock
from agentlab.lab.places import lab_dir, lab_places
from agentlab.settings import config
from agentlab.testing import wait_condition

HOLDER = """
import sys
from pathlib import Path
from agentlab.lab.lock import FileLock
lock = FileLock(Path(sys.argv[1]))
assert lock.acquire()
lock.note("held by a test")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "lock"


@pytest.fixture
def holder(path):
    process = subprocess.Popen([sys.executable, "-c", HOLDER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_one_holder(path):
    with FileLock(path) as first, FileLock(path) as second:
        assert first.acquire() and first.acquire() and first.held
        assert not second.acquire() and not second.held
        first.release()
        first.release()
        assert second.acquire()
    assert not second.held
    assert path.exists()


def test_it_ends_with_a_killed_process(path, holder):
    with FileLock(path) as lock:
        assert not lock.acquire()
        assert path.read_text() == "held by a test"
        holder.kill()
        holder.wait()
        assert lock.acquire()  # whatever the file says


def test_a_number_in_the_file_means_nothing(path):
    path.write_text(f"pid {os.getpid()}")
    with FileLock(path) as lock:
        assert lock.acquire()


def test_a_child_process_does_not_hold_it(path):
    with FileLock(path) as lock:
        lock.acquire()
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False)
        try:
            lock.release()
            with FileLock(path) as other:
                assert wait_condition(other.acquire)  # the system closes its copy a moment after it has begun
        finally:
            child.communicate(b"\n")


def test_a_note_is_replaced_whole(path):
    with FileLock(path) as lock:
        lock.note("nobody holds it")
        lock.acquire()
        lock.note("a long note")
        lock.note("short")
        assert path.read_text() == "short"


def test_a_directory_that_is_not_there_is_told(tmp_path):
    with pytest.raises(FileNotFoundError):
        FileLock(tmp_path / "no" / "lock").acquire()


# ------------------------------------------------------------------------------------------------ places


def test_one_file_has_one_place_by_any_name(tmp_path, monkeypatch):
    file = tmp_path / "lab.yml"
    file.write_text("")
    (tmp_path / "link.yml").symlink_to(file)
    monkeypatch.chdir(tmp_path)
    assert lab_places() == lab_places("lab.yml") == lab_places(file) == lab_places("link.yml") == lab_places("./x/../lab.yml")
    assert lab_places("other.yml") != lab_places()


def test_nothing_is_made_until_it_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("AGENTLAB_STATE_DIR", str(tmp_path / "state"))
    places = lab_places("lab.yml")
    assert not (tmp_path / "state").exists()
    assert lab_dir("lab.yml") == places.directory
    assert places.directory.stat().st_mode & 0o777 == 0o700
    assert {places.lock.parent, places.address.parent, places.logs.parent} == {places.directory}


def test_the_socket_has_a_short_path_whatever_the_files_is(tmp_path, socket_dir):
    config["IPC_DIR"] = str(socket_dir)
    deep = tmp_path.joinpath(*["a long name of a directory"] * 20) / "lab.yml"
    assert len(os.fsencode(lab_places(deep).socket)) - len(os.fsencode(socket_dir)) < 25
