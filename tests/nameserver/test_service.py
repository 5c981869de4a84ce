"""What a name server answers, without a socket."""

from __future__ import annotations

import random
import socket

import pytest

from agentlab.errors import AgentLabError, ConfigurationError, NameServerError, NameTakenError, UnknownNameError
from agentlab.nameserver import protocol
from agentlab.nameserver.probe import is_dead
from agentlab.nameserver.registration import Registration
from agentlab.nameserver.service import NameService


class Lab:
    """A service with a clock turned by hand, and a list of URIs where nobody listens."""

    def __init__(self):
        self.now, self.dead, self.woken, self.stopped = 0.0, set(), 0, 0
        self.service = NameService(
            self._wake, self._stop, clock=lambda: self.now, wall=lambda: 1000.0 + self.now, probe=self.dead.__contains__
        )

    def _wake(self):
        self.woken += 1

    def _stop(self):
        self.stopped += 1

    def call(self, method, **arguments):
        return protocol.decode_reply(self.service.handle(protocol.encode_request(method, arguments)))

    def register(self, name="A", uri="u1", instance="i1", metadata=None, lease=3.0, replace=False):
        return self.call("register", registration=[name, uri, instance, metadata or {}, lease], replace=replace)

    def records(self):
        return [protocol.decode_record(record) for record in self.service.take_records()]


@pytest.fixture
def lab():
    return Lab()


def test_register_look_up_list_remove(lab):
    assert lab.register(metadata={"tags": ["t"]}) == ["A", "u1", "i1", {"tags": ["t"]}, 3.0, 1000.0]
    assert lab.call("lookup", name="A")[1] == "u1"
    assert lab.call("find", name="B") is None
    assert [row[0] for row in lab.call("list", tag="t")] == ["A"]
    assert lab.call("list", prefix="B") == []
    assert lab.call("remove", name="A", uri="other") is False
    assert lab.call("remove", name="A", instance="i1") is True
    assert [(r.number, r.change.kind) for r in lab.records()] == [(1, "registered"), (2, "removed")]
    assert lab.woken == 2 and lab.records() == []


def test_errors_arrive_as_their_own_types(lab):
    lab.register()
    with pytest.raises(NameTakenError, match="held by u1"):
        lab.register(uri="u2")
    with pytest.raises(UnknownNameError, match="did you mean 'A'|known names: 'A'"):
        lab.call("lookup", name="B")
    with pytest.raises(ConfigurationError, match="not blank"):
        lab.register(" ")
    with pytest.raises(ConfigurationError, match="allowed are 8000"):
        lab.register("B", metadata={"x": "y" * 9000})


def test_a_holder_that_is_dead_makes_room_at_once(lab):
    lab.register()
    lab.dead.add("u1")
    assert lab.register(uri="u2", instance="i2")[1] == "u2"
    assert [(r.number, r.change.kind) for r in lab.records()] == [(1, "registered"), (2, "removed"), (3, "registered")]
    lab.service.renew([Registration("A", "u1", "i1", {}, 3.0, 1000.0)])  # what it sent before it died
    assert lab.call("lookup", name="A")[1] == "u2"


def test_renewals_are_counted_where_they_are_dropped(lab):
    lab.register(replace=True)
    lab.service.renew([Registration("A", "u2", "i2", {}, 3.0, 1.0)])
    lab.call("remove", name="A")
    lab.service.renew([Registration("A", "u1", "i1", {}, 3.0, 1000.0)])
    assert lab.call("info")["counts"] == {"renewals": 2, "conflicts": 1, "late": 1}
    assert lab.call("info")["names"] == 0


def test_leases_end_on_the_clock_given(lab):
    lab.register()
    lab.now = 2.9
    lab.service.expire()
    assert lab.call("find", name="A")
    lab.service.expire(granted=5.0)
    lab.now = 7.9
    lab.service.expire()
    assert lab.call("find", name="A")
    lab.now = 8.0
    lab.service.expire()
    assert lab.call("find", name="A") is None


def test_announce_and_beacon_tell_the_number(lab):
    lab.register()
    epoch = lab.service.table.epoch
    assert lab.call("announce") == [epoch, 1]
    assert lab.records()[1:] == [protocol.Record(epoch, 1)]
    assert lab.call("snapshot")[:2] == [epoch, 1]
    assert [protocol.decode_record(r) for r in lab.service.take_records(beacon=True)] == [protocol.Record(epoch, 1)]


def test_shutdown_is_passed_on(lab):
    lab.call("shutdown")
    assert lab.stopped == 1


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("nothing", {}),
        ("lookup", {}),
        ("lookup", {"name": ["a"]}),
        ("register", {"registration": [1]}),
        ("register", {"registration": None}),
        ("list", {"bad": 1}),
        ("list", {"meta_all": 3}),
        ("__class__", {}),
    ],
)
def test_wrong_calls_are_answered(lab, method, arguments):
    lab.register()
    with pytest.raises(NameServerError):
        lab.call(method, **arguments)


def test_noise_is_answered_and_changes_nothing(lab):
    rng = random.Random(3)
    for _ in range(2000):
        with pytest.raises(AgentLabError):
            protocol.decode_reply(lab.service.handle(rng.randbytes(rng.randrange(60))))
    assert len(lab.service.table) == 0


def test_only_a_refused_connection_proves_death(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not is_dead(f"PYRO:x@127.0.0.1:{port}")  # it accepts nothing, as a frozen process would
    assert is_dead(f"PYRO:x@127.0.0.1:{port}")
    assert is_dead(f"PYRO:x@./u:{tmp_path}/none")
    assert not is_dead("PYRONAME:x") and not is_dead("") and not is_dead("PYRO:x@nowhere.invalid:1")


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="unix sockets")
def test_a_stale_socket_file_is_dead(tmp_path):
    path = f"{tmp_path}/s"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        assert not is_dead(f"PYRO:x@./u:{path}")
    assert is_dead(f"PYRO:x@./u:{path}")
