"""The VISA resource inside of a vendor library's instrument: watched, brought back into step, and doubled in an emergency.

Such a library opens its own resource of PyVISA and reads replies itself; a
:class:`~agentlab.instruments.drivers.junction.Junction` is put in the resource's place. PyVISA is not imported here.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from agentlab.errors import DeviceTimeoutError, OfflineError
from agentlab.instruments.drivers.junction import Junction, Stream, noted_of, side_of
from agentlab.instruments.visa.exchange import QUIET
from agentlab.instruments.visa.silence import Silence
from agentlab.instruments.visa.translation import translated, translating

_DRAIN = 1.0  # seconds that dropping what comes may take
_PEEK = int(socket.MSG_PEEK) | int(getattr(socket, "MSG_DONTWAIT", 0))
_SETTINGS = ("timeout", "read_termination", "write_termination")
_SERIAL_SETTINGS = ("baud_rate", "data_bits", "stop_bits", "parity", "flow_control", "end_input", "end_output")
"""What a resource of PyVISA forgets when it is closed; order matters little, the read termination sets two attributes."""


class Held:
    """A vendor instrument's resource. Used in the driver's thread, except :meth:`aside`.

    Args:
        resource: PyVISA's, open.
        timeout: Seconds that the device has for a reply; None: as the vendor's class has set it.

    Attributes:
        junction: What is to be put in the resource's place.
        silence: Sees to it that nothing waits before the instance is used.
    """

    def __init__(self, resource: Any, timeout: float | None = None) -> None:
        self._resource = resource
        self.name = str(resource.resource_name)  # a closed resource knows neither name nor class any more
        self._is_socket = str(resource.resource_class).upper() == "SOCKET"
        self._is_serial = self.name.upper().startswith("ASRL")
        self._is_sim = type(resource.visalib).__module__.startswith("pyvisa_sim")
        self._seen = b""  # what was found waiting on a serial line
        self.junction = Junction(resource)
        self.silence = Silence(self)
        noted = noted_of(self.junction)
        for name in _SETTINGS + _SERIAL_SETTINGS if self._is_serial else _SETTINGS:
            # not every library has every attribute
            with suppress(Exception):
                noted[name] = getattr(resource, name)
        self._prepare(resource)
        if self.fresh:
            if not resource.read_termination:
                self.junction.read_termination = "\n"  # a socket does not tell where a reply ends: it would never be there
            if "_write_termination" not in vars(resource):
                self.junction.write_termination = "\n"  # nobody has set it: PyVISA's own, CR LF, is refused by many a device
        if timeout is not None:
            self.junction.timeout = timeout * 1000.0
        self.waiting()

    @contextmanager
    def patient(self, seconds: float) -> Iterator[None]:
        """Give the device so many seconds for each reply, or its timeout if that is longer."""
        resource = self._resource  # not by the junction, which would note it for the next time that it is opened
        before = resource.timeout
        if before is not None:  # None: it waits for ever
            resource.timeout = max(before, seconds * 1000.0)
        try:
            yield
        finally:
            with suppress(Exception):  # it is gone; reopened it has what was noted
                resource.timeout = before

    @property
    def fresh(self) -> bool:
        """Whether opening it anew drops what the device may still say, as with a TCP socket."""
        return self._is_socket and not self._is_sim

    def frames(self) -> bool:
        """Tell whether the line tells where a message ends: such a bus drops an unread reply by itself."""
        return not self._is_socket and not self._is_stream()

    def waiting(self) -> bytes:
        """Give what came and was not read, without waiting, as far as it can be looked at; that takes some microseconds.

        Raises:
            OfflineError: the other end is gone, or there never was one: pyvisa-py opens a dead port without an error.
        """
        if self._is_stream():
            with translating():
                return self._at_hand()
        session = self._session(self._resource)
        return b"" if session is None else self._peeked(session)

    def listen(self, seconds: float) -> bytes:
        """Give what came within so many seconds, and was not read. Raises as :meth:`waiting`."""
        time.sleep(max(0.0, seconds))
        return self.waiting()

    def recover(self) -> None:
        """Drop what may still come: reopen a socket with its settings, flush a serial line, clear what knows device clear.

        Raises:
            OfflineError: the device is not there.
        """
        self._seen = b""
        self.silence.restored()
        if self.fresh or self._resource_is_closed():
            self._reopen()
            return
        try:
            if self._is_stream():
                self._drain(QUIET)
            else:
                self._resource.clear()
        except Exception:  # noqa: BLE001 - a door: whatever a library raises that cannot clear, opening anew clears
            self._reopen()

    def settle(self, quiet: float) -> None:
        """Drop what a device on a serial line still has to say, until nothing has come for so many seconds."""
        if self._is_stream():
            with translating():
                self._drain(quiet)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Have the calling thread speak over a second session to the device while the block runs; the other goes on.

        Raises:
            OfflineError: the device takes no second session.
        """
        try:
            with translating():
                second = self._resource._resource_manager.open_resource(self.name, open_timeout=2000)
        except Exception as error:  # a door: PyVISA's libraries raise what they like
            raise OfflineError(f"{self.name} takes no second session: {' '.join(str(error).split())}") from error
        side, me = side_of(self.junction), threading.get_ident()
        try:
            self._apply(second)
            side[me] = second
            yield
        finally:
            side.pop(me, None)
            _close(second)

    def hang_up(self) -> None:
        """End the TCP connection, from any thread, so that whoever waits for a reply on it or wants to send is told at once."""
        session = self._session(self._resource)
        if session is not None:
            with suppress(OSError):  # it is down already
                session.interface.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the resource. Twice is fine, and it never raises."""
        _close(self._resource)

    # ------------------------------------------------------------------------------------ inside

    def _reopen(self) -> None:
        self.close()
        try:
            self._resource.open(open_timeout=2000)
        except Exception as error:
            ours = translated(error)
            raise OfflineError(f"no device answers at {self.name}: {' '.join(str(ours).split())}") from error
        self._apply(self._resource)
        self.waiting()

    def _apply(self, resource: Any) -> None:
        for name, value in noted_of(self.junction).items():
            with suppress(Exception):  # as in __init__: what cannot be read may be refused too
                setattr(resource, name, value)
        self._prepare(resource)

    def _prepare(self, resource: Any) -> None:
        """Have a socket send at once (a set and the query behind it would wait 40 ms for each other), and its end be told."""
        session = self._session(resource)
        if session is not None and isinstance(session.interface, socket.socket):
            session.interface = Stream(session.interface)
            with suppress(OSError):  # the check of the line tells about a broken one
                session.interface.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _at_hand(self) -> bytes:
        """Give what waits on a serial line, where a look takes it, or in pyvisa-sim."""
        handle, library = self._resource.session, self._resource.visalib
        if self._is_sim:
            return b"".join(map(bytes, getattr(library.sessions[handle].device, "_output_buffers", ())))
        if not self._seen and (count := self._resource.bytes_in_buffer):
            self._seen = bytes(library.read(handle, count)[0])
        return self._seen

    def _peeked(self, session: Any) -> bytes:
        tcp, extra = session.interface, bytes(getattr(session, "_pending_buffer", b""))
        tcp = tcp.tcp if isinstance(tcp, Stream) else tcp
        try:
            if not _is_readable(tcp):
                return extra
            if (code := tcp.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)) != 0:
                raise OfflineError(f"no device answers at {self.name}: {os.strerror(code).lower()}")
            data: bytes = tcp.recv(200, _PEEK)
        except BlockingIOError:
            return extra
        except OSError as error:
            raise OfflineError(f"the connection with {self.name} is lost: {error.strerror or error}") from error
        if not data:
            raise OfflineError(f"the connection with {self.name} is lost: the device has closed it")
        return extra + data

    def _drain(self, quiet: float) -> None:
        """Drop what comes until nothing has come for so many seconds; byte by byte, for a read that times out tells of none."""
        resource, end = self._resource, time.monotonic() + _DRAIN
        before, more = resource.timeout, sys.modules["pyvisa.constants"].StatusCode.success_max_count_read
        try:
            resource.timeout = quiet * 1000.0
            with resource.ignore_warning(more):
                while time.monotonic() < end and resource.visalib.read(resource.session, 1)[0]:
                    pass
        except Exception as error:
            if not isinstance(translated(error), DeviceTimeoutError):
                raise
        finally:
            resource.timeout = before

    def _is_stream(self) -> bool:
        return self._is_sim or self._is_serial

    def _resource_is_closed(self) -> bool:
        return getattr(self._resource, "_session", None) is None

    def _session(self, resource: Any) -> Any:
        """Give pyvisa-py's session with a TCP socket; None for other libraries and buses, and for a closed resource."""
        if not self._is_socket or getattr(resource, "_session", None) is None:
            return None
        session: Any = getattr(resource.visalib, "sessions", {}).get(resource.session)
        return session if type(session).__name__ == "TCPIPSocketSession" and session.interface is not None else None


def _close(resource: Any) -> None:
    """Close a resource, and have PyVISA forget it: it would keep a note of each for ever, one per attempt to reopen."""
    handle = getattr(resource, "_session", None)
    with suppress(Exception):  # what is broken cannot always be closed
        resource.close()
    for kept in ("sessions", "_last_status_in_session", "_ignore_warning_in_session"):
        table = getattr(resource.visalib, kept, None)
        if isinstance(table, dict):
            table.pop(handle, None)


def _is_readable(tcp: Any) -> bool:
    if not hasattr(select, "poll"):
        return bool(select.select([tcp], [], [], 0.0)[0])
    poll = select.poll()
    poll.register(tcp, select.POLLIN)
    return bool(poll.poll(0))
