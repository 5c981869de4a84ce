"""Stock programs that ask everybody where the name server is."""

from __future__ import annotations

import random
import socket

import pytest

from agentlab.control.uri import Location
from agentlab.errors import ConfigurationError, NameServerError
from agentlab.nameserver.broadcast import BroadcastResponder, RateLimit
from agentlab.nameserver.server import NameServer

URI = b"PYRO:Pyro.NameServer@127.0.0.1:9090"


@pytest.fixture
def clock():
    return [0.0]


@pytest.fixture
def responder(clock):
    found = BroadcastResponder("localhost", 0, Location(host="127.0.0.1", port=9090), "Pyro.NameServer", clock=lambda: clock[0])
    yield found
    found.close()


@pytest.fixture
def asker(responder):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.connect(("127.0.0.1", responder.port))
        asker.settimeout(0.02)
        yield asker


def answers(asker):
    found = []
    while True:
        try:
            found.append(asker.recv(1000))
        except TimeoutError:
            return found


def test_the_question_is_answered_with_the_uri(responder, asker):
    assert not responder.answer()
    asker.send(b"GET_NSURI")
    assert responder.answer()
    assert answers(asker) == [URI]


def test_anything_else_is_not_answered(responder, asker):
    rng = random.Random(2)
    for data in [
        b"",
        b"GET_NSUR",
        b"GET_NSURI\n",
        b"GET_NSURI" * 200,
        b"get_nsuri",
        *(rng.randbytes(rng.randrange(99)) for _ in range(50)),
    ]:
        asker.send(data)
    assert responder.answer()
    assert answers(asker) == []
    asker.send(b"GET_NSURI")
    responder.answer()
    assert answers(asker) == [URI]


def test_it_is_no_amplifier(responder, asker, clock):
    for _ in range(40):
        asker.send(b"GET_NSURI")
    responder.answer()
    assert len(answers(asker)) == 5
    clock[0] = 1.0
    asker.send(b"GET_NSURI")
    responder.answer()
    assert len(answers(asker)) == 1


def test_the_limits():
    limit = RateLimit(total=10, each=3)
    assert [limit.allows("a", 0.5) for _ in range(4)] == [True] * 3 + [False]
    assert sum(limit.allows(f"b{i}", 0.9) for i in range(100)) == 7
    assert limit.allows("a", 1.0)


def test_a_flood_takes_a_turn_of_limited_length(responder, asker):
    for _ in range(200):
        asker.send(b"x")
    turns = 0
    while responder.answer():
        turns += 1
    assert turns >= 3


def test_a_name_server_on_all_addresses_tells_the_one_by_which_it_was_asked():
    served = Location(host="0.0.0.0", port=9090)
    responder = BroadcastResponder("127.0.0.1", 0, served, "Pyro.NameServer")
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
            asker.settimeout(1.0)
            asker.sendto(b"GET_NSURI", ("127.0.0.1", responder.port))
            responder.answer()
            assert asker.recv(100) == URI
    finally:
        responder.close()


def test_a_port_in_use_and_ports_that_cannot_be(responder):
    with pytest.raises(NameServerError, match=rf"localhost:{responder.port} \(udp\): .* in use; choose another ns_bcport"):
        BroadcastResponder("localhost", responder.port, Location(host="127.0.0.1", port=1), "x")
    with pytest.raises(NameServerError, match="choose another ns_bcport"):
        NameServer(port=0, security="none", broadcast=("127.0.0.1", responder.port)).run(lambda _: pytest.fail("it serves"))
    with pytest.raises(ConfigurationError, match="broadcast port 70000 does not exist"):
        NameServer(broadcast=("127.0.0.1", 70000))


def test_with_keys_nobody_listens(responder):
    server = NameServer(port=0, security="keys", broadcast=("127.0.0.1", responder.port))  # in use, and nobody minds
    server.run(lambda _: server.stop())
