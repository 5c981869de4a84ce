"""Addresses are values."""

import copy
import itertools
import pickle
from pathlib import PurePosixPath
from types import SimpleNamespace

import pytest

from agentlab.errors import WrongAddressError
from agentlab.wire.address import AgentAddress, SocketAddress, address_to_host_port

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
ADDRESS = AgentAddress("tcp", "127.0.0.1:80", "PUB", "server", "json")


@pytest.mark.parametrize(
    ("host", "port", "text"),
    [
        ("127.0.0.1", 80, "127.0.0.1:80"),
        ("localhost", 0, "localhost:0"),
        ("lab-3.example.org", 65535, "lab-3.example.org:65535"),
        ("::1", 80, "[::1]:80"),
        ("[::1]", 80, "[::1]:80"),
        ("0:0:0:0:0:0:0:1", 80, "[::1]:80"),
        ("fe80::1%eth0", 80, "[fe80::1%eth0]:80"),
        ("*", 80, "*:80"),
    ],
)
def test_socket_address(host, port, text):
    address = SocketAddress(host, port)
    assert str(address) == repr(address) == text
    assert SocketAddress.parse(text) == address
    assert hash(SocketAddress.parse(text)) == hash(address)
    assert address.port == port and type(address.port) is int
    assert "[" not in address.host


def test_socket_addresses_differ():
    assert SocketAddress("a", 1) != SocketAddress("a", 2)
    assert SocketAddress("a", 1) != SocketAddress("b", 1)
    assert SocketAddress("a", 1) != "a:1"
    assert SocketAddress("a", 1) != ("a", 1)


@pytest.mark.parametrize(
    "host", ["", " ", "a b", "a/b", "1.2.3", "1.2.3.444", "01.2.3.4", ":::1", "[::1", "a\n", "ä", None, 5, b"a"]
)
def test_a_wrong_host(host):
    with pytest.raises(WrongAddressError, match="is no host"):
        SocketAddress(host, 80)


@pytest.mark.parametrize("port", [-1, 65536, "80", 80.0, None, True])
def test_a_wrong_port(port):
    with pytest.raises(WrongAddressError, match="is no port"):
        SocketAddress("localhost", port)


@pytest.mark.parametrize("text", ["localhost", "::1", "[::1]", "127.0.0.1"])
def test_parse_needs_a_port(text):
    with pytest.raises(WrongAddressError, match="names no port"):
        SocketAddress.parse(text)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, (None, None)),
        ("127.0.0.1", ("127.0.0.1", None)),
        ("127.0.0.1:8000", ("127.0.0.1", 8000)),
        ("localhost:1", ("localhost", 1)),
        ("::1", ("::1", None)),
        ("[::1]", ("::1", None)),
        ("[::1]:80", ("::1", 80)),
        (SocketAddress("a", 1), ("a", 1)),
        (ADDRESS, ("127.0.0.1", 80)),
        (SimpleNamespace(host="a", port=1), ("a", 1)),
        (SimpleNamespace(host="a", port=None), ("a", None)),
    ],
)
def test_address_to_host_port(given, expected):
    assert address_to_host_port(given) == expected


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        ":80",
        "a:",
        "a:b",
        "a:-1",
        "a:99999",
        "a:\u0663",
        "[::1]:",
        "[::1]x:1",
        1,
        1.0,
        [],
        SimpleNamespace(host=None, port=1),
        SimpleNamespace(host="a"),
        AgentAddress("ipc", "/x", "PUB", "server", "json"),
    ],
)
def test_no_host_and_port(wrong):
    with pytest.raises(WrongAddressError):
        address_to_host_port(wrong)


def test_an_address_has_five_parts_that_make_equality_and_hash():
    choices = [("tcp",), ("a:1", "a:2"), ("PUB", "SUB"), ("server", "client"), ("json", "raw")]
    addresses = [AgentAddress(*parts) for parts in itertools.product(*choices)]
    addresses += [AgentAddress(transport, "a", "PUB", "server", "raw") for transport in ("ipc", "inproc")]
    assert len(set(addresses)) == len(addresses)
    for i, j in itertools.combinations(range(len(addresses)), 2):
        assert addresses[i] != addresses[j]
    assert AgentAddress("tcp", SocketAddress("127.0.0.1", 80), "PUB", "server", "json") == ADDRESS
    assert str(ADDRESS) != ADDRESS


def test_its_parts_and_its_text():
    assert repr(ADDRESS) == str(ADDRESS) == "AgentAddress(tcp, 127.0.0.1:80, PUB, server, json)"
    assert ADDRESS.address == SocketAddress("127.0.0.1", 80)
    assert (ADDRESS.transport, ADDRESS.kind, ADDRESS.role, ADDRESS.serializer) == ("tcp", "PUB", "server", "json")


def test_twin():
    twin = ADDRESS.twin()
    assert twin == AgentAddress("tcp", "127.0.0.1:80", "SUB", "client", "json")
    assert twin.twin() == ADDRESS


@pytest.mark.parametrize(
    ("transport", "place", "endpoint"),
    [
        ("tcp", "127.0.0.1:80", "tcp://127.0.0.1:80"),
        ("tcp", "[::1]:80", "tcp://[::1]:80"),
        ("ipc", "/run/x", "ipc:///run/x"),
        ("ipc", PurePosixPath("/run/x"), "ipc:///run/x"),
        ("inproc", "name", "inproc://name"),
    ],
)
def test_endpoint(transport, place, endpoint):
    assert AgentAddress(transport, place, "PULL", "server", "raw").endpoint() == endpoint


@pytest.mark.parametrize(
    ("parts", "named"),
    [
        (("udp", "a:1", "PUB", "server", "json"), "tcp, ipc, inproc"),
        (("tcp", "a:1", "FOO", "server", "json"), "REQ, REP"),
        (("tcp", "a:1", "PUB", "peer", "json"), "server, client"),
        (("tcp", "a:1", "PUB", "server", "yaml"), "raw, pickle"),
        (("tcp", "a", "PUB", "server", "json"), "port"),
        (("tcp", 80, "PUB", "server", "json"), "host:port"),
        (("ipc", "", "PUB", "server", "json"), "not empty"),
        (("ipc", "a\0b", "PUB", "server", "json"), "NUL"),
        (("inproc", None, "PUB", "server", "json"), "text"),
        (("ipc", SocketAddress("a", 1), "PUB", "server", "json"), "text"),
    ],
)
def test_a_wrong_part(parts, named):
    with pytest.raises(WrongAddressError, match=named):
        AgentAddress(*parts)


@pytest.mark.parametrize(
    "value", [ADDRESS, SocketAddress("::1", 80), AgentAddress("ipc", "/x", "PULL_SYNC_PUB", "client", "dill")]
)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_pickles_by_value(value, protocol):
    again = pickle.loads(pickle.dumps(value, protocol))
    assert again == value and hash(again) == hash(value) and type(again) is type(value)
    assert copy.deepcopy(value) == copy.copy(value) == value


@pytest.mark.parametrize(("value", "name"), [(ADDRESS, "kind"), (SocketAddress("a", 1), "port")])
def test_immutable_and_without_a_dict(value, name):
    before = hash(value)
    with pytest.raises(AttributeError, match="immutable"):
        setattr(value, name, "SUB")
    with pytest.raises(AttributeError, match="immutable"):
        delattr(value, name)
    with pytest.raises(AttributeError):
        value.other = 1
    assert not hasattr(value, "__dict__")
    assert hash(value) == before
