"""Sockets that are queues: what the agents of one thread use instead of ZeroMQ's."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from agentlab.errors import MessageTimeoutError
from agentlab.wire.address import SocketAddress
from agentlab.wire.message import LEAST_BUFFER

if TYPE_CHECKING:
    from agentlab.testing.network import Network

ACCEPTS = {
    "PUSH": ("PULL",),
    "PULL": ("PUSH",),
    "PUB": ("SUB",),
    "SUB": ("PUB",),
    "REQ": ("REP", "ROUTER"),
    "REP": ("REQ",),
    "ROUTER": ("DEALER", "REQ"),
    "DEALER": ("ROUTER",),
}


class QueueSocket:
    """A socket of a :class:`Network`, with the methods of :class:`agentlab.transport.sockets.Socket`."""

    def __init__(self, network: Network, role: str, hwm: int) -> None:
        self.role = role
        self.closed = False
        self.received = 0
        self._network = network
        self._hwm = hwm
        self._peers: list[QueueSocket] = []
        self._inbox: deque[tuple[QueueSocket, int, list[bytes]]] = deque()
        self._frames: deque[bytes] = deque()
        self._topics: Counter[bytes] = Counter()
        self._wanted: dict[QueueSocket, Counter[bytes]] = {}
        self._asked: tuple[QueueSocket, int] | None = None
        self._number = 0
        self._unsent: deque[tuple[int, list[bytes]]] = deque()
        self.send_bytes: Callable[[bytes], object] = self.send

    # --- endpoints ------------------------------------------------------------------------------------------------

    def bind(self, transport: str, address: str | SocketAddress | None) -> str | SocketAddress:
        """Serve an address; give it."""
        return self._network.serve(self, transport, address)

    def connect(self, transport: str, endpoint: str) -> None:  # noqa: ARG002 - the endpoint says it
        """Connect to an endpoint, now or as soon as somebody serves it."""
        self._network.dial(self, endpoint)

    def disconnect(self, endpoint: str) -> None:
        """Take one connection back."""
        self._network.hang_up(self, endpoint)

    def meet(self, peer: QueueSocket) -> None:
        """Be connected with another socket."""
        if peer.role not in ACCEPTS[self.role] or peer in self._peers:
            return
        for one, other in ((self, peer), (peer, self)):
            one._peers.append(other)
        for one, other in ((self, peer), (peer, self)):
            for topic in one._topics:
                other._subscription(one, topic, on=True)
            while one._unsent:
                other._inbox.append((one, *one._unsent.popleft()))

    def leave(self, peer: QueueSocket) -> None:
        """Be connected no more."""
        for one, other in ((self, peer), (peer, self)):
            if other in one._peers:
                one._peers.remove(other)
            for topic in one._wanted.get(other, Counter()).copy():
                one._subscription(other, topic, on=False)

    def close(self, linger: float = 0.0) -> None:  # noqa: ARG002 - what was sent has arrived
        """Close; twice is fine."""
        self.closed = True
        self._network.forget(self)
        for peer in list(self._peers):
            self.leave(peer)

    # --- sending --------------------------------------------------------------------------------------------------

    def sender(self, encode: Callable[[Any], Any], *, bytes_as_they_are: bool = False) -> Callable[[Any], None]:  # noqa: ARG002
        """Give a function that encodes a message and sends it."""
        return lambda message: self.send(encode(message))

    def send(self, frames: Any, timeout: float | None = None) -> None:
        """Send one message, of one frame or a list of frames.

        Raises:
            MessageTimeoutError: no room in time, by the test's clock.
        """
        parts = _copied(frames)
        if self.role == "REP":
            self._answer(parts)
            return
        if not self._network.wait(lambda: self._next_peer() is not None or self._may_keep(), timeout):
            raise MessageTimeoutError(f"no room to send within {timeout or 0:g} s: no receiver, or one too slow")
        if self.role == "REQ":
            self._number += 1
        peer = self._next_peer()
        if peer is None:
            self._unsent.append((self._number, parts))
            return
        self._peers.remove(peer)
        self._peers.append(peer)  # the next message is the next one's
        peer._inbox.append((self, self._number, parts))

    def _next_peer(self) -> QueueSocket | None:
        return next((peer for peer in self._peers if peer._room_for(self)), None)

    def _may_keep(self) -> bool:
        """Tell whether a message may wait for a server that is not there yet, as ZeroMQ lets it."""
        room = not self._hwm or len(self._unsent) < self._hwm
        return room and not self._peers and self._network.dials(self)

    def _room_for(self, sender: QueueSocket) -> bool:
        limit = sender._hwm + self._hwm if sender._hwm and self._hwm else 0
        return not limit or sum(one is sender for one, _, _ in self._inbox) < limit

    def _answer(self, parts: list[bytes]) -> None:
        if self._asked is None:
            raise RuntimeError("a REP socket answers only what was asked, once")
        (asker, number), self._asked = self._asked, None
        if asker in self._peers:
            asker._inbox.append((self, number, parts))

    def try_send(self, frames: Sequence[Any]) -> bool:
        """Send to the peer that the first frame names; False when it is gone."""
        peer = next((p for p in self._peers if p._identity == bytes(frames[0])), None)
        if peer is not None:
            peer._inbox.append((self, 0, _copied(frames[1:])))
        return peer is not None

    def publish(self, frames: Sequence[Any]) -> bool:
        """Send to whoever subscribed; False when some subscriber was full and has lost it."""
        parts, all_got = _copied(frames), True
        for peer, topics in self._wanted.items():
            if any(parts[0].startswith(topic) for topic in topics):
                if peer._room_for(self):
                    peer._inbox.append((self, 0, parts))
                else:
                    all_got = False
        return all_got

    @property
    def _identity(self) -> bytes:
        return id(self).to_bytes(8, "big")

    # --- receiving ------------------------------------------------------------------------------------------------

    def readable(self) -> bool:
        """Tell whether there is a message."""
        if self.role == "REP" and self._asked is not None:
            return False
        if self.role == "REQ":  # late answers to earlier questions are dropped
            while self._inbox and self._inbox[0][1] != self._number:
                self._inbox.popleft()
        return bool(self._inbox)

    def _take(self) -> list[Any] | None:
        if self.closed or not self.readable():
            return None
        sender, number, frames = self._inbox.popleft()
        if self.role == "REP":
            self._asked = (sender, number)
        return [sender._identity, *frames] if self.role == "ROUTER" else list(frames)

    def drain(self, limit: int, deliver: Callable[[bytes], object]) -> bool:
        """Hand up to `limit` first frames to `deliver`; True when nothing is left."""
        for _ in range(limit):
            frames = self._take()
            if frames is None:
                return True
            self._frames = deque(frames[1:])
            self.received += 1
            deliver(frames[0])
        return False

    def drain_messages(self, limit: int, deliver: Callable[[list[Any]], object]) -> bool:
        """Hand up to `limit` whole messages to `deliver`; True when nothing is left."""
        for _ in range(limit):
            frames = self._take()
            if frames is None:
                return True
            self.received += 1
            deliver([frames[0], *map(_received, frames[1:])])
        return False

    def rest(self) -> list[Any]:
        """Give the frames that follow the first one."""
        frames = [memoryview(bytearray(frame)) for frame in self._frames]
        self._frames.clear()
        return frames

    def has_more(self) -> bool:
        """Tell whether the message just begun has further frames."""
        return bool(self._frames)

    def next_frame(self) -> bytes:
        """Give the next frame of the message just begun."""
        return self._frames.popleft()

    def recv(self, timeout: float | None) -> list[Any]:
        """Let others work until a message is here; give its frames.

        Raises:
            MessageTimeoutError: nothing came in time, by the test's clock.
        """
        if not self._network.wait(self.readable, timeout):
            raise MessageTimeoutError(f"nothing was received within {timeout or 0:g} s")
        first, *others = self._take() or [b""]
        return [first, *map(_received, others)]

    def wait_readable(self, timeout: float) -> bool:
        """Let others work until something can be received; tell whether there is."""
        return self._network.wait(self.readable, timeout)

    # --- subscriptions --------------------------------------------------------------------------------------------

    def subscribe(self, topic: bytes) -> None:
        """Let publications through that begin with `topic`."""
        self._topics[topic] += 1
        if self._topics[topic] == 1:
            for peer in self._peers:
                peer._subscription(self, topic, on=True)

    def unsubscribe(self, topic: bytes) -> None:
        """Take one subscription back."""
        if self._topics[topic] == 1:
            for peer in self._peers:
                peer._subscription(self, topic, on=False)
        self._topics[topic] -= 1
        self._topics = +self._topics

    def _subscription(self, peer: QueueSocket, topic: bytes, *, on: bool) -> None:
        wanted = self._wanted.setdefault(peer, Counter())
        wanted[topic] += 1 if on else -1
        if not wanted[topic]:
            del wanted[topic]
        if not wanted:
            del self._wanted[peer]
        self._inbox.append((peer, 0, [(b"\x01" if on else b"\x00") + topic]))


def _copied(frames: Any) -> list[bytes]:
    parts = frames if isinstance(frames, (list, tuple)) else [frames]
    return [bytes(part) for part in parts]


def _received(frame: bytes) -> Any:
    return frame if len(frame) < LEAST_BUFFER else memoryview(bytearray(frame))
