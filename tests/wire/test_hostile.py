"""Whatever bytes come, a serializer gives a value or a SerializationError."""

import contextlib
import json
import pickle
import struct

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentlab.errors import SerializationError
from agentlab.wire.message import MAX_COUNT
from agentlab.wire.serializers import get_serializer
from tests.wire.values import ALL, PICKLES, PLAIN, QUICK, VALUES

NOT_RAW = [name for name in ALL if name != "raw"]


class Raises:
    """A pickle that raises when it is read."""

    def __init__(self, error):
        self.error = error

    def __reduce__(self):
        return _raise, (self.error,)


class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no text either")


def _raise(error):
    raise error


def survives(name, frames):
    """Decode: the only thing that may come out of it other than a value is our error."""
    serializer = get_serializer(name)
    with contextlib.suppress(SerializationError):
        serializer.decode_multi(frames)
    if len(frames) == 1 and not serializer.is_header(frames[0]):
        with contextlib.suppress(SerializationError):
            serializer.decode(frames[0])


def harmless(name, frame):
    # The opcodes r and p index the unpickler's memo with any number, and it takes the memory up to there: not in a test.
    return frame.translate(bytes.maketrans(b"rp", b"sq")) if name in PICKLES else frame


@pytest.mark.parametrize("name", [name for name in ALL if name not in PICKLES])
@given(frames=st.lists(st.binary(max_size=60), max_size=4))
@QUICK
def test_random_bytes(name, frames):
    survives(name, frames)


@pytest.mark.parametrize("name", NOT_RAW)
@given(data=st.data(), prefix=st.sampled_from([b"", b"\0", b"\1\0\0\0\1", b"\2", b"\2\0", b"\3", b"\4", b"\x80\5"]))
@QUICK
def test_random_bytes_behind_every_beginning(name, data, prefix):
    frame = prefix + data.draw(st.binary(max_size=60))
    survives(name, [harmless(name, frame)])


@pytest.mark.parametrize("name", NOT_RAW)
@given(data=st.data(), at=st.integers(0, 300), byte=st.integers(0, 255).filter(lambda b: b not in b"rpjcR"))
@QUICK
def test_a_changed_or_a_cut_frame(name, data, at, byte):
    frame = harmless(name, get_serializer(name).encode(data.draw(VALUES[name])))
    at %= len(frame)
    survives(name, [frame[:at]])
    survives(name, [frame[:at] + bytes((byte,)) + frame[at + 1 :]])
    survives(name, [b"\2" + frame[:at]])


@pytest.mark.parametrize("name", ALL)
def test_no_frames(name):
    with pytest.raises(SerializationError, match=" frames"):
        get_serializer(name).decode_multi([])


@pytest.mark.parametrize("name", NOT_RAW)
@pytest.mark.parametrize("frame", [b"", b"\4", b"\5abc", b"\6", b"\7", b"\x08", b"\2", b"\1"])
def test_empty_and_reserved(name, frame):
    with pytest.raises(SerializationError, match=name):
        get_serializer(name).decode_multi([frame])
    with pytest.raises(SerializationError, match=name):
        get_serializer(name).decode(frame)


@pytest.mark.parametrize("frames", [[b"a", b"b"], [b"\3AGENTLAB-ERROR", b"a", b"b"], [b"", b""], [b"\3", b"a"]])
def test_raw_takes_one_frame(frames):
    with pytest.raises(SerializationError, match="raw takes one"):
        get_serializer("raw").decode_multi(frames)


@pytest.mark.parametrize("name", NOT_RAW)
@pytest.mark.parametrize("content", [1, "text", {"a": 1}, None])
def test_a_batch_must_be_a_list(name, content):
    serializer = get_serializer(name)
    with pytest.raises(SerializationError, match="instead of a list"):
        serializer.decode_multi([b"\2" + serializer.dumps(content)])


@pytest.mark.parametrize("name", NOT_RAW)
def test_a_batch_may_not_be_huge(name):
    serializer = get_serializer(name)
    assert len(serializer.decode_multi([b"\2" + serializer.dumps([0] * MAX_COUNT)]).content) == MAX_COUNT
    with pytest.raises(SerializationError, match="more than 65536"):
        serializer.decode_multi([b"\2" + serializer.dumps([0] * (MAX_COUNT + 1))])


@pytest.mark.parametrize("name", NOT_RAW)
def test_a_header_is_not_plain(name):
    serializer = get_serializer(name)
    for frame in (serializer.encode_error(b"x")[0], serializer.encode_many([1, 2])[0]):
        with pytest.raises(SerializationError):
            serializer.decode(frame)


@pytest.mark.parametrize("name", PICKLES)
@pytest.mark.parametrize(
    "error", [MemoryError(), RecursionError(), SystemExit(3), ZeroDivisionError("x"), OSError(2, "x"), Mute()]
)
def test_a_pickle_that_raises(name, error):
    serializer = get_serializer(name)
    frame = serializer.dumps(Raises(error))
    header = struct.pack(">BI", 1, 1) + frame
    for decode in (
        lambda: serializer.decode(frame),
        lambda: serializer.loads(frame),
        lambda: serializer.decode_multi([frame]),
        lambda: serializer.decode_multi([b"\2" + frame]),
        lambda: serializer.decode_multi([header, b"x"]),
    ):
        with pytest.raises(SerializationError, match=type(error).__name__) as caught:
            decode()
        assert type(caught.value.__cause__) is type(error)


@pytest.mark.parametrize("name", PICKLES)
@pytest.mark.parametrize(
    "frame",
    [
        b"\x80\x05\x8a\xff",
        b"\x80\x05\x8e" + b"\xff" * 8,
        b"\x80\x05\x8e" + struct.pack("<Q", 2**40),
        b"\x80\x05\x8d" + struct.pack("<Q", 2**62),
        b"\x80\x05\x96" + struct.pack("<Q", 2**62),
        b"\x80\x05B\xff\xff\xff\x7f",
        b"\x80\xff.",
        b"\x80\x05\x97.",
        b"\x80\x05.",
        b"\x80\x05}]Ns.",
        b"\x80\x05cno_such_module\nx\n.",
        pickle.dumps(len).replace(b"len", b"lem"),
    ],
)
def test_pickles_that_cannot_be(name, frame):
    with pytest.raises(SerializationError):
        get_serializer(name).decode(frame)


@pytest.mark.parametrize(
    ("name", "frame"),
    [
        ("json", b"[" * 100_000),
        ("json", b"{} {}"),
        ("json", b"\xff\xfe"),
        ("json", b"9" * 10_000),
        ("json", b"\xef\xbb\xbf1"),
        ("json", '"a"'.encode("utf-16")),
        ("msgpack", b"\0" + b"\x91" * 100_000),
        ("msgpack", b"\0\xdd\xff\xff\xff\xff"),
        ("msgpack", b"\0\xdf\xff\xff\xff\xff"),
        ("msgpack", b"\0\xc6\xff\xff\xff\xff"),
        ("msgpack", b"\0\xc1"),
        ("msgpack", b"\0\x01\x01"),
        ("msgpack", b"\0"),
        ("msgpack", b"\x01\x01"),
        ("msgpack", b"\xa1a"),
        ("msgpack", b"\0\x81\x90\x01"),
        ("msgpack", b"\0\xd9\x02\xff\xff"),
    ],
)
def test_plain_frames_that_cannot_be(name, frame):
    with pytest.raises(SerializationError, match=name):
        get_serializer(name).decode(frame)
    with pytest.raises(SerializationError, match=name):
        get_serializer(name).decode_multi([b"\2" + frame])


@pytest.mark.parametrize("name", PLAIN)
def test_plain_serializers_never_unpickle(name):
    bomb = get_serializer("pickle").dumps(Raises(KeyboardInterrupt()))
    for frames in ([bomb], [b"\0" + bomb], [b"\2" + bomb], [b"\1\0\0\0\1" + bomb, b"x"], [b"\3" + bomb]):
        survives(name, frames)


@pytest.mark.parametrize("name", PICKLES)
def test_a_key_press_is_not_swallowed(name):
    frame = get_serializer(name).dumps(Raises(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        get_serializer(name).decode(frame)


def test_frames_are_what_other_programs_would_make():
    assert get_serializer("json").decode(json.dumps({"a": [1]}, indent=1).encode()) == {"a": [1]}
    assert get_serializer("msgpack").decode(b"\0" + msgpack.packb({"a": [1]})) == {"a": [1]}
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        assert get_serializer("pickle").decode(pickle.dumps({"a": [1]}, protocol)) == {"a": [1]}


@pytest.mark.parametrize("name", ["pickle", "cloudpickle", "dill"])
@pytest.mark.parametrize("frame", [b"Nr\0\0\0\1.", pickle.dumps(1, 0), pickle.dumps(1, 1), b""])
def test_what_does_not_begin_like_a_pickle_is_never_unpickled(name, frame):
    serializer = get_serializer(name)
    for read in (serializer.decode, serializer.loads):
        with pytest.raises(SerializationError):
            read(frame)
    assert serializer.plain_start is None or not frame or frame[0] != serializer.plain_start
