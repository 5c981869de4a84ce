"""What systemd wants to hear of a service, as sd_notify(3) says it; silent where nobody listens.

A message is a datagram to the unix socket named by ``NOTIFY_SOCKET``; a name that begins with ``@`` is an abstract one.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import MutableMapping
from typing import Self

VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


class Notifier:
    """Tells the service manager how this process is. Any thread; nothing here blocks or raises.

    Args:
        address: Path or abstract name of the manager's socket; empty: there is none, and nothing is sent.
        watchdog: Seconds within which the manager wants signs of life; 0: it wants none.
    """

    def __init__(self, address: str = "", watchdog: float = 0.0) -> None:
        self.watchdog = watchdog
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket: socket.socket | None = None
        if self._address and hasattr(socket, "AF_UNIX"):
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)

    @classmethod
    def from_environment(cls, environ: MutableMapping[str, str] | None = None) -> Self:
        """Make one as the environment says, and take its variables away: they are not for our children."""
        environ = os.environ if environ is None else environ
        address, period, pid = (environ.pop(name, "") for name in VARIABLES)
        ours = not pid or pid == str(os.getpid())
        return cls(address, int(period) / 1e6 if ours and period.isdecimal() else 0.0)

    def send(self, *lines: str) -> bool:
        """Send assignments such as ``READY=1``; tell whether somebody took them."""
        if self._socket is None:
            return False
        with contextlib.suppress(OSError):  # the manager is being restarted, or its queue is full
            self._socket.sendto("\n".join(lines).encode(), self._address)
            return True
        return False

    def ready(self, text: str) -> bool:
        """The service works."""
        return self.send("READY=1", f"STATUS={_line(text)}", f"MAINPID={os.getpid()}")

    def status(self, text: str) -> bool:
        """One line for ``systemctl status``."""
        return self.send(f"STATUS={_line(text)}")

    def reloading(self) -> bool:
        """The service reads its configuration again; :meth:`ready` ends that."""
        return self.send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, seconds: float) -> bool:
        """The service ends, and may take so many seconds more."""
        return self.send("STOPPING=1", f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}")

    def alive(self) -> bool:
        """Give a sign of life for the watchdog."""
        return self.send("WATCHDOG=1")

    def close(self) -> None:
        """Close the socket; twice is fine."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _line(text: str) -> str:
    return " ".join(text.split())
