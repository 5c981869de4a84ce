"""Where a daemon listens, and URIs."""

import errno
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from agentlab.control.connection import ControlClient
from agentlab.control.daemon import ControlDaemon
from agentlab.control.security import refuse_open_bind
from agentlab.control.uri import Location, parse_uri
from agentlab.errors import RefusedError, WrongAddressError
from agentlab.settings import config
from tests.control.conftest import echo


@pytest.mark.parametrize("host", ["0.0.0.0", "", "::", "192.168.1.1", "8.8.8.8"])
def test_an_open_bind_is_refused_unless_security_is_none(host):
    with pytest.raises(RefusedError, match="certificates") as refused:
        refuse_open_bind(host)
    assert "\n" not in str(refused.value)
    with pytest.raises(RefusedError):
        ControlDaemon(host=host)
    config["SECURITY"] = "none"
    refuse_open_bind(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "localhost", "::1"])
def test_loopback_is_fine(host):
    refuse_open_bind(host)


def test_a_unix_socket_is_the_user_s_alone(kit):
    before = os.umask(0)
    try:
        daemon = kit.daemon()
    finally:
        os.umask(before)
    assert stat.S_IMODE(Path(daemon.location.path).stat().st_mode) == 0o600
    daemon.close()
    assert not Path(daemon.location.path).exists()


def test_a_path_in_use_is_refused_and_goes_on_working(kit):
    daemon = kit.daemon()
    client = kit.client(daemon.serve("a", echo))
    with pytest.raises(OSError, match="Address already in use") as raised:
        ControlDaemon(unixsocket=daemon.location.path)
    assert raised.value.errno == errno.EADDRINUSE
    assert client.call(b"1") == b"1"


def test_a_port_in_use_is_refused(kit):
    daemon = kit.daemon("tcp")
    with pytest.raises(OSError, match="Address already in use"):
        ControlDaemon(host="127.0.0.1", port=daemon.location.port)


def test_a_place_that_is_not_permitted_is_refused(tmp_path):
    """In a process without privileges, as root may do anything; not with a low port, as some systems permit those to all."""
    place = tmp_path / "closed"
    place.mkdir(mode=0o500)
    program = f"""
import os
from agentlab.control.daemon import ControlDaemon
from agentlab.settings import config
config["SECURITY"] = "none"  # the key is root's
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    ControlDaemon(unixsocket={str(place / "s")!r})
except OSError as error:
    print(type(error).__name__, error.strerror)
"""
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=20)
    assert (done.stdout, done.stderr) == ("PermissionError Permission denied\n", "")


def test_a_dead_process_s_file_is_replaced(kit):
    path = kit.path()
    program = f"import socket, os; s = socket.socket(socket.AF_UNIX); s.bind({path!r}); s.listen(); os._exit(0)"
    subprocess.run([sys.executable, "-c", program], check=True)
    assert Path(path).exists()
    daemon = kit.daemon(unixsocket=path)
    assert kit.client(daemon.serve("a", echo)).call(b"1") == b"1"


def test_a_file_that_is_no_socket_is_not_removed(kit, tmp_path):
    path = kit.path()
    Path(path).write_text("data")
    with pytest.raises(OSError, match="Address already in use"):
        ControlDaemon(unixsocket=path)
    assert Path(path).read_text() == "data"
    Path(path).unlink()


def test_closing_removes_only_the_own_file(kit):
    daemon = kit.daemon()
    path = daemon.location.path
    Path(path).unlink()
    other = socket.socket(socket.AF_UNIX)
    other.bind(path)
    daemon.close()
    assert Path(path).exists()
    other.close()
    Path(path).unlink()


def test_a_long_path_is_refused(kit):
    with pytest.raises(WrongAddressError, match="107"):
        ControlDaemon(unixsocket="/tmp/" + "x" * 103)


def test_a_missing_directory_says_so(kit):
    with pytest.raises(OSError, match="No such file or directory"):
        ControlDaemon(unixsocket="/tmp/agentlab-not-there/x")


@pytest.mark.parametrize(
    ("uri", "location"),
    [
        ("PYRO:a@./u:/tmp/x", Location(path="/tmp/x")),
        ("PYRO:a@127.0.0.1:80", Location(host="127.0.0.1", port=80)),
        ("PYRO:a@[::1]:80", Location(host="::1", port=80)),
    ],
)
def test_uris(uri, location):
    assert parse_uri(uri) == ("a", location)
    assert location.uri("a") == uri


@pytest.mark.parametrize(
    "uri", ["", "a@b:1", "PYRO:a", "PYRO:a@b", "PYRO:a b@c:1", "PYRO:a@b:99999", "PYRONAME:a@b:1", "PYRO:a@./u:"]
)
def test_what_is_no_uri(uri):
    with pytest.raises(WrongAddressError, match="no URI"):
        ControlClient(uri)


@pytest.mark.parametrize("object_id", ["", "a b", "a@b", "x" * 600])
def test_ids_that_cannot_be_used(kit, object_id):
    daemon = kit.daemon(start=False)
    with pytest.raises(WrongAddressError, match="object id"):
        daemon.serve(object_id, echo)


def test_an_id_is_served_once(kit):
    daemon = kit.daemon(start=False)
    daemon.serve("a", echo)
    with pytest.raises(WrongAddressError, match="already"):
        daemon.serve("a", echo)
    daemon.unserve("a")
    daemon.unserve("a")
    daemon.serve("a", echo)


def test_what_stands_in_uris_can_be_another_place(kit):
    daemon = kit.daemon("tcp", advertise=("lab.example.org", 7777))
    assert daemon.serve("obj", echo) == "PYRO:obj@lab.example.org:7777"
    port = kit.daemon("tcp").location.port
    assert kit.daemon("tcp", advertise=("lab.example.org", 0)).location.port != port


def test_a_daemon_that_listens_everywhere_says_where_it_can_be_reached(kit):
    daemon = kit.daemon("tcp", host="0.0.0.0", security="none")
    uri = daemon.serve("obj", echo)
    assert "0.0.0.0" not in uri
    assert kit.client(uri, security="none").call(b"x") == b"x"
