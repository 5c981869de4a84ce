"""A daemon in this process, and proxies of its services, closed at the end of their test."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agentlab import AgentLabError, Proxy, run_nameserver
from agentlab.services.daemon import Daemon
from tests.timing import soon


def eventually(condition: Callable[[], Any], limit: float = 5.0) -> Any:
    """Give what the condition gives once it is true; fail after ``limit`` seconds."""
    began = time.monotonic()
    while not (value := condition()):
        assert time.monotonic() - began < soon(limit), "it did not come true in time"
        time.sleep(0.003)
    return value


class Kit:
    """Daemons and proxies of one test."""

    def __init__(self) -> None:
        self._open: list[Callable[[], object]] = []

    def daemon(self, name: str = "optics", **options: Any) -> Daemon:
        daemon = Daemon(name, **options)
        self._open.append(lambda: daemon.stop(0.5))
        return daemon

    def proxy(self, *args: Any, **options: Any) -> Proxy:
        proxy = Proxy(*args, **options)
        self._open.append(proxy.release)
        return proxy

    def serve(self, target: Any, name: str = "thing", *, daemon: Daemon | None = None, **options: Any) -> Proxy:
        """Serve a class in a daemon of its own, or that one; give a proxy."""
        return self.proxy((daemon or self.daemon()).register(target, name, **options))

    def close(self) -> None:
        for close in reversed(self._open):
            close()


@pytest.fixture
def kit() -> Iterator[Kit]:
    before = set(threading.enumerate())
    kit = Kit()
    yield kit
    kit.close()
    names = ("service-", "daemon-", "agentlab-register")  # daemon threads, which the common check does not see
    eventually(lambda: not [t for t in set(threading.enumerate()) - before if t.name.startswith(names)])


@pytest.fixture
def ns():
    server = run_nameserver()
    yield server
    with contextlib.suppress(AgentLabError):  # a test may have ended it
        server.shutdown(4.0)
    server.release()
