"""What lines do at the worst moment: replies in halves, late, unasked, for ever. No network, and next to no time."""

from __future__ import annotations

import contextlib
import threading
from types import SimpleNamespace

import pytest
from pyvisa import constants, errors

from agentlab.errors import (
    BadReplyError,
    CancelledCallError,
    DeviceTimeoutError,
    DriverError,
    LimitError,
    OfflineError,
)
from agentlab.instruments.visa.door import open_session
from agentlab.instruments.visa.line import Line
from agentlab.instruments.visa.session import Session
from agentlab.instruments.visa.visa_line import VisaLine
from agentlab.testing.transcript import Transcript, late, twice


class Scripted(Line):
    """A line that gives what stands in its script, one after the other; None: a silence. Then it is silent for good."""

    def __init__(self, *script, fresh=True):
        self.script, self.fresh, self.log = list(script), fresh, []

    def send(self, data, timeout):
        self.log.append(data.decode().strip())

    def receive(self, timeout):
        self.log.append("receive")
        found = self.script.pop(0) if self.script else None
        if found is None:
            raise DeviceTimeoutError
        if isinstance(found, Exception):
            raise found
        return found, False

    def waiting(self):
        return b""

    def close(self):
        self.log.append("close")


def asked(line):
    return [one for one in line.log if one not in ("receive", "close")]


# ------------------------------------------------------------------------------------------------ a library's reads


class Port:
    """A serial port or socket of PyVISA. A read that is not complete in its time loses what it had, as VISA's does."""

    timeout = 0.0
    read_termination = None
    session = 7

    def __init__(self, kind, *parts):
        self.interface_type = getattr(constants.InterfaceType, kind)
        self.resource_class = "SOCKET" if kind == "tcpip" else "INSTR"
        self.visalib, self.parts, self.here = self, list(parts), bytearray()
        self.come()

    def come(self):
        self.here += self.parts.pop(0) if self.parts else b""

    @property
    def bytes_in_buffer(self):
        return len(self.here)

    def ignore_warning(self, *codes):
        return contextlib.nullcontext()

    def write(self, session, data):
        return len(data), constants.StatusCode.success

    def read(self, session, count):
        at = self.here.find(b"\n") + 1 or len(self.here) + 1
        if len(self.here) < min(count, at):
            self.here.clear()
            self.come()
            raise errors.VisaIOError(constants.StatusCode.error_timeout)
        found = bytes(self.here[: min(count, at)])
        del self.here[: len(found)]
        return found, constants.StatusCode.success

    def close(self):
        self.here.clear()


def session_at(port, **options):
    return Session(lambda: VisaLine(port, "ASRL3", "\n"), timeout=0.2, **options)


def test_a_reply_in_halves_comes_whole_from_a_serial_port():
    port = Port("asrl")
    session = session_at(port)
    port.parts = [b"12", b"", b".34\n"]
    assert session.query("A?") == "12.34"
    port.parts = [b"5\n"]
    assert session.query("A?") == "5"


def test_a_reply_in_halves_is_none_from_a_vendors_socket():
    port = Port("tcpip")
    session = session_at(port)
    port.parts = [b"12", b".34\n"]
    with pytest.raises(DeviceTimeoutError):
        session.query("A?")
    assert session.doubt


@pytest.mark.parametrize("kind", ["asrl", "tcpip"])
def test_what_was_seen_waiting_is_still_received(kind):
    port = Port(kind)
    session = session_at(port)
    session.write("A?")
    port.here += b"1.5\n"
    assert session.waiting() and session.waiting()
    assert session.read() == "1.5"
    port.here += b"7\n"
    with pytest.raises(BadReplyError, match="nobody asked"):
        session.query("A?")


# ------------------------------------------------------------------------------------------------ waiting


@pytest.mark.parametrize("timeout", [float("nan"), float("inf"), 0, -1, True, "1", 1e9])
def test_a_timeout_that_is_none_waits_for_nothing(timeout):
    line = Scripted(b"1\n")
    session = Session(lambda: line)
    for ask in (session.query, session.query_raw, session.write):
        with pytest.raises(LimitError, match="seconds above 0; nothing was sent"):
            ask("A?", timeout=timeout)
    assert asked(line) == [] and not session.doubt and session.query("A?") == "1"


@pytest.mark.parametrize("command", [None, 5, b"A?"])
def test_a_command_that_is_no_text_is_not_sent(command):
    line = Scripted()
    session = Session(lambda: line)
    with pytest.raises(LimitError, match="is no text; nothing was sent"):
        session.query(command)
    assert asked(line) == [] and not session.doubt


def test_a_wait_can_be_ended_while_a_device_goes_on_talking():
    line = Scripted()
    session = Session(lambda: line)

    def dribble(timeout):
        line.log.append("receive")
        if line.log.count("receive") == 3:
            session.interrupt("stop button")
        return b"x", False

    line.receive = dribble
    with pytest.raises(CancelledCallError, match="stop button"):
        session.query("A?", timeout=60)
    assert line.log.count("receive") == 3


def test_a_device_that_hangs_up_while_it_is_opened_leaves_no_line_behind():
    line = Scripted(OfflineError("it takes one client only"))
    with pytest.raises(OfflineError):
        Session(lambda: line, greeting=0.1)
    assert line.log == ["receive", "close"]


@pytest.mark.parametrize("encoding", ["undefined", "hex", "klingon", "a\0b"])
def test_an_encoding_that_is_none_says_so(encoding):
    with pytest.raises(DriverError, match="encoding|cannot be written"):
        Session(Scripted, encoding=encoding)


@pytest.mark.parametrize("settings", [{"encoding": None}, {"visa_library": None}])
def test_a_setting_that_was_left_empty_says_so(settings):
    with pytest.raises(DriverError, match=f"{next(iter(settings))} None"):
        open_session("TCPIP::127.0.0.1::1::SOCKET", **settings)


# ------------------------------------------------------------------------------------------------ replies that were not asked for


def test_a_set_that_is_answered_is_no_value_of_the_next_query():
    transcript = Transcript([("VOLT 3", late("3.000", 0.005)), ("MEAS?", "7"), ("*IDN?", "ACME")])
    session = Session(transcript.line)
    session.write("VOLT 3")
    with pytest.raises(BadReplyError, match=r"sent b'3.000\\n' that nobody asked for after 'VOLT 3' was sent; 'MEAS\?' was not"):
        session.query("MEAS?")
    assert transcript.received == ["VOLT 3"]
    session.recover("*IDN?")
    assert session.query("MEAS?") == "7"


def test_only_the_first_set_of_a_kind_is_waited_behind():
    line = Scripted(None, b"1\n", b"2\n", b"3\n")
    session = Session(lambda: line)
    for command in ("VOLT 3", "VOLT -4.5", "VOLT"):
        session.write(command)
        session.query("A?")
    assert line.log.count("receive") == 4


@pytest.mark.parametrize(
    ("first", "alike"),
    [("SP100", "SP7.5"), ("V3.0,1.5", "V-2,7"), ("1PA3.5", "2PA4"), (":SOUR1:VOLT 3", ":SOUR2:VOLT 3"), ("VOLT  3", "VOLT\t4")],
)
def test_commands_that_differ_in_their_numbers_alone_are_of_one_kind(first, alike):
    line = Scripted(None, b"1\n", b"2\n")
    session = Session(lambda: line)
    session.write(first)
    assert session.query("A?") == "1"
    session.write(alike)
    assert session.query("A?") == "2" and line.log.count("receive") == 3


def test_the_reply_to_a_query_that_was_only_written_is_no_value_of_the_next():
    transcript = Transcript([("A?", late("1", 0.005)), ("B?", "2"), ("*IDN?", "ACME")])
    session = Session(transcript.line)
    for _ in range(2):  # it is a query each time, and never a command without a reply
        session.write("A?")
        with pytest.raises(BadReplyError, match=r"nobody asked for after 'A\?' was sent"):
            session.query("B?")
        session.recover("*IDN?")


def test_a_wait_that_is_ended_while_a_query_is_held_back_is_not_begun():
    line = Scripted()
    session = Session(lambda: line)
    session.write("VOLT 3")

    def end(timeout):
        line.log.append("receive")
        session.interrupt("stop button")
        raise DeviceTimeoutError

    line.receive = end
    with pytest.raises(CancelledCallError, match="stop button"):
        session.query("A?", timeout=60)
    assert line.log.count("receive") == 1


def test_a_block_that_was_asked_for_by_a_write_is_no_answer_to_a_set():
    line = Scripted(b"#12", b"34\n", b"1\n")
    session = Session(lambda: line)
    session.write("CURVE")
    assert session.read_raw(3) == b"#12" and session.read() == "34" and session.query("A?") == "1"


def test_kinds_of_commands_that_are_remembered_are_not_without_end():
    session = Session(Scripted)
    for number in range(3000):
        session.write(f"{'X' * number} 1")
    assert len(session._silence._new) <= 1000


def test_a_reply_too_many_says_whose_reply_may_have_been_wrong():
    transcript = Transcript([("A?", twice("3", 0.01)), ("B?", "7")])
    session = Session(transcript.line)
    assert session.query("A?") == "3"
    assert wait_for(session)
    with pytest.raises(BadReplyError, match=r"nobody asked for after the reply to 'A\?', which may have been another's"):
        session.query("B?")


def wait_for(session):
    return any(session.waiting() or threading.Event().wait(0.005) for _ in range(1000))


def test_answers_to_pings_that_were_given_up_shift_nothing():
    """A slow device on a serial line that was busy: it answers every ping at last, with a pause before each."""
    line = Scripted(fresh=False)
    session = Session(lambda: line, timeout=0.02)
    for ask in (
        lambda: session.query("SLOW?"),
        lambda: session.recover("*IDN?", "ACME"),
        lambda: session.recover("*IDN?", "ACME"),
    ):
        with pytest.raises(DeviceTimeoutError):
            ask()
    # quiet at first; then the reply to SLOW?, and three identities
    line.script = [None, b"99\n", None, b"ACME\n", None, b"ACME\n", None, b"ACME\n", None, b"1.5\n"]
    session.timeout = 1.0
    assert session.recover("*IDN?", "ACME") == "ACME"
    assert session.query("A?") == "1.5"


def test_pings_that_were_lost_are_not_waited_for_twice():
    line = Scripted(None, fresh=False)
    session = Session(lambda: line, timeout=0.02)
    with pytest.raises(DeviceTimeoutError):
        session.prove("*IDN?", "ACME")
    line.script = [None, b"ACME\n"]
    assert session.recover("*IDN?", "ACME") == "ACME"
    before, line.script = line.log.count("receive"), [None, b"ACME\n", None]
    assert session.recover("*IDN?", "ACME") == "ACME"
    assert line.log.count("receive") == before + 3


def test_a_device_that_never_stops_talking_fills_no_memory():
    line = Scripted()
    numbers = iter(range(10**6))
    line.receive = lambda timeout: (b"%d" % next(numbers) + b"x" * 1000 + b"\n", False)
    session = Session(lambda: line, timeout=5.0)
    with pytest.raises(BadReplyError, match="does not stop talking") as caught:
        session.prove("*IDN?")
    assert len(str(caught.value)) < 300


# ------------------------------------------------------------------------------------------------ an emergency


def test_commands_are_forced_whatever_the_session_thinks():
    line = Scripted()
    session = Session(lambda: line, timeout=0.01)
    with pytest.raises(DeviceTimeoutError):
        session.query("A?")
    session.force(["OUTP 0", "VOLT 0"])
    assert asked(line) == ["A?", "OUTP 0", "VOLT 0"]
    session.reopen()
    session.force(["OUTP 0"])
    assert session.doubt


def test_nothing_is_forced_into_another_threads_query():
    entered, leave = threading.Event(), threading.Event()
    line = Scripted()

    def hold(timeout):
        entered.set()
        leave.wait(5.0)
        return b"1\n", False

    line.receive = hold
    session = Session(lambda: line)
    thread = threading.Thread(target=lambda: session.query("A?"))
    thread.start()
    assert entered.wait(5.0)
    with pytest.raises(DeviceTimeoutError, match="in use"):
        session.force(["OUTP 0"], timeout=0.01)
    leave.set()
    thread.join(5.0)
    assert asked(line) == ["A?"]


def test_a_line_of_pyvisa_is_closed_once():
    closed = []
    port = Port("asrl")
    port.close = lambda: closed.append(1)
    line = VisaLine(port, "ASRL3", "\n", SimpleNamespace(_output_buffers=[]))
    line.close()
    line.close()
    assert closed == [1]
