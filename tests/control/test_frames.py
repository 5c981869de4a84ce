"""The bytes are Pyro5's."""

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from Pyro5 import errors, protocol, serializers

from agentlab.control import frames
from agentlab.control.incoming import Incoming, Policy

ANY = Policy(frozenset(range(1, 7)), frozenset(range(1, 5)), 0x7F, True, 1 << 30)
KEYS = Policy(frozenset({frames.INVOKE}), frozenset({frames.MSGPACK}), frames.ONEWAY, False, 1 << 20)
SIZES = [0, 1, 200, 255, 256, 65535, 65536, 100_000]
pyro_msgpack = serializers.serializers["msgpack"]


def take(data, policy=ANY):
    incoming = Incoming(policy)
    incoming.feed(data)
    return incoming.take()


def pyro_call(object_id, method, payload, flags=0, seq=7):
    body = pyro_msgpack.dumpsCall(object_id, method, (payload,), {})
    return protocol.SendingMessage(protocol.MSG_INVOKE, flags, seq, pyro_msgpack.serializer_id, body).data


@pytest.mark.parametrize("size", SIZES)
def test_a_call_is_byte_for_byte_what_pyro_sends(size):
    payload = b"x" * size
    ours = b"".join(frames.pack_call(frames.call_head("obj", "call"), payload, frames.ONEWAY, 7))
    assert ours == pyro_call("obj", "call", payload, protocol.FLAGS_ONEWAY)


@pytest.mark.parametrize("size", SIZES)
def test_an_answer_is_byte_for_byte_what_pyro_sends(size):
    payload = b"x" * size
    theirs = protocol.SendingMessage(protocol.MSG_RESULT, 0, 9, 4, pyro_msgpack.dumps(payload)).data
    assert b"".join(frames.pack_result(payload, 9)) == theirs
    assert frames.parse_result(take(theirs)) == payload


@given(st.text("ab.é-" + "x" * 9, min_size=1, max_size=400), st.sampled_from(["call", "cast"]), st.binary(max_size=400))
def test_what_pyro_sends_is_read(object_id, method, payload):
    assert frames.parse_call(take(pyro_call(object_id, method, payload))) == (object_id, method, payload)


def test_pyro_reads_a_failure_as_an_exception():
    message = protocol.ReceivingMessage((data := frames.pack_failure(3, "it failed", "builtins.ValueError"))[:40], data[40:])
    error = pyro_msgpack.loads(message.data)
    assert message.flags == protocol.FLAGS_EXCEPTION
    assert isinstance(error, errors.PyroError)
    assert str(error) == "it failed"
    assert frames.parse_failure(take(data)) == ("it failed", "builtins.ValueError")


def test_pyro_s_own_exceptions_are_read_without_building_them():
    data = protocol.SendingMessage(protocol.MSG_RESULT, 1, 0, 4, pyro_msgpack.dumps(ZeroDivisionError("by zero"))).data
    assert frames.parse_failure(take(data)) == ("by zero", "builtins.ZeroDivisionError")


@given(st.lists(st.binary(max_size=300), max_size=5), st.data())
def test_messages_survive_any_cut(payloads, data):
    head = frames.call_head("o", "call")
    wire = b"".join(b"".join(frames.pack_call(head, p, 0, n)) for n, p in enumerate(payloads))
    incoming, got = Incoming(KEYS), []
    while wire:
        cut = data.draw(st.integers(1, len(wire)))
        incoming.feed(wire[:cut])
        wire = wire[cut:]
        while message := incoming.take():
            got.append((message.seq, frames.parse_call(message)[2]))
    assert got == list(enumerate(payloads))
    assert len(incoming) == incoming.missing == 0


@given(st.binary(max_size=200))
def test_arbitrary_bodies_are_a_call_or_refused(body):
    message = take(frames.pack(frames.INVOKE, 0, 0, frames.MSGPACK, body))
    try:
        object_id, method, payload = frames.parse_call(message)
    except frames.BadMessageError:
        return
    assert msgpack.unpackb(body) == [object_id, method, [payload], {}]


@pytest.mark.parametrize(
    "body",
    [
        pyro_msgpack.dumpsCall("o", "call", (b"x",), {"a": 1}),
        pyro_msgpack.dumpsCall("o", "call", (b"x", b"y"), {}),
        pyro_msgpack.dumpsCall("o", "call", (), {}),
        pyro_msgpack.dumpsCall("o", "call", ("text",), {}),
        pyro_msgpack.dumpsCall(b"o", "call", (b"x",), {}),
        pyro_msgpack.dumpsCall("o", "call", (b"x",), {}) + b"\x80",
        pyro_msgpack.dumpsCall("o", "call", (b"x",), {})[:-1],
        pyro_msgpack.dumpsCall("o", "call", (b"x" * 300,), {})[:-50],
        b"",
        b"\x94",
        b"\x94\xa9",
        b"\x94\xa1o\xa4call\x91\xc6\xff\xff\xff\xff\x80",
    ],
)
def test_bodies_that_are_no_plain_call(body):
    with pytest.raises(frames.BadMessageError):
        frames.parse_call(take(frames.pack(frames.INVOKE, 0, 0, frames.MSGPACK, body)))


@pytest.mark.parametrize("body", [b"", b"\xa1x", b"\xc0", b"\xc4\x01", b"\xc4\x01xx", b"\xc6\xff\xff\xff\xff"])
def test_bodies_that_are_no_answer(body):
    with pytest.raises(frames.BadMessageError):
        frames.parse_result(take(frames.pack(frames.RESULT, 0, 0, frames.MSGPACK, body)))


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"PYRX",
        b"X",
        frames.HEADER.pack(b"PYRO", 501, 4, 4, 0, 0, 0, 0, bytes(16), 0, 0x4DC5),
        frames.HEADER.pack(b"PYRO", 502, 4, 4, 0, 0, 0, 0, bytes(16), 0, 0x4DC6),
        frames.HEADER.pack(b"PYRO", 502, 4, 4, 0, 0, 0xFFFFFFFF, 0, bytes(16), 0, 0x4DC5),
        frames.HEADER.pack(b"PYRO", 502, 4, 4, 0, 0, 0, 0xFFFFFFFF, bytes(16), 0, 0x4DC5),
        frames.HEADER.pack(b"PYRO", 502, 4, 4, 0, 0, 0, 8, bytes(16), 0, 0x4DC5),
        *(frames.HEADER.pack(b"PYRO", 502, 4, s, 0, 0, 5, 0, bytes(16), 0, 0x4DC5) for s in (0, 1, 2, 3, 5, 42, 255)),
        *(frames.HEADER.pack(b"PYRO", 502, k, 4, 0, 0, 5, 0, bytes(16), 0, 0x4DC5) for k in (0, 1, 2, 3, 5, 6, 7)),
        *(frames.HEADER.pack(b"PYRO", 502, 4, 4, f, 0, 5, 0, bytes(16), 0, 0x4DC5) for f in (1, 2, 8, 16, 32, 64, 128, 0x8000)),
    ],
)
def test_what_is_not_accepted_is_refused_by_its_first_bytes(data):
    incoming = Incoming(KEYS)
    incoming.feed(data)
    with pytest.raises(frames.BadMessageError):
        incoming.take()
