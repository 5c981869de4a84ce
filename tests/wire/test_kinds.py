"""The names of kinds, roles, transports and serializers are texts that know their other ends."""

import pickle

import pytest
import zmq

from agentlab.errors import WrongAddressError
from agentlab.wire.kinds import (
    ZMQ_NUMBERS,
    AgentAddressKind,
    AgentAddressRole,
    AgentAddressSerializer,
    AgentAddressTransport,
    AgentChannelKind,
    guess_kind,
)

ENUMERATIONS = {
    AgentAddressTransport: ["tcp", "ipc", "inproc"],
    AgentAddressRole: ["server", "client"],
    AgentAddressKind: ["REQ", "REP", "PUSH", "PULL", "PUB", "SUB", "PULL_SYNC_PUB", "PUSH_SYNC_SUB"],
    AgentAddressSerializer: ["raw", "pickle", "cloudpickle", "dill", "json", "msgpack"],
    AgentChannelKind: ["ASYNC_REQ", "ASYNC_REP", "SYNC_PUB", "SYNC_SUB"],
}
MEMBERS = [member for enumeration in ENUMERATIONS for member in enumeration]


@pytest.mark.parametrize("enumeration", ENUMERATIONS)
def test_the_members_are_these(enumeration):
    assert list(enumeration) == ENUMERATIONS[enumeration]


@pytest.mark.parametrize("member", MEMBERS)
def test_a_member_is_its_text(member):
    text = member.value
    assert type(text) is str
    assert member == text
    assert hash(member) == hash(text)
    assert {text: 1}[member] == {member: 1}[text] == 1
    assert str(member) == f"{member}" == f"{member:s}" == text
    assert type(member)(text) is type(member)(member) is member


@pytest.mark.parametrize("member", MEMBERS)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_member_survives_pickling(member, protocol):
    assert pickle.loads(pickle.dumps(member, protocol)) is member


@pytest.mark.parametrize("enumeration", ENUMERATIONS)
@pytest.mark.parametrize("wrong", ["foo", "", "pub", None, 3, [], b"PUB"])
def test_a_wrong_value_is_an_error_that_names_the_allowed_ones(enumeration, wrong):
    with pytest.raises(WrongAddressError, match=", ".join(ENUMERATIONS[enumeration])) as caught:
        enumeration(wrong)
    assert isinstance(caught.value, ValueError)
    assert repr(wrong) in str(caught.value)


def test_the_error_for_a_long_wrong_value_is_short():
    with pytest.raises(WrongAddressError) as caught:
        AgentAddressKind("x" * 100_000)
    assert len(str(caught.value)) < 500


def test_the_numbers_are_those_of_zeromq():
    for name, number in ZMQ_NUMBERS.items():
        assert number == getattr(zmq, name.split("_")[0])
    for kind in AgentAddressKind:
        assert kind.zmq() == getattr(zmq, kind.value.split("_")[0])
        assert type(kind.zmq()) is int
    assert AgentAddressKind.PULL_SYNC_PUB.zmq() == zmq.PULL
    assert AgentAddressKind.PUSH_SYNC_SUB.zmq() == zmq.PUSH


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (AgentAddressKind.REQ, AgentAddressKind.REP),
        (AgentAddressKind.PUSH, AgentAddressKind.PULL),
        (AgentAddressKind.PUB, AgentAddressKind.SUB),
        (AgentAddressKind.PULL_SYNC_PUB, AgentAddressKind.PUSH_SYNC_SUB),
        (AgentChannelKind.ASYNC_REQ, AgentChannelKind.ASYNC_REP),
        (AgentChannelKind.SYNC_PUB, AgentChannelKind.SYNC_SUB),
        (AgentAddressRole.server, AgentAddressRole.client),
    ],
)
def test_twins(left, right):
    assert left.twin() is right
    assert right.twin() is left


def test_who_requires_a_handler():
    requiring = {kind for kinds in (AgentAddressKind, AgentChannelKind) for kind in kinds if kind.requires_handler()}
    assert requiring == {"REP", "PULL", "SUB", "PULL_SYNC_PUB", "ASYNC_REP", "SYNC_PUB"}


def test_only_raw_requires_no_separator():
    assert [serializer for serializer in AgentAddressSerializer if not serializer.requires_separator] == ["raw"]


def test_guess_kind():
    for kinds in (AgentAddressKind, AgentChannelKind):
        for kind in kinds:
            assert guess_kind(kind) is guess_kind(kind.value) is kind


@pytest.mark.parametrize("wrong", ["foo", "", None, 1, []])
def test_guess_kind_of_nothing(wrong):
    with pytest.raises(WrongAddressError, match=r"REQ.*SYNC_SUB"):
        guess_kind(wrong)
