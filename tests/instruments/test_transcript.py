"""The device from a transcript: over TCP, in memory, from a file, and recorded from another."""

from __future__ import annotations

import contextlib
import socket
import time

import pytest

from agentlab.errors import BadReplyError, ConfigurationError, DeviceTimeoutError, OfflineError
from agentlab.instruments import ScpiDevice
from agentlab.instruments.visa import door
from agentlab.instruments.visa.door import open_session
from agentlab.instruments.visa.session import Session
from agentlab.testing.transcript import HANG_UP, SILENCE, Reply, Transcript, late, raw, record, twice
from agentlab.testing.transcript_server import MemoryLine
from agentlab.testing.waiting import wait_condition
from tests.timing import soon


def test_replies_in_turn_and_what_was_not_expected():
    transcript = Transcript([("A?", "1"), ("A?", "2"), ("B", None), ("C?", "3")])
    session = Session(transcript.line, timeout=0.05)
    assert [session.query("A?") for _ in range(3)] == ["1", "2", "2"]
    session.write("B")
    with pytest.raises(DeviceTimeoutError):
        session.query("NO?")
    assert transcript.received == ["A?", "A?", "A?", "B", "NO?"]
    assert transcript.missing == ["C?"] and transcript.unexpected == ["NO?"]
    with pytest.raises(AssertionError, match=r"did not come: \['C\?'\]; that were not expected: \['NO\?'\]"):
        transcript.check()


def test_an_order_that_is_kept():
    transcript = Transcript([("A?", "1"), ("B", None), ("A?", "2")], ordered=True)
    session = Session(transcript.line, timeout=0.05)
    assert session.query("A?") == "1"
    with pytest.raises(DeviceTimeoutError):
        session.query("A?")
    session.recover()
    assert transcript.missing == ["B", "A?"] and transcript.unexpected == ["A?"]
    session.write("B")
    assert session.query("A?") == "2"
    assert transcript.missing == []


def test_moods_in_memory():
    transcript = Transcript(
        [("LATE?", late("1", 0.02)), ("NO?", SILENCE), ("RAW?", raw(b"\xff\n")), ("TWO?", twice("2")), ("GONE?", HANG_UP)]
    )
    session = Session(transcript.line, timeout=0.1)
    began = time.monotonic()
    assert session.query("LATE?") == "1"
    assert time.monotonic() - began > 0.015
    for command, error in (
        ("NO?", DeviceTimeoutError),
        ("RAW?", BadReplyError),
        ("TWO?", BadReplyError),
        ("GONE?", OfflineError),
    ):
        with pytest.raises(error):
            session.query(command)
        session.recover()


def test_a_file(tmp_path):
    path = tmp_path / "psu.txt"
    path.write_text("# a power supply\n> *IDN?\n< ACME,1\n\n> VOLT 3\n> TRAC?\n<! #12\\x00\\xff\\n\n> EMPTY?\n< \n")
    transcript = Transcript.from_file(path)
    assert transcript.exchanges == [("*IDN?", "ACME,1"), ("VOLT 3", None), ("TRAC?", b"#12\x00\xff\n"), ("EMPTY?", "")]
    again = tmp_path / "again.txt"
    transcript.to_file(again)
    assert Transcript.from_file(again).exchanges == transcript.exchanges


def test_replies_with_line_ends_of_all_kinds_come_back(tmp_path):
    path = tmp_path / "odd.txt"
    transcript = Transcript([("A?", "a\x0c\x85\u2028b"), ("B?", "one\ntwo\r"), ("C?", b"\xff\n")])
    transcript.to_file(path)
    again = Transcript.from_file(path)
    assert [again.encoded(reply) for _, reply in again.exchanges] == [
        transcript.encoded(reply) for _, reply in transcript.exchanges
    ]
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="no text in UTF-8"):
        Transcript.from_file(path)


def test_a_recording_outlives_what_the_device_and_the_driver_do(tmp_path):
    path = tmp_path / "recorded.txt"
    real = Transcript([("A?", "1"), ("BAD?", raw(b"\xff\n")), ("GONE?", HANG_UP)])

    def drive(address):
        with contextlib.closing(open_session(address, timeout=0.2)) as session:
            for command, error in (("BAD?", DeviceTimeoutError), ("GONE?", OfflineError)):
                assert session.query("A?", timeout=5.0) == "1"
                with pytest.raises(error):
                    session.query(command)
                session.recover()
        raise ZeroDivisionError  # a slip in the script behind it

    with real.serve() as server, pytest.raises(ZeroDivisionError), record(server.address, path, timeout=5.0) as address:
        drive(address)
    assert Transcript.from_file(path).exchanges == [("A?", "1"), ("BAD?", None), ("A?", "1")]


def test_a_recording_from_a_bus_that_tells_the_ends_has_each_line_end_once(tmp_path, monkeypatch):
    class Bus(MemoryLine):
        frames = True

        def waiting(self):
            return super().waiting() if self.reading else b""

        def receive(self, timeout):
            self.reading = True
            data, _ = super().receive(timeout)
            self.reading = False
            return data, True

    Bus.reading = False
    real, path = Transcript([("A?", "1.5")]), tmp_path / "a.txt"
    monkeypatch.setattr(door, "open_session", lambda address, **_: Session(lambda: Bus(real), read_termination=""))
    with (
        record("GPIB::2::INSTR", path) as address,
        socket.create_connection(("127.0.0.1", int(address.split("::")[2]))) as client,
    ):
        client.sendall(b"A?\n")
        assert client.recv(100) == b"1.5\n"
    assert path.read_text("utf-8") == "> A?\n< 1.5\n"


@pytest.mark.parametrize("text", ["< ACME", "> A?\n< 1\n< 2", "A?", ">A?", "> A?\n<! \\x1", "> A?\n<! \u2028"])
def test_a_wrong_file_says_where(tmp_path, text):
    path = tmp_path / "wrong.txt"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=rf"wrong.txt:{len(text.splitlines())}: found"):
        Transcript.from_file(path)


def test_over_tcp_for_any_program():
    transcript = Transcript([("A?", "1"), ("B?", Reply("2", delay=0.01, then=Reply(b"!")))], read_termination="\r\n")
    with transcript.serve() as server:
        with socket.create_connection((server.host, server.port), timeout=2.0) as client, client.makefile("rb") as replies:
            client.sendall(b"A?\r\nB?")
            assert replies.readline() == b"1\n"
            client.sendall(b"\r\n")
            assert replies.read(3) == b"2\n!"
            assert server.connections == 1
            server.say("news")
            assert replies.readline() == b"news\n"
        assert wait_condition(lambda: server.connections == 0)
        server.unplug()
        server.unplug()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((server.host, server.port), timeout=2.0)
        port = server.port
        server.plug()
        server.plug()
        assert server.port == port
    server.close()


def test_a_slow_device_does_not_keep_others_waiting():
    server = Transcript([("SLOW?", late("1", 5.0)), ("A?", "2")]).serve()
    place = server.host, server.port
    with socket.create_connection(place, timeout=2.0) as slow, socket.create_connection(place, timeout=2.0) as other:
        slow.sendall(b"SLOW?\n")
        other.sendall(b"A?\n")
        assert other.recv(10) == b"2\n"
        began = time.monotonic()
        server.close()  # and ending it does not wait for the slow reply
        assert time.monotonic() - began < soon(1.0)


def test_a_recording_of_a_real_session_replays(tmp_path):
    path, table = tmp_path / "recorded.txt", {"voltage": {"get": "VOLT?", "set": "VOLT {:g}"}}
    real = Transcript([("*IDN?", "ACME,1"), ("VOLT?", "1.5"), ("VOLT?", "3"), ("VOLT 3", None)])

    def drive(address):
        with ScpiDevice(address, table, timeout=1.0) as device:
            found = [device.prove(), device.voltage]
            device.voltage = 3
            return [*found, device.voltage]

    with real.serve() as server, record(server.address, path) as address:
        seen = drive(address)
    assert seen == ["ACME,1", 1.5, 3.0]
    replay = Transcript.from_file(path, ordered=True)
    assert [command for command, _ in replay.exchanges] == ["*IDN?", "*IDN?", "VOLT?", "VOLT 3", "VOLT?"]
    with replay.serve() as server:
        assert drive(server.address) == seen
    replay.check()
