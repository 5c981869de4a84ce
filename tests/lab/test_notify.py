"""What systemd is told: datagrams to the socket that it names."""

import os
import socket
import sys

import pytest

from agentlab.lab.notify import Notifier

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sd_notify is for unix sockets")


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    if request.param == "abstract" and not sys.platform.startswith("linux"):
        pytest.skip("abstract sockets are Linux's")
    address = str(tmp_path / "n") if request.param == "path" else f"@agentlab-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("\0" + address[1:] if address[0] == "@" else address)
        sock.settimeout(3.0)
        yield sock, address


def test_all_it_says(manager):
    sock, address = manager
    notifier = Notifier(address)
    try:
        assert notifier.ready("3 units\nrunning")
        assert sock.recv(1000).decode().split("\n") == ["READY=1", "STATUS=3 units running", f"MAINPID={os.getpid()}"]
        assert notifier.status("well")
        assert sock.recv(1000) == b"STATUS=well"
        assert notifier.reloading()
        assert sock.recv(1000).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
        assert notifier.stopping(10.0)
        assert sock.recv(1000) == b"STOPPING=1\nEXTEND_TIMEOUT_USEC=10000000"
        assert notifier.alive()
        assert sock.recv(1000) == b"WATCHDOG=1"
    finally:
        notifier.close()
        notifier.close()
    assert not notifier.alive()


def test_the_environment_is_read_once_and_not_inherited():
    environ = {"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid()), "HOME": "/"}
    notifier = Notifier.from_environment(environ)
    assert notifier.watchdog == 3.0
    assert environ == {"HOME": "/"}
    assert not notifier.ready("nobody listens there")
    notifier.close()


@pytest.mark.parametrize(
    ("environ", "watchdog"),
    [
        ({}, 0.0),
        ({"WATCHDOG_USEC": "2000000"}, 2.0),
        ({"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "1"}, 0.0),
        ({"WATCHDOG_USEC": "often"}, 0.0),
    ],
)
def test_whose_watchdog_it_is(environ, watchdog):
    notifier = Notifier.from_environment(environ)
    assert notifier.watchdog == watchdog
    assert not notifier.ready("no manager")
    notifier.close()


def test_a_manager_that_does_not_read_blocks_nobody(manager):
    _, address = manager
    notifier = Notifier(address)
    try:
        taken = 0
        while taken < 100_000 and notifier.alive():
            taken += 1
        assert 0 < taken < 100_000
    finally:
        notifier.close()
