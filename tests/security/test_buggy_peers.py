"""Peers of the same user, or with the lab's key, that send nonsense: the agent lives, counts it, and serves the others."""

from __future__ import annotations

import os
import pickle
import random

import pytest
import zmq

from agentlab.transport.security import secure_client
from tests.security.conftest import Pair
from tests.security.helpers import bare, wait_until

SERIALIZERS = ("raw", "pickle", "cloudpickle", "dill", "json", "msgpack")
REPLY_TOPIC = b"\x00reply nobody"


def nonsense(chance: random.Random) -> list[list[bytes]]:
    """Messages that no serializer but raw can read, of one to five frames."""
    header = b"\x01" + (2).to_bytes(4, "big") + pickle.dumps([1])
    whole = pickle.dumps({"a": list(range(50))}, 5)
    return [
        [b""],
        [b"", b""],
        [b"", b"", b"", b"", b""],
        [whole[: len(whole) // 2]],
        [whole[:-1]],
        [b"\x80\x05."],
        [b"\x80\xff."],
        [b"\x01"],
        [b"\x01\xff\xff\xff\xff" + pickle.dumps(1)],  # announces 4 billion buffers
        [b"\x01\0\0\0\0"],
        [header],
        [header, b"x"],
        [header, b"x", b"y", b"z"],
        [header, b"x" * 5000, b"y" * 5000],  # as many as announced, but the pickle has no use for them
        [b"\x02"],
        [b"\x02" + pickle.dumps(1)],
        [b"\x02\x00\x01"],
        [b"\x02", b"\x02"],
        [b"\x03"],
        [b"\x03" + pickle.dumps(1)],
        [b"\x03AGENTLAB-ERROR", b"x"],
        *([bytes([code])] for code in range(4, 9)),
        [b"{" * 50_000],
        [b"[" * 50_000],
        [b"\x00\xdd\xff\xff\xff\xff"],  # msgpack: a list of 4 billion
        [b"\x00" + b"\x91" * 50_000],
        [b"\x80\x05\x8e" + (1 << 62).to_bytes(8, "little")],  # a pickle: bytes of 4 EiB
        [b"\x80\x04cos\n_no_such_thing\n."],
        *([noise(chance) for _ in range(n)] for n in range(1, 6) for _ in range(20)),
    ]


def noise(chance: random.Random) -> bytes:
    """Random bytes that are no pickle, neither from their beginning nor after the stamp of a publication.

    With others a pickle could begin that takes gigabytes: see the test of that.
    """
    return b"\xff" + chance.randbytes(11) + b"\xff" + chance.randbytes(chance.randrange(200))


@pytest.fixture
def chance():
    print("seed", seed := random.randrange(1 << 32))
    return random.Random(seed)


@pytest.fixture(params=[("ipc", name) for name in SERIALIZERS] + [("tcp", "pickle"), ("tcp", "raw")], ids="-".join)
def pair(request, ns):
    return Pair(*request.param)


def peer_of(pair, kind, alias, index=0):
    place = [place for name, place in pair.places() if name == alias][index]
    return bare(kind, place, prepare=lambda peer: secure_client(peer, place.partition(":")[0]))


def test_nonsense_on_every_kind(pair, chance):
    pair.round()
    messages = nonsense(chance)
    for act in (nonsense_to_pull, nonsense_to_sub, nonsense_to_pub, nonsense_to_async_rep, nonsense_to_sync_pub, nonsense_to_rep):
        before = pair.victim.bad_message_count()
        act(pair, messages)
        pair.round(2)
        if act is nonsense_to_pub or (pair.is_raw and act in (nonsense_to_pull, nonsense_to_sub)):
            continue  # raw reads whatever comes; and see below
        least = before + len(messages)
        wait_until(lambda least=least: pair.victim.bad_message_count() >= least, 5.0, f"{act.__name__} is not counted")
    assert pair.victim.error_count() == 0, pair.victim.last_error()
    pair.newcomer()


def nonsense_to_pull(pair, messages):
    with peer_of(pair, zmq.PUSH, "PULL") as peer:
        for frames in messages:
            peer.send_multipart(frames)
        peer.linger = 2000
        wait_sent(peer)


def nonsense_to_sub(pair, messages):
    with peer_of(pair, zmq.XPUB, "SUB") as peer:
        peer.recv()  # the subscription is there
        for frames in messages:
            peer.send_multipart(frames)
            peer.send_multipart([b"topic", *frames])
            peer.send_multipart([b"\x00reply x", *frames])
        wait_sent(peer)


def nonsense_to_pub(pair, messages):
    for alias in ("PUB", "SYNC_PUB"):
        with peer_of(pair, zmq.XSUB, alias, 1 if alias == "SYNC_PUB" else 0) as peer:
            for frames in messages:
                peer.send_multipart([b"\xff" + frames[0], *frames[1:]])  # 0 and 1 would be subscriptions
            peer.send(b"\x00never subscribed")
            peer.send(b"\x01\x00agentlab lost " + b"x" * 20)
            peer.send(b"\x01" + REPLY_TOPIC)
            peer.send(b"\x01" + b"x" * 100_000)
            wait_sent(peer)


def nonsense_to_async_rep(pair, messages):
    with peer_of(pair, zmq.DEALER, "ASYNC_REP") as peer:
        for frames in messages:
            if len(frames) == 1:
                peer.send_multipart(frames)  # no body
            peer.send_multipart([b"number", b"\xff", *frames])
        for _ in messages:  # who closes with answers unread may lose what is still on its way
            assert peer.recv_multipart()[0] == b"number"
        wait_sent(peer)


def nonsense_to_sync_pub(pair, messages):
    with peer_of(pair, zmq.PUSH, "SYNC_PUB", 0) as peer:
        for frames in messages:
            peer.send_multipart(frames)
            peer.send_multipart([REPLY_TOPIC, b"number", b"\xff", *frames])
        wait_sent(peer)


def nonsense_to_rep(pair, messages):
    """Each is answered, with an error."""
    with peer_of(pair, zmq.REQ, "REP") as peer:
        for frames in messages:
            peer.send_multipart([*frames, b"\xff", b"\xff"])
            answer = peer.recv_multipart()
            assert answer[0][:1] == b"\x03", (frames, answer)
    with peer_of(pair, zmq.DEALER, "REP") as peer:  # a request without an envelope cannot be answered
        for frames in messages:
            peer.send_multipart([b"no envelope", *(frame or b"x" for frame in frames)])
        wait_sent(peer)


def wait_sent(peer):
    """Leave what was sent in the kernel's hands: closing then loses nothing."""
    peer.linger = 2000


def test_nonsense_on_pub_is_counted(ns):
    pair = Pair("ipc", "pickle")
    with peer_of(pair, zmq.XSUB, "PUB") as peer:
        peer.send_multipart([b"\xff", b"x"])
        wait_sent(peer)
    wait_until(lambda: pair.victim.bad_message_count() == 1, 0.5)


def test_seven_bytes_take_no_gigabyte(ns):
    pair = Pair("ipc", "pickle")
    before = pair.victim.most_memory()
    with peer_of(pair, zmq.PUSH, "PULL") as peer:
        peer.send(b"Nr" + (1 << 24).to_bytes(4, "little") + b".")  # None, put into the memo at place 2**24
        wait_sent(peer)
    pair.round()
    assert pair.victim.most_memory() - before < 50e6


def test_a_subscriber_outlives_a_publisher_with_impossible_numbers(ns):
    pair = Pair("ipc", "pickle")
    body = pickle.dumps("x", 5)
    with peer_of(pair, zmq.XPUB, "SUB") as peer:
        peer.recv()
        for number in (0, 2**64 - 1, 0, 2**64 - 1, 0, 2**64 - 1):
            peer.send_multipart([b"", number.to_bytes(8, "big") + os.urandom(4) + body])
            peer.send_multipart([b"", number.to_bytes(8, "big") + b"same" + body])
        wait_until(lambda: pair.victim.junk == 12)
    pair.round()
    assert pair.victim.error_count() == 0, pair.victim.last_error()
