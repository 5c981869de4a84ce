"""Devices that greet, answer late, too much, half, in another encoding, or hang up: a typed error, never a wrong value."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time

import pytest

from agentlab.errors import BadReplyError, DeviceTimeoutError, InstrumentError, OfflineError
from agentlab.instruments import InstrumentSpec, ScpiDevice
from agentlab.instruments.drivers.loading import load_driver
from tests.timing import soon

TABLE = {
    "settings": {"timeout": 0.2},
    "parameters": {
        "v": {"get": "V?"},
        "w": {"get": "W?"},
        "n": {"get": "N?", "type": "int"},
        "b": {"get": "B?", "type": "bool"},
        "s": {"get": "S?", "type": "str"},
        "a": {"get": "A?", "type": "array"},
    },
}
RIGHT = {b"*IDN?": b"ACME\n", b"V?": b"1.5\n", b"W?": b"2.5\n", b"N?": b"3\n", b"B?": b"1\n", b"S?": b"text\n", b"A?": b"1,2\n"}
VALUES = {"v": 1.5, "w": 2.5, "n": 3, "b": True, "s": "text", "a": [1, 2]}


class Hostile:
    """A device at a TCP port that does what a function says for each command; it gives False to hang up."""

    def __init__(self, behave, greeting=b""):
        self.behave, self.greeting, self.got = behave, greeting, []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._connections, self._threads = [], [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def address(self):
        return f"TCPIP::127.0.0.1::{self._listener.getsockname()[1]}::SOCKET"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for one in (self._listener, *self._connections):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        self._listener.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._connections.append(connection)
                self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
                self._threads[-1].start()

    def _serve(self, connection):
        buffer = b""
        with connection, contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(self.greeting)
            while data := connection.recv(4096):
                *commands, buffer = (buffer + data).split(b"\n")
                for command in commands:
                    self.got.append(command)
                    if self.behave(connection, command) is False:
                        return


def rightly(connection, command):
    connection.sendall(RIGHT[command])


def saying(reply):
    def behave(connection, command):
        connection.sendall(RIGHT[command] if command == b"*IDN?" else reply)

    return behave


def driver_of(device):
    driver = load_driver(InstrumentSpec("x", ScpiDevice, device.address, kwargs={"parameters": TABLE}))
    driver.open()
    return driver


def all_right(driver, names=(*VALUES, *VALUES)):
    """Read everything as an agent does: what comes is right, or an error after which the session is mended."""
    right = 0
    for name in names:
        try:
            value = driver.table().parameter(name).accept(driver.get(name))
        except InstrumentError:
            with contextlib.suppress(InstrumentError):
                driver.recover()
            continue
        assert value == VALUES[name], name
        right += 1
    return right


@pytest.mark.parametrize("greeting", [b"0\n", b"1.5\n", b"Welcome\nto ACME\n", b"ACME\n", b"text\ntext\n"])
def test_a_greeting_is_never_taken_for_an_identity_or_a_value(greeting):
    with Hostile(rightly, greeting) as device:
        driver = load_driver(InstrumentSpec("x", ScpiDevice, device.address, kwargs={"parameters": TABLE}))
        try:
            driver.open()
            with contextlib.suppress(BadReplyError):  # two lines alike look like an identity, and then there is more
                assert driver.prove() == "ACME"
            # what cannot be told from an identity keeps the device away, and the error says what to do
            alike = greeting in (b"text\ntext\n", b"ACME\n")
            assert all_right(driver, ("s", "v") if alike else (*VALUES, *VALUES)) >= (0 if alike else 10)
        finally:
            driver.close()


def test_a_greeting_that_comes_before_a_slow_identity_shifts_nothing():
    def slowly(connection, command):
        if command == b"*IDN?":
            time.sleep(0.03)
        rightly(connection, command)

    with Hostile(slowly, b"0\n") as device:
        driver = driver_of(device)
        assert driver.prove() == "ACME" and all_right(driver) == 12
        driver.close()


def test_a_late_reply_that_outlives_its_connection_is_never_another_querys():
    """A gateway to a serial line: what the device says late goes to whoever is connected then."""
    pending: list[bytes] = []

    def one_late(connection, command):
        pending.append(RIGHT[command])
        if len(pending) > 1 or command == b"*IDN?":
            connection.sendall(pending.pop(0))
            if command == b"*IDN?" and pending:
                connection.sendall(pending.pop(0))

    with Hostile(one_late) as device, ScpiDevice(device.address, TABLE) as scpi:
        scpi.prove()
        for name in ("s", "s", "v"):
            with contextlib.suppress(InstrumentError):
                assert scpi.get(name) == VALUES[name]


@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_connection_that_ends_in_the_middle_of_a_reply_is_offline_at_once(end):
    def half(connection, command):
        connection.sendall(b"1.")
        if end == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False

    with Hostile(half) as device, ScpiDevice(device.address, TABLE) as scpi:
        began = time.monotonic()
        with pytest.raises(OfflineError):
            scpi.get("v")
        assert time.monotonic() - began < soon(0.15)


def test_a_reply_just_after_the_timeout_is_dropped():
    first = threading.Event()

    def late(connection, command):
        if command == b"V?" and not first.is_set():
            first.set()
            time.sleep(0.21)
        rightly(connection, command)

    with Hostile(late) as device:
        driver = driver_of(device)
        driver.prove()
        with pytest.raises(DeviceTimeoutError):
            driver.get("v")
        driver.recover()
        assert all_right(driver) == 12
        driver.close()


@pytest.mark.parametrize(
    "said",
    [
        b"\xff\xfe1\x00", "µ1.5".encode(), "１.５".encode(), b"1.5\x00", b"\x001", b"1 V", b"1\x1b[0m", b"", b"1,5", b"1;2",
        b"NAN", b"INF", b"ERROR", b"1E400", b"--1", b"0x1", b"1_0", b"1e", b".", b"7" * 5000, b"7" * 300000,
        b"9" * 400, b"ACME,1,2,3", b"TRUE FALSE",
    ],
)  # fmt: skip
def test_a_reply_that_is_no_number_is_no_value(said):
    with Hostile(saying(said + b"\n")) as device, ScpiDevice(device.address, TABLE) as scpi:
        for name in ("v", "n", "b"):
            with pytest.raises(BadReplyError) as caught:
                scpi.get(name)
            assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


def test_a_hundred_megabytes_are_cut_and_the_next_reply_is_right():
    once = threading.Event()

    def flood(connection, command):
        if command == b"V?" and not once.is_set():
            once.set()
            for _ in range(100):
                connection.sendall(b"7" * 1_000_000)
        rightly(connection, command)

    table = {**TABLE, "settings": {"timeout": 5, "largest": 1_000_000}}
    with Hostile(flood) as device, ScpiDevice(device.address, table) as scpi:
        with pytest.raises(BadReplyError, match="more than 1000000 bytes"):
            scpi.get("v")
        assert scpi.get("v") == 1.5


def test_lines_without_end_are_refused():
    def forever(connection, command):
        while True:
            connection.sendall(b"1.5\n" * 1000)

    with Hostile(forever) as device, ScpiDevice(device.address, TABLE) as scpi:
        for _ in range(3):
            with pytest.raises(BadReplyError):
                scpi.get("v")
