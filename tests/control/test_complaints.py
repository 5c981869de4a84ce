"""Warnings about strangers: a few lines for each address, then a count."""

import logging
import socket

from agentlab.control import complaints
from agentlab.control.complaints import EVERYBODY, Complaints, Tally
from tests.control.conftest import echo, eventually


def test_the_first_few_of_an_address_are_told_and_then_again_after_the_period():
    tally = Tally(most=2, period=10.0)
    assert [tally.admit("a", now) for now in (0.0, 1.0, 2.0, 9.9)] == [True, True, False, False]
    assert tally.admit("b", 5.0)
    assert tally.due(9.9) == []
    assert tally.next() == 10.0
    assert tally.due(10.0) == [("a", 2)]
    assert tally.admit("a", 10.0)
    assert tally.due(15.0) == [("b", -1)]


def test_many_addresses_take_no_more_memory_than_some():
    tally = Tally(most=1, period=10.0, addresses=3)
    assert [tally.admit(str(number), 0.0) for number in range(6)] == [True, True, True, True, False, False]
    assert sorted(tally.due(10.0)) == [("0", 0), ("1", 0), ("2", 0), (EVERYBODY, 2)]


def test_what_was_not_told_is_counted_when_the_period_is_over(caplog):
    planned = []
    told = Complaints(logging.getLogger("test"), lambda due, function: planned.append(function))
    for port in range(100):
        told.warn(f"10.0.0.1:{port}", "refused %s", port)
    assert caplog.text.count("refused") == complaints.MOST
    assert len(planned) == 1
    told._tally = _over(told._tally)
    planned[0]()
    assert "95 more such warnings about 10.0.0.1 within 10 s were not written" in caplog.text
    assert len(planned) == 1  # nothing left to look at
    told.warn("10.0.0.1:7", "refused again")
    assert "refused again" in caplog.text


def _over(tally: Tally) -> Tally:
    tally._seen = {address: (0.0, count) for address, (_, count) in tally._seen.items()}
    return tally


def test_a_daemon_does_not_let_strangers_fill_its_log(kit, caplog, monkeypatch):
    monkeypatch.setattr(complaints, "PERIOD", 10.0)
    daemon = kit.daemon("tcp")
    uri = daemon.serve("obj", echo)
    place = ("127.0.0.1", daemon.location.port)
    for _ in range(50):
        with socket.create_connection(place) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert sock.recv(100) in {b"AGLK", b""}
    eventually(lambda: daemon.counters["refused"] == 50)
    assert caplog.text.count("refused a connection from") == complaints.MOST
    assert kit.client(uri).call(b"x") == b"x"
