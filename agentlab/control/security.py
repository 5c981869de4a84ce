"""Which proof a connection needs, and where a daemon may listen."""

from __future__ import annotations

import ipaddress
import socket
import struct
from typing import Final

from agentlab import keys
from agentlab.control import frames
from agentlab.control.auth import Authenticator, HmacChallenge, Open, Peer, PeerUid
from agentlab.control.incoming import Policy
from agentlab.errors import ConfigurationError, RefusedError
from agentlab.settings import config

PURPOSE: Final = "control"
HANDSHAKE_LIMIT: Final = 64 * 1024

_STOCK_SERIALIZERS: Final = frozenset({frames.SERPENT, frames.JSON, frames.MSGPACK})  # marshal never
_UCRED: Final = struct.Struct("3i")


class ControlSecurity:
    """What one side of the control plane demands of the other. Immutable; any thread.

    Args:
        mode: ``'keys'`` or ``'none'``; ``config['SECURITY']`` if None.
    """

    def __init__(self, mode: str | None = None) -> None:
        self.mode: str = config["SECURITY"] if mode is None else mode
        if self.mode not in {"keys", "none"}:
            raise ConfigurationError(f"security {self.mode!r} does not exist; it is 'keys' or 'none'")

    def __repr__(self) -> str:
        return f"ControlSecurity({self.mode!r})"

    @property
    def open(self) -> bool:
        """Whether anybody may connect."""
        return self.mode == "none"

    def check_key(self) -> None:
        """Read the lab's key if this security needs it, so that what is wrong with it is said early.

        Raises:
            ConfigurationError: the lab's key cannot be made or read.
        """
        if not self.open:
            keys.derive(PURPOSE)

    def authenticator(self, sock: socket.socket, *, server: bool) -> Authenticator:
        """Give a fresh authenticator for a connected socket.

        Raises:
            ConfigurationError: the lab's key cannot be read.
        """
        if self.open:
            return Open()
        if _is_unix(sock):
            return PeerUid(credentials(sock)[0])
        return HmacChallenge(keys.derive(PURPOSE), server=server)

    def peer(self, sock: socket.socket, authenticator: Authenticator, address: str, connection: int = 0) -> Peer:
        """Describe the other end of a connection."""
        uid, pid = credentials(sock)
        return Peer(authenticator.kind, uid, pid, address, connection)

    def handshake_policy(self, *kinds: int) -> Policy:
        """Give what is accepted as a handshake, before anything else of Pyro5."""
        serializers = _STOCK_SERIALIZERS if self.open else frozenset({frames.JSON})
        return Policy(frozenset(kinds), serializers, self._tolerated(), self.open, HANDSHAKE_LIMIT)

    def request_policy(self) -> Policy:
        """Give what a daemon accepts after the handshake."""
        limit = int(config["MAX_MESSAGE_SIZE"]) + frames.OVERHEAD
        if self.open:
            flags = frames.ONEWAY | frames.BATCH | frames.CORRELATION
            return Policy(frozenset({frames.INVOKE, frames.PING}), _STOCK_SERIALIZERS, flags, True, limit)
        return Policy(frozenset({frames.INVOKE}), frozenset({frames.MSGPACK}), frames.ONEWAY, False, limit)

    def answer_policy(self) -> Policy:
        """Give what a client accepts after the handshake."""
        limit = int(config["MAX_MESSAGE_SIZE"]) + frames.OVERHEAD
        flags = frames.EXCEPTION | self._tolerated()
        return Policy(frozenset({frames.RESULT}), frozenset({frames.MSGPACK}), flags, self.open, limit)

    def _tolerated(self) -> int:
        # Stock Pyro5 numbers its calls with this flag; our own ends never do.
        return frames.CORRELATION if self.open else 0


def refuse_open_bind(host: str, mode: str | None = None) -> None:
    """Refuse to listen where other machines can connect while the security is by key.

    Args:
        host: Name or address to bind.
        mode: ``config['SECURITY']`` if None.

    Raises:
        RefusedError: the host is not loopback. Other machines need certificates, which come later.
    """
    if ControlSecurity(mode).open or _is_loopback(host):
        return
    raise RefusedError(
        f"refused to listen on {host!r}: other machines could connect, and they need certificates, which do not exist yet;"
        " bind 127.0.0.1, or set SECURITY to 'none' to let anybody in"
    )


def credentials(sock: socket.socket) -> tuple[int | None, int | None]:
    """Give user id and process id of the other end of a unix socket, as the kernel tells; None for what it does not."""
    if not _is_unix(sock) or not hasattr(socket, "SO_PEERCRED"):
        return None, None
    pid, uid, _ = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return uid, pid or None


def _is_unix(sock: socket.socket) -> bool:
    return sock.family == getattr(socket, "AF_UNIX", None)


def _is_loopback(host: str) -> bool:
    try:
        addresses = [ipaddress.ip_address(host)]
    except ValueError:
        try:
            # An empty host is every interface to bind(), but nothing in particular to getaddrinfo().
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM) if host else []
        except OSError as error:
            raise ConfigurationError(
                f"host {host!r} cannot be found: {error.strerror}; give an address of this machine"
            ) from None
        addresses = [ipaddress.ip_address(str(info[4][0]).partition("%")[0]) for info in found]
    return bool(addresses) and all(address.is_loopback for address in addresses)
