"""The thread that owns the keeper: takes in what happens, carries out what follows, looks at pulses."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable

from agentlab.errors import AgentLabError, LabError
from agentlab.lab.backend import Backend
from agentlab.lab.keeper import Keeper
from agentlab.lab.messages import Command, Event, Kill, Pulse, Report, Request, Start, Started, Stop
from agentlab.lab.record import Record
from agentlab.lab.units import Plan

log = logging.getLogger(__name__)

LOOK = 0.5
"""Seconds between two looks at the pulses of agents."""
LONGEST_PAUSE = 3600.0
"""Seconds that nothing is waited for at once: the system has limits of its own, and a thread that met one would be gone."""


class _Asked:
    """A request, what the thread is to do before it, and whether it has been taken in."""

    def __init__(self, request: Request, before: Callable[[], None] | None) -> None:
        self.request, self.before = request, before
        self.taken = threading.Event()
        self.error: AgentLabError | None = None


class Engine:
    """Runs a keeper over a backend, in a daemon thread that begins with the first request. Any thread may use it.

    Args:
        plan: The units.
        backend: Carries out commands; called in the thread.
        tell: Takes reports; called in the thread, and must not block.
        on_started: Called in the thread with each unit that has come up, before anything follows from that.
    """

    def __init__(
        self, plan: Plan, backend: Backend, tell: Callable[[Report], None], on_started: Callable[[Started], None]
    ) -> None:
        self.keeper = Keeper(plan)
        """To be read with :attr:`changed` held."""
        self.changed = threading.Condition()
        self._backend, self._tell, self._on_started = backend, tell, on_started
        self._inbox: queue.SimpleQueue[Event | _Asked | threading.Event | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._beginning = threading.Lock()
        self._next_look = 0.0

    @property
    def is_running(self) -> bool:
        """Whether there is a thread."""
        return self._thread is not None

    def ask(self, request: Request, before: Callable[[], None] | None = None) -> None:
        """Have a request taken in; returns when it was.

        Args:
            request: What somebody wants.
            before: Called in the thread just before; what it raises is raised here, and nothing is taken in.

        Raises:
            AgentLabError: `before` raised it.
            LabError: taking it in has failed, by a fault of ours.
        """
        with self._beginning:
            if self._thread is None:
                self._backend.begin(self._inbox.put)
                self._thread = threading.Thread(target=self._run, name="agentlab-supervisor", daemon=True)
                self._thread.start()
        asked = _Asked(request, before)
        self._inbox.put(asked)
        asked.taken.wait()
        if asked.error is not None:
            raise asked.error

    def wait(self, condition: Callable[[], object], timeout: float | None = None) -> bool:
        """Wait until something is true of the keeper, up to `timeout` seconds; tell whether it is."""
        with self.changed:
            return bool(self.changed.wait_for(condition, None if timeout is None else min(timeout, threading.TIMEOUT_MAX)))

    def catch_up(self, timeout: float) -> bool:
        """Wait until all that has come so far was taken in, and what follows from it was done and told; tell whether it was."""
        if self._thread is None or self._thread is threading.current_thread():
            return True
        done = threading.Event()
        self._inbox.put(done)
        return done.wait(timeout)

    def close(self, timeout: float) -> None:
        """End the thread, and what the backend does beside it; each within `timeout` seconds. Twice is fine."""
        with self._beginning:
            thread, self._thread = self._thread, None
        if thread is None:
            return
        self._inbox.put(None)
        if thread is not threading.current_thread():
            thread.join(timeout)
        self._backend.close(timeout)

    # --- the thread -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            try:
                item = self._inbox.get(timeout=self._patience())
            except queue.Empty:
                self._turn(None)
                continue
            if item is None:
                return
            if isinstance(item, threading.Event):
                item.set()
                continue
            self._turn(item)

    def _patience(self) -> float | None:
        """Give the seconds until something is due; None: only what comes matters."""
        due = self.keeper.next_time()
        if self._watched():
            due = self._next_look if due is None else min(due, self._next_look)
        return None if due is None else min(max(0.0, due - time.monotonic()), LONGEST_PAUSE)

    def _turn(self, item: Event | _Asked | None) -> None:
        try:
            now = time.monotonic()
            if isinstance(item, _Asked):
                self._take(item, now)
            else:
                if isinstance(item, Started):
                    self._on_started(item)
                self._handle(item, now)
            if now >= self._next_look:
                self._look(now)
        except Exception as error:
            log.exception("the supervisor could not take in %r", item)  # whatever it was, the next one must be heard
            if isinstance(item, _Asked):  # who has asked would wait for what never comes
                item.error = LabError(f"the supervisor failed to do that: {type(error).__name__}: {error}; its log says more")
        finally:
            if isinstance(item, _Asked):
                item.taken.set()

    def _take(self, asked: _Asked, now: float) -> None:
        try:
            if asked.before is not None:
                asked.before()
        except AgentLabError as error:
            asked.error = error
        else:
            self._handle(asked.request, now)

    def _handle(self, event: Event | Request | None, now: float) -> None:
        with self.changed:
            commands = self.keeper.tick(now) if event is None else self.keeper.handle(event, now)
            self.changed.notify_all()
        self._perform(commands)

    def _perform(self, commands: list[Command]) -> None:
        """Do what is to be done; what is to be told comes last, as nobody waits for that."""
        for command in commands:
            if isinstance(command, Start):
                self._backend.start(command, self.keeper.plan.units[command.unit])
            elif isinstance(command, Stop):
                self._backend.stop(command.unit, command.incarnation)
            elif isinstance(command, Kill):
                self._backend.kill(command.unit, command.incarnation)
        for command in commands:
            if isinstance(command, Report):
                self._tell(command)

    def _watched(self) -> list[Record]:
        return [record for record in self.keeper.records.values() if record.is_watched]

    def _look(self, now: float) -> None:
        self._next_look = now + LOOK
        for record in self._watched():
            state = self._backend.pulse(record.name, record.incarnation)
            if state is not None:
                event = Pulse(record.name, record.incarnation, state.turned, state.busy > 0, state.running)
                self._handle(event, now)
