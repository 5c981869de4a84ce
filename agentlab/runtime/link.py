"""What a starter and its child say to each other while the child starts: frames on one stream socket.

The starter sends two frames (surroundings, order), the child answers one (ready or failed). After that the link has
done its work; that the starter is alive is seen on the *lifeline*, a socket on which nothing is ever sent.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import sys
import time
from collections.abc import Callable

from agentlab.errors import AgentStartError
from agentlab.runtime.parentwatch import when_readable

SURROUNDINGS, ORDER, READY, FAILED = b"S", b"O", b"R", b"F"
_HEAD = struct.Struct("!cQ")


def send_frame(sock: socket.socket, kind: bytes, payload: bytes, deadline: float | None = None) -> None:
    """Send one frame; blocks until the system has taken all of it.

    Args:
        sock: A connected stream socket.
        kind: One byte.
        payload: Any number of bytes.
        deadline: When to give up, in the time of ``time.monotonic``; None: never.

    Raises:
        TimeoutError: the other side did not read in time.
        OSError: the other side is gone.
    """
    sock.settimeout(_left(deadline))
    # In one piece: whoever has read a whole frame may close, and even an empty send would find that.
    sock.sendall(_HEAD.pack(kind, len(payload)) + payload)


def receive_frame(sock: socket.socket, deadline: float | None = None) -> tuple[bytes, bytes] | None:
    """Wait for one frame.

    Reads not one byte beyond it, so that another process can go on reading where this one stopped.

    Returns:
        Its kind and its payload, or None when the other side is gone.

    Raises:
        TimeoutError: no whole frame came before the deadline.
    """
    head = _receive_exactly(sock, _HEAD.size, deadline)
    if head is None:
        return None
    kind, length = _HEAD.unpack(head)
    payload = _receive_exactly(sock, length, deadline)
    return None if payload is None else (kind, bytes(payload))


def _receive_exactly(sock: socket.socket, size: int, deadline: float | None) -> bytearray | None:
    data = bytearray(size)
    view, have = memoryview(data), 0
    while have < size:
        sock.settimeout(_left(deadline))
        try:
            got = sock.recv_into(view[have:])
        except ConnectionResetError:  # it died before it had read all that we sent: gone, like any other way to go
            return None
        if not got:
            return None
        have += got
    return data


def _left(deadline: float | None) -> float | None:
    # Zero would mean "non-blocking": an answer that is there already should be read even when time is just up.
    return None if deadline is None else max(deadline - time.monotonic(), 0.001)


class ChildLink:
    """The child's side: say that it is ready or has failed, and learn that its starter died.

    A child that was not started detached ends when its starter dies, in any case within 2 s: under a fork server it gets
    SIGTERM at once and SIGKILL 1 s later (a frozen one too). What it wants to do in between it says with
    :attr:`on_parent_gone`, or it polls :meth:`fileno` in its own loop, or it handles SIGTERM.

    Args:
        sock: The link; owned from now on.
        lifeline: File descriptor that becomes readable when the starter is gone; None: the link itself is the lifeline.
        parent_pid: Process id of the starter.
        detach: Whether the child outlives its starter.
        eager: Whether to watch the lifeline even before :attr:`on_parent_gone` is set, because nobody else would end
            this process.
    """

    def __init__(self, sock: socket.socket, lifeline: int | None, parent_pid: int, *, detach: bool, eager: bool) -> None:
        self.parent_pid = parent_pid
        self._sock = sock
        self._detach = detach
        self._keep = lifeline is None and not detach
        self._said = False
        self._watched = False
        self._on_parent_gone: Callable[[], None] | None = None
        self._never = socket.socketpair() if detach else None
        if self._never is not None:
            self._life = self._never[0].fileno()
            if lifeline is not None:
                os.close(lifeline)
        else:
            self._life = sock.fileno() if lifeline is None else lifeline
        if detach:
            # Until it is ready nobody but its starter knows of it: if the starter dies now, it must not linger.
            when_readable(sock.fileno(), self._starter_gone)
        elif eager:
            self._watch()

    @property
    def said(self) -> bool:
        """Whether :meth:`ready` or :meth:`failed` was called."""
        return self._said

    @property
    def on_parent_gone(self) -> Callable[[], None] | None:
        """What to call, once, in a small thread of its own, when the starter died; never called when detached and ready.

        When it is not set, the process ends: by SIGTERM from the fork server, or by ``os._exit(1)`` where there is none.
        The thread needs the GIL: a C call that never gives it back is ended only by the fork server's SIGKILL.
        """
        return self._on_parent_gone

    @on_parent_gone.setter
    def on_parent_gone(self, action: Callable[[], None] | None) -> None:
        self._on_parent_gone = action
        if action is not None and not self._detach:
            self._watch()

    def fileno(self) -> int:
        """Give a descriptor that becomes readable, for good, when the starter died. Poll it, never read it.

        It belongs to the link. The one of a detached child never becomes readable.
        """
        return self._life

    def ready(self, payload: bytes = b"") -> None:
        """Tell the starter that the child works; its ``start_child`` returns then.

        Args:
            payload: What the starter finds in ``Child.ready``.

        Raises:
            AgentStartError: ready or failed was said before.
            SystemExit: the starter died or has given up: nobody will ever ask for this process.
        """
        if not self._say(READY, payload):
            raise SystemExit(1)

    def failed(self, text: str) -> None:
        """Tell the starter why the child cannot start; its ``start_child`` raises AgentStartError with this text.

        The child should end after that; it is killed when it does not.

        Raises:
            AgentStartError: ready or failed was said before.
        """
        if not self._say(FAILED, text.encode("utf-8", "surrogatepass")):
            print(text, file=sys.stderr, flush=True)  # noqa: T201 - nobody else can be told

    def _say(self, kind: bytes, payload: bytes) -> bool:
        if self._said:
            raise AgentStartError("a child says ready or failed once, and this one has said it; say it in one place only")
        self._said = True
        try:
            send_frame(self._sock, kind, payload)
        except OSError:  # the starter died, or has closed its end after its timeout
            return False
        if self._keep:
            return True
        if self._detach and kind == READY:
            with contextlib.suppress(OSError):  # the starter has closed its end so soon that the thread is through
                self._sock.shutdown(socket.SHUT_RDWR)  # wakes the watching thread, which finds it said, closes and ends
        else:
            self._sock.close()
        return True

    def _watch(self) -> None:
        if not self._watched:
            self._watched = True
            when_readable(self._life, self._gone)

    def _starter_gone(self) -> None:
        if self._said:
            self._sock.close()
        else:
            self._gone()

    def _gone(self) -> None:
        action = self._on_parent_gone
        if action is None:
            os._exit(1)
        action()
