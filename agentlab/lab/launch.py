"""Starting a lab's process in the background, and hearing from it until the lab is up or has failed.

It is a fresh interpreter in a session of its own: neither a terminal's Ctrl-C nor the end of whoever started it reaches it.
Until the start is over it reports on its stdout, a line of JSON for each event; what it prints goes to a file.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from agentlab.control.remote_errors import error_from_bytes, error_to_bytes
from agentlab.errors import AgentLabError, AlreadyUpError, LabDownError, LabError
from agentlab.lab.client import SECURITY, LabClient
from agentlab.lab.holding import holder, run_by_program
from agentlab.lab.node import run_node
from agentlab.lab.notify import VARIABLES
from agentlab.lab.places import Places, lab_places
from agentlab.lab.remains import RUN_VARIABLE
from agentlab.runtime.bootstrap import interpreter_command
from agentlab.runtime.parentwatch import name_process

OUTPUT_LIMIT: Final = 1_000_000
"""Bytes at which the file with the process's own output is begun again."""
OTHERS_PATIENCE: Final = 20.0
"""Seconds that another supervisor of the same lab has to come up, or to end."""
SOCKET_PATIENCE: Final = 0.5
OnEvent = Callable[[dict[str, Any]], None]


def start_node_detached(
    path: str | os.PathLike[str],
    *,
    keep_going: bool = False,
    timeout: float | None = None,
    on_event: OnEvent | None = None,
    simulated: bool = False,
) -> dict[str, Any]:
    """Start a lab in the background, and wait until its start is over.

    Where several do so at once, one supervisor results, and all of them return when it is ready.

    Args:
        path: The lab file.
        keep_going: Whether to go on without a unit that does not start; else everything is stopped again.
        timeout: Seconds that the start may take in all; None: as long as the units may take.
        on_event: Called with each event of a unit meanwhile, in the calling thread.
        simulated: Whether instruments are replaced by what stands in for them, whatever the file says.

    Returns:
        The lab's ``info`` (see :meth:`LabClient.info`), and ``already``: whether it was up before.

    Raises:
        ProblemsError: the file has problems; nothing was started.
        LabStartError: a unit did not start; everything was stopped again.
        LabError: the process ended without a word, or another supervisor of this lab neither comes up nor ends; or a program
            runs this lab itself, by ``Lab.from_file``.
    """
    deadline = time.monotonic() + OTHERS_PATIENCE + (timeout or 0.0)
    with LabClient(path) as client:
        while True:
            info = _started_already(client, timeout)
            if info is not None:
                return {**info, "already": True}
            if run_by_program(client.places):
                raise LabError(f"a program runs the lab of {client.shown} itself: {holder(client.places)}; end that one first")
            with contextlib.suppress(AlreadyUpError):
                process = _launch(client.places, keep_going=keep_going, timeout=timeout, simulated=simulated)
                return {**_listen(process, client.places, on_event), "already": False}
            # Whoever holds the lock is about to listen, or just ending: its socket comes in a moment, or never.
            _wait(client.is_up, SOCKET_PATIENCE)
            if time.monotonic() > deadline:
                raise LabError(f"another supervisor of {client.shown} neither comes up nor ends; {holder(client.places)}")


def _started_already(client: LabClient, timeout: float | None) -> dict[str, Any] | None:
    """Give the info of the lab if somebody runs it, when it is ready; None: nobody does, or not any more."""
    try:
        if client.is_up():
            info = client.wait_until_ready(timeout)
            if info["state"] != "stopping":
                return info
            _wait(lambda: not client.is_up(), OTHERS_PATIENCE)
    except LabDownError:
        return None  # it failed, or was stopped, just now
    return None


def _wait(condition: Callable[[], bool], timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)


def _launch(places: Places, *, keep_going: bool, timeout: float | None, simulated: bool) -> subprocess.Popen[bytes]:
    places.make()
    command = interpreter_command(__name__, places.file)
    if keep_going:
        command.append("--keep-going")
    if simulated:
        command.append("--simulated")
    if timeout is not None:
        command.append(f"--timeout={timeout}")
    with contextlib.suppress(OSError):
        if places.output.stat().st_size > OUTPUT_LIMIT:
            places.output.unlink()
    environ = {name: value for name, value in os.environ.items() if name not in (RUN_VARIABLE, *VARIABLES)}
    with places.output.open("ab") as output:
        options: dict[str, Any] = {"start_new_session": True}
        if sys.platform == "win32":
            options = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.DETACHED_PROCESS}
        return subprocess.Popen(  # noqa: S603 - our own interpreter
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=output, env=environ, **options
        )


def _listen(process: subprocess.Popen[bytes], places: Places, on_event: OnEvent | None) -> dict[str, Any]:
    """Take what it reports until it is ready or has failed."""
    threading.Thread(target=process.wait, name="agentlab-node-wait", daemon=True).start()  # or a zombie would stay
    assert process.stdout is not None
    with process.stdout, _ending_what_has_not_begun(process, places) as begun:
        for line in process.stdout:
            try:
                report = json.loads(line)
            except ValueError:  # something that Python itself ran before us has printed
                continue
            if "ready" in report:
                ready: dict[str, Any] = report["ready"]
                return ready
            if "error" in report:
                error = error_from_bytes(bytes.fromhex(report["error"]), security=SECURITY)
                if hasattr(error, "__notes__"):
                    del error.__notes__  # where it arose over there
                process.wait()  # "everything was stopped again" must be true when somebody reads it
                raise error
            begun.set()
            if on_event is not None:
                on_event(report["event"])
    code = process.wait()
    raise LabError(f"the supervisor of {places.file} ended with exit code {code} while it started{_last_words(places)}")


@contextlib.contextmanager
def _ending_what_has_not_begun(process: subprocess.Popen[bytes], places: Places) -> Iterator[threading.Event]:
    """Let Ctrl-C end a process that only checks its file yet: nobody could find it, and then the lab would come up."""
    begun = threading.Event()
    try:
        yield begun
    except KeyboardInterrupt:
        with LabClient(places.file) as client:
            if not begun.is_set() and not client.is_up():
                process.terminate()
                process.wait()
        raise


def _last_words(places: Places) -> str:
    try:
        lines = places.output.read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return f"; it wrote last: {lines[-1].strip()} (all of it: {places.output})" if lines else ""


# --- in the new process -------------------------------------------------------------------------------------------


def main() -> None:
    """Be the lab's process: ``argv`` gives the lab file and how to start it."""
    parser = argparse.ArgumentParser("agentlab-lab")
    parser.add_argument("file", type=Path)
    parser.add_argument("--keep-going", action="store_true")
    parser.add_argument("--simulated", action="store_true")
    parser.add_argument("--timeout", type=float)
    options = parser.parse_args()
    name_process("agentlab-lab")
    report = _Report()
    # What this process prints goes where its errors go, and its folder is the lab's, wherever it was started.
    os.dup2(2, 1)
    file = lab_places(options.file).file
    with contextlib.suppress(OSError):  # it is told as a problem of the file
        os.chdir(file.parent)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    try:
        run_node(
            file,
            keep_going=options.keep_going,
            timeout=options.timeout,
            on_ready=report.ready,
            on_event=report.event,
            simulated=options.simulated,
        )
    except (AgentLabError, OSError) as error:
        report.failed(error if isinstance(error, AgentLabError) else LabError(f"the lab's process failed: {error}"))
        sys.exit(1)


class _Report:
    """Tells whoever started this process how it goes, until the start is over; nobody may be there any more. Any thread."""

    def __init__(self) -> None:
        self._descriptor: int | None = os.dup(1)
        os.set_inheritable(self._descriptor, False)
        self._lock = threading.Lock()

    def event(self, event: dict[str, Any]) -> None:
        self._say({"event": event})

    def ready(self, info: dict[str, Any]) -> None:
        self._say({"ready": info}, last=True)

    def failed(self, error: AgentLabError) -> None:
        error.__traceback__ = None
        self._say({"error": error_to_bytes(error, security=SECURITY).hex()}, last=True)

    def _say(self, report: dict[str, Any], *, last: bool = False) -> None:
        line = json.dumps(report, default=str).encode() + b"\n"
        with self._lock:
            if self._descriptor is None:
                return
            try:
                while line:
                    line = line[os.write(self._descriptor, line) :]
            except OSError:  # it was interrupted, and the lab goes on
                last = True
            if last:
                os.close(self._descriptor)
                self._descriptor = None
