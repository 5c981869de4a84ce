"""Values and exceptions as bytes."""

import collections
import contextlib
import enum
import pickle
import subprocess
import sys
import threading
import types
from typing import NamedTuple

import cloudpickle
import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentlab.control import payload, remote_errors
from agentlab.control.payload import UnimportableError, dumps, loads
from agentlab.control.remote_errors import error_from_bytes, error_to_bytes
from agentlab.errors import ConfigurationError, ConnectError, RefusedError, RemoteError, SerializationError
from agentlab.wire.address import AgentAddress, SocketAddress
from agentlab.wire.channel import AgentChannel
from agentlab.wire.serializers import get_serializer

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)


@given(plain, st.sampled_from(["keys", "none"]))
def test_plain_values(value, security):
    assert loads(dumps(value, security=security), security=security) == value


def test_functions_and_local_classes():
    factor = 3

    class Local:
        def value(self):
            return factor

    assert loads(dumps(lambda x: x * factor))(2) == 6
    assert loads(dumps(Local())).value() == 3


def test_what_stands_in_main_travels_by_value():
    program = (
        "import sys\nfrom agentlab.control.payload import dumps\n"
        "def double(x): return helper(x) * 2\ndef helper(x): return x + 1\n"
        "class Thing:\n    def __init__(self): self.x = 5\n"
        "sys.stdout.buffer.write(dumps((double, Thing())))"
    )
    data = subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.PIPE).stdout
    double, thing = loads(data)
    assert double(1) == 4
    assert thing.x == 5


@pytest.fixture
def module(monkeypatch):
    """A module that only this side has, until it is taken away."""
    made = types.ModuleType("only_here")
    exec("def f(x): return g(x) + 1\ndef g(x): return x * 10\nclass Odd(Exception): pass", made.__dict__)
    monkeypatch.setitem(sys.modules, "only_here", made)
    return made


def test_what_is_not_importable_is_named_and_can_be_sent_by_value(module, monkeypatch):
    by_name, by_value = dumps(module.f), dumps(module.f, by_value=("only_here",))
    assert len(by_name) < 100
    later_by_name = dumps(module.f)
    assert later_by_name == by_name  # the registration has ended
    monkeypatch.delitem(sys.modules, "only_here")
    with pytest.raises(UnimportableError, match="only_here") as raised:
        loads(by_name)
    assert raised.value.module == "only_here"
    copy = pickle.loads(pickle.dumps(raised.value))
    assert (copy.module, str(copy)) == ("only_here", str(raised.value))
    assert loads(by_value)(2) == 21


def test_an_older_module_on_the_other_side_is_named(module):
    data = dumps(module.f)
    del module.f
    with pytest.raises(UnimportableError) as raised:
        loads(data)
    assert raised.value.module == "only_here"


def test_by_value_of_an_unknown_module():
    with pytest.raises(SerializationError, match="nowhere"):
        dumps(1, by_value=("nowhere",))


@pytest.mark.parametrize("value", [threading.Lock(), [threading.Lock()], (n for n in [1])])
def test_what_cannot_be_sent_names_its_type(value):
    with pytest.raises(SerializationError, match=f"{type(value).__name__}.*cannot"):
        dumps(value)


def test_damaged_bytes():
    for data in (b"", b"garbage", dumps([1, 2, 3])[:-3], b"\x80\x05."):
        with pytest.raises(SerializationError):
            loads(data)
        assert isinstance(loads(b"\x01", security="none"), int)
    with pytest.raises(SerializationError, match="SECURITY"):
        loads(b"\xc1", security="none")


def test_a_constructor_that_fails():
    class Bad:
        def __reduce__(self):
            return int, ("x",)

    with pytest.raises(SerializationError, match="invalid literal"):
        loads(dumps(Bad()))


@pytest.mark.parametrize("value", [len, lambda: 1, object(), ValueError("x"), [object()], int, np.int64(1)])
def test_functions_and_objects_are_refused_without_security(value):
    with pytest.raises(RefusedError, match="SECURITY"):
        dumps(value, security="none")


PUSH = AgentAddress("tcp", "127.0.0.1:80", "PUSH", "server", "json")


@pytest.mark.parametrize(
    "value",
    [
        (),
        (1, "a"),
        [(1, (2, ())), [3]],
        {1, 2},
        frozenset({(1, 2)}),
        {(1, 2): 3, PUSH: 4},
        SocketAddress("::1", 5),
        PUSH,
        AgentAddress("ipc", "/tmp/ä", "PUB", "client", "msgpack"),
        AgentChannel("SYNC_PUB", AgentAddress("tcp", "h:1", "PULL_SYNC_PUB", "server", "raw"), None),
        ("bind", (PUSH,), {"addr": SocketAddress("h", 1)}, True),
    ],
)
def test_collections_and_addresses_keep_their_type_without_security(value):
    copy = loads(dumps(value, security="none"), security="none")
    assert copy == value
    assert type(copy) is type(value)
    assert repr(copy) == repr(value)


class Level(enum.IntEnum):
    LOW = 7


class Pair(NamedTuple):
    a: int
    b: int


@pytest.mark.parametrize(
    ("value", "plain_value"),
    [
        (PUSH.kind, "PUSH"),
        (Level.LOW, 7),
        (np.float64(2.5), 2.5),
        (Pair(1, 2), (1, 2)),
        (collections.OrderedDict(a=1), {"a": 1}),
        (collections.Counter("a"), {"a": 1}),
        (bytearray(b"x"), b"x"),
        (memoryview(b"x"), b"x"),
    ],
)
def test_subclasses_arrive_as_plain_types_without_security(value, plain_value):
    copy = loads(dumps(value, security="none"), security="none")
    assert (type(copy), copy) == (type(plain_value), plain_value)


def test_a_channel_keeps_its_uuid_without_security():
    channel = AgentChannel("ASYNC_REP", PUSH.twin(), None)
    assert loads(dumps(channel, security="none"), security="none").uuid == channel.uuid


@pytest.mark.parametrize(
    "data",
    [
        b"\x92\xc7\x00\x01" * 5000 + b"\x90",
        b"\x91" * 5000 + b"\x90",
        msgpack.packb(msgpack.ExtType(4, b"\xff")),
        msgpack.packb(msgpack.ExtType(4, b"no port")),
        msgpack.packb(msgpack.ExtType(5, b"\x91" * 3000)),
        msgpack.packb(msgpack.ExtType(5, msgpack.packb({"type": "address"}))),
        msgpack.packb(msgpack.ExtType(5, msgpack.packb(msgpack.ExtType(5, b"")))),
        msgpack.packb(msgpack.ExtType(9, b"")),
        msgpack.packb([msgpack.ExtType(2, b""), [1]]),
        b"\x81\x90\x01",
    ],
)
def test_hostile_bytes_are_refused_without_security(data):
    with pytest.raises(SerializationError):
        loads(data, security="none")


@given(st.binary(max_size=200))
def test_garbage_raises_nothing_else_without_security(data):
    with contextlib.suppress(SerializationError):
        loads(data, security="none")


def test_what_stands_in_a_spawned_main_travels_by_value(monkeypatch):
    made = types.ModuleType("__mp_main__")  # as multiprocessing names the main module of a process that it spawned
    exec("class Thing:\n    x = 5", made.__dict__)
    monkeypatch.setitem(sys.modules, "__mp_main__", made)
    data = [dumps(made.Thing())]
    data += [get_serializer(name).encode(made.Thing()) for name in ("pickle", "cloudpickle")]
    monkeypatch.delitem(sys.modules, "__mp_main__")
    cloudpickle.unregister_pickle_by_value(made)
    for each in data:
        assert loads(each).x == 5


def test_plain_values_that_do_not_fit():
    deep = []
    for _ in range(5000):
        deep = [deep]
    for value in (1 << 70, deep):
        with pytest.raises(SerializationError):
            dumps(value, security="none")


def test_nothing_is_unpickled_without_security(monkeypatch):
    monkeypatch.setattr(payload.pickle, "loads", lambda *_: pytest.fail("unpickled"))
    bomb = pickle.dumps(ValueError("x"))
    for data in (bomb, dumps({"pickled": bomb}, security="none")):
        with contextlib.suppress(SerializationError):
            loads(data, security="none")
        assert isinstance(error_from_bytes(data, security="none"), RemoteError)


# ------------------------------------------------------------------------------------------------ exceptions


class TwoArgumentsError(Exception):
    def __init__(self, a, b):
        super().__init__(f"{a} and {b}")


class KeywordError(ValueError):
    def __init__(self, text, *, code=0):
        super().__init__(text)
        self.code = code


class UnreadableError(Exception):
    def __str__(self):
        raise RuntimeError("no")


class SlotsError(Exception):
    def __setattr__(self, name, value):
        raise AttributeError(name)


def raised(error, cause=None):
    try:
        try:
            if cause is not None:
                raise cause
        finally:
            raise error
    except BaseException as caught:
        return caught


@pytest.mark.parametrize("security", ["keys", "none"])
@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"),
        KeyError("k"),
        OSError(2, "No such file"),
        ZeroDivisionError(),
        ConnectError("a"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
        StopIteration(3),
    ],
)
def test_an_exception_arrives_as_itself(error, security):
    data = error_to_bytes(raised(error, KeyError("the cause")), security=security)
    copy = error_from_bytes(data, security=security)
    assert type(copy) is type(error)
    assert copy.args == error.args
    assert str(copy) == str(error)
    assert "the cause" in copy.remote_traceback
    assert "in raised" in copy.remote_traceback
    assert copy.__notes__[-1].count(copy.remote_traceback.rstrip()) == 1


def test_attributes_and_notes_come_along():
    error = KeywordError("x", code=7)
    error.add_note("my note")
    copy = error_from_bytes(error_to_bytes(raised(error)))
    assert copy.code == 7
    assert copy.__notes__[0] == "my note"


@pytest.mark.parametrize("security", ["keys", "none"])
@pytest.mark.parametrize(
    "error", [TwoArgumentsError(1, 2), UnreadableError(), SystemExit(3), KeyboardInterrupt(), GeneratorExit()]
)
def test_what_cannot_or_must_not_be_rebuilt_is_described(error, security):
    copy = error_from_bytes(error_to_bytes(raised(error), security=security), security=security)
    assert type(copy) is RemoteError
    assert copy.type_name.endswith(type(error).__name__)
    assert "in raised" in copy.remote_traceback


def test_unpicklable_arguments():
    copy = error_from_bytes(error_to_bytes(ValueError(threading.Lock())))
    assert isinstance(copy, RemoteError)
    assert "lock" in str(copy)
    copy = error_from_bytes(error_to_bytes(ValueError(1 << 80, [1]), security="none"), security="none")
    assert isinstance(copy, RemoteError)
    copy = error_from_bytes(error_to_bytes(ValueError(1 << 80), security="none"), security="none")
    assert isinstance(copy, RemoteError)


def test_an_exception_that_takes_no_attributes():
    assert isinstance(error_from_bytes(error_to_bytes(SlotsError("x"))), (SlotsError, RemoteError))


def test_a_type_that_is_not_here(module, monkeypatch):
    for security in ("keys", "none"):
        monkeypatch.setitem(sys.modules, "only_here", module)
        data = error_to_bytes(module.Odd("text"), security=security)
        assert type(error_from_bytes(data, security=security)) is module.Odd
        monkeypatch.delitem(sys.modules, "only_here")
        copy = error_from_bytes(data, security=security)
        assert type(copy) is RemoteError
        assert str(copy) == "only_here.Odd: text"


@pytest.mark.parametrize(
    ("module", "qualname", "args"),
    [
        ("builtins", "SystemExit", ["m"]),
        ("builtins", "BaseException", ["m"]),
        ("builtins", "str", ["m"]),
        ("lazy", "Loaded", ["m"]),
        ("os", "mkdir", ["/tmp/agentlab-canary"]),
        ("builtins", "eval", ["1"]),
        ("builtins", "exit", []),
        ("builtins", "SystemExit", []),
        ("builtins", "type", ["x"]),
        ("antigravity", "X", []),
        ("builtins", "ValueError.__class__", ["x"]),
        ("builtins", "ValueError", [["nested"]]),
        ("builtins", "ValueError", "no list"),
        (7, [], {}),
        (None, None, None),
    ],
)
def test_without_security_only_exceptions_are_called(module, qualname, args, monkeypatch):
    lazy = types.ModuleType("lazy")
    lazy.__getattr__ = lambda name: ValueError  # stands for one that imports
    monkeypatch.setitem(sys.modules, "lazy", lazy)
    data = dumps({"module": module, "qualname": qualname, "args": args, "message": "m", "traceback": "t"}, security="none")
    assert type(error_from_bytes(data, security="none")) is RemoteError
    assert "antigravity" not in sys.modules


@given(st.binary(max_size=300))
def test_garbage_is_a_remote_error(data):
    for security in ("keys", "none"):
        assert type(error_from_bytes(data, security=security)) is RemoteError


@given(plain)
def test_other_values_are_a_remote_error(value):
    assert isinstance(error_from_bytes(dumps(value, security="none")), RemoteError)
    assert isinstance(
        error_from_bytes(dumps({"pickled": value, "args": value, 1: 2}, security="none"), security="none"), RemoteError
    )


def test_a_long_traceback_is_cut():
    copy = error_from_bytes(error_to_bytes(ValueError("x" * 1_000_000), security="none"), security="none")
    assert len(copy.remote_traceback) < 70_000
    assert remote_errors.TRACEBACK_LIMIT < 70_000


def test_a_traceback_goes_through_several_processes():
    first = error_from_bytes(error_to_bytes(raised(ValueError("x"))))
    second = error_from_bytes(error_to_bytes(raised(first)))
    assert second.remote_traceback.count("in the other process") == 1
    with pytest.raises(ConfigurationError):
        dumps(1, security="maybe")
