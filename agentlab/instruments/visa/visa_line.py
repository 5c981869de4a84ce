"""Bytes that PyVISA itself exchanges: buses that frame messages, a vendor's library, pyvisa-sim.

PyVISA is not imported here: it made the resources that come in.
"""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from typing import Any

from agentlab.errors import DeviceTimeoutError, DriverError, OfflineError
from agentlab.instruments.visa.closing import shut
from agentlab.instruments.visa.line import CHUNK, Line
from agentlab.instruments.visa.translation import translating


class VisaLine(Line):
    """A resource that exchanges messages: GPIB, USB, VXI-11, HiSLIP, a vendor's library, pyvisa-sim.

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
        self.patient = simulated is not None or self._is_serial
        self.fresh = is_socket and simulated is None
        self._timeout = -1.0
        self._last = end[-1:].encode()
        self._seen = b""
        # that there is more to read is no news; for good, as warnings.catch_warnings() is no thread's own
        self._hushed = ExitStack()
        self._hushed.enter_context(resource.ignore_warning(sys.modules["pyvisa.constants"].StatusCode.success_max_count_read))
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
        if self._seen:
            data, self._seen = self._seen, b""
            return data, False
        if self.frames or self._simulated is not None:
            data, status = self._read(CHUNK, timeout)
            return data, self.frames and status in {"success", "success_termination_character_read"}
        # A read that ends by its timeout loses what it had read: the rest of a number would look like a number. So without
        # more than one byte to lose, nothing is waited for but on a socket, to the end of all the time that the reply has.
        deadline = time.monotonic() + timeout
        data, _ = self._read(1, timeout)
        if self._is_serial:
            return data + self._at_hand(), False
        if data != self._last:
            try:
                data += self._read(CHUNK, max(0.0, deadline - time.monotonic()))[0]
            except DeviceTimeoutError:
                time.sleep(max(0.0, deadline - time.monotonic()))  # the limit is rounded: nothing may come behind the gap
        return data, False

    def waiting(self) -> bytes:
        """Look, as :meth:`Line.waiting`. A bus that frames is not asked: its devices drop an unread reply by themselves."""
        if self._simulated is not None:
            return b"".join(map(bytes, getattr(self._simulated, "_output_buffers", ())))
        if self.frames:
            return b""  # IEEE 488.2, 6.3.2.3: a command before the reply was read interrupts it and clears the output queue
        if not self._seen:
            try:
                self._seen = self._at_hand() if self._is_serial else self._read(1, 0.0)[0]
            except DeviceTimeoutError:
                return b""
        return self._seen

    def clear(self) -> None:
        """Clear the device, as :meth:`Line.clear`."""
        self._seen = b""
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

    def _at_hand(self) -> bytes:
        """Give what a serial port has received; nothing is waited for."""
        with translating():
            count = min(self._resource.bytes_in_buffer, CHUNK)
        return self._read(count, 1.0)[0] if count else b""

    def _read(self, count: int, timeout: float) -> tuple[bytes, str]:
        """Read by PyVISA; give how it ended, too. Raises DeviceTimeoutError where nothing came."""
        with translating():
            self._limit(timeout)
            data, status = self._resource.visalib.read(self._resource.session, count)
        if not data:
            raise DeviceTimeoutError
        return bytes(data), status.name

    def _limit(self, timeout: float) -> None:
        """Set the resource's own limit, if it is another than last time: setting may cost more than a read."""
        coarse = max(0.0, round(timeout, 3))
        if coarse != self._timeout:
            self._resource.timeout = coarse * 1000.0
            self._timeout = coarse


__all__ = ["VisaLine"]
