"""Child processes: start one and wait until it is ready, see its end at once, end all of them.

What a child runs is a function, named by the module it can be imported from; it is called in the child's main thread.
Nothing is ever forked in the caller's process, which has threads: on POSIX a fork server does it
(:mod:`~agentlab.runtime.forkserver`), which also starts fresh interpreters; elsewhere :mod:`~agentlab.runtime.spawn`.
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
import sys
import time
from collections.abc import Callable
from types import TracebackType

from agentlab.errors import AgentStartError, ConfigurationError
from agentlab.runtime.bootstrap import Order, Surroundings
from agentlab.runtime.family import Family, active_children, family, shutdown, stop_all
from agentlab.runtime.forkclient import Outputs, ServerGoneError
from agentlab.runtime.link import FAILED, ORDER, READY, SURROUNDINGS, ChildLink, receive_frame, send_frame
from agentlab.runtime.process import Child
from agentlab.runtime.spawn import spawn
from agentlab.settings import config

__all__ = ["Child", "ChildLink", "active_children", "install_quiet_interrupt", "shutdown", "start_child", "stop_all"]

_HAS_FORK_SERVER = os.name == "posix"
_END_GRACE = 1.0  # seconds that a child has to end by itself after it said that it failed, or closed its link
_KILL_GRACE = 5.0  # seconds to wait for the end of a killed child; more only if it hangs in the kernel
_SERVER_TRIES = 3


def start_child(
    target: str,
    payload: bytes,
    *,
    name: str = "",
    start_method: str | None = None,
    detach: bool = False,
    timeout: float | None = None,
    on_exit: Callable[[Child], None] | None = None,
    stdout: int | None = None,
    stderr: int | None = None,
) -> Child:
    """Start a child process and wait until it says that it is ready.

    It gets this process's environment, working directory, ``sys.path``, ``sys.argv[0]`` and settings as they are now, also
    stdout and stderr where no others are given; its stdin is empty. A terminal's Ctrl-C does not reach it. It ends with
    this process, in any case within 2 s of it: SIGTERM, 1 s later SIGKILL. May be called in any thread, also in
    ``on_exit``, and in children.

    Args:
        target: ``package.module:function``; called in the child's main thread as ``function(payload, link)`` with a
            :class:`~agentlab.runtime.link.ChildLink`. What it returns is ignored, its end is the child's end.
        payload: Anything.
        name: For messages and for ``top``.
        start_method: ``forkserver`` (POSIX; milliseconds), ``spawn`` (a fresh interpreter), None: ``config['START_METHOD']``.
        detach: Whether it outlives this process and the fork server: its own session, no signal when they end, not touched
            by :func:`stop_all`. It keeps stdout and stderr, so send them elsewhere if their reader ends earlier.
        timeout: Seconds that it may take until it is ready; None: ``config['START_TIMEOUT']``.
        on_exit: Called with the child, once, within 20 ms of its end, in one thread for all children. It may be called before
            this function has returned, and is not called when this function raises.
        stdout: File descriptor that shall be its stdout, such as the writing end of a pipe; None: this process's. It stays
            the caller's, who may close it as soon as this function has returned.
        stderr: The same for its stderr; it may be the same one.

    Returns:
        The child, ready.

    Raises:
        AgentStartError: it failed (with its traceback or what it said), ended or hung while starting; nothing of it is left.
        ConfigurationError: the target or the start method cannot be, or a descriptor is not open.
    """
    method = _checked(target, start_method)
    outputs = (_checked_output("stdout", stdout), _checked_output("stderr", stderr))
    limit = config["START_TIMEOUT"] if timeout is None else timeout
    order = Order(target, payload, name, sys.argv[0], list(sys.path), config.snapshot(), os.getpid(), detach)
    frames = ((SURROUNDINGS, pickle.dumps(Surroundings.here())), (ORDER, pickle.dumps(order)))
    here = family()
    for _ in range(_SERVER_TRIES):
        child = Child(name, detach=detach, on_exit=on_exit, call=here.monitor.call, forget=here.remove)
        try:
            _start(here, child, method, outputs, frames, limit, repr(name or target))
        except ServerGoneError:  # killed just now; this child was not ready, so starting it again is no repetition
            continue
        return child
    raise AgentStartError(
        f"{name or target!r} was not started: the fork server died {_SERVER_TRIES} times; see what it wrote to stderr, "
        "and whether something kills it"
    )


def install_quiet_interrupt() -> None:
    """Let Ctrl-C end this program without a traceback; the exit status stays the interpreter's. Call it in the main thread.

    Only a KeyboardInterrupt that nobody caught is kept quiet. Calling it twice is fine.
    """
    if getattr(sys.excepthook, "keeps_interrupts_quiet", False):
        return
    previous = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not issubclass(kind, KeyboardInterrupt):
            previous(kind, error, trace)

    hook.keeps_interrupts_quiet = True  # type: ignore[attr-defined]
    sys.excepthook = hook


def _checked(target: str, start_method: str | None) -> str:
    module, _, function = target.partition(":")
    if not (module and function):
        raise ConfigurationError(f"a child's target is 'package.module:function', not {target!r}")
    method: str = config["START_METHOD"] if start_method is None else start_method
    if method not in ("forkserver", "spawn"):
        raise ConfigurationError(f"no start method is called {method!r}; there are 'forkserver' and 'spawn'")
    if method == "forkserver" and not _HAS_FORK_SERVER:
        raise ConfigurationError("start method 'forkserver' needs a POSIX system; use 'spawn'")
    return method


def _checked_output(which: str, fd: int | None) -> int | None:
    if fd is not None:
        try:
            os.fstat(fd)
        except OSError:
            raise ConfigurationError(
                f"{which}={fd} is no open file descriptor; open a file or a pipe and give its number"
            ) from None
    return fd


def _start(
    here: Family,
    child: Child,
    method: str,
    outputs: Outputs,
    frames: tuple[tuple[bytes, bytes], ...],
    limit: float,
    what: str,
) -> None:
    """Make the child and bring it to readiness, or leave nothing of it."""
    deadline = time.monotonic() + limit
    here.add(child)
    try:
        answer = _converse(_launch(here, child, method, outputs, deadline), frames, deadline)
        if answer is not None and answer[0] == READY:
            if not child.wait_until_known(max(_END_GRACE, deadline - time.monotonic())):
                raise TimeoutError
            if child.pid:
                child.became_ready(answer[1], keep_link=not (_HAS_FORK_SERVER or child.detach))
                return
        ended = child.join(_END_GRACE)
        if answer is not None and answer[0] == FAILED:
            raise AgentStartError(answer[1].decode("utf-8", "replace"))
        raise _failure(child, what, ended)
    except EOFError:
        child.join(_END_GRACE)
        raise _failure(child, what, True) from None
    except TimeoutError:
        raise AgentStartError(f"{what} did not start within {limit:g} s; give it a longer timeout or see why it hangs") from None
    finally:
        if not child.is_ready:  # Ctrl-C comes here too
            child.discard(_KILL_GRACE)


def _launch(here: Family, child: Child, method: str, outputs: Outputs, deadline: float) -> socket.socket:
    """Have the process made; give the starter's end of its link, which belongs to the child object."""
    if not _HAS_FORK_SERVER:
        link = spawn(child, deadline, outputs)
        child.attach(link)
        return link
    link, theirs = socket.socketpair()
    child.attach(link)
    with theirs:
        here.server().request(child, theirs, fresh=method == "spawn", outputs=outputs)
    return link


def _converse(link: socket.socket, frames: tuple[tuple[bytes, bytes], ...], deadline: float) -> tuple[bytes, bytes] | None:
    """Send the child its frames and wait for its answer; None: it is gone."""
    try:
        for kind, content in frames:
            send_frame(link, kind, content, deadline)
    except (BrokenPipeError, ConnectionResetError):
        return None
    return receive_frame(link, deadline)


def _failure(child: Child, what: str, ended: bool) -> AgentStartError:
    if child.refusal == "":
        return ServerGoneError("the fork server died")
    if child.refusal is not None:
        return AgentStartError(f"{what} could not be forked: {child.refusal}")
    if not ended:
        return AgentStartError(f"{what} closed its link while starting; its target must leave open what it did not open")
    code = child.exitcode
    if code is not None and code < 0:
        return AgentStartError(f"{what} was killed by {_signal_name(-code)} while starting")
    return AgentStartError(f"{what} ended with exit code {code} while starting")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"
