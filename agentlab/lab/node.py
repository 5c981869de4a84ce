"""The process that runs a lab: lock, log, supervisor, control socket, signals, systemd. One run, then it ends."""

from __future__ import annotations

import functools
import logging
import os
import queue
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agentlab.errors import AgentLabError, AlreadyUpError, LabError
from agentlab.lab.door import FAILURES, GRAVE, Feed
from agentlab.lab.holding import holder
from agentlab.lab.lock import FileLock
from agentlab.lab.logbook import Logbook
from agentlab.lab.notify import Notifier
from agentlab.lab.orders import RunningLab, SupervisorLike, control_socket, digest
from agentlab.lab.places import Places, lab_places
from agentlab.lab.processwide import environment, logged, signals
from agentlab.lab.remains import RUN_VARIABLE, mark, wait_for_remains
from agentlab.lab.retry import Retries
from agentlab.lab.stand_ins import dry_run_lines

if TYPE_CHECKING:
    from agentlab.lab.file import LabFile

log = logging.getLogger(__name__)

STOP_TIMEOUT: Final = 10.0
"""Seconds that all units have together to end, unless somebody says otherwise."""
LOG_TAIL: Final = 20
"""Records of a unit in the report of its failure."""
ENDING: Final = 5.0
"""Seconds that a process needs at most to end when its units have ended."""

TELLING: Final = 0.5
"""Seconds in which the last events of a start must have come."""
SETTLED: Final = frozenset(("running", "failed"))

OnEvent = Callable[[dict[str, Any]], None]
OnReady = Callable[[dict[str, Any]], None]
Make = Callable[["LabFile", Logbook, OnEvent], SupervisorLike]
Read = Callable[[Path], "LabFile"]


class Node:
    """Runs a lab once, in the calling process. Any thread may call :meth:`ask_stop` and :meth:`ask_reload`.

    Args:
        path: The lab file.
        keep_going: Whether to go on without a unit that does not start; else everything is stopped again.
        timeout: Seconds that the start may take in all; None: as long as the units may take.
        on_ready: Called with the lab's ``info`` (see :meth:`LabClient.info`) when the start is over.
        on_event: Called with each event of a unit, in the supervisor's thread.
        read: Gives the lab of a path; None: :func:`~agentlab.lab.file.read_lab`.
        make: Gives its supervisor; None: :class:`~agentlab.lab.supervisor.Supervisor`.
        notifier: Who tells systemd; None: as the environment says.
        simulated: Whether instruments are replaced by what stands in for them, whatever the file says; also when it is reloaded.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        keep_going: bool = True,
        timeout: float | None = None,
        on_ready: OnReady | None = None,
        on_event: OnEvent | None = None,
        read: Read | None = None,
        make: Make | None = None,
        notifier: Notifier | None = None,
        simulated: bool = False,
    ) -> None:
        self.places: Places = lab_places(path)
        self._keep_going, self._timeout = keep_going, timeout
        self._on_ready, self._on_event = on_ready, on_event
        self._read, self._make = read or functools.partial(_read, simulated=simulated), make or _make
        self._notifier = notifier if notifier is not None else Notifier.from_environment()
        self._feed = Feed()
        self._orders: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._stop_timeout = STOP_TIMEOUT

    def run(self) -> None:
        """Start the lab and keep it running until somebody stops it. Call it in the main thread, for its signals.

        SIGTERM and SIGINT stop it, SIGHUP reloads it; a second SIGINT ends the process at once, and its units with it.

        Raises:
            ProblemsError: the file has problems; nothing was started.
            AlreadyUpError: somebody else runs this lab.
            LabStartError: a unit did not start, and `keep_going` is false; everything was stopped again.
        """
        token = secrets.token_hex(8)
        with environment(RUN_VARIABLE, mark(self.places, token)):
            known = digest(self.places.file)
            lab = self._read(self.places.file)
            self.places.make()
            with FileLock(self.places.lock) as lock:
                if not lock.acquire():
                    raise AlreadyUpError(f"the lab of {self.places.file} is up already; {holder(self.places)}")
                lock.note(f"pid {os.getpid()} runs {self.places.file} since {time.strftime('%Y-%m-%d %H:%M:%S %z')}")
                if self.places.address.exists():  # the last supervisor was killed
                    wait_for_remains(self.places, token)
                with Logbook(self.places.logs) as book, logged(book), signals(self.ask_stop, self.ask_reload):
                    self._run(lab, known, book)

    def ask_stop(self, timeout: float = STOP_TIMEOUT) -> None:
        """Have it stop everything and end, within so many seconds; returns at once."""
        self._orders.put(("stop", timeout))

    def ask_reload(self) -> None:
        """Have it read its file again; returns at once. What is wrong with the file is logged."""
        self._orders.put(("reload", None))

    def _run(self, lab: LabFile, known: bytes, book: Logbook) -> None:
        supervisor = self._make(lab, book, lambda event: self._event(book, event))
        try:
            running = RunningLab(
                self.places, lab, known, supervisor, self._read, self._feed, lambda text: book.write("lab", "INFO", text)
            )
            retries = Retries(running.rows, supervisor.start_unit)
            for line in dry_run_lines(lab) if getattr(lab, "simulated", False) else ():
                book.write("lab", "WARNING", line)
            with control_socket(self.places, running.orders(self.ask_stop)):
                threading.Thread(target=self._start, args=(running, supervisor), name="agentlab-start", daemon=True).start()
                error = self._serve(running, book, retries)
                running.state = "stopping"
                retries.stop()
                self._notifier.stopping(self._stop_timeout + ENDING)
                book.write("lab", "INFO", f"is stopped, within {self._stop_timeout:g} s")
                self._stop(supervisor)
                book.write("lab", "INFO", "has stopped")
                self._feed.close()
                retries.close()
        finally:
            supervisor.close()
            self._notifier.close()
        if error is not None:
            raise error

    def _stop(self, supervisor: SupervisorLike) -> None:
        """Stop everything; who asks for it again meanwhile, and has less patience, gets it sooner."""
        deadline = time.monotonic() + self._stop_timeout

        def hear() -> None:
            nonlocal deadline
            while (order := self._orders.get())[0] != "stopped":
                if order[0] == "stop" and (sooner := time.monotonic() + float(order[1])) < deadline:
                    deadline = sooner
                    supervisor.stop(float(order[1]))

        hearing = threading.Thread(target=hear, name="agentlab-stop", daemon=True)
        hearing.start()
        try:
            supervisor.stop(self._stop_timeout)
        finally:
            self._orders.put(("stopped", None))
            hearing.join(ENDING)

    def _start(self, running: RunningLab, supervisor: SupervisorLike) -> None:
        """Start the lab, in a thread of its own: the main one has to hear signals meanwhile."""
        with running.changing:
            try:
                supervisor.start(keep_going=self._keep_going, timeout=self._timeout)
            except AgentLabError as error:
                self._orders.put(("failed", error))
            except Exception as error:
                log.exception("the lab could not be started")
                self._orders.put(("failed", LabError(f"the lab could not be started: {type(error).__name__}: {error}")))
            else:
                self._feed.wait_until_told((row["unit"] for row in running.rows() if row["state"] in SETTLED), TELLING)
                self._orders.put(("started", None))

    def _serve(self, running: RunningLab, book: Logbook, retries: Retries) -> AgentLabError | None:
        """Carry out orders until one says to end; give why it must, if that is an error."""
        pause = self._notifier.watchdog / 3 or None
        while True:
            try:
                order, value = self._orders.get(timeout=pause)
            except queue.Empty:
                running.rows()  # a supervisor that hangs is none: then systemd hears nothing
                self._notifier.alive()
                continue
            if order == "stop":
                self._stop_timeout = float(value)
                return None
            if order == "failed":
                error: AgentLabError = value
                return error
            if order == "started":
                self._became_ready(running, book)
                if self._keep_going and (late := retries.begin()):
                    book.write("lab", "WARNING", f"goes on without {', '.join(late)}, which are tried again now and then")
            elif order == "reload":
                threading.Thread(target=self._reload, args=(running,), name="agentlab-reload", daemon=True).start()

    def _became_ready(self, running: RunningLab, book: Logbook) -> None:
        running.state = "running"
        text = running.summary()
        book.write("lab", "INFO", f"runs {self.places.file}: {text}")
        self._feed.add({"time": time.time(), "unit": "lab", "event": "ready", "text": text})
        self._notifier.ready(text)
        if self._on_ready is not None:
            self._on_ready(running.info())

    def _reload(self, running: RunningLab) -> None:
        """Reload as SIGHUP asks for: nobody waits for an answer, so problems go into the log."""
        self._notifier.reloading()
        try:
            running.reload()
        except LabError as error:
            log.error("%s", error)  # noqa: TRY400 - it says all, also what raised in a unit
        except AgentLabError as error:
            for line in str(error).splitlines():
                log.error("not reloaded: %s", line)  # noqa: TRY400 - the user's mistake, told in its own lines
        finally:
            self._notifier.ready(running.summary())

    def _event(self, book: Logbook, event: dict[str, Any]) -> None:
        """Take what the supervisor tells of a unit."""
        unit, kind, text = str(event.get("unit")), str(event.get("event")), str(event.get("text") or "")
        if kind in FAILURES and not event.get("log"):
            event = {**event, "log": book.tail(unit, LOG_TAIL)}
        book.write(unit, GRAVE.get(kind, "INFO"), f"{kind.replace('_', ' ')}{': ' if text else ''}{text}")
        self._feed.add(event)
        if self._on_event is not None:
            self._on_event(event)


def run_node(
    path: str | os.PathLike[str],
    *,
    keep_going: bool = True,
    timeout: float | None = None,
    on_ready: OnReady | None = None,
    on_event: OnEvent | None = None,
    simulated: bool = False,
) -> None:
    """Run a lab in this process until it is stopped; arguments and errors as of :class:`Node`."""
    Node(path, keep_going=keep_going, timeout=timeout, on_ready=on_ready, on_event=on_event, simulated=simulated).run()


def _read(path: Path, *, simulated: bool = False) -> LabFile:
    from agentlab.lab.file import read_lab  # brings YAML and pydantic

    return read_lab(path, simulated=simulated)


def _make(lab: LabFile, book: Logbook, on_event: OnEvent) -> SupervisorLike:
    from agentlab.lab.supervisor import Supervisor

    return Supervisor(lab, logbook=book, on_event=on_event)
