"""Following a feed that loses, moves and comes late, against a name server made of a table."""

from __future__ import annotations

import time

import pytest

from agentlab.errors import NameServerUnavailableError
from agentlab.nameserver import protocol
from agentlab.nameserver.follow import SILENCE, Follower
from agentlab.nameserver.leases import NameTable
from agentlab.nameserver.protocol import Snapshot
from agentlab.nameserver.registration import Registration
from agentlab.transport.feed import FeedPublisher
from tests.nameserver.live import wait_until
from tests.timing import soon


class Lab:
    """A table, a feed at an endpoint that can change, and a clock that can be turned forward."""

    def __init__(self, directory):
        self.directory, self.table, self.ahead, self.away = directory, NameTable("e"), 0.0, False
        self.asked, self.publisher, self.announces = [], None, True
        self.move("one")

    def move(self, name):
        if self.publisher is not None:
            self.publisher.close()
        self.publisher = FeedPublisher(f"ipc://{self.directory}/{name}.feed")

    def clock(self):
        return time.monotonic() + self.ahead

    def register(self, name, *, lost=False):
        change = self.table.register(Registration(name, "u", "i", {}, 3.0, 1.0), self.clock())
        if not lost:
            self.publisher.publish(protocol.encode_change(change))

    def beacon(self):
        self.publisher.publish(protocol.encode_beacon(self.table.epoch, self.table.number))

    def _answer(self, question):
        self.asked.append(question)
        if self.away:
            raise NameServerUnavailableError("away")

    def snapshot(self):
        self._answer("snapshot")
        return Snapshot(self.table.epoch, self.table.number, self.table.list())

    def endpoints(self):
        self._answer("endpoints")
        return {"feed": self.publisher.endpoint}

    def announce(self):
        self._answer("announce")
        if self.announces:
            self.beacon()
        return self.table.epoch, self.table.number


@pytest.fixture
def lab(socket_dir):
    lab = Lab(socket_dir)
    yield lab
    lab.publisher.close()


@pytest.fixture
def follower(lab):
    follower = Follower(lab, lab.clock)
    yield follower
    follower.close()


def until(follower, name):
    told = []
    wait_until(lambda: told.extend(follower.step(0.05)) or follower.mirror.find(name))
    return [change.name for change in told]


def joined(lab, follower):
    wait_until(lambda: follower.step(0.05) or follower._heard)
    lab.asked.clear()


def test_once_joined_it_asks_nothing(lab, follower):
    joined(lab, follower)
    for name in "ABC":
        lab.register(name)
    assert until(follower, "C") == ["A", "B", "C"]
    assert lab.asked == []


def test_what_came_between_snapshot_and_joining_is_found(lab, follower):
    lab.announces = False  # not even the first beacon gets through
    follower.step(0.0)
    lab.register("A", lost=True)
    assert until(follower, "A") == ["A"]


def test_a_loss_is_found_by_the_next_beacon_and_healed_by_one_snapshot(lab, follower):
    joined(lab, follower)
    lab.register("A", lost=True)
    lab.beacon()
    assert until(follower, "A") == ["A"]
    assert lab.asked == ["snapshot"]


def test_a_feed_that_moved_is_found_after_a_silence(lab, follower):
    joined(lab, follower)
    lab.move("two")
    lab.register("A")
    follower.step(0.0)
    assert follower.mirror.find("A") is None and lab.asked == []
    lab.ahead += SILENCE + 0.1
    assert until(follower, "A") == ["A"]
    assert lab.asked[:2] == ["endpoints", "snapshot"]


def test_a_server_that_is_away_is_reported_and_asked_again(lab, follower):
    lab.away = True
    assert follower.step(0.0) == [] and isinstance(follower.error, NameServerUnavailableError)
    lab.away = False
    lab.register("A")
    assert until(follower, "A") == ["A"] and follower.error is None


def test_noise_on_the_feed_is_dropped(lab, follower):
    joined(lab, follower)
    lab.publisher.publish(b"\xc1noise")
    lab.register("A")
    assert until(follower, "A") == ["A"] and lab.asked == []


def test_a_step_ends_by_its_timeout(lab, follower):
    joined(lab, follower)
    start = time.monotonic()
    assert follower.step(0.05) == []
    assert time.monotonic() - start < soon(0.5)
