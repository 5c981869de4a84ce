"""What is put in the place of PyVISA's objects inside of a vendor library: it hands on, and steps in where it must.

PyVISA is not imported here; its objects are used as they come.
"""

from __future__ import annotations

import errno
import socket
import threading
from typing import Any


class Junction:
    """Stands in the place of a resource of PyVISA and passes for one.

    It hands everything on, except that a thread which has said so speaks over another resource; and it notes what is set,
    so that the resource can be closed and opened with the same settings.

    Args:
        main: The resource.
    """

    __slots__ = ("_main", "_noted", "_side")

    def __init__(self, main: Any) -> None:
        put = object.__setattr__  # every other assignment is the resource's
        put(self, "_main", main)
        put(self, "_side", {})  # thread: the resource that it speaks over
        put(self, "_noted", {})  # setting: value

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # libraries ask isinstance(..., MessageBasedResource)
        return type(object.__getattribute__(self, "_main"))

    def __getattr__(self, name: str) -> Any:
        return getattr(current_of(self), name)

    def __setattr__(self, name: str, value: Any) -> None:
        current = current_of(self)
        setattr(current, name, value)
        if current is object.__getattribute__(self, "_main"):
            object.__getattribute__(self, "_noted")[name] = value

    def __repr__(self) -> str:
        return repr(current_of(self))


def current_of(junction: Junction) -> Any:
    """Give the resource that the calling thread speaks over."""
    side = object.__getattribute__(junction, "_side")
    if side:
        found = side.get(threading.get_ident())
        if found is not None:
            return found
    return object.__getattribute__(junction, "_main")


def side_of(junction: Junction) -> dict[int, Any]:
    """Give which threads speak over which other resource; to be changed."""
    found: dict[int, Any] = object.__getattribute__(junction, "_side")
    return found


def noted_of(junction: Junction) -> dict[str, Any]:
    """Give what was set at the resource, by name; to be changed."""
    found: dict[str, Any] = object.__getattribute__(junction, "_noted")
    return found


class Stream:
    """A TCP socket in pyvisa-py's session whose end is an error; pyvisa-py 0.8 would read it as silence until the timeout."""

    __slots__ = ("tcp",)

    def __init__(self, tcp: socket.socket) -> None:
        self.tcp = tcp

    def __getattr__(self, name: str) -> Any:
        return getattr(self.tcp, name)

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Receive, as a socket does. Raises ConnectionResetError at its end."""
        data = self.tcp.recv(size, flags)
        if not data:
            raise ConnectionResetError(errno.ECONNRESET, "the device has closed the connection")
        return data


def is_resource(value: object) -> bool:
    """Tell whether something is a resource of PyVISA that exchanges messages."""
    return any(base.__module__.startswith("pyvisa.") and base.__name__ == "MessageBasedResource" for base in type(value).__mro__)
