"""The datagram that renews a lease, as bytes. Pure: time and key are handed in.

Layout: ``b"ALH1"``, counter (8 bytes, big-endian, nanoseconds since 1970 or more), the packed registration,
and under security "keys" 16 bytes of HMAC-SHA256 over all before. It carries the whole registration, so a
restarted name server learns from it; it carries no state, so nobody has to connect again.
"""

from __future__ import annotations

import hmac
import struct
import threading
from dataclasses import dataclass, field

from agentlab.errors import ConfigurationError, RefusedError
from agentlab.nameserver.registration import MAX_BYTES, Registration, unpack_registration

MAGIC = b"ALH1"
TAG_SIZE = 16
WINDOW = 60.0
"""Seconds that sender's and server's clocks may differ; what is older is a replay."""
_HEAD = struct.Struct(">4sQ")
MAX_DATAGRAM = _HEAD.size + MAX_BYTES + TAG_SIZE
_CACHE = 20_000


class Counter:
    """Numbers that only grow, near the time, whatever happens to the clock. Thread-safe."""

    def __init__(self) -> None:
        self._last = 0
        self._lock = threading.Lock()

    def next(self, now_ns: int) -> int:
        """Give the next number, at least ``now_ns`` (nanoseconds since 1970)."""
        with self._lock:
            self._last = max(self._last + 1, now_ns)
            return self._last


def encode_heartbeat(packed: bytes, counter: int, key: bytes | None) -> bytes:
    """Give the datagram for a packed registration; ``key`` None: without a tag."""
    datagram = _HEAD.pack(MAGIC, counter) + packed
    return datagram if key is None else datagram + _tag(key, datagram)


@dataclass(slots=True)
class _Seen:
    registration: Registration
    counter: int


@dataclass
class HeartbeatDecoder:
    """Datagrams to registrations; who sent them is not known before the tag is checked.

    A thousand agents repeat themselves every second, so what a registration's bytes mean is remembered:
    the same bytes give the same object again. The tag is checked every time, before anything else.

    Args:
        key: 32 bytes, or None for security "none".
    """

    key: bytes | None
    _seen: dict[bytes, _Seen] = field(default_factory=dict)

    def decode(self, datagram: bytes, now: float) -> Registration:
        """Give the registration that a datagram renews.

        Args:
            datagram: What came.
            now: Seconds since 1970.

        Raises:
            RefusedError: the tag is wrong, or the datagram is old or was seen before.
            ConfigurationError: it is no heartbeat.
        """
        end = len(datagram)
        if self.key is not None:
            end -= TAG_SIZE
            if end < _HEAD.size or not hmac.compare_digest(datagram[end:], _tag(self.key, datagram[:end])):
                raise RefusedError("heartbeat without the lab's key")
        if not _HEAD.size < end <= _HEAD.size + MAX_BYTES:
            raise ConfigurationError("not a heartbeat: wrong size")
        magic, counter = _HEAD.unpack_from(datagram)
        if magic != MAGIC:
            raise ConfigurationError("not a heartbeat: wrong first bytes")
        if counter < (now - WINDOW) * 1e9:
            raise RefusedError(f"heartbeat is {now - counter / 1e9:.0f} s old; compare the clocks of the two machines")
        packed = datagram[_HEAD.size : end]
        known = self._seen.get(packed)
        if known is None:
            return self._learn(packed, counter)
        if counter <= known.counter:
            raise RefusedError("heartbeat was seen before")
        known.counter = counter
        return known.registration

    def _learn(self, packed: bytes, counter: int) -> Registration:
        registration = unpack_registration(packed)
        if registration.lease is None:
            raise ConfigurationError("heartbeat of a registration without a lease")
        if len(self._seen) >= _CACHE:
            # Forgetting lets a replay through only within WINDOW, and only after as many new registrations.
            self._seen.clear()
        self._seen[packed] = _Seen(registration, counter)
        return registration


def _tag(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")[:TAG_SIZE]
