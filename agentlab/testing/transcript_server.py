"""How a transcript's device is reached: at a TCP port, or in memory."""

from __future__ import annotations

import select
import socket
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from agentlab.errors import DeviceTimeoutError, OfflineError
from agentlab.instruments.visa.line import Line

if TYPE_CHECKING:
    from agentlab.testing.transcript import Reply, Transcript

_LOOK = 0.05  # seconds between two looks whether the device is to end


class TranscriptServer:
    """A device at a TCP port. Each connection is served by a thread of its own; :meth:`close` ends them all.

    Attributes:
        host: Where it listens.
        port: Its port; the same after :meth:`plug`.
    """

    def __init__(self, transcript: Transcript, host: str = "127.0.0.1", port: int = 0) -> None:
        self.transcript, self.host, self.port = transcript, host, port
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._connections: list[socket.socket] = []
        self._mutex = threading.Lock()
        self._listener: socket.socket | None = None
        self.plug()

    @property
    def address(self) -> str:
        """The VISA address."""
        return f"TCPIP::{self.host}::{self.port}::SOCKET"

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        with self._mutex:
            return len(self._connections)

    def plug(self) -> None:
        """Be there (again). Nothing happens if it is. Blocks until it listens."""
        if self._listener is not None:
            return
        self._stop = threading.Event()
        listener = socket.create_server((self.host, self.port))
        self.port = listener.getsockname()[1]
        self._listener = listener
        self._start(self._accept, listener, self._stop)

    def unplug(self) -> None:
        """Be gone: all connections are broken, and new ones refused, until :meth:`plug`. Twice is fine. Blocks for a moment."""
        self._stop.set()
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()
        with self._mutex:
            for connection in self._connections:
                _hang_up(connection)
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def say(self, data: str | bytes) -> None:
        """Send something to all clients, without having been asked."""
        with self._mutex:
            for connection in self._connections:
                connection.sendall(self.transcript.encoded(data))

    def close(self) -> None:
        """End it. Twice is fine."""
        self.unplug()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _start(self, run: Any, *args: Any) -> None:
        thread = threading.Thread(target=run, args=args, name=f"transcript-{self.port}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                if not _readable(listener):
                    continue
                connection, _ = listener.accept()
            except (OSError, ValueError):  # closed by unplug()
                return
            with self._mutex:
                self._connections.append(connection)
            self._start(self._serve, connection, stop)

    def _serve(self, connection: socket.socket, stop: threading.Event) -> None:
        buffer = bytearray()
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while not stop.is_set():
                if not _readable(connection):
                    continue
                data = connection.recv(65536)
                if not data:
                    return
                buffer += data
                for command in self.transcript._commands(buffer):
                    if not self._reply(connection, self.transcript.answer(command), stop):
                        return
        except (OSError, ValueError):  # the client, or unplug(), has broken the connection
            return
        finally:
            with self._mutex:
                self._connections.remove(connection)
                _hang_up(connection)
                connection.close()

    def _reply(self, connection: socket.socket, reply: Reply, stop: threading.Event) -> bool:
        """Do what a reply says; give whether the connection goes on."""
        step: Reply | None = reply
        while step is not None:
            if step.delay and stop.wait(step.delay):
                return False
            if data := self.transcript._bytes(step):
                connection.sendall(data)
            if step.hang_up:
                return False
            step = step.then
        return True


def _readable(found: socket.socket) -> bool:
    return bool(select.select([found], [], [], _LOOK)[0])


def _hang_up(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:  # it is broken already
        return


class MemoryLine(Line):
    """A transcript without a network. Delays take their time, but no thread."""

    def __init__(self, transcript: Transcript) -> None:
        self._transcript, self._open = transcript, True
        self._in, self._out = bytearray(), bytearray()
        self._due: list[tuple[float, Reply]] = []

    def send(self, data: bytes, timeout: float) -> None:  # noqa: ARG002 - memory never waits
        """Take commands, and plan the replies."""
        self._check()
        self._in += data
        for command in self._transcript._commands(self._in):
            step: Reply | None = self._transcript.answer(command)
            at = max([time.monotonic(), *(when for when, _ in self._due)])
            while step is not None:
                at += step.delay
                self._due.append((at, step))
                step = step.then

    def receive(self, timeout: float) -> tuple[bytes, bool]:
        """Give what is due, or wait for it."""
        deadline = time.monotonic() + timeout
        while not (data := self.waiting()):
            left = deadline - time.monotonic()
            if left <= 0:
                raise DeviceTimeoutError
            time.sleep(min([left, *(max(0.0, when - time.monotonic()) for when, _ in self._due)]))
        self._out.clear()
        return data, False

    def waiting(self) -> bytes:
        """Give what is due; it stays."""
        now = time.monotonic()
        while self._due and self._due[0][0] <= now:
            _, step = self._due.pop(0)
            self._out += self._transcript._bytes(step)
            if step.hang_up:
                self._open = False
        if not self._out:
            self._check()
        return bytes(self._out)

    def close(self) -> None:
        """Close it."""
        self._open = False

    def _check(self) -> None:
        if not self._open:
            raise OfflineError("the transcript's device has closed the connection")


__all__ = ["MemoryLine", "TranscriptServer"]
