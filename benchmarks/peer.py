"""A bare peer: a process of its own that does what it is told by lines of JSON on its standard input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


class Peer:
    """One bare process. ``tell`` starts a method of the object that its module serves, ``answer`` waits for its result."""

    def __init__(self, module: str, *arguments: str) -> None:
        root = str(Path(__file__).resolve().parent.parent)
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"benchmarks.{module}", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": root},
        )
        self.pid = self._process.pid
        self.hello = self.answer()

    def tell(self, method: str, *arguments: Any) -> None:
        """Start a method."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([method, *arguments]) + "\n")
        self._process.stdin.flush()

    def answer(self) -> Any:
        """Wait for the result of the method that was started last."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a bare peer ended with code {self._process.wait()}")
        return json.loads(line)

    def ask(self, method: str, *arguments: Any) -> Any:
        """Start a method and wait for its result."""
        self.tell(method, *arguments)
        return self.answer()

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


def serve(obj: object, hello: Any = None) -> None:
    """Be a bare peer until standard input ends."""
    print(json.dumps(hello), flush=True)
    for line in sys.stdin:
        method, *arguments = json.loads(line)
        print(json.dumps(getattr(obj, method)(*arguments)), flush=True)
