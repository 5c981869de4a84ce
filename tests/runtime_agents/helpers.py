"""Waiting, looking at processes from outside, and running scripts as a user's shell would."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from typing import Any

import psutil

from tests.timing import soon

ROOT = os.environ.get("PYTHONPATH", "").split(os.pathsep)[0]


def wait_until(condition: Callable[[], Any], limit: float = 5.0, what: str = "") -> float:
    """Wait until something is true; give the seconds that it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < soon(limit), f"not within {limit} s: {what or condition}"
        time.sleep(0.002)
    return time.monotonic() - began


def gone(pid: int) -> bool:
    """Whether there is no such process, not even a zombie."""
    return not psutil.pid_exists(pid)


@contextlib.contextmanager
def frozen(pid: int):
    """Stop a process for the time of a block."""
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def within(limit: float):
    """Fail when the block takes longer than so many seconds."""
    began = time.monotonic()
    yield
    took = time.monotonic() - began
    assert took < soon(limit), f"took {took:.2f} s, which is more than {limit:g} s"


class Script:
    """A user's program in a process group of its own, as a shell starts it.

    Args:
        code: Its text.
        environ: Added to the environment.
    """

    def __init__(self, folder, code: str, **environ: str) -> None:
        path = folder / "program.py"
        path.write_text(textwrap.dedent(code))
        self.out_path, self.err_path = folder / "out", folder / "err"
        with self.out_path.open("w") as out, self.err_path.open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-u", str(path)],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=err,
                cwd=folder,
                env=os.environ | environ,
                start_new_session=True,
            )

    @property
    def out(self) -> str:
        return self.out_path.read_text()

    @property
    def err(self) -> str:
        return self.err_path.read_text()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(5)

    def line(self, start: str, limit: float = 15.0) -> str:
        """Wait for a line of output that begins so; give its rest."""

        def find() -> list[str]:
            text = self.out
            assert text.endswith("\n") or self.process.poll() is None or start in text, text + self.err
            return [line for line in text.splitlines(keepends=True) if line.startswith(start) and line.endswith("\n")]

        wait_until(find, limit, f"no line {start!r} in:\n{self.out}\n{self.err}")
        return find()[0][len(start) :].strip()

    def end(self, limit: float = 15.0) -> int:
        """Wait for its end; give its exit code."""
        return self.process.wait(limit)

    def interrupt_group(self) -> None:
        """Do what a terminal does at Ctrl-C."""
        os.killpg(self.process.pid, signal.SIGINT)


def run_script(folder, code: str, limit: float = 30.0, **environ: str) -> Script:
    """Run a program to its end."""
    with Script(folder, code, **environ) as script:
        script.code = script.end(limit)
    return script
