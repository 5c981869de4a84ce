"""A name server in a process of its own, and waiting for things, for the tests of this folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import psutil

from tests.timing import soon

SERVER = """
import json, signal, sys
from agentlab.nameserver.server import NameServer
server = NameServer(sys.argv[1], int(sys.argv[2]), security=sys.argv[3] or None, **json.loads(sys.argv[4]))
signal.signal(signal.SIGTERM, lambda *_: server.stop())
server.run(lambda address: print(address, flush=True))
"""


class ServerProcess:
    """A name server that can be killed, frozen and started again at its address; options are those of NameServer."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0, security: str = "", **options: Any) -> None:
        self.host, self.port, self.security, self.options = host, port, security, options
        self.process: subprocess.Popen[str] | None = None
        self.start()

    def start(self) -> None:
        environment = {**os.environ, "AGENTLAB_SECURITY": self.security or "keys"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER, self.host, str(self.port), self.security, json.dumps(self.options)],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        assert self.address, "the name server did not start"
        self.port = int(self.address.rpartition(":")[2])

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        if number == signal.SIGSTOP:
            wait_until_stopped(self.process.pid)

    def wait(self, timeout: float = 3.0) -> int:
        assert self.process is not None
        code = self.process.wait(timeout)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.wait()

    def end(self) -> None:
        assert self.process is not None
        if self.process.poll() is None:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
            try:
                self.process.wait(3.0)
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise
            finally:
                self.wait()
        elif self.process.stdout is not None:
            self.process.stdout.close()

    def cpu_seconds(self) -> float:
        """Give user and system time that it has used."""
        assert self.process is not None
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)


def wait_until(condition: Callable[[], Any], limit: float = 3.0) -> float:
    """Wait until a condition holds; give how many seconds it took."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < soon(limit), f"not within {limit} s"
        time.sleep(0.005)
    return time.monotonic() - start


def wait_until_stopped(pid: int) -> None:
    """Wait until SIGSTOP has stopped every thread: it returns to its sender before."""
    wait_until(lambda: all(psutil.Process(t.id).status() == psutil.STATUS_STOPPED for t in psutil.Process(pid).threads()))
