"""How the bytes of PyVISA's resources are exchanged: TCP sockets and serial ports of pyvisa-py here, all others by PyVISA.

pyvisa-py 0.8 opens a dead port with success, spins at the end of a stream until the timeout, loses what came before a
timeout, reads a serial line byte by byte, and may wait for ever to write. So of its sockets and ports it is only used to open
and close them. PyVISA is not imported here: it made the resources that come in.
"""

from __future__ import annotations

import os
import select
import socket
import time
import warnings
from typing import Any

from agentlab.errors import DeviceTimeoutError, DriverError, OfflineError
from agentlab.instruments.visa.line import Line
from agentlab.instruments.visa.translation import translated, translating

_CHUNK = 64 * 1024
_BLOCK = 4096  # bytes that a socket surely takes at once when it can be written
_NO_WAIT = getattr(socket, "MSG_DONTWAIT", 0)


def line_of(resource: Any, address: str, end: str) -> Line:
    """Give the line of a message based resource that PyVISA has opened.

    Args:
        resource: Closed with the line, or by the caller if this raises.
        address: For errors.
        end: What ends a reply; empty: the bus tells.

    Raises:
        OfflineError: nobody is at the other end.
        DriverError: the resource refuses that end.
    """
    session = getattr(resource.visalib, "sessions", {}).get(resource.session)
    found, library = getattr(session, "interface", None), type(session).__module__.partition(".")[0]
    if library == "pyvisa_py" and isinstance(found, socket.socket) and type(session).__name__ == "TCPIPSocketSession":
        return SocketLine(resource, found, address)
    if library == "pyvisa_py" and os.name == "posix" and hasattr(found, "in_waiting"):
        return SerialLine(resource, found, address)
    return VisaLine(resource, address, end, getattr(session, "device", None) if library == "pyvisa_sim" else None)


def shut(resource: Any) -> None:
    """Close a resource; what a device that is gone says to that is of no use to anybody. Never raises; twice is fine."""
    library = resource.visalib
    try:
        handle = resource.session
        resource.close()
    except Exception as error:  # noqa: BLE001 - a door: closing what is broken raises anything
        translated(error)
        return
    for kept in ("sessions", "_last_status_in_session", "_ignore_warning_in_session"):
        # pyvisa-py 0.8 and PyVISA 1.16 keep these for ever: a device that is away for a week would fill the memory
        table = getattr(library, kept, None)
        if isinstance(table, dict):
            table.pop(handle, None)


def drop_sockets(error: BaseException) -> None:
    """Close what pyvisa-py 0.8 leaves open when it fails to open: only the error's own frames hold those sockets."""
    cause: BaseException | None = error
    while cause is not None:
        trace = cause.__traceback__
        while trace is not None:
            frame, trace = trace.tb_frame, trace.tb_next
            if str(frame.f_globals.get("__name__")).startswith("pyvisa_py."):
                for value in frame.f_locals.values():
                    for found in (value, *getattr(value, "__dict__", {}).values()):
                        if isinstance(found, socket.socket):
                            found.close()
        cause = cause.__context__


class SocketLine(Line):
    """A TCP socket that pyvisa-py has opened."""

    frames = False
    fresh = True

    def __init__(self, resource: Any, found: socket.socket, address: str) -> None:
        self._resource, self._socket, self._address = resource, found, address
        self._closed = False
        # a connection that was refused is called open by pyvisa-py; the socket knows better
        if (code := found.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)) != 0:
            raise OfflineError(f"no device answers at {address}: {os.strerror(code).lower()}")
        try:
            if found.getpeername() == found.getsockname():
                # a dead port of this machine may be given to the very socket that looks for it: it would hear itself
                raise OfflineError(f"no device answers at {address}: the port is free")
            # a set and the query behind it would otherwise wait 40 ms for each other (Nagle's algorithm)
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            raise OfflineError(f"no device answers at {address}: {error.strerror or error}") from error

    def send(self, data: bytes, timeout: float) -> None:
        """Send, as :meth:`Line.send`."""
        deadline = time.monotonic() + timeout
        for start in range(0, len(data), _BLOCK):
            block = data[start : start + _BLOCK]
            while block:
                if not _is_ready(self._socket, writing=True, timeout=max(0.0, deadline - time.monotonic())):
                    raise DeviceTimeoutError(f"{self._address} took no command within {timeout:g} s")
                try:
                    block = block[self._socket.send(block, _NO_WAIT) :]
                except BlockingIOError:
                    continue
                except OSError as error:
                    raise self._gone(error) from error

    def receive(self, timeout: float) -> tuple[bytes, bool]:
        """Receive, as :meth:`Line.receive`."""
        return self._take(timeout, 0), False

    def waiting(self) -> bytes:
        """Look, as :meth:`Line.waiting`; what is seen stays."""
        if not _is_ready(self._socket, writing=False, timeout=0.0):
            return b""
        return self._take(0.0, socket.MSG_PEEK)

    def close(self) -> None:
        """Close, as :meth:`Line.close`."""
        if not self._closed:
            self._closed = True
            try:
                self._socket.shutdown(socket.SHUT_RDWR)  # wakes a thread that waits for a reply
            except OSError:  # it is disconnected already
                self._closed = True
            shut(self._resource)

    def _take(self, timeout: float, flags: int) -> bytes:
        if timeout and not _is_ready(self._socket, writing=False, timeout=timeout):
            raise DeviceTimeoutError
        try:
            data = self._socket.recv(_CHUNK, flags | _NO_WAIT)
        except BlockingIOError:  # a packet with a wrong checksum
            if flags:
                return b""
            raise DeviceTimeoutError from None
        except OSError as error:
            raise self._gone(error) from error
        if not data:
            raise OfflineError(f"{self._address} has closed the connection")
        return data

    def _gone(self, error: OSError) -> OfflineError:
        return OfflineError(f"the connection with {self._address} is lost: {error.strerror or error}")


def _is_ready(found: Any, *, writing: bool, timeout: float) -> bool:
    """Tell whether a socket or port can be read or written, or is broken; waits for at most so many seconds."""
    if found.fileno() < 0:
        return True  # closed by another thread: let the next call say so
    if not hasattr(select, "poll"):
        ready = select.select([] if writing else [found], [found] if writing else [], [found], timeout)
        return any(ready)
    poll = select.poll()
    poll.register(found, select.POLLOUT if writing else select.POLLIN)
    return bool(poll.poll(timeout * 1000.0 if timeout < 1e6 else None))


class SerialLine(Line):
    """A serial port that pyvisa-py has opened, on POSIX."""

    frames = False
    fresh = False

    def __init__(self, resource: Any, port: Any, address: str) -> None:
        self._resource, self._port, self._address, self._closed = resource, port, address, False

    def send(self, data: bytes, timeout: float) -> None:
        """Send, as :meth:`Line.send`."""
        with translating():
            self._resource.timeout = max(1.0, timeout * 1000.0)
            sent, _ = self._resource.visalib.write(self._resource.session, data)
        if sent < len(data):
            raise DeviceTimeoutError(f"{self._address} took only {sent} of {len(data)} bytes within {timeout:g} s")

    def receive(self, timeout: float) -> tuple[bytes, bool]:
        """Receive, as :meth:`Line.receive`."""
        with translating():
            if not _is_ready(self._port, writing=False, timeout=timeout):
                raise DeviceTimeoutError
            # in_waiting is 0 where the other end hung up; reading one byte then says so
            return self._port.read(max(1, min(self._port.in_waiting, _CHUNK))), False

    def waiting(self) -> bytes:
        """Look, as :meth:`Line.waiting`; what is seen is taken."""
        try:
            return self.receive(0.0)[0]
        except DeviceTimeoutError:
            return b""

    def clear(self) -> None:
        """Drop what waits in the buffers of this machine."""
        with translating():
            self._port.reset_output_buffer()
            self._port.reset_input_buffer()

    def close(self) -> None:
        """Close, as :meth:`Line.close`."""
        if not self._closed:
            self._closed = True
            shut(self._resource)


class VisaLine(Line):
    """Any other resource that exchanges messages: GPIB, USB, VXI-11, HiSLIP, a vendor's library, pyvisa-sim.

    Args:
        resource: PyVISA's.
        address: For errors.
        end: What ends a reply; empty: the bus tells.
        simulated: The device of pyvisa-sim behind it, which keeps its replies whatever is closed and opened.
    """

    def __init__(self, resource: Any, address: str, end: str, simulated: Any = None) -> None:
        self._resource, self._address, self._closed, self._simulated = resource, address, False, simulated
        self._is_serial = resource.interface_type.name == "asrl"
        is_socket = resource.resource_class == "SOCKET"
        self.frames = simulated is None and not (self._is_serial or is_socket)
        self.patient = not self.frames
        self.fresh = is_socket and simulated is None
        self._timeout = -1.0
        if end:
            try:
                with translating():
                    resource.read_termination = end
            except ValueError as error:
                raise DriverError(f"read_termination {end!r} is refused by {address}: {error}") from error

    def send(self, data: bytes, timeout: float) -> None:
        """Send, as :meth:`Line.send`."""
        with translating():
            self._limit(timeout)
            sent, status = self._resource.visalib.write(self._resource.session, data)
        if sent < len(data):
            raise OfflineError(f"{self._address} took only {sent} of {len(data)} bytes ({status.name})")

    def receive(self, timeout: float) -> tuple[bytes, bool]:
        """Receive, as :meth:`Line.receive`."""
        with translating(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that there is more to read is no news
            self._limit(timeout)
            data, status = self._resource.visalib.read(self._resource.session, _CHUNK)
        if not data:
            raise DeviceTimeoutError
        return bytes(data), self.frames and status.name in {"success", "success_termination_character_read"}

    def waiting(self) -> bytes:
        """Look, as :meth:`Line.waiting`. A bus that frames is not asked: its devices drop an unread reply by themselves."""
        if self._simulated is not None:
            return b"".join(map(bytes, getattr(self._simulated, "_output_buffers", ())))
        if self.frames:
            return b""  # IEEE 488.2, 6.3.2.3: a command before the reply was read interrupts it and clears the output queue
        if self._is_serial:
            with translating():
                if not self._resource.bytes_in_buffer:
                    return b""
        try:
            return self.receive(0.0)[0]
        except DeviceTimeoutError:
            return b""

    def clear(self) -> None:
        """Clear the device, as :meth:`Line.clear`."""
        if self.frames:
            try:
                with translating():
                    self._resource.clear()
            except (DriverError, NotImplementedError):  # this kind of bus has no device clear
                return

    def close(self) -> None:
        """Close, as :meth:`Line.close`."""
        if not self._closed:
            self._closed = True
            shut(self._resource)

    def _limit(self, timeout: float) -> None:
        """Set the resource's own limit, if it is another than last time: setting may cost more than a read."""
        coarse = max(0.0, round(timeout, 3))
        if coarse != self._timeout:
            self._resource.timeout = coarse * 1000.0
            self._timeout = coarse


__all__ = ["SerialLine", "SocketLine", "VisaLine", "drop_sockets", "line_of", "shut"]
