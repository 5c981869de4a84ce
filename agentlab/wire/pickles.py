"""The serializers that carry any Python object: pickle, cloudpickle, dill.

Reading a pickle runs what it says: only from peers that have proved the lab's key.
"""

from __future__ import annotations

import pickle
import sys
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, ClassVar, Final, TypeAlias

from agentlab.wire.message import (
    LEAST_BUFFER,
    MAX_COUNT,
    Encoded,
    Frame,
    Serializer,
    buffers_header,
    split_buffers_header,
    unreadable,
    unserializable,
)

_PROTOCOL: Final = 5
# A pickle that names __main__ would import it at the receiver, where it is another module. Without the opcode 0x93 it
# imports nothing; looking for one byte first takes a third of the time of looking for the name.
_STACK_GLOBAL: Final = 0x93
_MAIN: Final = b"_main__"  # of __main__, and of __mp_main__: the same module in a process that multiprocessing spawned
PICKLE_START: Final = 0x80
_END: Final = object()
_ATOMS: Final = frozenset({int, float, bool, str, bytes, complex, type(None)})

# A pickle from a peer may raise anything, sys.exit() included; a key press of the user is not the peer's.
_ANYTHING: Final = (Exception, SystemExit)

_BufferCallback: TypeAlias = Callable[[pickle.PickleBuffer], Any] | None


def _check_start(data: Frame) -> None:
    """Refuse what no pickler of ours wrote: seven random bytes can make the unpickler take gigabytes.

    Raises:
        UnpicklingError: it does not begin with the opcode that names the protocol.
    """
    if len(data) == 0 or data[0] != PICKLE_START:
        raise pickle.UnpicklingError("it does not begin like a pickle of protocol 2 or later")


def _loads(data: Frame, buffers: Iterable[Any] = ()) -> Any:
    _check_start(data)
    return pickle.loads(data, buffers=buffers)


class _PickleFamily(Serializer):
    """What the three have in common: buffers of at least 4096 bytes travel as frames of their own, uncopied."""

    @abstractmethod
    def _dump(self, value: Any, callback: _BufferCallback) -> bytes:
        """Pickle; may raise anything."""

    @abstractmethod
    def _load(self, data: Frame, buffers: Iterable[Any]) -> Any:
        """Unpickle; may raise anything."""

    def dumps(self, value: Any) -> bytes:
        try:
            return self._dump(value, None)
        except Exception as error:
            raise unserializable(self.name, value, error) from error

    def loads(self, frame: Frame) -> Any:
        try:
            return self._load(frame, ())
        except _ANYTHING as error:
            raise unreadable(self.name, frame, error) from error

    def encode(self, value: Any) -> Encoded:
        buffers: list[Frame] = []
        try:
            data = self._dump(value, partial(_stays, buffers=buffers))
        except Exception as error:
            raise unserializable(self.name, value, error) from error
        return [buffers_header(len(buffers), data), *buffers] if buffers else data

    def _repeats(self, chunk: list[Any]) -> bool:
        # A pickle keeps identity: the same dict sent twice would arrive as one dict, and who changed one changed both.
        if len(set(map(id, chunk))) == len(chunk):
            return False
        identities = [id(value) for value in chunk if type(value) not in _ATOMS]
        return len(set(identities)) != len(identities)

    def _decode_buffers(self, header: Frame, buffers: Sequence[Frame]) -> Any:
        data = split_buffers_header(self.name, header, len(buffers))
        unused = iter(buffers)
        try:
            value = self._load(data, unused)
        except _ANYTHING as error:
            raise unreadable(self.name, header, error) from error
        if next(unused, _END) is not _END:
            raise unreadable(self.name, header, f"{len(buffers)} buffers came, more than the pickle uses")
        return value


def carry_spawned_main() -> None:
    """Have cloudpickle carry ``__mp_main__`` by value, as it does ``__main__``: no receiver has the same one."""
    module = sys.modules.get("__mp_main__")
    if module is not None and module.__name__ == "__mp_main__":
        import cloudpickle

        cloudpickle.register_pickle_by_value(module)


class CloudpickleSerializer(_PickleFamily):
    """cloudpickle for every message: slower than ``pickle``, which takes it by itself where it is needed."""

    name: ClassVar[str] = "cloudpickle"

    def _dump(self, value: Any, callback: _BufferCallback) -> bytes:
        import cloudpickle  # slow to import, and seldom wanted

        carry_spawned_main()
        return bytes(cloudpickle.dumps(value, protocol=_PROTOCOL, buffer_callback=callback))

    def _load(self, data: Frame, buffers: Iterable[Any]) -> Any:
        return _loads(data, buffers=buffers)


class PickleSerializer(CloudpickleSerializer):
    """The C pickler; functions and classes that the other side cannot import go by value with cloudpickle.

    These are what plain pickling refuses (lambdas, local functions and classes) and what lives in ``__main__``
    (scripts, notebooks).
    """

    name: ClassVar[str] = "pickle"
    plain_start: ClassVar[int | None] = PICKLE_START

    def encode(self, value: Any) -> Encoded:
        """Give one message, as :meth:`Serializer.encode` says."""
        return self.encoder()(value)

    def encoder(self) -> Callable[[Any], Encoded]:
        """Give a function that encodes, for one thread alone."""
        buffers: list[Frame] = []
        by_value = super().encode

        def stays(buffer: pickle.PickleBuffer) -> bool:
            return _stays(buffer, buffers)

        # A pickle below the size of the least buffer has none that would go beside it. So a small message takes the
        # short way, and a large one, which often comes after another large one, is pickled only once.
        large = False

        def encode_large(value: Any) -> Encoded:
            nonlocal large
            buffers.clear()
            try:
                data = pickle.dumps(value, _PROTOCOL, buffer_callback=stays)
            except Exception:  # noqa: BLE001 - as below
                return by_value(value)
            if _STACK_GLOBAL in data and _MAIN in data:
                return by_value(value)
            large = bool(buffers) or len(data) >= LEAST_BUFFER
            message: Encoded = [buffers_header(len(buffers), data), *buffers] if buffers else data
            buffers.clear()
            return message

        def encode(value: Any, dumps: Any = pickle.dumps) -> Encoded:
            nonlocal large
            if large:
                return encode_large(value)
            try:
                data: bytes = dumps(value, _PROTOCOL)
            except Exception:  # noqa: BLE001 - a type may fail at anything; cloudpickle succeeds, or its error is raised
                return by_value(value)
            if len(data) >= LEAST_BUFFER:
                return encode_large(value)
            if _STACK_GLOBAL in data and _MAIN in data:
                return by_value(value)
            return data

        return encode

    def decoder(self) -> Callable[[Frame], Any]:
        """Give the C unpickler itself, for frames that begin with :attr:`plain_start`."""
        return pickle.loads

    def dumps(self, value: Any) -> bytes:
        """Give one plain frame that holds the value, whatever its size."""
        try:
            data = pickle.dumps(value, _PROTOCOL)
        except Exception:  # noqa: BLE001 - as in encode
            return super().dumps(value)
        return super().dumps(value) if _STACK_GLOBAL in data and _MAIN in data else data

    def decode(self, frame: Frame) -> Any:
        """Give the value of a message that is one plain frame."""
        try:
            return _loads(frame)
        except _ANYTHING as error:
            raise unreadable(self.name, frame, error) from error


class DillSerializer(_PickleFamily):
    """dill for every message: slow; carries some objects that the others do not, such as locks.

    Arrays are copied into the pickle, and arrive in the byte order of the receiver. dill cannot rebuild an
    enumeration of ``__main__``.
    """

    name: ClassVar[str] = "dill"

    def _dump(self, value: Any, callback: _BufferCallback) -> bytes:  # noqa: ARG002 - dill gives no buffers
        import dill  # slow to import, and seldom wanted

        # recurse: a function takes along the globals that it uses; else it would look for them in the receiver's __main__.
        return bytes(dill.dumps(value, protocol=_PROTOCOL, recurse=True))

    def _load(self, data: Frame, buffers: Iterable[Any]) -> Any:
        import dill

        # dill names the main module in its own way, which only its own unpickler understands.
        _check_start(data)
        return dill.loads(data, buffers=buffers)


def _stays(buffer: pickle.PickleBuffer, buffers: list[Frame]) -> bool:
    """Tell the pickler whether a buffer stays in the pickle; gather it if not."""
    try:
        view = buffer.raw()
    except BufferError:  # not contiguous, so it cannot be one frame
        return True
    if view.nbytes < LEAST_BUFFER or len(buffers) >= MAX_COUNT:
        return True
    buffers.append(view)
    return False
