"""``agentlab node``: run a lab in the foreground, for systemd and its like."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from agentlab.cli.following import Following
from agentlab.cli.labs import DEFAULT, FileArgument, Simulated, StartLimit


def node(
    file: FileArgument = DEFAULT,
    strict_start: Annotated[
        bool, typer.Option("--strict-start", help="End with code 2 when a unit does not start, instead of going on without it.")
    ] = False,
    timeout: StartLimit = None,
    simulated: Simulated = False,
) -> None:
    """Run the lab of a file here, until SIGTERM or Ctrl-C; what happens is told in plain lines.

    For a service manager: systemd (Type=notify) hears when the lab is up, reloads and stops, and of its watchdog. SIGHUP
    reads the file again. Exit codes: 0 it was stopped; 2 the file has problems, the lab is up already, or --strict-start.
    """
    run_here(file, keep_going=not strict_start, timeout=timeout, simulated=simulated)


def run_here(file: Path, *, keep_going: bool, timeout: float | None, simulated: bool = False) -> None:
    """Run a lab in this process until somebody stops it. Its folder becomes the working directory."""
    from agentlab.lab.node import run_node
    from agentlab.lab.places import lab_places

    path = lab_places(file).file
    with contextlib.suppress(OSError):  # it is told as a problem of the file
        os.chdir(path.parent)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    lines = _Lines()
    run_node(path, keep_going=keep_going, timeout=timeout, on_ready=lines.ready, on_event=lines.event, simulated=simulated)
    lines.print(f"{file} is down")


class _Lines:
    """Plain lines on stdout, from any thread; a reader that has gone must not end a lab."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._console = Console(force_terminal=False, highlight=False, markup=False, soft_wrap=True)
        self._show = Following(self._console)

    def event(self, event: dict[str, Any]) -> None:
        with self._lock, contextlib.suppress(OSError):
            self._show(event)

    def ready(self, info: dict[str, Any]) -> None:
        self.print(f"{info['file']} is up, supervisor {info['pid']}")
        for line in info.get("dry_run") or ():
            self.print(line)

    def print(self, text: str) -> None:
        with self._lock, contextlib.suppress(OSError):
            self._console.print(text)
            self._console.file.flush()
