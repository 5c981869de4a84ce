"""Channels: two addresses that make one pattern together; and addresses as plain data, for JSON and msgpack."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from agentlab.errors import WrongAddressError
from agentlab.wire.address import (
    AgentAddress,
    AgentAddressSerializer,
    AgentAddressTransport,
    Value,
)
from agentlab.wire.kinds import AgentChannelKind, guess_kind, shown

__all__ = ["AgentChannel", "AgentChannelKind", "address_from_plain", "address_to_plain", "guess_kind"]


class AgentChannel(Value):
    """Two addresses that make one pattern together: ASYNC_REQ with ASYNC_REP, or SYNC_PUB with SYNC_SUB.

    Two channels are equal when kind, receiver and sender are. ``uuid`` (32 hexadecimal digits) is fresh for every
    object that is made, travels with it when it is pickled, and is no part of the equality.

    Args:
        kind: See :class:`AgentChannelKind`.
        receiver: The address of the socket that receives, or None.
        sender: The address of the socket that sends, or None.
        twin_uuid: ``uuid`` of the channel at the other end, where known.

    Raises:
        WrongAddressError: the kind does not exist, or there is no address at all.
    """

    __slots__ = ("kind", "receiver", "sender", "twin_uuid", "uuid")
    _fields = ("kind", "receiver", "sender")
    kind: AgentChannelKind
    receiver: AgentAddress | None
    sender: AgentAddress | None
    twin_uuid: str | None
    uuid: str

    def __init__(
        self,
        kind: AgentChannelKind | str,
        receiver: AgentAddress | None,
        sender: AgentAddress | None,
        twin_uuid: str | None = None,
    ) -> None:
        for end in (receiver, sender):
            if end is not None and not isinstance(end, AgentAddress):
                raise WrongAddressError(f"{shown(end)} is no end of a channel; give an AgentAddress or None")
        if receiver is None and sender is None:
            raise WrongAddressError("a channel without receiver and sender leads nowhere; give at least one AgentAddress")
        if twin_uuid is not None and not isinstance(twin_uuid, str):
            raise WrongAddressError(f"{shown(twin_uuid)} is no uuid of a channel; give a text or None")
        self._fill(kind=AgentChannelKind(kind), receiver=receiver, sender=sender, twin_uuid=twin_uuid, uuid=uuid4().hex)

    @property
    def transport(self) -> AgentAddressTransport:
        """The transport of the receiver, else of the sender."""
        return self._end().transport

    @property
    def serializer(self) -> AgentAddressSerializer:
        """The serializer of the receiver, else of the sender."""
        return self._end().serializer

    def twin(self) -> AgentChannel:
        """Give the channel of the other end: who receives here sends there. It remembers this ``uuid`` as ``twin_uuid``."""
        receiver = None if self.sender is None else self.sender.twin()
        sender = None if self.receiver is None else self.receiver.twin()
        return AgentChannel(self.kind.twin(), receiver, sender, twin_uuid=self.uuid)

    def _end(self) -> AgentAddress:
        end = self.receiver if self.receiver is not None else self.sender
        assert end is not None  # the constructor saw to it
        return end

    def __repr__(self) -> str:
        return f"AgentChannel({self.kind}, receiver={self.receiver}, sender={self.sender})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.kind, self.receiver, self.sender, self.twin_uuid, self.uuid)


def _rebuild(
    cls: type[AgentChannel],
    kind: str,
    receiver: AgentAddress | None,
    sender: AgentAddress | None,
    twin_uuid: str | None,
    uuid: str,
) -> AgentChannel:
    if not isinstance(uuid, str):
        raise WrongAddressError(f"{shown(uuid)} is no uuid of a channel; it must be a text")
    channel = cls(kind, receiver, sender, twin_uuid)
    object.__setattr__(channel, "uuid", uuid)
    return channel


def address_to_plain(address: AgentAddress | AgentChannel) -> dict[str, Any]:
    """Give an address or a channel as a dict of plain texts, which JSON and msgpack can carry.

    Raises:
        WrongAddressError: it is neither.
    """
    if isinstance(address, AgentAddress):
        # str() of each: a member of a string enumeration is no exact str, which strict packers refuse.
        fields: dict[str, Any] = {name: _plain_text(getattr(address, name)) for name in AgentAddress._fields}
        return {"type": "address", **fields}
    if isinstance(address, AgentChannel):
        return {
            "type": "channel",
            "kind": address.kind.value,
            "receiver": None if address.receiver is None else address_to_plain(address.receiver),
            "sender": None if address.sender is None else address_to_plain(address.sender),
            "twin_uuid": address.twin_uuid,
            "uuid": address.uuid,
        }
    raise WrongAddressError(f"{shown(address)} is neither an AgentAddress nor an AgentChannel")


def address_from_plain(plain: Any) -> AgentAddress | AgentChannel:
    """Give the address or channel that :func:`address_to_plain` was given.

    Raises:
        WrongAddressError: the data do not describe one; hostile data raise nothing else.
    """
    kind = plain.get("type") if isinstance(plain, dict) else None
    try:
        if kind == "address":
            return AgentAddress(*(_text(plain[name]) for name in AgentAddress._fields))
        if kind == "channel":
            ends = [None if plain[end] is None else _address(plain[end]) for end in ("receiver", "sender")]
            return _rebuild(AgentChannel, _text(plain["kind"]), ends[0], ends[1], plain["twin_uuid"], plain["uuid"])
    except KeyError as error:
        raise WrongAddressError(f"the plain {kind} lacks the key {error}; give what address_to_plain made") from None
    raise WrongAddressError(f"{shown(plain)} describes no address or channel; give what address_to_plain made")


def _address(plain: Any) -> AgentAddress:
    if not isinstance(plain, dict) or plain.get("type") != "address":
        raise WrongAddressError(f"{shown(plain)} describes no address; give what address_to_plain made")
    address = address_from_plain(plain)
    assert isinstance(address, AgentAddress)
    return address


def _text(value: Any) -> str:
    # Checked before an enumeration sees it, whose own error would print the whole of it, however deep.
    if not isinstance(value, str):
        raise WrongAddressError(f"{shown(value)} is no part of an address; give what address_to_plain made")
    return value


def _plain_text(value: object) -> str:
    return str.__str__(value) if isinstance(value, str) else str(value)
