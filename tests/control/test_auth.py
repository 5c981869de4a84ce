"""The proofs, without sockets."""

import os
import pickle

import pytest

from agentlab.control.auth import CHALLENGE, KEY_NEEDED, NO_KEYS, HmacChallenge, Open, PeerUid, Refused
from agentlab.control.incoming import Policy
from agentlab.control.preamble import OPAQUE_METADATA, ClientPreamble, Preamble

KEY, OTHER = b"k" * 32, b"o" * 32
CONNECT = Policy(frozenset({1}), frozenset({3}), 0, False, 65536)
ANSWER = Policy(frozenset({2, 3}), frozenset({3}), 0, False, 65536)


def converse(client, server, step=None):
    """Carry bytes to and fro until both are done; ``step`` bytes at a time."""

    def carry(data, to):
        if step is None:
            return to.receive(data) if data else b""
        return b"".join(to.receive(data[n : n + step]) for n in range(0, len(data), step))

    out = client.start() or server.start()
    while out:
        out = carry(out, server)
        out = carry(out, client) if out else b""
    return client.done and server.done


@pytest.mark.parametrize("step", [None, 1, 7])
def test_both_who_know_the_key_are_done(step):
    assert converse(HmacChallenge(KEY, server=False), HmacChallenge(KEY, server=True), step)


def test_a_client_with_another_key_is_refused():
    server = HmacChallenge(KEY, server=True)
    client = HmacChallenge(OTHER, server=False)
    proof = server.receive(client.start())
    with pytest.raises(Refused, match="key"):
        client.receive(proof)  # the client learns first, as the server's proof is wrong to it
    with pytest.raises(Refused) as refused:
        server.receive(b"\0" * 32)
    assert refused.value.farewell == KEY_NEEDED
    assert not server.done
    assert not client.done


def test_a_server_s_proof_cannot_be_reflected():
    server = HmacChallenge(KEY, server=True)
    mirror = HmacChallenge(KEY, server=True)
    answer = server.receive(CHALLENGE + bytes(32))
    mirrored = mirror.receive(answer[:36])  # the server's own nonce, signed by another server
    with pytest.raises(Refused):
        server.receive(mirrored[36:])


def test_a_recorded_proof_is_worth_nothing():
    client = HmacChallenge(KEY, server=False)
    first = HmacChallenge(KEY, server=True)
    hello = client.start()
    proof = client.receive(first.receive(hello))
    second = HmacChallenge(KEY, server=True)
    second.receive(hello)
    with pytest.raises(Refused):
        second.receive(proof)


@pytest.mark.parametrize("data", [b"X", b"PYRO", b"AGL2", CHALLENGE + bytes(33), b"\0" * 500])
def test_a_server_refuses_what_is_no_challenge(data):
    server = HmacChallenge(KEY, server=True)
    with pytest.raises(Refused):
        server.receive(data)
    assert not server.done


@pytest.mark.parametrize(
    ("data", "text"), [(NO_KEYS, "none"), (KEY_NEEDED, "lab's key"), (b"PYRO", "no challenge"), (b"zz", "no")]
)
def test_a_client_says_why_it_was_refused(data, text):
    with pytest.raises(Refused, match=text):
        HmacChallenge(KEY, server=False).receive(data)


def test_uids():
    own = os.geteuid()
    same = PeerUid(own)
    assert same.start() == b""
    assert same.done
    for uid in (own + 1, None, 0 if own else 1000):
        other = PeerUid(uid)
        with pytest.raises(Refused, match="user|unix"):
            other.start()
        assert not other.done


def test_the_key_shows_nowhere():
    for thing in (HmacChallenge(KEY, server=True), HmacChallenge(KEY, server=False)):
        assert "kkkk" not in repr(thing)
    server = HmacChallenge(KEY, server=True)
    server.receive(CHALLENGE + bytes(32))
    with pytest.raises(Refused) as refused:
        server.receive(bytes(32))
    assert "kkkk" not in repr(refused.value)
    assert str(pickle.loads(pickle.dumps(refused.value))) == str(refused.value)


def metadata(object_id):
    return OPAQUE_METADATA if object_id == "obj" else None


def test_a_whole_preamble():
    server = Preamble(HmacChallenge(KEY, server=True), CONNECT, metadata)
    client = ClientPreamble(HmacChallenge(KEY, server=False), ANSWER, "obj")
    assert converse(client, server)
    server = Preamble(Open(), CONNECT, metadata)
    client = ClientPreamble(Open(), ANSWER, "obj")
    assert converse(client, server)


def test_nothing_is_parsed_before_the_proof(monkeypatch):
    def no(*_):
        raise AssertionError("parsed")

    monkeypatch.setattr("agentlab.control.incoming.Incoming.take", no)
    server = Preamble(HmacChallenge(KEY, server=True), CONNECT, metadata)
    hello = ClientPreamble(Open(), ANSWER, "obj").start()
    with pytest.raises(Refused):
        server.receive(hello)
