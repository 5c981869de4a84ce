"""What a name server keeps, when, and what it does where it cannot: the service over a storage that is a dict."""

from __future__ import annotations

import pytest

from agentlab.errors import NameServerError, NameTakenError
from agentlab.nameserver import protocol
from agentlab.nameserver.registration import Registration
from agentlab.nameserver.service import NameService


class Memory:
    """A storage that counts its writes and can be full."""

    def __init__(self, *registrations):
        self.kept = {one.name: one for one in registrations}
        self.writes, self.full, self.closed = 0, False, False

    def load(self):
        return list(self.kept.values())

    def apply(self, changes):
        if self.full:
            raise NameServerError("refused: no room")
        self.writes += 1
        for change in changes:
            self.kept.pop(change.name, None)
            if change.kind != "removed":
                self.kept[change.name] = change.registration

    def close(self):
        self.closed = True


class Lab:
    def __init__(self, *registrations):
        self.now = 0.0
        self.storage = Memory(*registrations)
        self.service = NameService(
            lambda: None, lambda: None, clock=lambda: self.now, wall=lambda: 1000.0 + self.now, probe=lambda uri: False
        )
        self.service.restore(self.storage)

    def call(self, method, **arguments):
        return protocol.decode_reply(self.service.handle(protocol.encode_request(method, arguments)))

    def register(self, name="A", uri="u1", lease=3.0, instance="i", replace=False):
        return self.call("register", registration=[name, uri, instance, {}, lease], replace=replace)

    def renewal(self, name="A", uri="u1", since=1000.0):
        self.service.renew([Registration(name, uri, "i", {}, 3.0, since)])

    def records(self):
        return [(r.number, r.change.kind, r.change.name) for r in map(protocol.decode_record, self.service.take_records())]

    def in_step(self):
        return self.storage.kept == self.service.list()


@pytest.fixture
def lab():
    return Lab()


def test_every_change_is_kept_and_renewals_are_not_written(lab):
    lab.register()
    lab.register("B", lease=None)
    assert lab.storage.writes == 2 and lab.in_step()
    for lab.now in (1.0, 2.0, 3.0, 4.0):
        lab.renewal()
        lab.service.expire()
    lab.register()  # the same again
    assert lab.storage.writes == 2 and lab.in_step()
    lab.call("remove", name="A")
    lab.call("remove", name="A")
    assert lab.storage.writes == 3 and lab.in_step()


def test_many_that_end_at_once_are_one_write(lab):
    for number in range(50):
        lab.register(f"n{number}")
    lab.now = 4.0
    lab.service.expire()
    assert lab.storage.writes == 51 and lab.storage.kept == {}


def test_what_cannot_be_kept_is_refused_and_changes_nothing(lab):
    lab.register("B")
    lab.records()
    lab.storage.full = True
    with pytest.raises(NameServerError, match="refused: no room"):
        lab.register()
    with pytest.raises(NameServerError, match="refused: no room"):
        lab.register("B", "u2", replace=True)
    with pytest.raises(NameServerError, match="refused: no room"):
        lab.call("remove", name="B")
    with pytest.raises(NameTakenError):
        lab.register("B", "u2")
    assert lab.call("find", name="A") is None and lab.call("lookup", name="B")[1] == "u1"
    assert lab.records() == [] and lab.call("info")["number"] == 1
    lab.register("B")  # changes nothing, so there is nothing to write
    lab.storage.full = False
    lab.register()
    assert lab.records() == [(2, "registered", "A")] and lab.in_step()


def test_what_happens_by_itself_is_not_refused_and_kept_later(lab):
    lab.register("old")
    lab.storage.full = True
    lab.now = 2.0
    lab.renewal("back")
    lab.now = 4.0
    lab.service.expire()
    assert set(lab.service.list()) == {"back"} and set(lab.storage.kept) == {"old"}
    assert lab.call("info")["counts"]["unkept"] == 2
    lab.service.keep_rest()
    with pytest.raises(NameServerError):
        lab.register("back", lease=3.0)  # it is there already, but to say yes would be a promise
    lab.storage.full = False
    lab.service.keep_rest()
    assert lab.in_step() and lab.call("info")["counts"]["unkept"] == 0
    writes = lab.storage.writes
    lab.service.keep_rest()
    assert lab.storage.writes == writes


def test_what_is_left_to_keep_is_kept_with_the_next_change_in_order(lab):
    lab.storage.full = True
    lab.renewal("A")
    lab.now = 4.0
    lab.service.expire()
    lab.renewal("A", since=1001.0)
    lab.storage.full = False
    lab.register("B")
    assert set(lab.storage.kept) == {"A", "B"} and lab.in_step()


def test_what_is_left_to_keep_is_tried_once_more_at_the_end(lab):
    lab.storage.full = True
    lab.renewal("A")
    lab.storage.full = False
    lab.service.close()
    assert set(lab.storage.kept) == {"A"} and lab.storage.closed


def test_after_a_restart_leases_begin_anew_and_the_others_stay():
    lab = Lab(
        Registration("live", "u1", "i", {}, 3.0, 5.0), Registration("dead", "u2", "i", {}, 3.0, 5.0), Registration("plain", "u3")
    )
    assert lab.call("info")["number"] == 0 and lab.records() == []
    with pytest.raises(NameTakenError):
        lab.register("live", "u9")
    lab.now = 2.9
    lab.renewal("live", since=5.0)
    lab.service.expire()
    assert set(lab.service.list()) == {"live", "dead", "plain"}
    lab.now = 3.0
    lab.service.expire()
    assert set(lab.service.list()) == {"live", "plain"}
    assert lab.records() == [(1, "removed", "dead")] and lab.storage.writes == 1 and lab.in_step()


def test_a_storage_that_cannot_be_read_is_closed_nevertheless():
    storage = Memory()
    storage.load = lambda: 1 / 0
    service = NameService(lambda: None, lambda: None)
    with pytest.raises(ZeroDivisionError):
        service.restore(storage)
    service.close()
    assert storage.closed
