"""Whether the holder of a name is certainly dead: nobody listens at its URI any more."""

from __future__ import annotations

import enum
import errno
import socket

from agentlab.control.uri import parse_uri
from agentlab.errors import WrongAddressError

_DEAD = (errno.ECONNREFUSED, errno.ENOENT, errno.ENOTDIR)
# A unix socket whose queue is full, or that belongs to another user: somebody made it, and may be there.
_THERE = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, errno.EPERM)


class Verdict(enum.Enum):
    """What an attempt to connect tells of a holder."""

    ALIVE = "alive"
    DEAD = "dead"
    UNREACHABLE = "unreachable"


def verdict_of(error: OSError | None) -> Verdict:
    """Tell what the outcome of a connection attempt means.

    Args:
        error: What it raised; None: it came about. A frozen process, too, accepts connections.
    """
    if error is None or error.errno in _THERE:
        return Verdict.ALIVE
    return Verdict.DEAD if error.errno in _DEAD else Verdict.UNREACHABLE


def is_dead(uri: str, timeout: float = 0.3) -> bool:
    """Tell whether nobody listens where a URI points; opens a connection and closes it at once.

    A frozen process still accepts connections, a host that does not answer may only be slow, and a URI that cannot
    be read proves nothing: all of those count as alive, and only their lease ends them.

    Args:
        uri: ``PYRO:object@host:port`` or ``PYRO:object@./u:path``.
        timeout: Seconds to wait at most; it blocks.
    """
    try:
        location = parse_uri(uri)[1]
        if location.path is None:
            socket.create_connection((location.host, location.port), timeout).close()
            return False
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(timeout)
            probe.connect(location.path)
    except OSError as error:
        return verdict_of(error) is Verdict.DEAD
    except (AttributeError, WrongAddressError):  # no unix sockets on this system, or a location of another kind
        return False
    return False
