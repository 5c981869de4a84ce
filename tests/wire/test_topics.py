"""Publications: topics, handlers, frames, numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentlab.errors import SerializationError
from agentlab.wire.serializers import get_serializer
from agentlab.wire.topics import LossCounter, SequenceCounter, TopicTable, pack_publication, to_topic, unpack_publication
from tests.wire.values import QUICK

EPOCH = b"abcd"


def test_to_topic():
    assert to_topic("é") == "é".encode()
    assert to_topic(b"\0\xff") == b"\0\xff"
    assert to_topic("") == to_topic(b"") == b""


@pytest.mark.parametrize("wrong", [None, 1, ["a"], bytearray(b"a"), "\ud800"])
def test_no_topic(wrong):
    with pytest.raises(SerializationError, match="topic"):
        to_topic(wrong)


# ------------------------------------------------------------------------------------------------ table


def test_every_matching_entry_in_the_order_of_the_dict():
    table = TopicTable({"ab": 1, b"": 2, "a": 3, "b": 4})
    assert table.matching(b"abc") == [1, 2, 3]
    assert table.matching(b"a") == [2, 3]
    assert table.matching(b"") == [2]
    assert table.matching(b"x") == [2]
    assert len(table) == 4 and table.topics() == [b"ab", b"", b"a", b"b"]


def test_set_adds_or_replaces_just_those_and_says_which_are_new():
    table = TopicTable()
    assert table.matching(b"a") == []
    assert table.set({"a": 1, "b": 2}) == [b"a", b"b"]
    assert table.matching(b"ab") == [1]
    assert table.set({"c": 5, "ab": 4, b"a": 3}) == [b"c", b"ab"]
    assert table.matching(b"ab") == [3, 4]
    assert table.matching(b"b") == [2]


def test_set_changes_nothing_when_a_topic_is_wrong():
    table = TopicTable({"a": 1})
    with pytest.raises(SerializationError):
        table.set({"b": 2, 3: 3})
    assert table.topics() == [b"a"]


def test_remove_says_which_were_there():
    table = TopicTable({"a": 1, "b": 2, "c": 3})
    assert table.matching(b"a") == [1]
    assert table.remove("a") == [b"a"]
    assert table.matching(b"a") == []
    assert table.remove(b"a") == []
    assert table.remove(["c", b"b", "c", "x"]) == [b"c", b"b"]
    assert len(table) == 0


topics = st.binary(max_size=3) | st.text("ab", max_size=3).map(str.encode)


@given(entries=st.dictionaries(topics, st.integers(), max_size=8), asked=st.lists(topics, max_size=20))
@QUICK
def test_matching_is_startswith(entries, asked):
    table = TopicTable(entries)
    for topic in asked + asked:
        assert table.matching(topic) == [handler for prefix, handler in entries.items() if topic[: len(prefix)] == prefix]


def test_the_memory_of_matches_is_bounded_and_used():
    table = TopicTable({b"": 1})
    for i in range(5000):
        assert table.matching(b"%d" % i) == [1]
        assert len(table._cache) <= 1024
    assert table.matching(b"x") is table.matching(b"x")
    before = len(table._cache)
    assert table.matching(b"y" * 1000) == [1]  # a raw publication with its payload
    assert len(table._cache) == before


# ------------------------------------------------------------------------------------------------ frames


@given(topic=st.binary(max_size=20), sequence=st.integers(0, 2**64 - 1), value=st.binary(max_size=40000))
@QUICK
def test_a_publication_of_one_frame(topic, sequence, value):
    pickle = get_serializer("pickle")
    frames = pack_publication(topic, sequence, EPOCH, pickle.encode(value))
    assert len(frames) == 2
    assert frames[1][:12] == sequence.to_bytes(8, "big") + EPOCH
    publication = unpack_publication(frames)
    assert publication[:3] == (topic, sequence, EPOCH)
    assert pickle.decode_multi(publication.frames).content == value


@pytest.mark.parametrize("name", ["json", "msgpack", "pickle", "dill"])
def test_a_long_publication_is_read_through_a_view(name):
    serializer, value = get_serializer(name), [["x" * i, 1] for i in range(300)]
    frames = pack_publication(b"t", 1, EPOCH, serializer.encode(value))
    for given_frames in (frames, [memoryview(frame) for frame in frames]):
        first = unpack_publication(given_frames).frames[0]
        assert isinstance(first, memoryview)
        assert serializer.is_header(first) is False
        assert serializer.decode(first) == value


def test_a_publication_with_buffers_shares_their_memory():
    pickle, array = get_serializer("pickle"), np.arange(5000.0)
    frames = pack_publication(b"t", 7, EPOCH, pickle.encode([array, 1, array + 1]))
    assert len(frames) == 4
    received = [bytes(frame) for frame in frames]
    publication = unpack_publication(received)
    assert pickle.is_header(publication.frames[0])
    first, one, second = pickle.decode_multi(publication.frames).content
    assert one == 1 and np.array_equal(first, array) and np.array_equal(second, array + 1)
    assert np.shares_memory(first, np.frombuffer(received[2]))


@pytest.mark.parametrize("frames", [[], [b"t"], [b"t", b""], [b"t", b"x" * 11], [b"t", b"x" * 11, b"y" * 50]])
def test_a_publication_cut_short(frames):
    with pytest.raises(SerializationError, match="publication"):
        unpack_publication(frames)


# ------------------------------------------------------------------------------------------------ numbers


def test_each_topic_counts_by_itself():
    counter = SequenceCounter()
    assert [counter.next(topic) for topic in (b"a", b"b", b"a", b"a", b"b")] == [1, 1, 2, 3, 2]


def test_epochs_differ():
    epochs = {SequenceCounter().epoch for _ in range(20)}
    assert len(epochs) > 15 and {len(epoch) for epoch in epochs} == {4}
    assert SequenceCounter(EPOCH).epoch == EPOCH


def test_the_topic_unused_for_longest_starts_again():
    counter = SequenceCounter(limit=2)
    for topic in (b"a", b"b", b"a", b"c"):
        counter.next(topic)
    assert (counter.next(b"a"), counter.next(b"b")) == (3, 1)


def test_ten_thousand_topics_are_remembered():
    counter, losses = SequenceCounter(), LossCounter()
    for i in range(10_001):
        losses.feed(EPOCH, b"%d" % i, counter.next(b"%d" % i))
    assert counter.next(b"0") == 1
    assert counter.next(b"2") == 2
    assert losses.feed(EPOCH, b"0", 9) == 0
    assert losses.feed(EPOCH, b"5", 9) == 7


def test_gaps_are_losses():
    losses = LossCounter()
    fed = [(b"a", 5), (b"a", 6), (b"a", 9), (b"b", 1), (b"a", 10), (b"b", 4)]
    assert [losses.feed(EPOCH, topic, number) for topic, number in fed] == [0, 0, 2, 0, 0, 2]
    assert losses.total == 4


def test_publishers_are_told_apart_and_a_new_start_is_no_loss():
    losses = LossCounter()
    fed = [(b"aaaa", 1), (b"bbbb", 100), (b"aaaa", 2), (b"bbbb", 101), (b"aaaa", 2), (b"aaaa", 1), (b"aaaa", 2), (b"aaaa", 4)]
    assert [losses.feed(epoch, b"t", number) for epoch, number in fed] == [0, 0, 0, 0, 0, 0, 0, 1]


def test_the_topic_unheard_for_longest_is_forgotten():
    losses = LossCounter(limit=2)
    for topic, number in ((b"a", 1), (b"b", 1), (b"a", 2), (b"c", 1)):
        losses.feed(EPOCH, topic, number)
    assert losses.feed(EPOCH, b"a", 5) == 2
    assert losses.feed(EPOCH, b"b", 9) == 0


def test_forgotten_topics_start_afresh():
    losses = LossCounter()
    for topic in (b"a", b"ab", b"b"):
        losses.feed(EPOCH, topic, 1)
    losses.forget(b"a")
    assert [losses.feed(EPOCH, topic, 10) for topic in (b"a", b"ab", b"b")] == [0, 0, 8]
    assert losses.total == 8


@given(sent=st.lists(st.sampled_from([b"a", b"b", b"c"]), max_size=60), data=st.data())
@QUICK
def test_what_is_missed_between_two_that_came_is_counted(sent, data):
    counter, losses, expected, seen, missing = SequenceCounter(), LossCounter(), 0, set(), {}
    for topic in sent:
        number = counter.next(topic)
        if data.draw(st.booleans()):
            lost = missing.pop(topic, 0) if topic in seen else 0
            missing[topic] = 0
            seen.add(topic)
            expected += lost
            assert losses.feed(counter.epoch, topic, number) == lost
        else:
            missing[topic] = missing.get(topic, 0) + 1
    assert losses.total == expected
