"""Devices on a TCP port or a serial line of this machine, each in a thread of the test: they answer line by line, and count."""

from __future__ import annotations

import os
import selectors
import socket
import threading
from collections.abc import Callable

Answer = Callable[[str], "str | bytes | None"]


class LineDevice:
    """Answers lines. ``heard`` is what it was told; ``unplug`` drops connections and the port until ``plug``.

    Args:
        answer: Gives the reply to a line without its end; None: silence; bytes are sent as they are.
    """

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.heard: list[str] = []
        self.connections = 0
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._orders: list[Callable[[], None]] = []
        self._listener: socket.socket | None = None
        self._open: dict[socket.socket, bytearray] = {}
        self.port = 0
        self._listen()
        self._running = True
        self._thread = threading.Thread(target=self._work, name="line-device")
        self._thread.start()

    @property
    def address(self) -> str:
        """The VISA address."""
        return f"TCPIP::127.0.0.1::{self.port}::SOCKET"

    def unplug(self) -> None:
        """Drop all connections and refuse new ones."""
        self._order(self._drop)

    def plug(self) -> None:
        """Listen again, at the same port."""
        self._order(self._listen)

    def say(self, data: bytes) -> None:
        """Send what nobody asked for to everybody who is connected."""
        self._order(lambda: [one.sendall(data) for one in self._open] and None)

    def close(self) -> None:
        """End the thread."""

        def stop() -> None:
            self._running = False

        self._order(stop)
        self._thread.join()
        self._drop()
        self._selector.close()
        self._wake.close()
        self._woken.close()

    def _order(self, function: Callable[[], None]) -> None:
        done = threading.Event()

        def run() -> None:
            try:
                function()
            finally:
                done.set()

        self._orders.append(run)
        self._wake.send(b".")
        assert done.wait(3)

    def _listen(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        self._selector.register(self._listener, selectors.EVENT_READ)

    def _drop(self) -> None:
        for one in [*self._open, *([self._listener] if self._listener else [])]:
            self._selector.unregister(one)
            one.close()
        self._open.clear()
        self._listener = None

    def _work(self) -> None:
        while self._running:
            for key, _ in self._selector.select():
                ready = key.fileobj
                if ready is self._woken:
                    self._woken.recv(1)
                    self._orders.pop(0)()
                elif ready is self._listener:
                    connection, _ = self._listener.accept()
                    self._selector.register(connection, selectors.EVENT_READ)
                    self._open[connection] = bytearray()
                    self.connections += 1
                elif isinstance(ready, socket.socket) and ready in self._open:
                    self._serve(ready)

    def _serve(self, connection: socket.socket) -> None:
        try:
            data = connection.recv(4096)
        except OSError:
            data = b""
        if not data:
            self._selector.unregister(connection)
            del self._open[connection]
            connection.close()
            return
        buffer = self._open[connection]
        buffer += data
        while b"\n" in buffer:
            line, _, rest = bytes(buffer).partition(b"\n")
            buffer[:] = rest
            text = line.decode().rstrip("\r")
            self.heard.append(text)
            reply = self.answer(text)
            if reply is not None:
                connection.sendall(reply if isinstance(reply, bytes) else reply.encode() + b"\n")


class SerialDevice:
    """A device behind a pseudo-terminal; answers each line by a dict, and those that begin with SLOW when ``gate`` is open."""

    def __init__(self, replies: dict[str, bytes]) -> None:
        self.replies = replies
        self.received: list[str] = []
        self.ours, self._theirs = os.openpty()
        self.path = os.ttyname(self._theirs)
        self.gate = threading.Event()
        self.gate.set()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    @property
    def address(self) -> str:
        """The VISA address."""
        return f"ASRL{self.path}::INSTR"

    def _run(self) -> None:
        buffer = b""
        while True:
            try:
                data = os.read(self.ours, 1000)
            except OSError:
                return
            if b"\x04" in data:
                return
            buffer += data
            while b"\n" in buffer:
                line, _, buffer = buffer.partition(b"\n")
                command = line.decode()
                self.received.append(command)
                if command.startswith("SLOW"):
                    self.gate.wait(5.0)
                if command in self.replies:
                    os.write(self.ours, self.replies[command])

    def close(self) -> None:
        """End the thread."""
        os.write(self._theirs, b"\x04\n")
        self._thread.join(5.0)
        os.close(self._theirs)
        os.close(self.ours)
