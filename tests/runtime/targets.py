"""What the children of these tests run."""

from __future__ import annotations

import os
import pickle
import random
import select
import signal
import sys
import threading
import time
from pathlib import Path

from agentlab.runtime.child import start_child
from agentlab.settings import config


def serve(payload, link):
    link.ready(payload)
    select.select([link], [], [])


def deaf(payload, link):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    link.ready(payload)
    while True:
        signal.pause()


def polite(payload, link):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
    link.ready()
    while True:
        signal.pause()


def hang_starting(payload, link):
    """Never ready, and deaf; its pid comes in a file."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _write_pid(payload)
    while True:
        signal.pause()


def hang(payload, link):
    while True:
        signal.pause()


def hang_gil(payload, link):
    """Stuck in C code that keeps the GIL: no thread of it can do anything."""
    import ctypes

    link.ready()
    ctypes.PyDLL(None).sleep(60)


def end(payload, link):
    """End in the way that the payload says: ``before`` or ``after`` being ready, and how."""
    when, how = payload.decode().split(":")
    if when == "after":
        link.ready()
    if how == "return":
        return
    if how == "raise":
        raise ValueError("the laser is off")
    if how == "failed":
        link.failed("no laser here")
        return
    if how == "failed-stays":
        link.failed("no laser here")
        signal.pause()
    if how == "message":
        sys.exit("so long")
    if how == "interrupt":
        raise KeyboardInterrupt
    number = int(how)
    if number < 0:
        os.kill(os.getpid(), -number)
        signal.pause()
    if number >= 100:
        os._exit(number - 100)
    sys.exit(number)


def end_but_leave_a_process(payload, link):
    """Die before being ready while an own child holds the link open."""
    if os.fork() == 0:
        time.sleep(1.5)
        os._exit(0)
    os._exit(9)


def close_link(payload, link):
    link._sock.close()
    signal.pause()


def say_twice(payload, link):
    link.ready()
    link.ready()


def tell(payload, link):
    """Tell about this process."""
    numbers = [random.random()]
    if "numpy" in payload.decode():
        import numpy as np

        numbers.append(float(np.random.random()))
    streams = {fd: os.fstat(fd).st_ino for fd in (1, 2)}
    facts = {
        "main thread": threading.current_thread() is threading.main_thread(),
        "pid": os.getpid(),
        "ppid": os.getppid(),
        "parent_pid": link.parent_pid,
        "sid": os.getsid(0),
        "cwd": str(Path.cwd()),
        "environ": dict(os.environ),
        "argv": sys.argv,
        "path": sys.path,
        "settings": config.snapshot(),
        "random": numbers,
        "stdin": sys.stdin.read(),
        "streams": streams,
        "fds": [entry.name for entry in Path("/proc/self/fd").iterdir()],
        "threads": threading.active_count(),
        "blocked": signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        "handlers": [signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGCHLD)],
        "interrupt": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
        "comm": Path("/proc/self/comm").read_text().strip(),
        "zmq loaded": "zmq" in sys.modules,
    }
    link.ready(pickle.dumps(facts))


def write(payload, link):
    print(payload.decode())
    print("error " + payload.decode(), file=sys.stderr)
    link.ready()
    signal.pause()


def note_parent_gone(payload, link):
    """Write into a file when the starter is gone, then end by itself."""
    gone = threading.Event()
    link.on_parent_gone = gone.set
    signal.signal(signal.SIGTERM, lambda *_: None)
    link.ready()
    while not gone.wait(0.01):
        pass
    Path(payload.decode()).write_text("gone")


def poll_parent_gone(payload, link):
    """The same in an own loop."""
    signal.signal(signal.SIGTERM, lambda *_: None)
    link.ready()
    select.select([link.fileno()], [], [])
    Path(payload.decode()).write_text("gone")


def tidy(payload, link):
    """Has an atexit function and a thread that is no daemon."""
    import atexit

    path = Path(payload.decode())
    atexit.register(lambda: path.with_suffix(".exit").write_text("x"))
    threading.Thread(target=lambda: (time.sleep(0.05), path.with_suffix(".thread").write_text("x"))).start()
    link.ready()


def nest(payload, link):
    """Have a child too; forever."""
    child = start_child("tests.runtime.targets:serve", b"")
    link.ready(str(child.pid).encode())
    select.select([link], [], [])


def _write_pid(payload):
    path = Path(payload.decode())
    path.with_suffix(".new").write_text(str(os.getpid()))
    path.with_suffix(".new").rename(path)
