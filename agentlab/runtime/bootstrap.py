"""What a new child does before and after its function: take over the starter's surroundings, run, end.

The same for a forked child and for a fresh interpreter.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import os
import pickle
import random
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from agentlab.runtime.link import ORDER, SURROUNDINGS, ChildLink, receive_frame
from agentlab.runtime.parentwatch import KERNEL_KILLS, name_process
from agentlab.settings import config


@dataclass(frozen=True)
class Surroundings:
    """What must be known before an interpreter starts: the environment and the working directory (None: it is gone)."""

    environ: dict[str, str]
    cwd: str | None

    @classmethod
    def here(cls) -> Surroundings:
        """Give those of this process."""
        try:
            cwd: str | None = str(Path.cwd())
        except OSError:  # somebody removed it
            cwd = None
        return cls(dict(os.environ), cwd)

    def take(self) -> None:
        """Make them those of this process."""
        for key in os.environ.keys() - self.environ.keys():
            del os.environ[key]
        for key, value in self.environ.items():
            if os.environ.get(key) != value:
                os.environ[key] = value
        if self.cwd is not None:
            with contextlib.suppress(OSError):  # removed since: the child begins where its server is
                os.chdir(self.cwd)


@dataclass(frozen=True)
class Order:
    """What a child shall run, and as whose child."""

    target: str
    payload: bytes
    name: str
    argv0: str
    sys_path: list[str]
    settings: dict[str, Any]
    parent_pid: int
    detach: bool


def interpreter_command(module: str, *arguments: object) -> list[str]:
    """Give the command that calls ``main()`` of one of our modules in a fresh interpreter like this one.

    The arguments become ``sys.argv[1:]``.

    ``-c`` puts the working directory first on the path, where any ``socket.py`` would be taken for the real one: it is
    replaced by where this very agentlab lies, before anything is imported. ``__main__`` stays empty.
    """
    root = str(Path(__file__).resolve().parents[2])
    code = f"import sys; sys.path[0] = {root!r}; from {module} import main; main()"
    # Private names of the standard library, here and in _finish: multiprocessing lives by them too.
    flags: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    return [sys.executable, *flags, "-c", code, *map(str, arguments)]


def main() -> NoReturn:
    """Be a child in a fresh interpreter made by the fork server: ``argv`` gives the descriptors of link and lifeline."""
    link, lifeline = map(int, sys.argv[1:])
    os.set_inheritable(link, False)
    os.set_inheritable(lifeline, False)
    run_order(socket.socket(fileno=link), lifeline)


def receive_surroundings(sock: socket.socket) -> Surroundings:
    """Wait for the starter's surroundings; ends the process when the starter is gone."""
    return _received(sock, SURROUNDINGS)  # type: ignore[no-any-return]


def _received(sock: socket.socket, kind: bytes) -> Any:
    frame = receive_frame(sock)
    if frame is None or frame[0] != kind:
        os._exit(1)
    return pickle.loads(frame[1])


def run_order(sock: socket.socket, lifeline: int | None) -> NoReturn:
    """Wait for the starter's order on the link, run it in this thread, and end the process.

    Args:
        sock: The link.
        lifeline: See :class:`~agentlab.runtime.link.ChildLink`.
    """
    order: Order = _received(sock, ORDER)
    link = ChildLink(sock, lifeline, order.parent_pid, detach=order.detach, eager=lifeline is None or not KERNEL_KILLS)
    _finish(_execute(order, link))


def _execute(order: Order, link: ChildLink) -> int:
    try:
        _prepare(order)
        _resolve(order.target)(order.payload, link)
    except SystemExit as request:
        return _exit_code(request)
    except KeyboardInterrupt:
        return 130
    except BaseException:  # noqa: BLE001 - the main of a child: whatever it is, the starter or the terminal hears of it
        text = traceback.format_exc()
        if link.said:
            print(text, end="", file=sys.stderr, flush=True)  # noqa: T201 - as the interpreter does
        else:
            link.failed(text)
        return 1
    return 0


def _prepare(order: Order) -> None:
    sys.path[:] = order.sys_path
    sys.argv[:] = [order.argv0]
    config.restore(order.settings)
    name_process(order.name)
    random.seed()
    if "numpy.random" in sys.modules:  # random.seed() does not reach it, and forked siblings would draw the same numbers
        sys.modules["numpy.random"].seed()
    for stream in (sys.stdout, sys.stderr):
        # Into a pipe or a file Python writes only full blocks: lines would come late, and never from a killed child.
        if stream is not None and hasattr(stream, "reconfigure"):
            stream.reconfigure(line_buffering=True)


def _resolve(target: str) -> Callable[[bytes, ChildLink], object]:
    module, _, name = target.partition(":")
    function: Callable[[bytes, ChildLink], object] = getattr(importlib.import_module(module), name)
    return function


def _exit_code(request: SystemExit) -> int:
    if request.code is None:
        return 0
    if isinstance(request.code, int):
        return request.code
    print(request.code, file=sys.stderr, flush=True)  # noqa: T201 - as the interpreter does
    return 1


def _finish(code: int) -> NoReturn:
    """End as an interpreter does (threads, atexit, buffers), but leave the memory to the system: that is 10 ms faster."""
    try:
        threading._shutdown()  # type: ignore[attr-defined]  # joins what is no daemon
        atexit._run_exitfuncs()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, None, or nobody reads any more
                stream.flush()
        os._exit(code & 0xFF)
