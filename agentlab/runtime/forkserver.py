"""The fork server: a small process that forks children for the one process that started it, and reaps them.

It has one thread, no ZeroMQ context and no socket but its own, and has imported what children need: a fork of it takes
milliseconds and shares its memory. It runs in its own session, so a terminal's Ctrl-C reaches neither it nor its children.

When its starter dies, it sends its children SIGTERM, a second later SIGKILL, and ends. When it is killed itself, the
kernel kills its children (Linux). Detached children are spared both times.

On its control socket come requests (a number, flags, and three descriptors: link, stdout, stderr) and go replies.
"""

from __future__ import annotations

import gc
import importlib
import os
import pickle
import selectors
import signal
import socket
import struct
import sys
import time
from typing import NamedTuple, NoReturn

from agentlab.runtime.bootstrap import interpreter_command, receive_surroundings, run_order
from agentlab.runtime.link import receive_frame
from agentlab.runtime.parentwatch import KERNEL_KILLS, open_pidfd, signal_when_parent_dies

PRELOAD = ("agentlab.runtime.preload",)
"""Modules imported before the first fork; missing ones are left out. None may start a thread."""

GRACE = 1.0
"""Seconds between SIGTERM and SIGKILL when the starter is gone."""

REQUEST = struct.Struct("!QB")
REPLY = struct.Struct("!cQq")
DETACH, FRESH = 1, 2
STARTED, REFUSED, ENDED = b"S", b"R", b"E"

_OURS = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD) if os.name == "posix" else ()


class _Job(NamedTuple):
    """What a forked process shall become."""

    link: socket.socket
    fresh: bool


class _Server:
    def __init__(self, control: socket.socket, parent_pid: int) -> None:
        self._control = control
        self._pid = os.getpid()
        self._children: dict[int, bool] = {}  # pid: detached
        self._ending = False
        self._wake, self._waker = socket.socketpair()
        self._wake.setblocking(False)
        self._waker.setblocking(False)
        self._selector = selectors.PollSelector()  # epoll would be one object shared with every child
        self._selector.register(control, selectors.EVENT_READ, self._on_request)
        self._selector.register(self._wake, selectors.EVENT_READ, self._on_signal)
        self._parent: int | None = None
        if KERNEL_KILLS:
            # End-of-file on the control socket says the same, unless a process forked from the starter still holds it.
            self._parent = open_pidfd(parent_pid)
            self._selector.register(self._parent, selectors.EVENT_READ, self._end)
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: self._end())

    def serve(self) -> _Job | None:
        """Serve until the starter is gone; in a forked child give what it shall become."""
        while not self._ending:
            for key, _ in self._selector.select():
                job: _Job | None = key.data()
                if job is not None:
                    return job
            self._reap()
        self._end_children()
        return None

    def _end(self) -> None:
        self._ending = True

    def _on_signal(self) -> None:
        self._wake.recv(4096)

    def _on_request(self) -> _Job | None:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._control, REQUEST.size, 3)
        except ConnectionResetError:
            data = b""
        if len(data) < REQUEST.size:
            self._end()
            return None
        number, flags = REQUEST.unpack(data)
        # Until the child has its own handlers, ours must not take a signal that is meant for it.
        signal.pthread_sigmask(signal.SIG_BLOCK, _OURS)
        try:
            pid = os.fork()
        except OSError as error:
            self._reply(REFUSED, number, error.errno or 0)
        else:
            if pid == 0:
                return self._become_child(descriptors, flags)
            self._children[pid] = bool(flags & DETACH)
            self._reply(STARTED, number, pid)
        for fd in descriptors:
            os.close(fd)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _OURS)
        return None

    def _become_child(self, descriptors: list[int], flags: int) -> _Job:
        if flags & DETACH:
            os.setsid()
        else:
            signal_when_parent_dies(self._pid, signal.SIGKILL)
        signal.set_wakeup_fd(-1)
        for number in _OURS:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        for sock in (self._control, self._wake, self._waker):
            sock.close()
        if self._parent is not None:
            os.close(self._parent)
        link, out, err = descriptors
        for fd, standard in ((out, 1), (err, 2)):
            os.dup2(fd, standard)
            os.close(fd)
        os.set_inheritable(link, False)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        return _Job(socket.socket(fileno=link), bool(flags & FRESH))

    def _reap(self) -> None:
        while self._children:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if self._children.pop(pid, None) is not None:
                self._reply(ENDED, pid, os.waitstatus_to_exitcode(status))

    def _reply(self, kind: bytes, number: int, value: int) -> None:
        try:
            self._control.sendall(REPLY.pack(kind, number, value))
        except OSError:  # the starter is gone
            self._end()

    def _end_children(self) -> None:
        # SIGCONT: a frozen process gets its SIGTERM only when it runs again.
        self._signal_children(signal.SIGTERM, signal.SIGCONT)
        self._reap_until(time.monotonic() + GRACE)
        self._signal_children(signal.SIGKILL)
        self._reap_until(time.monotonic() + GRACE / 2)

    def _signal_children(self, *signals: int) -> None:
        for pid, detached in self._children.items():
            if not detached:  # not reaped yet, so the number is still its own
                for number in signals:
                    os.kill(pid, number)

    def _reap_until(self, deadline: float) -> None:
        with selectors.PollSelector() as selector:
            selector.register(self._wake, selectors.EVENT_READ)
            self._reap()
            while not all(self._children.values()) and (left := deadline - time.monotonic()) > 0:
                if selector.select(left):
                    self._on_signal()
                self._reap()


def main() -> NoReturn:
    """Be the fork server: ``argv`` gives the descriptors of control socket and lifeline, and the starter's process id."""
    control_fd, lifeline, parent_pid = map(int, sys.argv[1:])
    # A frozen server could not see its starter die. (A starter whose starting thread ends earlier does no harm with this.)
    signal_when_parent_dies(parent_pid, signal.SIGCONT)
    os.set_inheritable(control_fd, False)
    os.set_inheritable(lifeline, False)
    control = socket.socket(fileno=control_fd)
    frame = receive_frame(control)
    if frame is None:
        os._exit(0)
    sys.path[:] = pickle.loads(frame[1])
    _preload()
    job = _Server(control, parent_pid).serve()
    if job is None:
        os._exit(0)
    gc.enable()
    _become(job, lifeline)


def _preload() -> None:
    for name in PRELOAD:
        try:
            importlib.import_module(name)
        except ImportError:  # an extra that is not installed: the child that needs it will say so
            continue
    # Collected objects leave holes in pages, and a collector's marks copy shared ones: do both before any fork.
    gc.collect()
    gc.disable()
    gc.freeze()


def _become(job: _Job, lifeline: int) -> NoReturn:
    surroundings = receive_surroundings(job.link)
    surroundings.take()
    if not job.fresh:
        run_order(job.link, lifeline)
    for fd in (job.link.fileno(), lifeline):
        os.set_inheritable(fd, True)
    command = interpreter_command("agentlab.runtime.bootstrap", job.link.fileno(), lifeline)
    os.execve(command[0], command, surroundings.environ)  # noqa: S606
