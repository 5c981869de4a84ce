"""Another user of the machine reaches no socket, even where the directory is open to all and so are the files."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from agentlab import Agent
from agentlab.settings import runtime_dir
from agentlab.transport.sockets import Socket
from tests.security.conftest import Pair
from tests.security.helpers import GREETING

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or os.getuid() != 0, reason="needs root, to become another user"
)

INTRUDER = """
import json, os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
greeting, told = bytes.fromhex(sys.argv[1]), {}
for path in sys.argv[2:]:
    peer = socket.socket(socket.AF_UNIX)
    peer.settimeout(1)
    try:
        peer.connect(path)
        peer.sendall(greeting)
        heard = b""
        while chunk := peer.recv(4096):
            heard += chunk
        told[path] = ["closed", heard.hex()]
    except ConnectionResetError:
        told[path] = ["closed", ""]
    except BrokenPipeError:
        told[path] = ["closed", ""]
    except TimeoutError:
        told[path] = ["open", heard.hex()]
    except OSError as error:
        told[path] = [type(error).__name__, ""]
print(json.dumps(told))
"""


def intrude(paths):
    done = subprocess.run(
        [sys.executable, "-c", INTRUDER, GREETING.hex(), *map(str, paths)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd="/",
        check=True,
    )
    return json.loads(done.stdout)


def sockets():
    return [path for path in runtime_dir().iterdir() if stat.S_ISSOCK(path.lstat().st_mode)]


def test_another_user_is_shut_out_by_the_directory(ns):
    pair = Pair("ipc", "pickle")
    found = sockets()
    assert len(found) >= 9  # seven data sockets, two control sockets, the feed
    assert {how for how, _ in intrude(found).values()} == {"PermissionError"}
    pair.round()


def test_another_user_is_shut_out_by_the_kernels_word_alone(ns, socket_dir):
    pair = Pair("ipc", "pickle")
    found = sockets()
    try:
        for folder in (socket_dir.parent, socket_dir):
            folder.chmod(0o755)
        for path in found:
            path.chmod(0o666)
        told = intrude(found)
    finally:
        for folder in (socket_dir.parent, socket_dir):
            folder.chmod(0o700)
    # A few bytes may say why; nothing of the greeting of ZeroMQ or of a handshake is answered.
    assert {path: how for path, how in told.items() if how[0] != "closed" or len(how[1]) > 8} == {}
    pair.round()


def test_the_intruder_would_be_heard_otherwise(socket_dir):
    agent = Agent("a")
    try:
        with Everybody() as socket:
            path = socket.bind("ipc", "open")
            for folder in (socket_dir.parent, socket_dir):
                folder.chmod(0o755)
            Path(path).chmod(0o666)
            how, heard = intrude([path])[path]
            assert how == "open"
            assert heard.startswith("ff")
    finally:
        for folder in (socket_dir.parent, socket_dir):
            folder.chmod(0o700)
        agent._close()


class Everybody(Socket):
    """A socket of security none, which admits all."""

    def __init__(self):
        from agentlab import config

        config["SECURITY"] = "none"
        super().__init__("PULL")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
