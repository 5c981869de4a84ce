"""Who may connect: CURVE and a ZAP handler on tcp, the user's own uid on ipc.

CURVE without a running ZAP handler accepts any key, so a server's socket always enforces its domain, and the
handler of this process (one small thread, started with the first tcp server) knows the keys that may enter.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import socket
import sys
import threading
from functools import cache

import zmq
from zmq.utils import z85

from agentlab import keys
from agentlab.errors import RefusedError, WrongAddressError
from agentlab.settings import config
from agentlab.transport.context import context
from agentlab.wire.address import AgentAddressSerializer, AgentAddressTransport

log = logging.getLogger("agentlab.audit")

ZAP_DOMAIN = b"agentlab"
PLAIN_DOMAIN = b"agentlab without keys"
"""Of sockets that need no key: those of ipc, and all under security none. A socket that has a domain speaks ZMTP 3 alone:
where the old protocols are spoken too, random bytes pass for a peer, and a REP socket then swallows honest requests."""
ZAP_ENDPOINT = "inproc://zeromq.zap.01"
PLAIN_SERIALIZERS = (AgentAddressSerializer("raw"), AgentAddressSerializer("json"), AgentAddressSerializer("msgpack"))


@cache
def _curve_pair(seed: bytes) -> tuple[bytes, bytes]:
    secret = z85.encode(seed)
    return zmq.curve_public(secret), secret


def curve_pair() -> tuple[bytes, bytes]:
    """Give the lab's CURVE key pair on this machine, public and secret, each 40 bytes of Z85."""
    return _curve_pair(keys.derive("curve"))


def check_serializer(serializer: AgentAddressSerializer, transport: AgentAddressTransport) -> None:
    """Refuse a serializer that would unpickle what strangers send.

    Raises:
        RefusedError: security is ``none`` and the serializer could run code.
    """
    if config["SECURITY"] == "none" and transport != "inproc" and serializer not in PLAIN_SERIALIZERS:
        raise RefusedError(
            f"serializer {serializer!s} is refused while security is none: anybody could run code here; "
            "use raw, json or msgpack, or security keys"
        )


def is_loopback(host: str) -> bool:
    """Tell whether a host's name or address stays on this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_bind_host(host: str) -> None:
    """Refuse to listen to other machines as long as those could not prove who they are.

    Raises:
        RefusedError: the host is not loopback and security is ``keys``.
    """
    if config["SECURITY"] == "keys" and not is_loopback(host):
        raise RefusedError(
            f"binding {host} would let other machines in, and they have no keys of this lab yet; "
            "bind 127.0.0.1, or say security none (AGENTLAB_SECURITY=none) where everybody on the network is trusted"
        )


def resolve_host(host: str) -> str:
    """Give the numeric address of a host's name, as ZeroMQ needs to bind.

    Raises:
        WrongAddressError: the name is not known.
    """
    if host in ("*", "0.0.0.0", "::"):  # noqa: S104 - a comparison; check_bind_host decides
        return host
    try:
        return str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])
    except OSError as error:
        raise WrongAddressError(f"no address is known for host {host!r}: {error.strerror}") from None


def secure_server(zsocket: zmq.Socket[bytes], transport: str) -> None:
    """Set what a socket needs before it binds: CURVE and ZAP on tcp, the user's uid on ipc."""
    if transport == "inproc":
        return
    if config["SECURITY"] == "none":
        zsocket.zap_domain = PLAIN_DOMAIN
        return
    if transport == "tcp":
        _ensure_gatekeeper()
        public, secret = curve_pair()
        zsocket.curve_server = True
        zsocket.curve_publickey, zsocket.curve_secretkey = public, secret
        zsocket.zap_domain = ZAP_DOMAIN
        zsocket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
        return
    zsocket.zap_domain = PLAIN_DOMAIN
    if sys.platform.startswith("linux"):
        zsocket.setsockopt(zmq.IPC_FILTER_UID, os.getuid())


def secure_client(zsocket: zmq.Socket[bytes], transport: str) -> None:
    """Set what a socket needs before it connects: the keys of both sides on tcp."""
    if transport == "tcp" and config["SECURITY"] == "keys":
        public, secret = curve_pair()
        zsocket.curve_publickey, zsocket.curve_secretkey, zsocket.curve_serverkey = public, secret, public


class Gatekeeper:
    """The ZAP handler of one context: answers, in a thread of its own, whether a CURVE key may enter."""

    def __init__(self, zcontext: zmq.Context[zmq.Socket[bytes]]) -> None:
        self.refused = 0
        self._context = zcontext
        self._socket = zcontext.socket(zmq.REP)
        self._socket.linger = 0
        self._socket.bind(ZAP_ENDPOINT)
        threading.Thread(target=self._serve, name="agentlab-zap", daemon=True).start()

    def _serve(self) -> None:
        try:
            while True:
                self._socket.send_multipart(self.answer(self._socket.recv_multipart()))
        except zmq.ContextTerminated:
            self._socket.close(0)

    def answer(self, frames: list[bytes]) -> list[bytes]:
        """Give the answer to one request of ZeroMQ (RFC 27): whether a connection may enter, and as whom."""
        version, request_id, domain = [*frames, b"", b"", b""][:3]
        mechanism = frames[5] if version == b"1.0" and len(frames) > 5 else b""
        if mechanism == b"NULL" and domain == PLAIN_DOMAIN:
            return [b"1.0", request_id, b"200", b"OK", b"", b""]
        if mechanism == b"CURVE" and domain == ZAP_DOMAIN and len(frames) == 7 and len(frames[6]) == 32:
            user = z85.encode(frames[6])
            if user in allowed_keys():
                return [b"1.0", request_id, b"200", b"OK", user, b""]
        self.refused += 1
        address = frames[3].decode("ascii", "replace") if len(frames) > 3 else "?"
        log.warning("refused a connection from %s: its key does not belong to this lab", address)
        return [b"1.0", request_id, b"400", b"not a key of this lab", b"", b""]


def allowed_keys() -> frozenset[bytes]:
    """Give the public keys that may enter; the keys of other machines will join here."""
    return frozenset((curve_pair()[0],))


_gatekeeper: Gatekeeper | None = None
_gatekeeper_lock = threading.Lock()


def _ensure_gatekeeper() -> None:
    global _gatekeeper  # noqa: PLW0603 - one per context, and there is one context
    with _gatekeeper_lock:
        zcontext = context()
        if _gatekeeper is None or _gatekeeper._context is not zcontext:
            _gatekeeper = Gatekeeper(zcontext)


def refused_connections() -> int:
    """Give how many connections the ZAP handler of this process has refused."""
    return _gatekeeper.refused if _gatekeeper is not None else 0
