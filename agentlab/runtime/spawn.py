"""Children as fresh interpreters on systems without a fork server (Windows): nothing here needs POSIX.

Starter and child meet on a loopback port: the child proves with a token, read from its standard input, that it is the
one. The link stays open as lifeline: where no kernel kills it, a thread of the child waits for its end-of-file.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from typing import NoReturn

from agentlab.runtime.bootstrap import interpreter_command, receive_surroundings, run_order
from agentlab.runtime.forkclient import Outputs, Process

_TOKEN_SIZE = 32
_LOOPBACK = "127.0.0.1"


def spawn(process: Process, deadline: float, outputs: Outputs = (None, None)) -> socket.socket:
    """Start a fresh interpreter and wait until it has connected; a thread of its own waits for its end.

    Args:
        process: Who is told that it began and ended.
        deadline: When to give up, in the time of ``time.monotonic``.
        outputs: Its stdout and stderr; None: this process's.

    Returns:
        The starter's end of its link.

    Raises:
        TimeoutError: it did not connect in time. It is left running: whoever was told that it began has to kill it.
        EOFError: it ended before it connected.
    """
    token = secrets.token_bytes(_TOKEN_SIZE)
    with socket.create_server((_LOOPBACK, 0)) as listener:
        command = interpreter_command("agentlab.runtime.spawn", listener.getsockname()[1])
        popen = _popen(command, process.detach, *outputs)
        process.began(popen.pid)
        threading.Thread(target=_wait, args=(popen, process), name="agentlab-wait", daemon=True).start()
        assert popen.stdin is not None
        with contextlib.suppress(OSError), popen.stdin:  # it may have died already
            popen.stdin.write(token)
        return _accept(listener, token, popen, deadline)


def _popen(command: list[str], detach: bool, out: int | None, err: int | None) -> subprocess.Popen[bytes]:
    # A group of its own, so that a terminal's Ctrl-C does not reach it.
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | (subprocess.DETACHED_PROCESS if detach else 0)
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=err, creationflags=flags)
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=err, start_new_session=True)


def _wait(popen: subprocess.Popen[bytes], process: Process) -> None:
    process.ended(popen.wait())


def _accept(listener: socket.socket, token: bytes, popen: subprocess.Popen[bytes], deadline: float) -> socket.socket:
    listener.settimeout(0.05)
    while True:
        try:
            sock, _ = listener.accept()
        except TimeoutError:
            if popen.poll() is not None:
                raise EOFError from None
            if time.monotonic() > deadline:
                raise
            continue
        if _proves(sock, token):
            return sock
        sock.close()


def _proves(sock: socket.socket, token: bytes) -> bool:
    """Whether the one that connected is our child: any process of this machine can connect to a loopback port."""
    sock.settimeout(1.0)
    got = b""
    with contextlib.suppress(OSError):
        while len(got) < _TOKEN_SIZE and (data := sock.recv(_TOKEN_SIZE - len(got))):
            got += data
    return hmac.compare_digest(got, token)


def main() -> NoReturn:
    """Be the child: ``argv`` gives the port of the starter."""
    token = sys.stdin.buffer.read(_TOKEN_SIZE)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    sock = socket.create_connection((_LOOPBACK, int(sys.argv[1])))
    sock.sendall(token)
    receive_surroundings(sock).take()
    run_order(sock, None)
