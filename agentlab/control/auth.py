"""How two ends of a connection prove to each other who they are. Pure: fed bytes, gives bytes.

An authenticator stands before the first byte of Pyro5 on a connection, so nothing that a stranger sends is parsed.
It is also the seam for TLS: one built on :class:`ssl.MemoryBIO` is fed and drained in the same way, and keeps
transforming bytes after it is done (``seal`` and ``unseal``, which the present ones do not need).

The challenge, 32-byte nonces ``c`` and ``s``, client first so that the server proves itself before the client does::

    client  AGL1 c
    server  AGL1 s HMAC(key, "server" c s)
    client  HMAC(key, "client" s c)

Role and order of the nonces are bound in, so no answer can be reflected. A refusal is four bytes that say why.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from agentlab.errors import RefusedError

Kind = Literal["unix", "hmac", "open"]

CHALLENGE: Final = b"AGL1"
NONCE_SIZE: Final = 32
MAC_SIZE: Final = 32
NO_KEYS, KEY_NEEDED, OTHER_USER = b"AGL0", b"AGLK", b"AGLU"
REASONS: Final = {
    NO_KEYS: "it runs with security 'none' and cannot prove the lab's key; use the same SECURITY on both sides",
    CHALLENGE: "it asks for the lab's key; set SECURITY to 'keys' on this side",
    KEY_NEEDED: "it asks for the lab's key, which this side has not proved; use the same SECURITY and key on both sides",
    OTHER_USER: "it belongs to another user; only processes of one user share a unix socket",
}


@dataclass(frozen=True)
class Peer:
    """Who is at the other end of a connection.

    Args:
        kind: How it is known: ``'unix'`` by user id, ``'hmac'`` by the lab's key, ``'open'`` not at all.
        uid: User id, None where the system does not tell.
        pid: Process id at the time of connecting, None where the system does not tell.
        address: Path of the unix socket, or host:port of the other end.
        connection: Number of the connection, of which a daemon gives each once; 0 where there is none.
    """

    kind: Kind
    uid: int | None = None
    pid: int | None = None
    address: str = ""
    connection: int = 0


class Refused(RefusedError):  # noqa: N818 - what an authenticator ends in, beside being done
    """The other end has not proved who it is.

    Args:
        text: Why.
        farewell: Bytes that tell the other end, at most four.
    """

    def __init__(self, text: str = "", farewell: bytes = b"") -> None:
        super().__init__(text, farewell)
        self.farewell = farewell

    def __str__(self) -> str:
        return str(self.args[0])


class Authenticator(Protocol):
    """One side of a proof. Lives for one connection."""

    kind: Kind

    @property
    def done(self) -> bool:
        """Whether the other end has proved itself."""

    @property
    def rest(self) -> bytes:
        """Bytes that came after the proof."""

    def start(self) -> bytes:
        """Give the first bytes to send; may end in :class:`Refused` at once."""

    def receive(self, data: bytes) -> bytes:
        """Take received bytes and give what to send. Not to be called when done.

        Raises:
            Refused: the proof failed.
        """


class PeerUid:
    """Unix sockets: the kernel says whose process is at the other end. No bytes travel.

    Args:
        uid: User id of the other end, as the kernel told it; None if it cannot.
        own: The only user id accepted; this process's effective one if None.
    """

    kind: Kind = "unix"
    rest = b""

    def __init__(self, uid: int | None, own: int | None = None) -> None:
        self._uid = uid
        self._own = os.geteuid() if own is None else own
        self.done = False

    def start(self) -> bytes:
        """Compare the user ids."""
        if self._uid is None:
            raise Refused(
                "this system does not tell who is at the other end of a unix socket; use a port on 127.0.0.1", OTHER_USER
            )
        if self._uid != self._own:
            raise Refused(f"the process at the other end belongs to user id {self._uid}, not {self._own}", OTHER_USER)
        self.done = True
        return b""

    def receive(self, data: bytes) -> bytes:
        """Never called: it is done or refused from the start."""
        raise AssertionError(data[:4])


class Open:
    """No proof, where security is 'none'."""

    kind: Kind = "open"
    rest = b""
    done = True

    def start(self) -> bytes:
        """Give nothing."""
        return b""

    def receive(self, data: bytes) -> bytes:
        """Never called: it is done from the start."""
        raise AssertionError(data[:4])


class HmacChallenge:
    """Both ends prove that they know a key, without showing it.

    Args:
        key: At least 32 secret bytes.
        server: Which side this is.
    """

    kind: Kind = "hmac"

    def __init__(self, key: bytes, *, server: bool) -> None:
        self._key = key
        self._server = server
        self._own = secrets.token_bytes(NONCE_SIZE)
        self._other = b""
        self._data = b""
        self.done = False

    def __repr__(self) -> str:
        return f"HmacChallenge(server={self._server}, done={self.done})"

    @property
    def rest(self) -> bytes:
        """Bytes that came after the proof."""
        return self._data if self.done else b""

    def start(self) -> bytes:
        """Give the client's challenge; the server waits."""
        return b"" if self._server else CHALLENGE + self._own

    def receive(self, data: bytes) -> bytes:
        """Take received bytes and give what to send."""
        self._data += data
        if self._server and self._other:
            return self._check_client()
        magic = self._data[:4]
        if not CHALLENGE.startswith(magic):
            wrong = "sent no challenge of agentlab" if self._server else REASONS.get(magic, "sent no challenge of agentlab")
            raise Refused(wrong, KEY_NEEDED)
        return self._answer_client() if self._server else self._check_server()

    def _answer_client(self) -> bytes:
        if len(self._data) < 4 + NONCE_SIZE:
            return b""
        self._other = self._take(4 + NONCE_SIZE)[4:]
        if self._data:
            raise Refused("sent more than its challenge", KEY_NEEDED)  # an honest client waits for our proof
        return CHALLENGE + self._own + self._mac(b"server", self._other, self._own)

    def _check_client(self) -> bytes:
        if len(self._data) >= MAC_SIZE:
            self._check(self._take(MAC_SIZE), self._mac(b"client", self._own, self._other))
        return b""

    def _check_server(self) -> bytes:
        if len(self._data) < 4 + NONCE_SIZE + MAC_SIZE:
            return b""
        proof = self._take(4 + NONCE_SIZE + MAC_SIZE)
        self._other = proof[4 : 4 + NONCE_SIZE]
        self._check(proof[4 + NONCE_SIZE :], self._mac(b"server", self._own, self._other))
        return self._mac(b"client", self._other, self._own)

    def _check(self, got: bytes, expected: bytes) -> None:
        if not hmac.compare_digest(got, expected):
            raise Refused("has not proved the lab's key; both sides need the same key file", KEY_NEEDED)
        self.done = True

    def _mac(self, role: bytes, first: bytes, second: bytes) -> bytes:
        return hmac.new(self._key, role + first + second, hashlib.sha256).digest()

    def _take(self, size: int) -> bytes:
        taken, self._data = self._data[:size], self._data[size:]
        return taken
