"""Who may enter a tcp socket: whoever has the lab's key, nobody else; and the counter of those who were refused."""

from __future__ import annotations

import pytest
import zmq
from zmq.utils.monitor import recv_monitor_message

from agentlab.transport.security import PLAIN_DOMAIN, ZAP_DOMAIN, Gatekeeper, curve_pair, refused_connections, secure_client
from tests.security.agents import KINDS
from tests.security.helpers import wait_until

CLIENTS = {
    "REP": zmq.REQ,
    "PULL": zmq.PUSH,
    "SUB": zmq.PUB,
    "PUB": zmq.SUB,
    "ASYNC_REP": zmq.DEALER,
    "SYNC_PUB": zmq.SUB,
}


@pytest.fixture
def transport():
    return "tcp"


def without_keys(peer):
    pass


def foreign_key(peer):
    peer.curve_publickey, peer.curve_secretkey = zmq.curve_keypair()
    peer.curve_serverkey = curve_pair()[0]  # not even that is known outside the lab


def foreign_lab(peer):
    public, secret = zmq.curve_keypair()
    peer.curve_publickey, peer.curve_secretkey, peer.curve_serverkey = public, secret, public


def lab_key(peer):
    secure_client(peer, "tcp")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("credentials", [without_keys, foreign_key, foreign_lab])
def test_strangers_are_refused(pair, kind, credentials):
    endpoint = dict(pair.places())[kind]
    entered = {}
    for who in (credentials, lab_key):
        # the lab's own key last: it shows that the test can tell
        with zmq.Context() as context, context.socket(CLIENTS[kind]) as peer:
            peer.linger = 0
            who(peer)
            monitor = peer.get_monitor_socket()
            if peer.type == zmq.SUB:
                peer.subscribe(b"")
            peer.connect(endpoint)
            entered[who] = shakes_hands(monitor)
            peer.disable_monitor()
            monitor.close(0)
    assert entered == {credentials: False, lab_key: True}
    if credentials is foreign_key:
        wait_until(lambda: pair.victim.execute_as_function(refused_connections) >= 1)
    pair.round(1)
    assert pair.victim.bad_message_count() == 0


def shakes_hands(monitor):
    """Tell whether the connection of a monitored socket has been let in."""
    failures = {
        zmq.EVENT_HANDSHAKE_FAILED_AUTH,
        zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL,
        zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL,
        zmq.EVENT_DISCONNECTED,
    }
    while monitor.poll(3000):
        event = recv_monitor_message(monitor)["event"]
        if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            return True
        if event in failures:
            return False
    return False


def requests(*frames):
    return [b"1.0", b"1", *frames]


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [b"1.0"],
        requests(),
        requests(ZAP_DOMAIN, b"1.2.3.4", b"", b"NULL"),
        requests(ZAP_DOMAIN, b"1.2.3.4", b"", b"PLAIN", b"user", b"password"),
        requests(ZAP_DOMAIN, b"1.2.3.4", b"", b"CURVE"),
        requests(ZAP_DOMAIN, b"1.2.3.4", b"", b"CURVE", b""),
        requests(ZAP_DOMAIN, b"1.2.3.4", b"", b"CURVE", b"x" * 31),
        requests(ZAP_DOMAIN, b"1.2.3.4", b"", b"CURVE", b"x" * 32),
        requests(PLAIN_DOMAIN, b"1.2.3.4", b"", b"CURVE", b"x" * 32),
        requests(b"", b"", b"", b"NULL"),
    ],
)
def test_the_gatekeeper_refuses_whatever_it_does_not_know(gatekeeper, frames):
    assert gatekeeper.answer(frames)[2] == b"400"
    assert gatekeeper.refused == 1


def test_the_gatekeeper_outlives_odd_requests(gatekeeper):
    with gatekeeper.context.socket(zmq.REQ) as asker:
        asker.linger, asker.rcvtimeo = 0, 3000
        asker.connect("inproc://zeromq.zap.01")
        for _ in range(3):
            asker.send_multipart([b"1.0", b"7", ZAP_DOMAIN, b"\xff", b"", b"CURVE", b"short"])
            assert asker.recv_multipart()[:3] == [b"1.0", b"7", b"400"]


@pytest.fixture
def gatekeeper():
    context = zmq.Context()
    gatekeeper = Gatekeeper(context)
    gatekeeper.context = context
    yield gatekeeper
    context.term()  # ends its thread, and waits for it to close its socket
