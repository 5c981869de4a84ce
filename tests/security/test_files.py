"""Files: modes whatever the umask, keys and directories of others, live and stale socket files, long names, a full disk."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from agentlab import Agent, AgentLabError, ConfigurationError, WrongAddressError, config, keys, run_agent
from agentlab.settings import runtime_dir
from agentlab.transport.ipc import MAX_PATH, IpcClaim, ipc_path, sweep_stale
from agentlab.transport.sockets import Socket
from tests.security.helpers import wait_until

POSIX_ROOT = os.name == "posix" and os.getuid() == 0
pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes and unix sockets")


def mode(path):
    return stat.S_IMODE(Path(path).lstat().st_mode)


@contextlib.contextmanager
def umask(value):
    before = os.umask(value)
    try:
        yield
    finally:
        os.umask(before)


@pytest.fixture
def fresh(tmp_path_factory, monkeypatch, request):
    """Directories for keys and sockets that do not exist yet."""
    import shutil
    import tempfile

    base = Path(tempfile.mkdtemp(prefix="al-", dir="/tmp"))
    base.chmod(0o755)
    monkeypatch.setenv("AGENTLAB_KEYS_DIR", str(base / "k"))
    monkeypatch.setenv("AGENTLAB_IPC_DIR", str(base / "s"))
    keys._cache.clear()
    yield base
    keys._cache.clear()
    for folder in (base, base / "s"):
        if folder.is_dir():
            folder.chmod(0o700)
    shutil.rmtree(base)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o177])
def test_modes_whatever_the_umask(fresh, mask):
    with umask(mask & 0o077):
        keys.lab_key()
        with contextlib.closing(Socket("PULL")) as socket:
            path = socket.bind("ipc", None)
            assert mode(path) == 0o600
            assert mode(path + ".lock") == 0o600
            assert mode(fresh / "s") == 0o700
            assert mode(fresh / "k") == 0o700
            assert mode(fresh / "k" / "lab.key") == 0o600


def test_modes_of_everything_that_runs(ns):
    agent = run_agent(transport="ipc")
    agent.bind("PUSH")
    files = list(runtime_dir().iterdir())
    assert sum(stat.S_ISSOCK(path.lstat().st_mode) for path in files) >= 3  # a data socket, a control socket, the feed
    assert {path.name: oct(mode(path)) for path in files if mode(path) & 0o077 and not path.is_dir()} == {}
    assert mode(runtime_dir()) == 0o700


def test_an_open_directory_is_closed(fresh):
    (fresh / "s").mkdir()
    (fresh / "s").chmod(0o777)
    assert mode(runtime_dir()) == 0o700


@pytest.mark.parametrize("wrong", [0o644, 0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_refused(fresh, wrong):
    keys.lab_key()
    keys._cache.clear()
    (fresh / "k" / "lab.key").chmod(wrong)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        keys.lab_key()


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_key_of_the_wrong_size_is_refused_without_being_shown(fresh, size):
    keys.lab_key()
    keys._cache.clear()
    (fresh / "k" / "lab.key").write_bytes(b"s" * size)
    with pytest.raises(ConfigurationError) as caught:
        keys.lab_key()
    assert "ssss" not in str(caught.value)


@pytest.mark.skipif(not POSIX_ROOT, reason="needs root")
def test_what_belongs_to_somebody_else_is_refused(fresh):
    keys.lab_key()
    keys._cache.clear()
    os.chown(fresh / "k" / "lab.key", 65534, 65534)
    with pytest.raises(ConfigurationError, match="lab.key"):
        keys.lab_key()
    (fresh / "s").mkdir(mode=0o700)
    os.chown(fresh / "s", 65534, 65534)
    with pytest.raises(ConfigurationError, match="IPC_DIR"):
        runtime_dir()


def test_a_link_is_no_private_directory(fresh):
    (fresh / "elsewhere").mkdir()
    (fresh / "s").symlink_to(fresh / "elsewhere")
    with pytest.raises(ConfigurationError, match="IPC_DIR"):
        runtime_dir()


# --- socket files -----------------------------------------------------------------------------------------------------


def test_a_second_bind_on_a_live_path_is_refused(ns):
    path = run_agent(transport="ipc").bind("PULL", handler=lambda agent, message: None, addr="place").address
    for name in ("place", path):
        socket = Socket("PULL")
        with pytest.raises(WrongAddressError, match="in use"):
            socket.bind("ipc", name)
        socket.close()
    assert Path(path).is_socket()


def test_a_client_that_closes_takes_no_file_away():
    server = Socket("PULL")
    path = server.bind("ipc", "place")
    for _ in range(3):
        client = Socket("PUSH")
        client.connect("ipc", f"ipc://{path}")
        client.send(b"x")
        assert server.recv(5.0) == [b"x"]
        client.close(0.5)
    assert Path(path).is_socket()
    server.close()
    assert not Path(path).exists()


def test_files_of_killed_agents_are_swept(ns):
    agent = run_agent("victim", transport="ipc")
    path = agent.bind("PUSH").address
    pid = agent.execute_as_function(os.getpid)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not psutil.pid_exists(pid))
    wait_until(lambda: sweep_stale() or not Path(path).exists())
    assert not Path(path).exists()
    assert not Path(path + ".lock").exists()


def test_sweeping_leaves_the_living_alone():
    with contextlib.closing(Socket("PULL")) as server:
        path = server.bind("ipc", "place")
        assert sweep_stale() == 0
        assert Path(path).is_socket()


@pytest.mark.parametrize("name", ["x" * 90, "x" * 200, "ü" * 100, "x" * 10_000])
def test_long_names_work(name):
    with contextlib.closing(Socket("PULL")) as server, contextlib.closing(Socket("PUSH")) as client:
        path = server.bind("ipc", name)
        assert len(os.fsencode(path)) <= MAX_PATH
        assert path == ipc_path(name)
        assert path != ipc_path(name + "y")
        client.connect("ipc", f"ipc://{path}")
        client.send(b"x")
        assert server.recv(5.0) == [b"x"]


@pytest.mark.parametrize("name", ["../up", "a/b", ".", "..", "nul\0", "/" + "x" * 200])
def test_names_that_leave_the_directory_are_refused(name):
    socket = Socket("PULL")
    with pytest.raises(WrongAddressError):
        socket.bind("ipc", name)
    socket.close()


# --- no room, no permission -------------------------------------------------------------------------------------------


def one_line(error):
    text = str(error)
    return text and "\n" not in text and len(text) < 400


@pytest.fixture(params=["file in the way", "no such file system"])
def unusable(request, fresh):
    if request.param == "file in the way":
        (fresh / "s").write_text("")
        return fresh / "s"
    return Path("/proc/agentlab")


def test_a_directory_that_cannot_be_made(ns, unusable):
    config["IPC_DIR"] = unusable
    agent = Agent("a", transport="ipc")
    with pytest.raises(ConfigurationError) as caught:
        agent.bind("PUSH")
    assert one_line(caught.value)
    assert "IPC_DIR" in str(caught.value)
    assert agent.sockets() == {}
    agent._close()
    with pytest.raises(AgentLabError, match="IPC_DIR"):
        run_agent("b")
    assert ns.agents() == []


@pytest.fixture
def full(fresh):
    """A file system without room for a single file more."""
    if not POSIX_ROOT or not sys.platform.startswith("linux"):
        pytest.skip("needs root")
    (fresh / "s").mkdir(mode=0o700)
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4k,nr_inodes=2,mode=700", "none", fresh / "s"], check=False
    ).returncode:
        pytest.skip("cannot mount")
    with contextlib.suppress(OSError):
        for number in range(9):
            (fresh / "s" / str(number)).write_bytes(bytes(4096))
    yield fresh / "s"
    subprocess.run(["umount", fresh / "s"], check=True)


def test_a_full_disk(ns, full):
    config["IPC_DIR"] = full
    agent = Agent("a", transport="ipc")
    with pytest.raises(AgentLabError) as caught:
        agent.bind("PUSH")
    agent._close()
    assert one_line(caught.value)
    assert "No space left" in str(caught.value)
    with pytest.raises(AgentLabError, match="No space left"):
        run_agent("b")
    assert ns.agents() == []


def test_no_room_for_the_key(fresh):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, hard))
    try:
        with pytest.raises(ConfigurationError) as caught:
            keys.lab_key()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert one_line(caught.value)
    assert list((fresh / "k").iterdir()) == [], "a draft of the key was left"
    assert len(keys.lab_key()) == keys.KEY_SIZE


def test_a_claim_that_fails_leaves_no_file():
    claim = IpcClaim(ipc_path("place"))
    with pytest.raises(WrongAddressError):
        IpcClaim(ipc_path("place"))
    claim.release()
    assert list(runtime_dir().glob("place*")) == []
