"""What carries the bytes of a session: one seam for sockets, serial ports, buses, simulations and transcripts."""

from __future__ import annotations

from abc import ABC, abstractmethod

CHUNK = 64 * 1024
"""Bytes that are received at once at most."""


class Line(ABC):
    """One open connection to a device. Used by one thread at a time; its errors are ours.

    Attributes:
        patient: Whether waiting for a reply may be done in slices; elsewhere a timeout aborts the transfer, or loses a part.
        frames: Whether it tells where a message ends (GPIB, USBTMC, VXI-11, HiSLIP); otherwise a terminator must.
        fresh: Whether opening it anew drops what a device may still send, as with a TCP socket. A serial line does not.
    """

    patient: bool = True
    frames: bool = False
    fresh: bool = True

    @abstractmethod
    def send(self, data: bytes, timeout: float) -> None:
        """Send all bytes. Raises DeviceTimeoutError where the device takes none for so many seconds, OfflineError."""

    @abstractmethod
    def receive(self, timeout: float) -> tuple[bytes, bool]:
        """Give what came, at least one byte, and whether the message ends there (False where the line does not know).

        Raises:
            DeviceTimeoutError: nothing came in so many seconds.
            OfflineError: the other end is closed or gone.
        """

    @abstractmethod
    def waiting(self) -> bytes:
        """Give bytes that came and were not received yet, without waiting: the first of them at least. They stay to be received.

        Raises:
            OfflineError: the other end is closed or gone.
        """

    def clear(self) -> None:  # noqa: B027 - nothing to clear is fine
        """Have the device forget what it was doing and drop what waits, if the line knows how."""

    @abstractmethod
    def close(self) -> None:
        """Close it. Calling it twice is fine, and it never raises."""


__all__ = ["CHUNK", "Line"]
