"""What the live tests and the benchmarks of instruments share: instruments on bench devices, and owners to be killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from agentlab import AgentLabError
from agentlab.instruments import run_instrument
from agentlab.testing.waiting import wait_condition
from tests.conftest import ROOT
from tests.instruments.servers import Sinstruments, benches

TABLE = Path(__file__).parent / "drivers" / "bench.yml"


def end(proxy: Any) -> None:
    """End an agent and wait until its process is gone: it still talks to its device until then."""
    with suppress(AgentLabError):
        pid = proxy.timeout(3).execute_as_function(os.getpid)
        proxy.shutdown()
        assert wait_condition(lambda: not psutil.pid_exists(pid), timeout=8.0), f"pid {pid} does not end"
    proxy.release()


class Benches:
    """So many bench devices in one server, and instruments that hold them."""

    def __init__(self, nsaddr: Any, count: int = 1) -> None:
        self.nsaddr = nsaddr
        self.server = Sinstruments(benches(f"b{number}" for number in range(count)))
        self.proxies: list[Any] = []

    def run(self, name: str, device: str = "b0", **named: Any) -> Any:
        """Run an instrument on one of the devices, wait until it is online, give its proxy."""
        named = {"parameters": str(TABLE), "timeout": 0.5, "nsaddr": self.nsaddr, **named}
        proxy = run_instrument(name, "agentlab.instruments:ScpiDevice", self.server.address(device), **named)
        self.proxies.append(proxy)
        assert wait_condition(lambda: proxy.status()["state"] == "online", timeout=10.0), proxy.status()
        return proxy

    def value(self, key: str, device: str = "b0") -> Any:
        """Give what the device itself has, past all instruments."""
        return self.server.order("value", device, key)

    def close(self) -> None:
        """End all."""
        for proxy in self.proxies:
            end(proxy)
        self.server.close()


@contextmanager
def owner(name: str, nsaddr: Any, lease: float, *more: float) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Give another process that owns an instrument, and its token; it is killed at the end.

    With one number `more` it has begun a slow action of so many seconds.
    """
    command = [sys.executable, "-m", "tests.instruments.owner", name, str(nsaddr), str(lease), *map(str, more)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            token = process.stdout.readline().strip()
            assert token, "the owner did not get the lock"
            yield process, token
        finally:
            process.kill()


def timed(function: Any) -> float:
    """Give the seconds that a call takes."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began
