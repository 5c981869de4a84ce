"""Waiting, and looking at processes from outside."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from tests.timing import soon

T = "tests.runtime.targets:"

SCRIPT = """
import json, sys, threading
from agentlab.runtime import child
from agentlab.runtime.family import family
method, children, starting = json.loads(sys.argv[1])
if method == "loopback":
    child._HAS_FORK_SERVER, method = False, "spawn"
started = [child.start_child(t, p.encode(), start_method=method, detach=d) for t, p, d in children]
for path in starting:
    args = ("tests.runtime.targets:hang_starting", path.encode())
    threading.Thread(target=child.start_child, args=args, kwargs={"start_method": method}, daemon=True).start()
server = family().server().pid if child._HAS_FORK_SERVER else 0
print(json.dumps([server, [c.pid for c in started]]), flush=True)
"""


def wait_until(condition: Callable[[], object], limit: float = 5.0) -> float:
    """Wait until something is true; give the seconds that it took."""
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() - begin < soon(limit), "it did not come true"
        time.sleep(0.002)
    return time.monotonic() - begin


def gone(pid: int) -> bool:
    """Whether there is no such process, not even a zombie; one that only waits until init looks at it is not ours any more."""
    try:
        process = psutil.Process(pid)
        return process.status() == psutil.STATUS_ZOMBIE and process.ppid() == 1
    except psutil.NoSuchProcess:
        return True


def frozen(pid: int) -> bool:
    return psutil.Process(pid).status() == psutil.STATUS_STOPPED


class Starter:
    """A script in a process of its own that starts children and then waits on its stdin."""

    def __init__(self, method, children, starting=(), then="sys.stdin.read()"):
        spec = json.dumps([method, [(T + target, payload, detach) for target, payload, detach in children], list(starting)])
        self.process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT + then, spec],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        line = self.process.stdout.readline()
        if not line:
            complaint = self.process.stderr.read()
            self.__exit__()
            raise AssertionError(complaint)
        self.server, self.pids = json.loads(line)
        for path in map(Path, starting):
            wait_until(path.exists)
            self.pids.append(int(path.read_text()))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()
        self.process.wait(5)

    def everything(self):
        return [*self.pids, *([self.server] if self.server else [])]
