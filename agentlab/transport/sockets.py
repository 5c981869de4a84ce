"""One ZeroMQ socket, as an agent uses it: made, bound or connected with its security, sent to, drained, closed.

A socket belongs to the thread that made it. The loops that carry every message stand here, because a call more
per message is what makes an agent slower than a bare loop: see ``docs/performance.rst``.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import zmq

from agentlab.errors import AgentStoppedError, MessageTimeoutError, SerializationError, WrongAddressError
from agentlab.settings import config
from agentlab.transport import lingering, security
from agentlab.transport.context import context
from agentlab.transport.ipc import IpcClaim, ipc_path
from agentlab.wire.address import SocketAddress
from agentlab.wire.message import LEAST_BUFFER

Frame = Any
"""A frame: bytes, or on receipt a buffer that was not copied."""

ROLES: dict[str, int] = {
    "REQ": zmq.REQ,
    "REP": zmq.ROUTER,  # libzmq's REP swallows an honest request after one without an envelope whose sender is gone
    "PUSH": zmq.PUSH,
    "PULL": zmq.PULL,
    "PUB": zmq.XPUB,  # an XPUB tells who subscribes and when a subscriber is too slow
    "SUB": zmq.SUB,
    "ROUTER": zmq.ROUTER,
    "DEALER": zmq.DEALER,
}

BACKLOG = 1024  # connections waiting to be accepted; of more, each would wait a second to try again
RECONNECT_MS = 20
RECONNECT_MAX_MS = 1000
ZERO_COPY = 64 * 1024  # bytes from which a frame is handed over instead of copied; below, copying is faster

ROOM_MS = 500  # between two looks whether a message that waits for room is still wanted
LOOKS = 2

_NOBLOCK = zmq.NOBLOCK
_SNDMORE = zmq.SNDMORE
_RCVMORE = zmq.RCVMORE
_Again = zmq.Again
_base_send = zmq.backend.Socket.send


class Socket:
    """A ZeroMQ socket with its security and limits set.

    Args:
        role: ``REQ``, ``REP``, ``PUSH``, ``PULL``, ``PUB``, ``SUB``, ``ROUTER`` or ``DEALER``.
        hwm: Messages queued per connection in each direction; None: ``config['HWM']``; 0: no limit.
    """

    def __init__(self, role: str, *, hwm: int | None = None) -> None:
        self.role = role
        self.z = context().socket(ROLES[role])
        self._claim: IpcClaim | None = None
        self._paths: list[str] = []  # of ipc, to linger on
        self.closed = False
        self.received = 0
        """How many messages were handed to `deliver`: all that an agent has handled on this socket."""
        self.give_up: Callable[[], bool] = lambda: False
        """Asked twice a second while a message waits for room: whether nobody wants it sent any more."""
        self._timeout_ms = -1
        self._limit = int(config["MAX_MESSAGE_SIZE"])
        self._set_options(config["HWM"] if hwm is None else hwm)
        self.send_bytes: Callable[[bytes], object] = _base_send.__get__(self.z)
        """Send one small frame, blocking: the shortest way there is."""
        self._envelope: list[bytes] = []  # REP: where the answer goes; empty: nowhere
        if role == "REP":
            self.send_bytes = self._send_answer
            self.drain_messages = self._drain_requests  # type: ignore[method-assign]

    def _set_options(self, hwm: int) -> None:
        z = self.z
        z.set_hwm(hwm)
        z.linger = 0  # close() says how long to wait
        z.setsockopt(zmq.MAXMSGSIZE, self._limit)
        z.setsockopt(zmq.BACKLOG, BACKLOG)
        z.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
        z.setsockopt(zmq.RECONNECT_IVL_MAX, RECONNECT_MAX_MS)
        z.copy_threshold = ZERO_COPY
        if self.role in {"PUSH", "REQ"}:  # the others never wait
            z.setsockopt(zmq.SNDTIMEO, ROOM_MS)
        if self.role == "REQ":  # after a timeout the socket is usable again, and a late reply is dropped
            z.setsockopt(zmq.REQ_RELAXED, 1)
            z.setsockopt(zmq.REQ_CORRELATE, 1)
        elif self.role == "PUB":
            z.setsockopt(zmq.XPUB_VERBOSER, 1)  # every subscription counts, not only the first of a topic
            z.setsockopt(zmq.XPUB_NODROP, 1)  # a full subscriber is reported, and then counted: see publish()
        elif self.role == "ROUTER":
            z.setsockopt(zmq.ROUTER_MANDATORY, 1)  # a client that is gone is reported, not ignored

    # --- endpoints ------------------------------------------------------------------------------------------------

    def bind(self, transport: str, address: str | SocketAddress | None) -> str | SocketAddress:
        """Bind, and give the address that was bound.

        Args:
            transport: ``tcp``, ``ipc`` or ``inproc``.
            address: For tcp a host and port (0: any free port); for ipc a name or None; for inproc a name.

        Raises:
            RefusedError: tcp elsewhere than on loopback while security is ``keys``.
            WrongAddressError: the address is in use or cannot be bound.
        """
        if transport == "tcp":
            assert isinstance(address, SocketAddress)
            return self._bind_tcp(address)
        if transport == "ipc":
            path = ipc_path(None if address is None else str(address))
            self._claim = IpcClaim(path)
            self._paths.append(path)
            security.secure_server(self.z, "ipc")
            self._bind(f"ipc://{path}", path)
            Path(path).chmod(0o600)  # whatever the umask
            return path
        self._bind(f"inproc://{address}", str(address))
        return str(address)

    def _bind_tcp(self, address: SocketAddress) -> SocketAddress:
        security.check_bind_host(address.host)
        host = security.resolve_host(address.host)
        security.secure_server(self.z, "tcp")
        if ":" in host:
            self.z.setsockopt(zmq.IPV6, 1)
        shown = f"[{host}]" if ":" in host else host
        self._bind(f"tcp://{shown}:{address.port or '*'}", str(address))
        bound = self.z.getsockopt(zmq.LAST_ENDPOINT)
        port = int(bytes(bound).rstrip(b"\0").rsplit(b":", 1)[1])
        return SocketAddress(address.host, port)

    def _bind(self, endpoint: str, shown: str) -> None:
        try:
            self.z.bind(endpoint)
        except zmq.ZMQError as error:
            self.close(0)
            raise WrongAddressError(f"{error.strerror}: cannot bind {shown}") from None

    def connect(self, transport: str, endpoint: str) -> None:
        """Connect to an endpoint such as ``tcp://127.0.0.1:80``; returns at once, the connection follows."""
        security.secure_client(self.z, transport)
        if "[" in endpoint:
            self.z.setsockopt(zmq.IPV6, 1)
        try:
            self.z.connect(endpoint)
        except zmq.ZMQError as error:
            self.close(0)
            raise WrongAddressError(f"cannot connect to {endpoint}: {error.strerror}") from None
        if transport == "ipc":
            self._paths.append(endpoint.removeprefix("ipc://"))

    def disconnect(self, endpoint: str) -> None:
        """Take one endpoint back; unknown ones are ignored."""
        with contextlib.suppress(zmq.ZMQError):
            self.z.disconnect(endpoint)

    def close(self, linger: float = 0.0) -> None:
        """Close; twice is fine.

        Args:
            linger: Seconds that unsent messages are kept for in the background; negative: for ever.
        """
        if self.closed:
            return
        self.closed = True
        if self.role in {"PUSH", "PUB", "DEALER", "ROUTER"}:
            for path in self._paths:
                lingering.hold(path, linger)
        self.z.close(linger=-1 if linger < 0 else int(linger * 1000))
        if self._claim is not None:
            self._claim.release()

    # --- sending --------------------------------------------------------------------------------------------------

    def sender(self, encode: Callable[[Any], Frame | list[Frame]], *, bytes_as_they_are: bool = False) -> Callable[[Any], None]:
        """Give a function that encodes a message and sends it, small ones by the shortest way; it waits for room.

        Made once for each socket, because per message even one more call would be seen.

        Args:
            encode: Gives one frame, or the list of frames of one message.
            bytes_as_they_are: Whether bytes need no encoding.
        """
        send_bytes, send = self.send_bytes, self.send

        def put(message: Any) -> None:
            data = encode(message)
            if type(data) is bytes and len(data) < ZERO_COPY:
                try:
                    send_bytes(data)
                except _Again:  # full
                    send(data)
            else:
                send(data)

        def put_bytes(message: Any) -> None:
            if type(message) is bytes and len(message) < ZERO_COPY:
                try:
                    send_bytes(message)
                except _Again:
                    send(message)
            else:
                send(encode(message))

        return put_bytes if bytes_as_they_are else put

    def send(self, frames: Frame | Sequence[Frame], timeout: float | None = None) -> None:
        """Send one message.

        Args:
            frames: One frame, or the list of frames of one message.
            timeout: Seconds to wait for room; None: wait for ever.

        Raises:
            MessageTimeoutError: no room in time.
            SerializationError: a frame is larger than ``config['MAX_MESSAGE_SIZE']``.
            AgentStoppedError: there was no room for a second, and whoever sends is to end.
        """
        parts = frames if isinstance(frames, (list, tuple)) else (frames,)
        for part in parts:
            self._check_size(part)
        if self.role == "REP":
            envelope, self._envelope = self._envelope, []
            if envelope:
                self._send_parts([*envelope, *parts], 0)
            return
        if timeout is None:
            self._send_when_there_is_room(parts)
            return
        deadline = time.monotonic() + timeout
        while True:
            try:
                self._send_parts(parts, _NOBLOCK)
                return
            except _Again:
                left = deadline - time.monotonic()
                if left <= 0 or not self.z.poll(max(1, int(left * 1000)), zmq.POLLOUT):
                    raise MessageTimeoutError(f"no room to send within {timeout:g} s: no receiver, or one too slow") from None

    def _send_when_there_is_room(self, parts: Sequence[Frame]) -> None:
        unwanted = 0
        while True:
            try:
                self._send_parts(parts, 0)  # EAGAIN comes before the first frame, or not at all
                return
            except _Again:
                unwanted = unwanted + 1 if self.give_up() else 0
                if unwanted >= LOOKS:
                    raise AgentStoppedError("a message was not sent: nobody had room for it, and the agent is to end") from None

    def try_send(self, frames: Sequence[Frame]) -> bool:
        """Send a message if that is possible now; False when the receiver is full or gone (a ROUTER's client)."""
        try:
            self._send_parts(frames, _NOBLOCK)
        except zmq.ZMQError as error:
            if error.errno in (zmq.EAGAIN, zmq.EHOSTUNREACH):
                return False
            raise
        return True

    def publish(self, frames: Sequence[Frame]) -> bool:
        """Publish on a PUB socket; False when some subscriber was full and has lost this publication."""
        try:
            self._send_parts(frames, _NOBLOCK)
        except _Again:
            self.z.setsockopt(zmq.XPUB_NODROP, 0)
            try:
                self._send_parts(frames, _NOBLOCK)
            finally:
                self.z.setsockopt(zmq.XPUB_NODROP, 1)
            return False
        return True

    def _send_parts(self, parts: Sequence[Frame], flags: int) -> None:
        last = len(parts) - 1
        z = self.z
        for index, part in enumerate(parts):
            big = len(part) >= ZERO_COPY if type(part) is bytes else memoryview(part).nbytes >= ZERO_COPY
            _base_send(z, part, flags if index == last else flags | _SNDMORE, not big)

    def _check_size(self, part: Frame) -> None:
        size = len(part) if type(part) is bytes else memoryview(part).nbytes
        if size > self._limit:
            raise SerializationError(
                f"a message of {size} bytes is larger than MAX_MESSAGE_SIZE ({self._limit}); send it in parts or raise the limit"
            )

    # --- receiving ------------------------------------------------------------------------------------------------

    def drain(self, limit: int, deliver: Callable[[bytes], object]) -> bool:
        """Hand up to `limit` first frames to `deliver`; True when nothing is left. What `deliver` raises comes through."""
        recv = self.z.recv
        count = 0
        try:
            for count in range(limit):  # noqa: B007 - counting costs nothing here
                try:
                    data = recv(_NOBLOCK)
                except _Again:
                    return True
                except zmq.ZMQError:
                    if self.closed:  # by the handler of the message before
                        return True
                    raise
                deliver(data)
            count = limit
        except BaseException:
            count += 1  # it came, and was tried
            raise
        finally:
            self.received += count
        return False

    def drain_messages(self, limit: int, deliver: Callable[[list[Frame]], object]) -> bool:
        """Hand up to `limit` whole messages to `deliver`, each a list of frames; True when nothing is left."""
        recv = self.z.recv
        more = self.z.getsockopt
        for _ in range(limit):
            try:
                frames: list[Frame] = [recv(_NOBLOCK)]
            except _Again:
                return True
            except zmq.ZMQError:
                if self.closed:  # by the handler of the message before
                    return True
                raise
            while more(_RCVMORE):
                frames.append(self._part())
            self.received += 1
            deliver(frames)
        return False

    def _drain_requests(self, limit: int, deliver: Callable[[list[Frame]], object]) -> bool:
        """Do what :meth:`drain_messages` does, on REP; what has no envelope is delivered as no frames, and gets no answer."""
        recv = self.z.recv
        more = self.z.getsockopt
        for _ in range(limit):
            try:
                sender = recv(_NOBLOCK)
            except _Again:
                return True
            part = recv()  # a sender's name is never alone
            envelope, frames = [sender, part], []
            while part and more(_RCVMORE):
                part = recv()
                envelope.append(part)
            while more(_RCVMORE):
                frames.append(self._part())
            self._envelope = envelope if frames else []
            self.received += 1
            deliver(frames)
        return False

    def _send_answer(self, data: bytes) -> None:
        envelope, self._envelope = self._envelope, []
        if envelope:
            z = self.z
            for part in envelope:
                _base_send(z, part, _SNDMORE)
            _base_send(z, data)

    def rest(self) -> list[Frame]:
        """Give the frames that follow the first one of a message; large ones are not copied."""
        frames: list[Frame] = []
        while self.z.getsockopt(_RCVMORE):
            frames.append(self.z.recv(copy=False).buffer)
        return frames

    def has_more(self) -> bool:
        """Tell whether the message just begun has further frames."""
        return bool(self.z.getsockopt(_RCVMORE))

    def next_frame(self) -> bytes:
        """Give the next frame of the message just begun, copied."""
        return self.z.recv()

    def _part(self) -> Frame:
        frame = self.z.recv(copy=False)
        # A frame of an array is handed over whatever its size: what shares its memory can be written, bytes cannot.
        return frame.bytes if len(frame) < LEAST_BUFFER else frame.buffer

    def recv(self, timeout: float | None) -> list[Frame]:
        """Wait for one message and give its frames.

        Args:
            timeout: Seconds; None: for ever.

        Raises:
            MessageTimeoutError: nothing came in time.
        """
        timeout_ms = -1 if timeout is None else max(0, int(timeout * 1000))
        if timeout_ms != self._timeout_ms:
            self.z.setsockopt(zmq.RCVTIMEO, timeout_ms)
            self._timeout_ms = timeout_ms
        try:
            frames: list[Frame] = [self.z.recv()]  # a poll before it would cost as much again
        except _Again:
            raise MessageTimeoutError(f"nothing was received within {timeout:g} s") from None
        while self.z.getsockopt(_RCVMORE):
            frames.append(self._part())
        return frames

    def wait_readable(self, timeout: float) -> bool:
        """Wait until something can be received, `timeout` seconds at most; tell whether there is."""
        return bool(self.z.poll(max(0, int(timeout * 1000 + 0.999))))

    def subscribe(self, topic: bytes) -> None:
        """Let publications through that begin with `topic`."""
        self.z.setsockopt(zmq.SUBSCRIBE, topic)

    def unsubscribe(self, topic: bytes) -> None:
        """Take one subscription back; the traffic stops at the publisher."""
        self.z.setsockopt(zmq.UNSUBSCRIBE, topic)
