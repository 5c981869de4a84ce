"""The contract that every serializer keeps, and what each carries."""

import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentlab.errors import SerializationError, WrongAddressError
from agentlab.wire.address import AgentAddress, AgentAddressKind, AgentAddressSerializer
from agentlab.wire.channel import AgentChannel
from agentlab.wire.message import BATCH, LAST_HEADER, Decoded
from agentlab.wire.serializers import get_serializer
from tests.wire.values import ALL, PICKLES, PLAIN, QUICK, VALUES, Shade, Unpicklable, pickle_values


def frames_of(encoded):
    return [encoded] if isinstance(encoded, bytes) else encoded


def round_trip(name, value):
    decoded = get_serializer(name).decode_multi(frames_of(get_serializer(name).encode(value)))
    assert decoded.kind == "value"
    return decoded.content


def arrived(name, encoded_messages):
    """Give the values that a receiver has of what encode_many gave."""
    values = []
    for encoded in encoded_messages:
        decoded = get_serializer(name).decode_multi(frames_of(encoded))
        values.extend(decoded.content if decoded.kind == "batch" else [decoded.content])
    return values


def test_one_instance_for_each_name():
    for name in AgentAddressSerializer:
        assert get_serializer(name) is get_serializer(name.value)
        assert get_serializer(name).name == name


@pytest.mark.parametrize("wrong", ["yaml", "", None, [], b"raw"])
def test_no_such_serializer(wrong):
    with pytest.raises(WrongAddressError, match="raw, pickle, cloudpickle, dill, json, msgpack"):
        get_serializer(wrong)


@pytest.mark.parametrize("name", ALL)
@given(data=st.data())
@QUICK
def test_round_trip(name, data):
    serializer, value = get_serializer(name), data.draw(VALUES[name])
    frame = serializer.encode(value)
    assert type(frame) is bytes
    assert not serializer.is_header(frame)
    assert serializer.decode(frame) == serializer.loads(frame) == value
    assert serializer.loads(serializer.dumps(value)) == value
    assert serializer.decode(memoryview(frame)) == serializer.decode(bytearray(frame)) == value
    for given_frame in (frame, memoryview(frame), bytearray(frame)):
        assert serializer.decode_multi([given_frame]) == Decoded("value", value)
    if name != "raw":
        assert not 0 < frame[0] <= LAST_HEADER
    if name in PICKLES:
        assert frame[0] == 0x80


@pytest.mark.parametrize("name", ALL)
@given(data=st.data())
@QUICK
def test_many_arrive_in_order(name, data):
    values = data.draw(st.lists(VALUES[name], max_size=20))
    encoded = get_serializer(name).encode_many(iter(values))
    assert arrived(name, encoded) == values
    if name == "raw":
        assert encoded == values
    else:
        assert get_serializer(name).encode_many([]) == []


@pytest.mark.parametrize("name", [name for name in ALL if name != "raw"])
@pytest.mark.parametrize("count", [1, 2, 255, 256, 257, 1000])
def test_batches_hold_256_at_most(name, count):
    values = [{"i": i} for i in range(count)]
    encoded = get_serializer(name).encode_many(values)
    assert arrived(name, encoded) == values
    assert len(encoded) == math.ceil(count / 256)
    serializer = get_serializer(name)
    for frame in encoded[: count // 256]:
        assert serializer.is_header(frame) and frame[0] == BATCH
        assert len(serializer.decode_multi([frame]).content) == 256
    if count % 256 == 1:
        assert not serializer.is_header(encoded[-1])  # a single message needs no batch


@pytest.mark.parametrize("name", [name for name in ALL if name != "raw"])
def test_batches_are_bounded_in_bytes(name):
    values = ["x" * 300_000 + str(i) for i in range(20)] + [0, 1, 2] + ["y" * 3_000_000]
    encoded = get_serializer(name).encode_many(values)
    assert arrived(name, encoded) == values
    assert len(encoded) < len(values)
    assert all(len(frame) <= 2**20 + 1 or not get_serializer(name).is_header(frame) for frame in encoded)


@pytest.mark.parametrize("name", PICKLES)
def test_one_message_sent_twice_arrives_as_two(name):
    message = {"a": []}
    first, second, third = arrived(name, get_serializer(name).encode_many([message, 1, message])[0:3])
    first["b"] = 1
    assert (first, second, third) == ({"a": [], "b": 1}, 1, {"a": []})


@pytest.mark.parametrize("name", ALL)
def test_many_is_all_or_nothing_and_names_the_culprit(name):
    values = [b"x" if name == "raw" else 1] * 300 + [Unpicklable()] + [2] * 10
    with pytest.raises(SerializationError, match=f"'Unpicklable' with {name}"):
        get_serializer(name).encode_many(values)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("payload", [b"", b"oops", bytes(range(256))])
def test_errors_are_told_apart(name, payload):
    serializer = get_serializer(name)
    frames = serializer.encode_error(payload)
    assert len(frames) == (2 if name == "raw" else 1)
    assert serializer.is_header(frames[0]) is (name != "raw")
    assert serializer.decode_multi(frames) == Decoded("error", payload)
    assert serializer.decode_multi([memoryview(frame) for frame in frames]) == Decoded("error", payload)


@pytest.mark.parametrize("name", [name for name in ALL if name != "raw"])
@given(first=st.integers(0, 255), rest=st.binary(max_size=5))
@QUICK
def test_is_header_looks_at_the_first_byte(name, first, rest):
    for frame in (bytes((first,)) + rest, bytearray((first,)), memoryview(bytes((first,)))):
        assert get_serializer(name).is_header(frame) is (1 <= first <= 8)
        assert get_serializer("raw").is_header(frame) is False
    assert get_serializer(name).is_header(b"") is False


# ------------------------------------------------------------------------------------------------ what each carries


@pytest.mark.parametrize("value", [b"a", bytearray(b"a"), memoryview(b"a"), memoryview(b"xaxb")[1:2], "a"])
def test_raw_takes_bytes_and_text(value):
    assert type(get_serializer("raw").encode(value)) is bytes
    assert round_trip("raw", value) == b"a"
    assert round_trip("raw", "é☃") == "é☃".encode()


@pytest.mark.parametrize("value", [None, 1, ["a"], {"a": 1}, "\ud800"])
def test_raw_takes_nothing_else(value):
    with pytest.raises(SerializationError, match=f"{type(value).__name__!r} with raw"):
        get_serializer("raw").encode(value)


def test_raw_has_no_headers():
    raw = get_serializer("raw")
    for frame in (b"\x01", b"\x02abc", b"\x03AGENTLAB-ERROR", b""):
        assert not raw.is_header(frame)
        assert raw.decode_multi([frame]) == Decoded("value", frame)
        assert raw.encode(frame) is frame
    assert type(raw.decode(memoryview(b"abc"))) is bytes


@pytest.mark.parametrize("name", PLAIN)
def test_plain_serializers_turn_tuples_into_lists_and_enumerations_into_texts(name):
    assert round_trip(name, (1, (2, 3))) == [1, [2, 3]]
    back = round_trip(name, [AgentAddressKind.PUB])
    assert back == ["PUB"] and type(back[0]) is str


def test_json_carries_nan_and_turns_keys_into_text():
    assert round_trip("json", {1: 2}) == {"1": 2}
    assert math.isnan(round_trip("json", math.nan))
    assert round_trip("json", [math.inf, 2**200]) == [math.inf, 2**200]
    assert get_serializer("json").encode({"a": [1, "é"]}) == '{"a":[1,"é"]}'.encode()


def test_msgpack_carries_bytes_and_keeps_keys():
    value = {1: b"a", b"k": "a", "t": None, 2.5: [True]}
    assert round_trip("msgpack", value) == value
    assert get_serializer("msgpack").encode(5) == b"\0\5"
    assert round_trip("msgpack", [bytearray(b"a"), memoryview(b"b")]) == [b"a", b"b"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("json", b"bytes"),
        ("json", {"deep": [b"bytes"]}),
        ("json", object()),
        ("json", {(1, 2): 3}),
        ("json", {1, 2}),
        ("json", "\ud800"),
        ("msgpack", object()),
        ("msgpack", 2**64),
        ("msgpack", {1, 2}),
        ("msgpack", 1j),
        ("msgpack", "\ud800"),
    ],
)
def test_what_plain_serializers_refuse_says_type_name_and_cure(name, value):
    with pytest.raises(SerializationError, match=f"{type(value).__name__!r} with {name}: .*'pickle' carries") as caught:
        get_serializer(name).encode(value)
    assert caught.value.__cause__ is not None
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [name for name in ALL if name != "raw"])
def test_what_nobody_carries(name):
    circle = []
    circle.append(circle)
    for value in (Unpicklable(), (i for i in ()), *([circle] if name in PLAIN else [])):
        for encode in (get_serializer(name).encode, get_serializer(name).dumps):
            with pytest.raises(SerializationError, match=f"{type(value).__name__!r} with {name}: ") as caught:
                encode(value)
            assert caught.value.__cause__ is not None


@pytest.mark.parametrize("name", [name for name in ALL if name != "raw"])
def test_a_value_too_deep_is_an_error_or_arrives(name):
    deep = []
    for _ in range(50_000):
        deep = [deep]
    with pytest.raises(SerializationError, match=f"with {name}: "):
        get_serializer(name).encode(deep)


@pytest.mark.parametrize("name", PICKLES)
def test_pickles_carry_objects(name):
    value = [
        Shade.RED,
        {1, 2},
        (1, (2,)),
        AgentAddress("ipc", "/x", "PUB", "server", name),
        AgentChannel("SYNC_PUB", None, AgentAddress("tcp", "[::1]:1", "PUB", "server", name)),
        ValueError("a"),
    ]
    back = round_trip(name, value)
    assert back[:-1] == value[:-1]
    assert back[0] is Shade.RED and back[4].uuid == value[4].uuid
    assert repr(back[-1]) == repr(value[-1])


@pytest.mark.parametrize("name", PICKLES)
def test_pickles_carry_functions_and_local_classes(name):
    base = 10

    class Local:
        def __init__(self, x):
            self.x = x

    back = round_trip(name, {"f": lambda x: x + base, "c": Local, "o": Local(3)})
    assert back["f"](1) == 11
    assert back["c"](2).x == 2
    assert back["o"].x == 3
    assert arrived(name, get_serializer(name).encode_many([lambda: 1, lambda: 2]))[1]() == 2


@pytest.mark.parametrize("name", PICKLES)
def test_what_lives_in_main_travels_by_value(name):
    program = f"""
import enum
from agentlab.wire.serializers import get_serializer
SCALE = 3
class Shade(enum.Enum):
    RED = 1
class Point:
    def __init__(self, x): self.x = x
    def scaled(self): return SCALE * self.x
def double(x): return SCALE * x * 2
s = get_serializer({name!r})
red = Shade.RED if {name!r} != "dill" else Point(1)  # dill cannot rebuild an enumeration of __main__
value = [Point(2), double, red, Point]
assert s.loads(s.encode(value))[1](1) == 6
print(s.encode(value).hex(), s.dumps(value).hex(), s.encode_many(value)[0].hex())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    frames = [bytes.fromhex(text) for text in done.stdout.split()]
    assert len(frames) == 3
    for frame in frames:
        point, double, red, cls = get_serializer(name).decode_multi([frame]).content
        assert (point.scaled(), double(1), cls(4).scaled()) == (6, 6, 12)
        assert name == "dill" or red.name == "RED"


def test_plain_pickles_are_those_of_the_c_pickler_and_the_text_main_does_no_harm():
    import pickle

    value = {"name": "laser", "value": 1.5}
    assert get_serializer("pickle").encode(value) == pickle.dumps(value, 5)
    for value in ("__main__", b"__main__", [Shade.RED, "__main__"]):
        assert round_trip("pickle", value) == value


@given(value=pickle_values)
@QUICK
def test_the_pickles_read_each_other(value):
    for name in ("pickle", "cloudpickle"):
        for other in ("pickle", "cloudpickle", "dill"):
            assert get_serializer(other).loads(get_serializer(name).dumps(value)) == value
