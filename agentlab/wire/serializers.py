"""The serializers by name, and those that carry plain data.

=========== =====================================================================================================
name        carries
=========== =====================================================================================================
raw         bytes, bytearray, memoryview; text as UTF-8. Arrives as bytes. For programs that are not agentlab's.
pickle      any Python object; lambdas, local classes and what lives in ``__main__`` go by value. The default.
cloudpickle the same, always by cloudpickle
dill        the same and some more, always by dill; but no enumeration of ``__main__``
json        None, bool, int, float (NaN and infinities too), text, lists, dicts. Tuples arrive as lists, keys of
            dicts as text. No bytes.
msgpack     the same and bytes; keys of dicts keep their type; integers of 64 bits at most. Tuples arrive as lists,
            bytearray and memoryview as bytes.
=========== =====================================================================================================

A member of a string enumeration arrives over json and msgpack as plain text, a NumPy float as a float. Other NumPy
data want a pickle: buffers of 4096 bytes or more are then sent and received without being copied (not by dill). An array
received so shares the memory of its frame, and can be written where that can: in what agentlab's sockets give it can.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, Final

from agentlab.errors import WrongAddressError
from agentlab.wire.kinds import AgentAddressSerializer
from agentlab.wire.message import RAW_ERROR, Decoded, Encoded, Frame, Serializer, unreadable, unserializable
from agentlab.wire.pickles import CloudpickleSerializer, DillSerializer, PickleSerializer

__all__ = ["Decoded", "Encoded", "Frame", "Serializer", "get_serializer"]

_PICKLE_CARRIES: Final = "; the serializer 'pickle' carries any Python object, NumPy arrays too"


class RawSerializer(Serializer):
    """Bytes as such, one frame for each message."""

    name: ClassVar[str] = "raw"

    def dumps(self, value: Any) -> bytes:
        if type(value) is bytes:
            return value
        if isinstance(value, (bytes, bytearray, memoryview)):
            return bytes(value)
        if isinstance(value, str):
            try:
                return value.encode()
            except UnicodeEncodeError as error:
                raise unserializable(self.name, value, error) from error
        raise unserializable(self.name, value, "raw takes bytes, bytearray, memoryview or text only", _PICKLE_CARRIES)

    def loads(self, frame: Frame) -> bytes:
        return bytes(frame)

    def is_header(self, frame: Frame) -> bool:  # noqa: ARG002 - it has none, whatever the bytes are
        return False

    def encode_many(self, values: Iterable[Any]) -> list[Encoded]:
        return [self.dumps(value) for value in values]

    def encode_error(self, payload: bytes) -> list[bytes]:
        return [RAW_ERROR, payload]

    def decode_multi(self, frames: Sequence[Frame]) -> Decoded:
        if len(frames) == 1:
            return Decoded("value", bytes(frames[0]))
        if len(frames) == 2 and frames[0] == RAW_ERROR:
            return Decoded("error", bytes(frames[1]))
        raise unreadable(self.name, b"".join(frames), f"a message of {len(frames)} frames came, raw takes one")


class JsonSerializer(Serializer):
    """Compact JSON in UTF-8."""

    name: ClassVar[str] = "json"

    def __init__(self) -> None:
        self._to_text = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
        self._from_text: Callable[[str], Any] = json.JSONDecoder().decode

    def dumps(self, value: Any) -> bytes:
        try:
            return self._to_text(value).encode()
        except Exception as error:
            raise unserializable(self.name, value, error, _PICKLE_CARRIES) from error

    def loads(self, frame: Frame) -> Any:
        try:
            return self._from_text(str(frame, "utf-8"))
        except Exception as error:
            raise unreadable(self.name, frame, error) from error


class MsgpackSerializer(Serializer):
    """msgpack behind one zero byte, which keeps its small integers apart from header frames."""

    name: ClassVar[str] = "msgpack"

    def __init__(self) -> None:
        import msgpack

        self._pack: Callable[..., bytes] = msgpack.packb
        self._unpack: Callable[..., Any] = msgpack.unpackb

    def dumps(self, value: Any) -> bytes:
        try:
            return b"\0" + self._pack(value)
        except Exception as error:
            raise unserializable(self.name, value, error, _PICKLE_CARRIES) from error

    def loads(self, frame: Frame) -> Any:
        if len(frame) == 0 or frame[0] != 0:
            raise unreadable(self.name, frame, "it does not begin with a zero byte")
        try:
            return self._unpack(memoryview(frame)[1:], strict_map_key=False)
        except Exception as error:
            raise unreadable(self.name, frame, error) from error


_CLASSES: Final[dict[AgentAddressSerializer, Callable[[], Serializer]]] = {
    AgentAddressSerializer.raw: RawSerializer,
    AgentAddressSerializer.pickle: PickleSerializer,
    AgentAddressSerializer.cloudpickle: CloudpickleSerializer,
    AgentAddressSerializer.dill: DillSerializer,
    AgentAddressSerializer.json: JsonSerializer,
    AgentAddressSerializer.msgpack: MsgpackSerializer,
}
_instances: dict[AgentAddressSerializer, Serializer] = {}


def get_serializer(name: AgentAddressSerializer | str) -> Serializer:
    """Give the serializer of that name; the same object every time.

    Raises:
        WrongAddressError: there is none, or the package that it needs is not installed.
    """
    kind = AgentAddressSerializer(name)
    if kind in _instances:
        return _instances[kind]
    try:
        serializer = _CLASSES[kind]()
    except ImportError as error:
        raise WrongAddressError(f"the serializer {kind.value!r} needs a package that is missing: {error}; install it") from error
    return _instances.setdefault(kind, serializer)
