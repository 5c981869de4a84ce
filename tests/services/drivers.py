"""Classes that are served in the tests: ordinary ones, which know nothing of agentlab."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import enum
import functools
import os
import threading
import time
from pathlib import Path


class Color(enum.Enum):
    RED = 1


@dataclasses.dataclass
class Point:
    x: float
    y: float


class DeviceError(Exception):
    """An error of a driver's own, with an argument that is not its text."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code

    def __str__(self) -> str:
        return f"device says {self.code}"


class Counter:
    """Counts in a way that loses increments when calls run side by side."""

    Unit = Color

    def __init__(self, start: int = 0) -> None:
        self.n = start
        self.owner = threading.get_ident()
        self.notes: list[str] = []
        self._secret = "hidden"
        self.instant = lambda: "made in the constructor"

    def add(self, by: int = 1) -> int:
        """Count."""
        n = self.n
        time.sleep(0.0002)
        self.n = n + by
        return self.n

    def wait(self, seconds: float) -> str:
        time.sleep(seconds)
        return "waited"

    def wait_for(self, path: str, limit: float = 10.0) -> str:
        Path(path + ".begun").touch()
        deadline = time.monotonic() + limit
        while not Path(path).exists():
            if time.monotonic() > deadline:
                raise TimeoutError(path)
            time.sleep(0.002)
        return "released"

    def note(self, text: str) -> None:
        self.notes.append(text)

    def in_own_thread(self) -> bool:
        return threading.get_ident() == self.owner

    def echo(self, value: object) -> object:
        return value

    def fail(self, code: int) -> None:
        raise DeviceError(code)

    def leave(self) -> None:
        raise SystemExit(3)

    def count_up(self, n: int):
        yield from range(n)

    def hidden_generator(self, n: int):
        return (i for i in range(n))

    async def later(self, value: object) -> object:
        await asyncio.sleep(0.001)
        return value

    def unsendable(self) -> object:
        return threading.Lock()

    def large(self, size: int) -> bytes:
        return bytes(size)

    def pid(self) -> int:
        return os.getpid()

    def call_back(self, proxy, method: str, *args):
        return getattr(proxy, method)(*args)

    @classmethod
    def kind(cls) -> str:
        return cls.__name__

    @staticmethod
    def double(x: int) -> int:
        return 2 * x

    @property
    def value(self) -> int:
        return self.n

    @value.setter
    def value(self, n: int) -> None:
        if n < 0:
            raise ValueError("below zero")
        self.n = n

    @property
    def broken_property(self) -> int:
        raise AttributeError("nothing is plugged in")

    @functools.cached_property
    def serial(self) -> str:
        return "A1"

    def _private(self) -> None:
        raise AssertionError("nobody may call this")


class Connecting:
    """Connects with its parameters; writes its life into a file."""

    def __init__(self) -> None:
        self.log: Path | None = None

    def _write(self, text: str) -> None:
        with self.log.open("a") as file:
            file.write(f"{text} {threading.get_ident()}\n")

    def connect(self, log: str, port: str = "COM1") -> None:
        self.log, self.port = Path(log), port
        self._write("connect")

    def where(self) -> str:
        self._write("call")
        return self.port

    def disconnect(self) -> None:
        self._write("disconnect")


class Closing:
    """Writes when it is made and closed."""

    def __init__(self, log: str) -> None:
        self.log = Path(log)
        self.calls = 0
        self._write("made")

    def _write(self, text: str) -> None:
        with self.log.open("a") as file:
            file.write(text + "\n")

    def call(self) -> int:
        self.calls += 1
        return self.calls

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)

    async def close(self) -> None:
        self._write("closed")


class Broken:
    def __init__(self, flag: str = "") -> None:
        if not flag or not Path(flag).exists():
            raise RuntimeError("no device at COM3\nsecond line")

    def read(self) -> int:
        return 7


class Leaves:
    def __init__(self) -> None:
        raise SystemExit("driver ends programs")

    def read(self) -> None: ...


class Hangs:
    def __init__(self, flag: str) -> None:
        while not Path(flag).exists():
            time.sleep(0.002)

    def read(self) -> int:
        return 7


class Nothing:
    def _read(self) -> None: ...


class SideBySide:
    """Tells how many calls run at once."""

    now = 0
    most = 0
    lock = threading.Lock()

    def run(self, seconds: float) -> int:
        cls = type(self)
        with cls.lock:
            cls.now += 1
            cls.most = max(cls.most, cls.now)
        time.sleep(seconds)
        with cls.lock:
            cls.now -= 1
        return cls.most


class OwnNames:
    """Has methods of the names that a service answers beside the queue."""

    def ping(self) -> str:
        return "own ping"

    def info(self) -> str:
        return "own info"

    def set_attr(self, x: int) -> str:
        return f"own set_attr {x}"

    def get_attr(self, x: int) -> str:
        return f"own get_attr {x}"


NOW = dt.datetime(2024, 5, 1, 12, 0, 0, 123456, tzinfo=dt.UTC)
