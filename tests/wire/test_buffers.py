"""Big buffers travel as frames of their own, and nobody copies them."""

import pickle

import numpy as np
import pytest

from agentlab.errors import SerializationError
from agentlab.wire.message import BUFFERS, LEAST_BUFFER, MAX_COUNT, buffers_header
from agentlab.wire.serializers import get_serializer
from tests.wire.values import PICKLES

SHARING = ("pickle", "cloudpickle")
BIG = np.arange(10_000.0)


def decode(name, encoded):
    frames = [encoded] if isinstance(encoded, bytes) else encoded
    return get_serializer(name).decode_multi(frames).content


@pytest.mark.parametrize("name", SHARING)
def test_neither_side_copies(name):
    serializer = get_serializer(name)
    header, *buffers = serializer.encode({"a": BIG, "b": [BIG + 1]})
    assert serializer.is_header(header) and header[0] == BUFFERS
    assert len(header) < 1000
    assert [memoryview(buffer).nbytes for buffer in buffers] == [BIG.nbytes] * 2
    assert np.shares_memory(np.frombuffer(buffers[0]), BIG)
    received = [bytes(buffer) for buffer in buffers]  # what a socket gives
    value = serializer.decode_multi([header, *received]).content
    assert np.array_equal(value["a"], BIG) and np.array_equal(value["b"][0], BIG + 1)
    assert np.shares_memory(value["a"], np.frombuffer(received[0]))
    assert np.shares_memory(value["b"][0], np.frombuffer(received[1]))


@pytest.mark.parametrize("name", SHARING)
def test_a_received_array_is_as_writable_as_its_frame(name):
    header, buffer = get_serializer(name).encode(BIG)
    for kind, writable in ((bytes, False), (bytearray, True), (lambda b: memoryview(bytes(b)), False)):
        array = decode(name, [header, kind(buffer)])
        assert array.flags.writeable is writable
        assert array.copy().flags.writeable
    assert decode(name, get_serializer(name).encode(np.arange(3))).flags.writeable


@pytest.mark.parametrize("name", SHARING)
def test_small_buffers_stay_in_the_pickle(name):
    serializer = get_serializer(name)
    assert isinstance(serializer.encode(np.zeros(LEAST_BUFFER - 1, "u1")), bytes)
    assert len(serializer.encode(np.zeros(LEAST_BUFFER, "u1"))) == 2
    mixed = [np.zeros(10), BIG, np.ones(10)]
    encoded = serializer.encode(mixed)
    assert len(encoded) == 2
    assert all(map(np.array_equal, decode(name, encoded), mixed))


ARRAYS = {
    "fortran": np.asfortranarray(np.arange(10_000.0).reshape(100, 100)),
    "strided": np.arange(40_000.0)[::2],
    "reversed": np.arange(40_000)[::-1],
    "sliced": np.arange(40_000.0).reshape(200, 200)[3:150, 7:100],
    "transposed": np.arange(40_000.0).reshape(20, 20, 100).transpose(1, 2, 0),
    "empty": np.zeros((0, 5)),
    "scalar": np.array(5.0),
    "objects": np.array([1, "a", None] * 2000, dtype=object),
    "records": np.zeros(5000, dtype=[("x", "f4"), ("n", "U5")]),
    "times": np.arange(5000).astype("M8[s]"),
    "texts": np.array(["ab", "c"] * 5000),
    "booleans": np.zeros((300, 300), bool),
    "big-endian": np.arange(5000, dtype=">i4"),
    "broadcast": np.broadcast_to(np.arange(100.0), (100, 100)),
    "readonly": np.frombuffer(bytes(80_000)),
    "memmap-like": np.ones(10_000).view(np.recarray),
}


@pytest.mark.parametrize("name", PICKLES)
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_any_array_arrives(name, array):
    back = decode(name, get_serializer(name).encode({"array": array, "again": array}))
    for got in back.values():
        # dill gives an array the receiver's byte order
        assert got.dtype == (array.dtype.newbyteorder("=") if name == "dill" else array.dtype)
        assert got.shape == array.shape and type(got) is type(array)
        assert np.array_equal(got, array)


def test_a_fortran_array_keeps_its_order_without_a_copy():
    array = ARRAYS["fortran"]
    encoded = get_serializer("pickle").encode(array)
    assert len(encoded) == 2
    back = decode("pickle", encoded)
    assert back.flags.f_contiguous and not back.flags.c_contiguous
    assert np.shares_memory(back, array)


@pytest.mark.parametrize("name", SHARING)
def test_pickle_buffers_of_the_user(name):
    data = bytearray(b"x" * 10_000)
    encoded = get_serializer(name).encode(pickle.PickleBuffer(data))
    assert len(encoded) == 2
    assert bytes(decode(name, encoded)) == data
    with pytest.raises(SerializationError, match="contiguous"):
        get_serializer(name).encode(pickle.PickleBuffer(memoryview(data)[::2]))


@pytest.mark.parametrize("name", PICKLES)
def test_buffers_beside_what_goes_by_value(name):
    encoded = get_serializer(name).encode({"f": lambda: 5, "a": BIG})
    assert isinstance(encoded, list) is (name in SHARING)
    if name in SHARING:
        assert len(encoded) == 2  # the first try, that failed, left no buffer behind
    back = decode(name, encoded)
    assert back["f"]() == 5 and np.array_equal(back["a"], BIG)


def test_dumps_is_one_frame_whatever_the_size():
    for name in PICKLES:
        frame = get_serializer(name).dumps(BIG)
        assert type(frame) is bytes and frame[0] == 0x80
        assert np.array_equal(get_serializer(name).loads(frame), BIG)


@pytest.mark.parametrize("name", PICKLES)
def test_in_a_batch_those_with_buffers_go_alone(name):
    values = [np.full(2000, i) if i % 7 == 0 else i for i in range(300)]
    back = []
    for encoded in get_serializer(name).encode_many(values):
        decoded = get_serializer(name).decode_multi([encoded] if isinstance(encoded, bytes) else encoded)
        back.extend(decoded.content if decoded.kind == "batch" else [decoded.content])
    assert len(back) == 300
    assert all(np.array_equal(got, sent) for got, sent in zip(back, values, strict=True))


def test_never_more_buffers_than_the_receiver_accepts(monkeypatch):
    monkeypatch.setattr("agentlab.wire.pickles.MAX_COUNT", 3)
    values = [np.full(1000, i) for i in range(6)]
    encoded = get_serializer("pickle").encode(values)
    assert len(encoded) == 4
    assert all(map(np.array_equal, decode("pickle", encoded), values))


HEADER, BUFFER = get_serializer("pickle").encode(BIG)
PICKLE = HEADER[5:]


@pytest.mark.parametrize("name", PICKLES)
@pytest.mark.parametrize(
    "frames",
    [
        [HEADER],
        [HEADER, BUFFER, BUFFER],
        [HEADER, b""],
        [HEADER, bytes(BUFFER)[:-1]],
        [HEADER[:5], BUFFER],
        [HEADER[:3], BUFFER],
        [HEADER[:1]],
        [HEADER[:-2], BUFFER],
        [buffers_header(0, PICKLE)],
        [buffers_header(0, PICKLE), BUFFER],
        [buffers_header(2, PICKLE), BUFFER, BUFFER],
        [buffers_header(2, PICKLE), BUFFER],
        [buffers_header(2**32 - 1, PICKLE), BUFFER],
        [buffers_header(1, b"\x80\x05N."), BUFFER],
        [buffers_header(1, b""), BUFFER],
        [PICKLE, BUFFER],
        [BUFFER, HEADER],
        [pickle.dumps(1), b""],
        [b"", b""],
    ],
)
def test_hostile_counts_and_sizes(name, frames):
    with pytest.raises(SerializationError):
        get_serializer(name).decode_multi(frames)


def test_too_many_buffers():
    frames = [buffers_header(MAX_COUNT + 1, PICKLE), *[b""] * (MAX_COUNT + 1)]
    with pytest.raises(SerializationError, match="more than 65536"):
        get_serializer("pickle").decode_multi(frames)


@pytest.mark.parametrize("name", ["json", "msgpack"])
def test_plain_serializers_know_no_buffers(name):
    with pytest.raises(SerializationError, match="only pickles"):
        get_serializer(name).decode_multi([HEADER, BUFFER])
    for value in (BIG, np.int64(5), {"a": np.zeros(2)}):
        with pytest.raises(SerializationError, match="'pickle' carries any Python object, NumPy arrays too"):
            get_serializer(name).encode(value)
