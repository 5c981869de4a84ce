"""Channels are values too, but each object has a uuid of its own; both can be plain data."""

import json
import pickle

import msgpack
import pytest

from agentlab.errors import WrongAddressError
from agentlab.wire.address import AgentAddress
from agentlab.wire.channel import AgentChannel, address_from_plain, address_to_plain

RECEIVER = AgentAddress("tcp", "127.0.0.1:80", "PULL", "server", "json")
SENDER = AgentAddress("ipc", "/x", "PUB", "server", "raw")
CHANNELS = [
    AgentChannel("ASYNC_REP", RECEIVER, None),
    AgentChannel("SYNC_PUB", RECEIVER, SENDER),
    AgentChannel("SYNC_SUB", None, SENDER, twin_uuid="ab"),
]


def test_equality_is_kind_and_ends_never_the_uuid():
    one, two = AgentChannel("SYNC_PUB", RECEIVER, SENDER), AgentChannel("SYNC_PUB", RECEIVER, SENDER, twin_uuid="x")
    assert one.uuid != two.uuid
    assert one == two and hash(one) == hash(two)
    assert one != AgentChannel("SYNC_SUB", RECEIVER, SENDER)
    assert one != AgentChannel("SYNC_PUB", None, SENDER)
    assert one != AgentChannel("SYNC_PUB", RECEIVER, None)
    assert one != RECEIVER


def test_twin_swaps_and_twins_and_remembers():
    channel = AgentChannel("SYNC_PUB", RECEIVER, SENDER)
    twin = channel.twin()
    assert (twin.kind, twin.receiver, twin.sender) == ("SYNC_SUB", SENDER.twin(), RECEIVER.twin())
    assert twin.twin_uuid == channel.uuid and twin.uuid != channel.uuid
    assert twin.twin() == channel
    half = AgentChannel("ASYNC_REP", RECEIVER, None).twin()
    assert (half.kind, half.receiver, half.sender) == ("ASYNC_REQ", None, RECEIVER.twin())


def test_transport_and_serializer_come_from_the_receiver_else_the_sender():
    both, only = AgentChannel("SYNC_PUB", RECEIVER, SENDER), AgentChannel("SYNC_PUB", None, SENDER)
    assert (both.transport, both.serializer) == ("tcp", "json")
    assert (only.transport, only.serializer) == ("ipc", "raw")


@pytest.mark.parametrize(
    "parts",
    [
        ("FOO", RECEIVER, None),
        ("SYNC_PUB", None, None),
        ("SYNC_PUB", "a:1", None),
        ("SYNC_PUB", RECEIVER, 1),
        ("SYNC_PUB", RECEIVER, None, b"x"),
    ],
)
def test_a_wrong_channel(parts):
    with pytest.raises(WrongAddressError):
        AgentChannel(*parts)


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_by_value_with_its_uuid(channel, protocol):
    again = pickle.loads(pickle.dumps(channel, protocol))
    assert again == channel and again is not channel
    assert (again.uuid, again.twin_uuid) == (channel.uuid, channel.twin_uuid)


def test_immutable():
    with pytest.raises(AttributeError, match="immutable"):
        CHANNELS[0].kind = "SYNC_PUB"
    assert "AgentAddress(tcp, 127.0.0.1:80, PULL, server, json)" in repr(CHANNELS[0])


@pytest.mark.parametrize("value", [*CHANNELS, RECEIVER, SENDER, RECEIVER.twin()])
def test_plain_data_come_back(value):
    plain = address_to_plain(value)
    for again in (json.loads(json.dumps(plain)), msgpack.unpackb(msgpack.packb(plain, strict_types=True))):
        back = address_from_plain(again)
        assert back == value and type(back) is type(value)
        assert getattr(back, "uuid", None) == getattr(value, "uuid", None)
        assert getattr(back, "twin_uuid", None) == getattr(value, "twin_uuid", None)


def test_only_addresses_become_plain():
    with pytest.raises(WrongAddressError):
        address_to_plain("tcp://a:1")


ADDRESS, CHANNEL = address_to_plain(RECEIVER), address_to_plain(CHANNELS[1])


@pytest.mark.parametrize(
    "plain",
    [
        None,
        [],
        {},
        "address",
        {"type": []},
        {"type": "address"},
        {"type": "channel"},
        {**ADDRESS, "kind": []},
        {**ADDRESS, "kind": "FOO"},
        {**ADDRESS, "address": {}},
        {**ADDRESS, "address": None},
        {**CHANNEL, "receiver": CHANNEL},
        {**CHANNEL, "receiver": "x"},
        {**CHANNEL, "receiver": None, "sender": None},
        {**CHANNEL, "uuid": None},
        {**CHANNEL, "uuid": []},
        {**CHANNEL, "twin_uuid": {}},
        {**CHANNEL, "kind": "PUB"},
        {key: value for key, value in CHANNEL.items() if key != "uuid"},
    ],
)
def test_hostile_plain_data(plain):
    with pytest.raises(WrongAddressError):
        address_from_plain(plain)


@pytest.mark.parametrize("field", ["transport", "address", "kind", "role", "serializer"])
def test_hostile_plain_data_of_any_depth(field):
    deep = []
    for _ in range(100_000):
        deep = [deep]
    for plain in ({**ADDRESS, field: deep}, {"type": deep}, deep, {**CHANNEL, "kind": deep}, {**CHANNEL, "uuid": deep}):
        with pytest.raises(WrongAddressError) as caught:
            address_from_plain(plain)
        assert len(str(caught.value)) < 1000
