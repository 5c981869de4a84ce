"""The ZeroMQ context of this process, made when first needed. A process that was forked gets its own."""

from __future__ import annotations

import os
import threading

import zmq

from agentlab.transport import lingering

_lock = threading.Lock()
_context: zmq.Context[zmq.Socket[bytes]] | None = None
_pid = 0

MAX_SOCKETS = 16384


def context() -> zmq.Context[zmq.Socket[bytes]]:
    """Give the one context of this process."""
    global _context, _pid
    with _lock:
        if _context is None or _pid != os.getpid() or _context.closed:
            _context, _pid = zmq.Context(), os.getpid()
            _context.set(zmq.MAX_SOCKETS, MAX_SOCKETS)
        return _context


def end_context() -> None:
    """End this process's context, if there is one: waits for the linger of sockets that are closed already."""
    global _context  # noqa: PLW0603
    with _lock:
        if _context is not None and _pid == os.getpid():
            _context.term()
        _context = None
    lingering.wait(None)
