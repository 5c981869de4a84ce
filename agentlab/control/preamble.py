"""What a daemon hears first on a connection: the proof, then one small handshake. Pure: fed bytes, gives bytes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import msgpack

from agentlab.control import frames
from agentlab.control.auth import CHALLENGE, NO_KEYS, REASONS, Authenticator, Refused
from agentlab.control.incoming import Incoming, Policy

Metadata = Mapping[str, list[str]]
OPAQUE_METADATA: Metadata = {"methods": ["call", "cast"], "oneway": ["cast"], "attrs": []}


class Preamble:
    """The daemon's side of a connection until it may carry calls.

    Args:
        authenticator: Proves the other end.
        policy: Which handshake is accepted.
        metadata: Gives what a Pyro5 client wants to know of an object; None for one that is not served.
    """

    def __init__(self, authenticator: Authenticator, policy: Policy, metadata: Callable[[str], Metadata | None]) -> None:
        self._authenticator = authenticator
        self._incoming = Incoming(policy)
        self._metadata = metadata
        self.object_id = ""
        """What the connection is for, when it is done."""
        self.done = False

    def start(self) -> bytes:
        """Give the first bytes to send.

        Raises:
            Refused: the other end is refused whatever it sends.
        """
        return self._authenticator.start()

    def receive(self, data: bytes) -> bytes:
        """Take received bytes and give what to send; not to be called when done.

        Raises:
            Refused: with the farewell to send before the connection is closed.
            BadMessageError: what came is no handshake that is accepted here.
        """
        out = b""
        if not self._authenticator.done:
            out = self._authenticator.receive(data)
            data = self._authenticator.rest
        if data:
            self._incoming.feed(data)
        if self._authenticator.done and len(self._incoming):
            out += self._handshake(data)
        return out

    def _handshake(self, data: bytes) -> bytes:
        if self._authenticator.kind == "open" and data.startswith(CHALLENGE):
            raise Refused("asks for a proof of the lab's key, but security is 'none' here", NO_KEYS)
        message = self._incoming.take()
        if message is None:
            return b""
        if len(self._incoming):
            raise frames.BadMessageError("something came before the handshake was answered")
        object_id = _object_id(message)
        metadata = self._metadata(object_id)
        if metadata is None:
            text = f"no object {object_id[:80]!r} is served here"
            raise Refused(text, _reply(frames.CONNECT_FAIL, message, text))
        self.done, self.object_id = True, object_id
        return _reply(frames.CONNECT_OK, message, {"handshake": "hello", "meta": {k: list(v) for k, v in metadata.items()}})


class ClientPreamble:
    """The client's side of a connection until it may carry calls.

    Args:
        authenticator: Proves the other end.
        policy: Which answer to the handshake is accepted.
        object_id: The object to be called.
    """

    def __init__(self, authenticator: Authenticator, policy: Policy, object_id: str) -> None:
        self._authenticator = authenticator
        self._incoming = Incoming(policy)
        self._object_id = object_id
        self.done = False
        self.takes_payloads = True
        """Whether the object has the methods that take payloads; a stock one of Pyro5 has its own."""
        self.metadata: dict[str, Any] = {}
        """What the other end says of the object; it may be anything."""

    def start(self) -> bytes:
        """Give the first bytes to send.

        Raises:
            Refused: the other end is refused whatever it sends.
        """
        out = self._authenticator.start()
        return out + self._hello() if self._authenticator.done else out

    def receive(self, data: bytes) -> bytes:
        """Take received bytes and give what to send; not to be called when done.

        Raises:
            Refused: the other end has not proved itself, or refuses this one.
            BadMessageError: the answer is none, or the object is not served.
        """
        if not self._proved():
            out = self._authenticator.receive(data)
            return out + self._hello() if self._proved() else out
        if not len(self._incoming) and data[:4] in REASONS:
            raise Refused(REASONS[data[:4]])
        self._incoming.feed(data)
        message = self._incoming.take()
        if message is not None:
            answer = _loads(message)
            if message.kind != frames.CONNECT_OK:
                raise frames.BadMessageError(str(answer)[:200])
            self.done = True
            meta = answer.get("meta") if isinstance(answer, dict) else None
            self.metadata = meta if isinstance(meta, dict) else {}
            self.takes_payloads = _takes_payloads(self.metadata)
        return b""

    def _proved(self) -> bool:
        return self._authenticator.done

    def _hello(self) -> bytes:
        hello = json.dumps({"handshake": "hello", "object": self._object_id}).encode()
        return frames.pack(frames.CONNECT, 0, 0, frames.JSON, hello)


def _takes_payloads(metadata: dict[str, Any]) -> bool:
    methods = metadata.get("methods")
    return not isinstance(methods, (list, tuple, set)) or "call" in methods


def _object_id(message: frames.Message) -> str:
    asked = _loads(message)
    object_id = asked.get("object") if isinstance(asked, dict) else None
    if not isinstance(object_id, str):
        raise frames.BadMessageError("this handshake asks for no object")
    return object_id


def _reply(kind: int, request: frames.Message, value: Any) -> bytes:
    return frames.pack(kind, 0, request.seq, request.serializer, _DUMPS[request.serializer](value))


def _loads(message: frames.Message) -> Any:
    try:
        return _LOADS[message.serializer](message.body())
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError, msgpack.UnpackException):
        raise frames.BadMessageError("this handshake cannot be read") from None


def _serpent_loads(data: bytes) -> Any:
    import serpent  # only stock clients speak it, and only where security is 'none'

    return serpent.loads(data)


def _serpent_dumps(value: Any) -> bytes:
    import serpent

    return bytes(serpent.dumps(value))


# Plain values only: none of these builds an object of a class that the sender names.
_LOADS: dict[int, Callable[[bytes], Any]] = {
    frames.JSON: json.loads,
    frames.MSGPACK: lambda data: msgpack.unpackb(data, strict_map_key=True),
    frames.SERPENT: _serpent_loads,
}
_DUMPS: dict[int, Callable[[Any], bytes]] = {
    frames.JSON: lambda value: json.dumps(value).encode(),
    frames.MSGPACK: msgpack.packb,
    frames.SERPENT: _serpent_dumps,
}
