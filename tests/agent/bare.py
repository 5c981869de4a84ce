"""Bare pyzmq sockets as a peer of agents: what any program that knows nothing of us would use."""

from __future__ import annotations

from contextlib import contextmanager

import zmq

from agentlab.transport.security import secure_client, secure_server

LIMIT_MS = 3000


@contextmanager
def bare(kind, *, connect=None, bind=None, subscribe=None, keys="ipc"):
    """A bare socket; `keys` is the transport whose security the lab asks for."""
    context = zmq.Context()
    socket = context.socket(kind)
    socket.linger = 0
    socket.rcvtimeo = socket.sndtimeo = LIMIT_MS
    try:
        if subscribe is not None:
            socket.subscribe(subscribe)
        if connect is not None:
            secure_client(socket, keys)
            socket.connect(connect)
        if bind is not None:
            if keys != "tcp":  # the gatekeeper of CURVE lives in the library's own context
                secure_server(socket, keys)
            socket.bind(bind)
        yield socket
    finally:
        socket.close(0)
        context.term()
