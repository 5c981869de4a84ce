"""Names of what a socket can be: kinds, roles, transports, serializers, and the kinds of channels.

Every enumeration here is a text: ``AgentAddressKind.PUSH == 'PUSH'``, also as the key of a dict. Whatever takes
a member takes its text as well.
"""

from __future__ import annotations

import reprlib
from enum import StrEnum
from typing import NoReturn

from agentlab.errors import WrongAddressError

# The numbers are part of ZeroMQ's interface (zmq.h) and never change; a test compares them with pyzmq's.
ZMQ_NUMBERS = {
    "PAIR": 0,
    "PUB": 1,
    "SUB": 2,
    "REQ": 3,
    "REP": 4,
    "DEALER": 5,
    "ROUTER": 6,
    "PULL": 7,
    "PUSH": 8,
    "XPUB": 9,
    "XSUB": 10,
    "PULL_SYNC_PUB": 7,
    "PUSH_SYNC_SUB": 8,
}

_TWINS = {
    "REQ": "REP",
    "PUSH": "PULL",
    "PUB": "SUB",
    "PULL_SYNC_PUB": "PUSH_SYNC_SUB",
    "ASYNC_REQ": "ASYNC_REP",
    "SYNC_PUB": "SYNC_SUB",
    "server": "client",
}
_TWINS |= {right: left for left, right in _TWINS.items()}

_HANDLER_KINDS = frozenset({"REP", "PULL", "SUB", "PULL_SYNC_PUB", "ASYNC_REP", "SYNC_PUB"})

_SHOWN = reprlib.Repr()
_SHOWN.maxstring = _SHOWN.maxother = 200
_SHOWN.maxlevel = 3


def shown(value: object) -> str:
    """Give a value's repr for an error message: short, however long or deep the value is."""
    return _SHOWN.repr(value)


class _Text(StrEnum):
    """A string enumeration whose error for a wrong value names the allowed ones."""

    @classmethod
    def _missing_(cls, value: object) -> NoReturn:
        raise WrongAddressError(f"{shown(value)} is no {cls.__name__}; allowed are {', '.join(cls)}")


class AgentAddressTransport(_Text):
    """How bytes travel: over the network, over a socket file of this machine, or inside one process."""

    tcp = "tcp"
    ipc = "ipc"
    inproc = "inproc"


class AgentAddressRole(_Text):
    """Who binds (the server) and who connects (the client)."""

    server = "server"
    client = "client"

    def twin(self) -> AgentAddressRole:
        """Give the role of the other end."""
        return AgentAddressRole(_TWINS[self.value])


class AgentAddressKind(_Text):
    """The kind of one socket. ``PULL_SYNC_PUB`` and ``PUSH_SYNC_SUB`` are the request halves of a SYNC_PUB channel."""

    REQ = "REQ"
    REP = "REP"
    PUSH = "PUSH"
    PULL = "PULL"
    PUB = "PUB"
    SUB = "SUB"
    PULL_SYNC_PUB = "PULL_SYNC_PUB"
    PUSH_SYNC_SUB = "PUSH_SYNC_SUB"

    def twin(self) -> AgentAddressKind:
        """Give the kind of the other end."""
        return AgentAddressKind(_TWINS[self.value])

    def zmq(self) -> int:
        """Give ZeroMQ's number of the socket type, equal to pyzmq's constant."""
        return ZMQ_NUMBERS[self.value]

    def requires_handler(self) -> bool:
        """Tell whether a socket of this kind makes no sense without a handler."""
        return self.value in _HANDLER_KINDS


class AgentAddressSerializer(_Text):
    """How a message becomes bytes; see :mod:`agentlab.wire.serializers` for what each can carry."""

    raw = "raw"
    pickle = "pickle"
    cloudpickle = "cloudpickle"
    dill = "dill"
    json = "json"
    msgpack = "msgpack"

    @property
    def requires_separator(self) -> bool:
        """Whether a publication's topic and its body must be told apart: false only for raw."""
        return self.value != "raw"


class AgentChannelKind(_Text):
    """The kind of a channel: addresses that make one pattern together."""

    ASYNC_REQ = "ASYNC_REQ"
    ASYNC_REP = "ASYNC_REP"
    SYNC_PUB = "SYNC_PUB"
    SYNC_SUB = "SYNC_SUB"

    def twin(self) -> AgentChannelKind:
        """Give the kind of the other end."""
        return AgentChannelKind(_TWINS[self.value])

    def requires_handler(self) -> bool:
        """Tell whether a channel of this kind makes no sense without a handler."""
        return self.value in _HANDLER_KINDS


def guess_kind(text: str) -> AgentAddressKind | AgentChannelKind:
    """Give the address kind or the channel kind of that name.

    Raises:
        WrongAddressError: there is neither.
    """
    if isinstance(text, (AgentAddressKind, AgentChannelKind)):
        return text
    for kinds in (AgentAddressKind, AgentChannelKind):
        if text in list(kinds):
            return kinds(text)
    allowed = ", ".join([*AgentAddressKind, *AgentChannelKind])
    raise WrongAddressError(f"{shown(text)} is no kind of address or channel; allowed are {allowed}")
