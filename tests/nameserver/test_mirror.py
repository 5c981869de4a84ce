"""The copy kept from a feed: gaps, restarts, and that everything is told exactly once."""

from __future__ import annotations

import random

import pytest

from agentlab.errors import AgentLabError, NameTakenError, SerializationError, UnknownNameError
from agentlab.nameserver import protocol
from agentlab.nameserver.leases import NameTable
from agentlab.nameserver.mirror import FeedMirror
from agentlab.nameserver.protocol import Record, Snapshot
from agentlab.nameserver.registration import Registration


def reg(name, instance="i", lease=3.0, since=1.0):
    return Registration(name, f"u{instance}", instance, {}, lease, since)


def shot(table):
    return protocol.snapshot_from_plain(
        protocol.unpack(protocol.pack(protocol.snapshot_to_plain(table.epoch, table.number, table.list())))
    )


def told(changes):
    return [(c.kind, c.name) for c in changes]


def record(change):
    return protocol.decode_record(protocol.encode_change(change))


@pytest.fixture
def table():
    table = NameTable("e1")
    table.register(reg("A"), 0.0)
    return table


@pytest.fixture
def mirror(table):
    mirror = FeedMirror()
    assert told(mirror.reset(shot(table), 0.0)) == [("registered", "A")]
    return mirror


def test_changes_follow_each_other(table, mirror):
    assert told(mirror.apply(record(table.register(reg("B"), 0.0)))) == [("registered", "B")]
    assert told(mirror.apply(record(table.register(reg("B", "j", since=2), 0.0, replace=True)))) == [("changed", "B")]
    assert told(mirror.apply(record(table.remove("A")))) == [("removed", "A")]
    assert mirror.state() == table.list()


def test_what_is_known_already_is_not_told_again(table, mirror):
    change = table.register(reg("B"), 0.0)
    mirror.reset(shot(table), 0.0)
    assert mirror.apply(record(change)) == []
    assert mirror.reset(shot(table), 0.0) == []


def test_a_gap_asks_for_everything_and_tells_the_difference(table, mirror):
    table.register(reg("B"), 0.0)  # lost
    table.remove("A")  # lost
    assert mirror.apply(record(table.register(reg("C"), 0.0))) is None
    assert told(mirror.reset(shot(table), 0.0)) == [("removed", "A"), ("registered", "B"), ("registered", "C")]


def test_a_beacon_shows_that_the_last_change_was_lost(table, mirror):
    assert mirror.apply(Record("e1", 1)) == []
    table.register(reg("B"), 0.0)
    assert mirror.apply(protocol.decode_record(protocol.encode_beacon("e1", 2))) is None


def test_an_older_snapshot_is_ignored(table, mirror):
    old = shot(table)
    mirror.apply(record(table.register(reg("B"), 0.0)))
    assert mirror.reset(old, 0.0) == [] and mirror.find("B") is not None


def test_a_restart_doubts_and_whoever_comes_back_was_never_away(table, mirror):
    for name in ("B", "P"):
        mirror.apply(record(table.register(reg(name, lease=None if name == "P" else 3.0), 0.0)))
    again = NameTable("e2")
    assert mirror.apply(Record("e2", 0)) is None
    assert told(mirror.reset(shot(again), 10.0)) == [("removed", "P")]  # nobody renews a plain one
    assert mirror.apply(record(again.renew(reg("A"), 10.5))) == []
    assert mirror.next_settle() == 13.0
    assert mirror.settle(12.9) == []
    assert mirror.reset(shot(again), 12.0) == []  # a gap meanwhile changes nothing
    assert told(mirror.settle(13.0)) == [("removed", "B")]
    assert mirror.settle(99.0) == [] and list(mirror.state()) == ["A"]


def test_another_holder_after_a_restart_is_a_change(table, mirror):
    again = NameTable("e2")
    mirror.reset(shot(again), 0.0)
    assert told(mirror.apply(record(again.register(reg("A", "j"), 0.0)))) == [("changed", "A")]
    assert told(mirror.apply(record(again.remove("A")))) == [("removed", "A")]
    assert mirror.settle(99.0) == []


@pytest.mark.parametrize("seed", range(20))
def test_random_histories_with_losses_end_right_and_tell_consistently(seed):
    """Model: replaying what was told gives the same table, whatever was lost."""
    rng = random.Random(seed)
    table, mirror, model = NameTable("0"), FeedMirror(), {}
    restarts = 0

    def take(changes):
        for change in changes:
            if change.kind == "removed":
                assert model.pop(change.name) == change.registration
            else:
                assert (change.name in model) == (change.kind == "changed")
                assert model.get(change.name) != change.registration
                model[change.name] = change.registration

    for step in range(300):
        now = step * 0.1
        name, instance = rng.choice("ABCDE"), rng.choice("ij")
        made = table.expire(now)
        action = rng.random()
        try:
            if action < 0.4:
                made.append(table.register(reg(name, instance, since=now), now, replace=rng.random() < 0.5))
            elif action < 0.6:
                made.append(table.renew(reg(name, instance, since=now), now))
            elif action < 0.8:
                made.append(table.remove(name, now=now))
            elif action < 0.82:
                restarts += 1
                table, made = NameTable(str(restarts)), []
        except (NameTakenError, UnknownNameError):
            pass
        records = [record(c) for c in made if c is not None] + [Record(table.epoch, table.number)]
        for one in records:
            if rng.random() < 0.3:
                continue  # lost on the way
            changes = mirror.apply(one)
            take(mirror.reset(shot(table), now) if changes is None else changes)
        take(mirror.settle(now))
    take(mirror.reset(shot(table), 30.0))
    take(mirror.settle(99.0))
    assert model == mirror.state() == table.list()


def test_requests_and_replies_round_trip():
    assert protocol.decode_request(protocol.encode_request("list", {"prefix": "a"})) == ("list", {"prefix": "a"})
    assert protocol.decode_reply(protocol.encode_result([1, "a"])) == [1, "a"]
    with pytest.raises(NameTakenError, match="^taken$"):
        protocol.decode_reply(protocol.encode_error(NameTakenError("taken")))


@pytest.mark.parametrize(
    "noise", [b"", b"\xc1", b"\x93", b"\x01", b"\x92\xa1a\x91\x01", b"\x92\x01\x80", b"\x91" * 2000, b"\x92\xa1a\x81\x01\x01"]
)
def test_noise_is_our_error(noise):
    for decode in (protocol.decode_request, protocol.decode_reply, protocol.decode_record):
        with pytest.raises(AgentLabError):
            decode(noise)


def test_a_feed_of_a_later_release_says_what_it_does_not_know():
    with pytest.raises(SerializationError, match="unknown kind of change, 'moved'"):
        protocol.decode_record(protocol.pack(["e", 1, "moved", None]))


def test_snapshot_is_a_value():
    assert Snapshot("e", 1, {}) == Snapshot("e", 1, {})
