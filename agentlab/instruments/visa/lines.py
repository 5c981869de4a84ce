"""How the bytes of PyVISA's resources are exchanged: TCP sockets and serial ports of pyvisa-py here.

All others are PyVISA's own business: :mod:`~agentlab.instruments.visa.visa_line`.

pyvisa-py 0.8 opens a dead port with success, spins at the end of a stream until the timeout, loses what came before a
timeout, reads a serial line byte by byte, and may wait for ever to write. So of its sockets and ports it is only used to open
and close them. PyVISA is not imported here: it made the resources that come in.
"""

from __future__ import annotations

import os
import select
import socket
import time
from typing import Any

from agentlab.errors import DeviceTimeoutError, OfflineError
from agentlab.instruments.visa.closing import shut
from agentlab.instruments.visa.line import CHUNK, Line
from agentlab.instruments.visa.translation import translating
from agentlab.instruments.visa.visa_line import VisaLine

_BLOCK = 4096  # bytes that a socket surely takes at once when it can be written
_NO_WAIT = int(getattr(socket, "MSG_DONTWAIT", 0))  # joining flags as an enumeration takes longer than receiving


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
        """Look, as :meth:`Line.waiting`."""
        if not _is_ready(self._socket, writing=False, timeout=0.0):
            return b""
        return self._take(0.0, int(socket.MSG_PEEK))

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
            data = self._socket.recv(CHUNK, flags | _NO_WAIT)
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
        self._seen = b""

    def send(self, data: bytes, timeout: float) -> None:
        """Send, as :meth:`Line.send`."""
        with translating():
            self._resource.timeout = max(1.0, timeout * 1000.0)
            sent, _ = self._resource.visalib.write(self._resource.session, data)
        if sent < len(data):
            raise DeviceTimeoutError(f"{self._address} took only {sent} of {len(data)} bytes within {timeout:g} s")

    def receive(self, timeout: float) -> tuple[bytes, bool]:
        """Receive, as :meth:`Line.receive`."""
        if self._seen:
            data, self._seen = self._seen, b""
            return data, False
        with translating():
            if not _is_ready(self._port, writing=False, timeout=timeout):
                raise DeviceTimeoutError
            # in_waiting is 0 where the other end hung up; reading one byte then says so
            return self._port.read(max(1, min(self._port.in_waiting, CHUNK))), False

    def waiting(self) -> bytes:
        """Look, as :meth:`Line.waiting`."""
        try:
            self._seen = self.receive(0.0)[0]
        except DeviceTimeoutError:
            return b""
        return self._seen

    def clear(self) -> None:
        """Drop what waits in the buffers of this machine."""
        self._seen = b""
        with translating():
            self._port.reset_output_buffer()
            self._port.reset_input_buffer()

    def close(self) -> None:
        """Close, as :meth:`Line.close`."""
        if not self._closed:
            self._closed = True
            shut(self._resource)


__all__ = ["SerialLine", "SocketLine", "line_of"]
