"""Sessions over real sockets, with devices that are gone, silent, late, talkative, garbled, stuck or somebody else."""

from __future__ import annotations

import contextlib
import errno
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from agentlab.errors import (
    BadReplyError,
    CancelledCallError,
    DeviceTimeoutError,
    DriverError,
    InstrumentError,
    LimitError,
    OfflineError,
)
from agentlab.instruments.visa.door import open_session
from agentlab.instruments.visa.line import Line
from agentlab.instruments.visa.lines import SocketLine
from agentlab.instruments.visa.session import Session
from agentlab.instruments.visa.translation import translated, translating
from agentlab.instruments.visa.visa_line import VisaLine
from agentlab.testing.transcript import HANG_UP, SILENCE, Reply, Transcript, late, raw, twice
from agentlab.testing.waiting import wait_condition
from tests.instruments.lines import SerialDevice
from tests.timing import soon

IDN = ("*IDN?", "ACME,1")


def session_of(server, **options):
    return open_session(server.address, **{"timeout": 1.0, **options})


def dead_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


# ------------------------------------------------------------------------------------------------ TCP


def test_a_query_and_a_write():
    transcript = Transcript([IDN, ("VOLT 3", None)], ordered=True)
    with transcript.serve() as server:
        session = session_of(server)
        assert session.query("*IDN?") == "ACME,1"
        session.write("VOLT 3")
        assert wait_condition(lambda: not transcript.missing)
        session.close()
        session.close()
        with pytest.raises(OfflineError, match="closed"):
            session.query("*IDN?")
    transcript.check()


def test_a_dead_port_is_offline_at_once_although_pyvisa_py_opens_it():
    began = time.monotonic()
    with pytest.raises(OfflineError, match="refused"):
        open_session(f"TCPIP::127.0.0.1::{dead_port()}::SOCKET")
    assert time.monotonic() - began < soon(0.5)


def test_reconnecting_for_long_leaves_nothing_behind():
    import pyvisa

    address = f"TCPIP::127.0.0.1::{dead_port()}::SOCKET"
    library = pyvisa.ResourceManager("@py").visalib
    for _ in range(3):
        with pytest.raises(OfflineError):
            open_session(address)
    before = len(library.sessions), len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(50):
        with pytest.raises(OfflineError):
            open_session(address)
    assert len(library.sessions) <= before[0]
    assert len(list(Path("/proc/self/fd").iterdir())) <= before[1] + 5  # what other tests left to the collector comes and goes


def test_a_port_that_hears_itself_is_no_device():
    # a socket that is bound to the port it connects to is connected to itself
    found = socket.socket()
    found.bind(("127.0.0.1", 0))
    found.connect(found.getsockname())
    with found, pytest.raises(OfflineError, match="no device"):
        SocketLine(None, found, "TCPIP::x")


def test_a_connection_that_the_device_closed_is_noticed_before_anything_is_sent():
    transcript = Transcript([IDN])
    with transcript.serve() as server:
        session = session_of(server)
        session.query("*IDN?")
        server.unplug()
        began = time.monotonic()
        for ask in (lambda: session.query("*IDN?"), session.waiting):
            with pytest.raises(OfflineError):
                ask()
        assert time.monotonic() - began < soon(0.1)
        assert transcript.received == ["*IDN?"]
        server.plug()
        assert session.recover("*IDN?", "ACME,1") == "ACME,1"
        assert session.query("*IDN?") == "ACME,1"
        session.close()


def test_a_connection_closed_instead_of_a_reply_is_offline_at_once():
    with Transcript([("A?", HANG_UP)]).serve() as server:
        session = session_of(server, timeout=30.0)
        began = time.monotonic()
        with pytest.raises(OfflineError):
            session.query("A?")
        assert time.monotonic() - began < soon(1.0)
        session.close()


def test_a_connection_closed_in_the_middle_of_a_reply_is_offline_at_once():
    with Transcript([("A?", Reply(b"1.2", then=HANG_UP))]).serve() as server:
        session = session_of(server, timeout=30.0)
        began, used = time.monotonic(), time.process_time()
        with pytest.raises(OfflineError):
            session.query("A?")
        assert time.monotonic() - began < soon(1.0)
        assert time.process_time() - used < 0.5  # pyvisa-py would spin until the timeout
        session.close()


def test_nothing_is_a_timeout_with_a_cure():
    with Transcript([]).serve() as server:
        session = session_of(server, timeout=0.2)
        began = time.monotonic()
        with pytest.raises(DeviceTimeoutError, match=r"did not answer 'A\?' within 0.2 s; "):
            session.query("A?")
        assert 0.15 < time.monotonic() - began < soon(2.0)
        session.close()


def test_a_late_reply_never_reaches_another_query():
    transcript = Transcript([IDN, ("SLOW?", late("99", 0.15)), *((f"N{i}?", str(i)) for i in range(100))])
    with transcript.serve() as server:
        session = session_of(server, timeout=0.1)
        with pytest.raises(DeviceTimeoutError):
            session.query("SLOW?")
        with pytest.raises(BadReplyError, match="out of step"):
            session.query("N0?")
        assert session.doubt
        assert session.recover("*IDN?") == "ACME,1"
        assert [session.query(f"N{i}?") for i in range(100)] == [str(i) for i in range(100)]
        session.close()


def test_what_nobody_asked_for_is_noticed_before_the_next_query_is_sent():
    transcript = Transcript([IDN, ("A?", "1")])
    with transcript.serve() as server:
        session = session_of(server)
        assert session.query("A?") == "1"
        server.say("99")
        assert wait_condition(session.waiting)
        for ask in (session.query, session.write):
            with pytest.raises(BadReplyError, match="nobody asked for|out of step"):
                ask("A?")
        assert transcript.received == ["A?"]
        session.recover("*IDN?")
        assert session.query("A?") == "1"
        session.close()


def test_more_than_one_reply_is_none():
    with Transcript([IDN, ("A?", raw(b"1\n2\n")), ("B?", twice("3", 0.02)), ("C?", raw(b"4\n\r"))]).serve() as server:
        session = session_of(server)
        with pytest.raises(BadReplyError, match="more than one"):
            session.query("A?")
        session.recover("*IDN?")
        assert session.query("B?") == "3"
        assert wait_condition(session.waiting)
        with pytest.raises(BadReplyError, match="nobody asked"):
            session.query("B?")
        session.recover("*IDN?")
        with pytest.raises(BadReplyError, match="see whether read_termination"):
            session.query("C?")
        session.close()


def test_another_encoding_is_no_value():
    with Transcript([IDN, ("A?", raw("5 µV\n".encode("latin-1")))]).serve() as server:
        session = session_of(server)
        with pytest.raises(BadReplyError, match="no ascii"):
            session.query("A?")
        assert session.doubt
        session.close()
        session = session_of(server, encoding="latin-1")
        assert session.query("A?") == "5 µV"
        session.close()


def test_a_reply_without_an_end_says_what_came():
    with Transcript([("A?", raw(b"12345"))]).serve() as server:
        session = session_of(server, timeout=0.1)
        with pytest.raises(DeviceTimeoutError, match=r"5 bytes came, b'12345', without the end b'\\n'"):
            session.query("A?")
        session.close()


def test_a_reply_that_never_ends_is_cut():
    with Transcript([("A?", raw(b"x" * 100_000)), IDN]).serve() as server:
        session = session_of(server, largest=10_000, timeout=30.0)
        with pytest.raises(BadReplyError, match="more than 10000 bytes"):
            session.query("A?")
        assert session.recover("*IDN?") == "ACME,1"
        session.close()


def test_a_long_reply_comes_whole():
    data = b"7" * 3_000_000
    with Transcript([("A?", raw(data + b"\r\n"))]).serve() as server:
        session = session_of(server, read_termination="\r\n", timeout=10.0)
        assert session.query_raw("A?") == data
        session.close()


def test_a_block_of_bytes_is_read_by_its_length():
    with Transcript([("CURV?", raw(b"#15\n\x00\xff\n1")), ("A?", "1")]).serve() as server:
        session = session_of(server)
        session.write("CURV?")
        assert session.read_raw(3) == b"#15"
        assert session.read_raw(5) == b"\n\x00\xff\n1"
        assert session.query("A?") == "1"
        with pytest.raises(DeviceTimeoutError):
            session.read(timeout=0.05)
        session.close()


def test_a_device_that_takes_nothing_ends_a_write():
    listener = socket.create_server(("127.0.0.1", 0), backlog=1)
    with listener:
        session = open_session(f"TCPIP::127.0.0.1::{listener.getsockname()[1]}::SOCKET", timeout=0.2)
        connection, _ = listener.accept()
        began = time.monotonic()
        with connection, pytest.raises(DeviceTimeoutError, match="took no command"):
            session.write("x" * 50_000_000)
        assert time.monotonic() - began < soon(8.0)
        session.close()


def test_commands_that_would_be_two_or_cannot_be_written_are_refused():
    transcript = Transcript([IDN])
    with transcript.serve() as server:
        session = session_of(server)
        with pytest.raises(LimitError, match="line end"):
            session.write("VOLT 1\nOUTP 1")
        with pytest.raises(LimitError, match="cannot be written in ascii"):
            session.write("VOLT 1 µV")
        assert session.query("*IDN?") == "ACME,1"
        assert transcript.received == ["*IDN?"]
        session.close()


def test_threads_share_a_session_without_mixing_replies():
    transcript = Transcript([(f"N{i}?", str(i)) for i in range(8)])
    wrong = []
    with transcript.serve() as server:
        session = session_of(server)

        def ask(number):
            for _ in range(200):
                reply = session.query(f"N{number}?")
                if reply != str(number):
                    wrong.append((number, reply))

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        session.close()
    assert not wrong
    assert len(transcript.received) == 1600


def test_a_wait_can_be_ended_by_another_thread():
    transcript = Transcript([IDN, ("SLOW?", SILENCE)])
    with transcript.serve() as server:
        session = session_of(server, timeout=30.0)
        session.interrupt("too early")  # nobody waits: nothing happens
        assert session.query("*IDN?") == "ACME,1"
        errors = []

        def ask():
            try:
                session.query("SLOW?")
            except CancelledCallError as error:
                errors.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        assert wait_condition(lambda: "SLOW?" in transcript.received)
        began = time.monotonic()
        session.interrupt("stop button")
        thread.join(10.0)
        assert time.monotonic() - began < soon(0.5)
        assert "stop button" in str(errors[0])
        assert session.doubt
        assert session.recover("*IDN?") == "ACME,1"
        session.close()


def test_another_device_at_the_address_is_told():
    first, second = Transcript([IDN]), Transcript([("*IDN?", "OTHER,2")])
    with first.serve() as server:
        session = session_of(server, timeout=0.3)
        session.prove("*IDN?")
        port = server.port
    with second.serve(port=port), pytest.raises(BadReplyError, match="another device answers .*'OTHER,2', and before 'ACME,1'"):
        session.recover("*IDN?", "ACME,1")
    assert session.doubt
    session.close()


def test_proving_passes_over_what_comes_late_and_refuses_what_comes_too_much():
    with Transcript([("*IDN?", raw(b"99\nACME,1\n"))]).serve() as server:
        session = session_of(server)
        assert session.prove("*IDN?", "ACME,1") == "ACME,1"
        session.close()
    with Transcript([("*IDN?", raw(b"ACME,1\nWELCOME\n"))]).serve() as server:
        session = session_of(server)
        with pytest.raises(BadReplyError, match="goes on talking"):
            session.prove("*IDN?", "ACME,1")
        session.close()


def test_a_greeting_is_passed_over():
    def greet(listener):
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"Welcome to ACME\r\n> ")
            connection.recv(100)
            connection.sendall(b"1\n")
            connection.recv(100)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=greet, args=(listener,))
        thread.start()
        session = open_session(f"TCPIP::127.0.0.1::{listener.getsockname()[1]}::SOCKET", greeting=0.05)
        assert session.query("A?") == "1"
        session.close()
        thread.join(5.0)


def test_looking_for_what_waits_costs_little():
    with Transcript([IDN]).serve() as server:
        session = session_of(server)
        best = 1.0
        for _ in range(20):
            began = time.perf_counter()
            for _ in range(20):
                session.waiting()
            best = min(best, (time.perf_counter() - began) / 20)
        session.close()
    assert best < 100e-6


# ------------------------------------------------------------------------------------------------ addresses and settings


@pytest.mark.parametrize(
    ("address", "options", "kind", "text"),
    [
        ("hello", {}, DriverError, "no address"),
        ("VXI::1::INSTR", {}, DriverError, "cannot be opened"),
        ("USB::1::2::3::INSTR", {}, DriverError, "PyUSB, and libusb; pip install pyusb"),
        ("GPIB::1::INSTR", {}, DriverError, "pip install gpib-ctypes"),
        ("TCPIP::nowhere.invalid::5025::SOCKET", {}, OfflineError, "not known|no device|name"),
        ("TCPIP::127.0.0.1::INSTR", {}, OfflineError, "no device answers"),  # VXI-11
        ("TCPIP::127.0.0.1::hislip0::INSTR", {}, OfflineError, "no device answers"),
        ("ASRL/dev/ttyNOWHERE::INSTR", {}, OfflineError, "No such file"),
        ("TCPIP::127.0.0.1::1::SOCKET", {"visa_library": "@nonsense"}, DriverError, "visa library '@nonsense'"),
        ("TCPIP::127.0.0.1::1::SOCKET", {"visa_library": "nowhere.yaml@sim"}, DriverError, "devices.yaml@sim"),
        ("TCPIP::127.0.0.1::1::SOCKET", {"encoding": "klingon"}, DriverError, "'klingon' is not known"),
        ("TCPIP::127.0.0.1::1::SOCKET", {"encoding": "ascii", "write_termination": "µ"}, DriverError, "cannot be written"),
    ],
)
def test_what_cannot_be_opened_says_why(address, options, kind, text):
    with pytest.raises(kind, match=text) as caught:
        open_session(address, timeout=0.3, **options)
    assert "\n" not in str(caught.value)


def test_settings_are_checked():
    with Transcript([]).serve() as server:
        with pytest.raises(DriverError, match="has no setting 'baud_rate'"):
            session_of(server, baud_rate=9600)
        with pytest.raises(DriverError, match="did you mean 'query_delay'"):
            session_of(server, query_dely=1)
        for timeout in (0, -1, "fast", None, True):
            with pytest.raises(DriverError, match="seconds above 0"):
                session_of(server, timeout=timeout)
        with pytest.raises(DriverError, match="read_termination 10"):
            session_of(server, read_termination=10)
        with pytest.raises(DriverError, match="without a read_termination"):
            session_of(server, read_termination="")
        assert wait_condition(lambda: server.connections == 0)


# ------------------------------------------------------------------------------------------------ serial lines


@pytest.fixture
def serial_device():
    device = SerialDevice({"*IDN?": b"ACME,1\n", "A?": b"1.5\n", "SLOW?": b"99\n", "TWO?": b"1\n2\n"})
    yield device
    device.close()


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")
def test_a_serial_line(serial_device):
    session = open_session(serial_device.address, baud_rate=115200, stop_bits=1, flow_control="none", timeout=1.0)
    try:
        assert session.prove("*IDN?") == "ACME,1"
        assert session.query("A?") == "1.5"
        with pytest.raises(BadReplyError):
            session.query("TWO?")
        assert session.recover("*IDN?", "ACME,1") == "ACME,1"
        with pytest.raises(DriverError, match="parity"):
            open_session(serial_device.address, parity="weird")
    finally:
        session.close()


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")
def test_late_replies_on_a_serial_line_are_never_taken_for_others(serial_device):
    session = open_session(serial_device.address, timeout=0.15)
    try:
        session.prove("*IDN?")
        serial_device.gate.clear()
        with pytest.raises(DeviceTimeoutError):
            session.query("SLOW?")
        for _ in range(2):  # it is still busy: two pings go unanswered for now
            with pytest.raises(DeviceTimeoutError):
                session.recover("*IDN?", "ACME,1")
        serial_device.gate.set()  # now come: 99, the identity, the identity

        def recovered():
            try:
                return session.recover("*IDN?", "ACME,1")
            except InstrumentError:
                return ""

        assert wait_condition(recovered)
        assert [session.query("A?") for _ in range(100)] == ["1.5"] * 100
    finally:
        session.close()


# ------------------------------------------------------------------------------------------------ other lines


class BusLine(Line):
    """A line that frames messages, as GPIB does; a reply is (bytes, whether it ends there)."""

    frames, fresh, patient = True, False, False

    def __init__(self, log, parts):
        self.log, self.parts = log, parts

    def send(self, data, timeout):
        self.log.append(data)

    def receive(self, timeout):
        if not self.parts:
            raise DeviceTimeoutError
        return self.parts.pop(0)

    def waiting(self):
        return b""

    def clear(self):
        self.log.append("clear")

    def close(self):
        self.log.append("close")


def test_a_bus_that_frames_needs_no_terminator_and_is_cleared_not_reopened():
    log, parts = [], [(b"12", False), (b"34", True), (b"56\n", True), (b"ACME,1\n", True)]
    session = Session(lambda: BusLine(log, parts), read_termination="", timeout=0.01)
    assert session.query("A?") == "1234"
    assert session.query("A?").strip() == "56"
    session.distrust("a test")
    assert session.recover("*IDN?", "ACME,1") == "ACME,1"
    assert log == [b"A?\n", b"A?\n", "clear", b"*IDN?\n"]


class Bus:
    """A resource of PyVISA on a bus that frames messages, and the library behind it."""

    resource_class, timeout, session = "INSTR", 0.0, 7
    read_termination = None

    def __init__(self, *replies):
        from pyvisa import constants

        self.interface_type, self.visalib, self.replies, self.log = constants.InterfaceType.gpib, self, list(replies), []
        self.status = constants.StatusCode

    def write(self, session, data):
        self.log.append(data)
        return len(data), self.status.success

    def read(self, session, count):
        if not self.replies:
            raise visa_error(-1073807339)  # VI_ERROR_TMO
        return self.replies.pop(0)

    def clear(self):
        self.log.append("clear")

    def close(self):
        self.log.append("close")

    def ignore_warning(self, *codes):
        return contextlib.nullcontext()


def test_a_bus_of_pyvisa():
    from pyvisa.constants import StatusCode

    bus = Bus((b"1" * 5, StatusCode.success_max_count_read), (b"2\n", StatusCode.success), (b"ACME,1\n", StatusCode.success))
    session = Session(lambda: VisaLine(bus, "GPIB::2", ""), read_termination="", name="GPIB::2", timeout=0.1)
    assert session.query_raw("A?") == b"111112\n"
    assert 50 < bus.timeout <= 100
    assert session.recover("*IDN?") == "ACME,1"
    with pytest.raises(DeviceTimeoutError, match="GPIB::2 did not answer"):
        session.query("B?")
    with pytest.raises(DeviceTimeoutError):
        session.recover("*IDN?", "ACME,1")
    session.close()
    assert bus.log == [b"A?\n", "clear", b"*IDN?\n", b"B?\n", "clear", b"*IDN?\n", "close"]


SIM = """
spec: "1.1"
devices:
  psu:
    eom:
      TCPIP SOCKET: {q: "\\n", r: "\\n"}
    error: ERROR
    dialogues:
      - {q: "*IDN?", r: "ACME,1"}
      - {q: "A?", r: "1.5"}
resources:
  TCPIP::10.0.0.1::5025::SOCKET: {device: psu}
"""


def test_pyvisa_sim_whose_errors_shift_what_follows_is_caught(tmp_path):
    (tmp_path / "devices.yaml").write_text(SIM)
    session = open_session("TCPIP::10.0.0.1::5025::SOCKET", visa_library=f"{tmp_path}/devices.yaml@sim", timeout=0.5)
    assert session.query("A?") == "1.5"
    session.write("NONSENSE 3")  # it answers ERROR, although nothing was asked
    with pytest.raises(BadReplyError, match="ERROR"):
        session.query("A?")
    assert session.recover("*IDN?") == "ACME,1"
    assert session.query("A?") == "1.5"
    session.close()


# ------------------------------------------------------------------------------------------------ errors


def visa_error(code):
    import pyvisa

    return pyvisa.errors.VisaIOError(code)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (lambda: visa_error(-1073807339), DeviceTimeoutError),  # VI_ERROR_TMO
        (lambda: visa_error(-1073807194), OfflineError),  # VI_ERROR_CONN_LOST
        (lambda: visa_error(-1073807343), OfflineError),  # VI_ERROR_RSRC_NFOUND
        (lambda: visa_error(-1073807342), DriverError),  # VI_ERROR_INV_RSRC_NAME
        (lambda: TimeoutError("timed out"), DeviceTimeoutError),
        (lambda: OSError(errno.ETIMEDOUT, "Connection timed out"), OfflineError),
        (lambda: ConnectionResetError("reset"), OfflineError),
        (lambda: BrokenPipeError(errno.EPIPE, "Broken pipe"), OfflineError),
        (lambda: OSError(errno.ENODEV, "No such device"), OfflineError),
        (lambda: OSError(errno.EHOSTUNREACH, "No route to host"), OfflineError),
        (lambda: socket.gaierror(-2, "Name or service not known"), OfflineError),
        (EOFError, OfflineError),
        (lambda: UnicodeDecodeError("ascii", b"\xff", 0, 1, "ordinal not in range(128)"), BadReplyError),
        (lambda: Exception("could not connect: x"), OfflineError),
    ],
)
def test_errors_of_others_become_ours(error, kind):
    found = error()
    ours = translated(found)
    assert type(ours) is kind
    assert ours.__cause__ is found
    assert "\n" not in str(ours)


@pytest.mark.parametrize(
    "error",
    [ValueError("x"), FileNotFoundError(errno.ENOENT, "no calibration file"), KeyError("a"), OfflineError("x"), Exception("x")],
)
def test_what_says_something_else_stays_as_it_is(error):
    assert translated(error) is error
    with pytest.raises(type(error)) as caught, translating():
        raise error
    assert caught.value is error


def test_errors_are_told_without_importing_a_library():
    import subprocess

    code = (
        "import sys; from agentlab.instruments.visa.translation import translated;"
        " print(type(translated(TimeoutError())).__name__,"
        " [m for m in ('pyvisa', 'serial', 'usb', 'numpy', 'yaml', 'pydantic') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split(maxsplit=1) == ["DeviceTimeoutError", "[]\n"]


@pytest.mark.parametrize(
    ("address", "meant"),
    [
        ("COM3", "ASRL3::INSTR"),
        ("com12", "ASRL12::INSTR"),
        ("/dev/ttyUSB0", "ASRL/dev/ttyUSB0::INSTR"),
        ("127.0.0.1:5111", "TCPIP::127.0.0.1::5111::SOCKET"),
        ("psu.lab.example:5025", "TCPIP::psu.lab.example::5025::SOCKET"),
        ("nonsense", "TCPIP::192.0.2.7::5025::SOCKET"),
    ],
)
def test_what_is_no_address_is_told_with_the_one_that_is_meant(address, meant):
    with pytest.raises(DriverError) as caught:
        open_session(address).reopen()
    assert str(caught.value) == f"{address!r} is no address of a device; write as {meant!r}"


def test_no_number_of_visa_is_shown():
    for error in (visa_error(-1073807339), visa_error(-1073807343), Exception("could not connect: -1073807339")):
        said = str(translated(error))
        assert "-10738" not in said and "VI_ERROR" not in said
    assert str(translated(Exception("could not connect: -1073807339"))).endswith("could not connect: timed out")
