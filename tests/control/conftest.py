"""A daemon on a unix socket or a port, closed at the end of its test."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agentlab.control.connection import ControlClient
from agentlab.control.daemon import ControlDaemon, Peer
from tests.timing import soon

_numbers = itertools.count()


def echo(payload: bytes, peer: Peer) -> bytes:
    return payload


class Kit:
    """Daemons and clients of one test."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._open: list[Any] = []

    def path(self) -> str:
        return str(self.directory / f"c{next(_numbers)}")

    def daemon(self, where: str = "unix", *, start: bool = True, **options: Any) -> ControlDaemon:
        place = {"unixsocket": self.path()} if where == "unix" else {"host": "127.0.0.1"}
        daemon = ControlDaemon(**{**place, **options})
        self._open.append(daemon)
        if start:
            daemon.start()
        return daemon

    def client(self, uri: str, **options: Any) -> ControlClient:
        client = ControlClient(uri, **options)
        self._open.append(client)
        return client

    def close(self) -> None:
        for thing in reversed(self._open):
            thing.close()


@pytest.fixture
def kit(socket_dir: Path) -> Iterator[Kit]:
    before = set(threading.enumerate())
    kit = Kit(socket_dir)
    yield kit
    kit.close()
    # The daemon's threads are daemon threads, which the common check for leftovers does not see.
    eventually(lambda: not {t for t in threading.enumerate() if "control" in t.name} - before)


def eventually(condition: Callable[[], Any], limit: float = 5.0) -> Any:
    """Give what the condition gives once it is true; fail after ``limit`` seconds."""
    began = time.monotonic()
    while not (value := condition()):
        assert time.monotonic() - began < soon(limit), "it did not come true in time"
        time.sleep(0.005)
    return value
