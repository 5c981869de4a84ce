"""One connection of a client: how it comes about, one request at a time on it."""

from __future__ import annotations

import errno
import socket
import time
from typing import Final

from agentlab.control import frames
from agentlab.control.auth import Refused
from agentlab.control.incoming import Incoming, Policy
from agentlab.control.preamble import ClientPreamble
from agentlab.control.security import ControlSecurity
from agentlab.control.stream import CHUNK, LARGE_CHUNK, Ready, Stream
from agentlab.control.uri import Location
from agentlab.control.waiting import Waiting
from agentlab.errors import CommunicationError, ConnectError, ConnectionLostError, RefusedError, RemoteError

RETRY_DELAY: Final = 0.01


class StockObjectError(CommunicationError):
    """The object is served by stock Pyro5: it is called in another way. Nothing was sent."""


class Connection:
    """One connection after its preamble. One thread at a time.

    Args:
        stream: The connection.
        policy: Which answers are accepted.
        uri: Who is called, for errors.
        generation: Which :meth:`ControlClient.close` it outlives.
    """

    __slots__ = ("_incoming", "_seq", "_uri", "generation", "stream")

    def __init__(self, stream: Stream, policy: Policy, uri: str, generation: int) -> None:
        self.stream = stream
        self.generation = generation
        self._incoming = Incoming(policy)
        self._seq = 0
        self._uri = uri

    def send(self, head: bytes, payload: bytes, flags: int, waiting: Waiting) -> None:
        """Send a request.

        Raises:
            OSError: the connection broke, or what ``waiting`` raises.
        """
        self._seq = (self._seq + 1) & 0xFFFF
        self.stream.send(frames.pack_call(head, payload, flags, self._seq), waiting)

    def answer(self, waiting: Waiting) -> bytes | RemoteError:
        """Wait for the answer to the latest request: its payload, or what the other side says went wrong.

        Raises:
            ConnectionLostError: the other side went away, or gave no proper answer. Also what ``waiting`` raises.
        """
        try:
            message = self._read(waiting)
            if message.seq != self._seq:
                raise frames.BadMessageError("it answered another call than was made")
            if message.flags & frames.EXCEPTION:
                return RemoteError(*frames.parse_failure(message))
            return frames.parse_result(message)
        except (OSError, frames.BadMessageError) as error:
            if error is waiting.verdict:
                raise
            reason = str(error) if isinstance(error, frames.BadMessageError) else error.strerror or "it closed the connection"
            raise ConnectionLostError(
                f"{self._uri} went away during a call ({reason}); the call may have run: see whether its process runs"
            ) from None

    def _read(self, waiting: Waiting) -> frames.Message:
        incoming, stream = self._incoming, self.stream
        while (message := incoming.take()) is None:
            waiting(stream.readable)
            missing = incoming.missing
            data = stream.receive(CHUNK if missing <= CHUNK else min(missing, LARGE_CHUNK))
            if data:
                incoming.feed(data)
            elif data is not None:
                raise ConnectionResetError
        return message

    def close(self) -> None:
        """End the connection; twice is fine."""
        self.stream.close()


def connect(
    uri: str, object_id: str, location: Location, security: ControlSecurity, timeout: float, generation: int
) -> Connection:
    """Give a new connection, both sides proved, within ``timeout`` seconds.

    Raises:
        ConnectError: nobody answers there, or not in time, or the object is not served.
        RefusedError: one side has not proved itself to the other.
        ConfigurationError: the lab's key cannot be read.
        StockObjectError: the object is one of stock Pyro5.
    """
    stream, preamble = _introduced(uri, object_id, location, security, timeout)
    if preamble.takes_payloads:
        return Connection(stream, security.answer_policy(), uri, generation)
    stream.close()
    raise StockObjectError(f"{uri} is an object of stock Pyro5, which takes no payloads; call it by agentlab.Proxy")


def connect_stock(uri: str, object_id: str, location: Location, timeout: float) -> tuple[Stream, dict[str, set[str]]]:
    """Give a new connection to an object of stock Pyro5, and the names of its ``methods``, ``oneway`` methods and ``attrs``.

    Raises:
        ConnectError: nobody answers there, or not in time, or the object is not served, or does not say what it has.
    """
    stream, preamble = _introduced(uri, object_id, location, ControlSecurity("none"), timeout)
    names = {key: preamble.metadata.get(key) for key in ("methods", "oneway", "attrs")}
    if all(isinstance(some, (list, tuple, set)) and all(type(name) is str for name in some) for some in names.values()):
        return stream, {key: set(some) for key, some in names.items() if some is not None}
    stream.close()
    raise ConnectError(f"no connection to {uri}: it does not say which methods it has; is it an object of Pyro5?")


def _introduced(
    uri: str, object_id: str, location: Location, security: ControlSecurity, timeout: float
) -> tuple[Stream, ClientPreamble]:
    deadline = time.monotonic() + timeout
    try:
        sock = _open_socket(location, deadline)
    except OSError as error:
        reason = "no answer in time" if isinstance(error, TimeoutError) else error.strerror or str(error)
        raise ConnectError(f"nobody answers at {uri}: {reason}; see whether its process runs") from None
    try:
        stream = Stream(sock)
        authenticator = security.authenticator(sock, server=False)
        preamble = ClientPreamble(authenticator, security.handshake_policy(frames.CONNECT_OK, frames.CONNECT_FAIL), object_id)
        _introduce(stream, preamble, deadline)
    except (OSError, frames.BadMessageError) as error:
        sock.close()
        raise _explained(uri, error) from None
    except BaseException:
        sock.close()
        raise
    return stream, preamble


def _explained(uri: str, error: Exception) -> Exception:
    """Give the error that says what a failed introduction means."""
    if isinstance(error, Refused):
        return RefusedError(f"no connection to {uri}: {error}")
    if isinstance(error, TimeoutError):
        return ConnectError(f"{uri} took the connection but did not introduce itself in time; see whether its process is frozen")
    if isinstance(error, frames.BadMessageError):
        return ConnectError(f"no connection to {uri}: {error}")
    return ConnectError(f"{uri} closed the connection before it could be used; see whether its process runs, and its log")


def _introduce(stream: Stream, preamble: ClientPreamble, deadline: float) -> None:
    def wait(ready: Ready) -> None:
        if not ready(max(deadline - time.monotonic(), 0.0)):
            raise TimeoutError

    out = preamble.start()
    while True:
        broken: OSError | None = None
        try:
            if out:
                stream.send([out], wait)
        except TimeoutError:
            raise
        except OSError as error:
            broken = error  # it may have said why before it closed
        if preamble.done:
            return
        wait(stream.readable)
        data = stream.receive()
        if data is None:
            out = b""
            continue
        if not data:
            raise broken or ConnectionResetError("closed")
        out = preamble.receive(data)


def _open_socket(location: Location, deadline: float) -> socket.socket:
    if location.path is None:
        assert location.host is not None
        return socket.create_connection((location.host, location.port), timeout=max(deadline - time.monotonic(), 0.001))
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        while True:
            try:
                sock.connect(location.path)
                return sock
            except BlockingIOError:  # its queue is full; unlike with TCP nothing tells when it is not
                if time.monotonic() > deadline:
                    raise TimeoutError(errno.ETIMEDOUT, "too many others wait to be accepted") from None
                time.sleep(RETRY_DELAY)
    except BaseException:
        sock.close()
        raise
