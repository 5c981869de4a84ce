"""Where an object is served: ``PYRO:id@./u:PATH`` or ``PYRO:id@host:port``. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from agentlab.errors import WrongAddressError

_URI = re.compile(
    r"PYRO:(?P<id>[^\s@]+)@(?:\./u:(?P<path>[^:]+)|(?:\[(?P<six>[0-9a-fA-F:.%]+)\]|(?P<host>[^\s:\[\]]+)):(?P<port>\d+))"
)
_OBJECT_ID = re.compile(r"[^\s@]+")


@dataclass(frozen=True, slots=True)
class Location:
    """Where a daemon listens: a unix socket's path, or host and port."""

    path: str | None = None
    host: str | None = None
    port: int = 0

    def __str__(self) -> str:
        if self.path is not None:
            return f"./u:{self.path}"
        host = f"[{self.host}]" if self.host and ":" in self.host else self.host
        return f"{host}:{self.port}"

    def uri(self, object_id: str) -> str:
        """Give the URI of an object there."""
        return f"PYRO:{check_object_id(object_id)}@{self}"


def parse_uri(uri: str) -> tuple[str, Location]:
    """Give object id and location of a URI.

    Raises:
        WrongAddressError: the text is no such URI.
    """
    match = _URI.fullmatch(uri)
    if match is None or int(match["port"] or 0) > 65535:
        raise WrongAddressError(f"{uri!r} is no URI of an object; it looks like PYRO:id@./u:PATH or PYRO:id@host:port")
    return match["id"], Location(match["path"], match["six"] or match["host"], int(match["port"] or 0))


def check_object_id(object_id: str) -> str:
    """Give the id back if it can stand in a URI.

    Raises:
        WrongAddressError: it is empty, or has a space or an ``@``.
    """
    if not _OBJECT_ID.fullmatch(object_id) or len(object_id.encode()) > 512:
        raise WrongAddressError(f"object id {object_id!r} cannot stand in a URI; use up to 512 bytes without spaces and @")
    return object_id
