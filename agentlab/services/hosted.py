"""One service in its daemon: whether it runs or why not, and its way from one to the other. Any thread."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from agentlab.errors import AgentStartError, AgentStoppedError
from agentlab.services.executor import Executor
from agentlab.services.model import ServiceSpec, class_name
from agentlab.services.percall import MOST_PERCALL, PerCallRun
from agentlab.services.place import Call, Recipe, Run, SingleRun, reason
from agentlab.services.sessions import SessionRun

log = logging.getLogger("agentlab.services")

STOPPED, STARTING, RUNNING, FAILED, STOPPING = "stopped", "starting", "running", "failed", "stopping"


class HostedService:
    """A service: its state, and the run that it has at the moment.

    Args:
        spec: What it is to be.
        shared: The executor that all services of the daemon share; None: it has threads of its own.
        is_connected: Tells whether a client's connection still stands.
        on_change: Called when its state has changed, in any thread; must not block.
    """

    def __init__(
        self,
        spec: ServiceSpec,
        shared: Executor | None,
        is_connected: Callable[[int], bool],
        on_change: Callable[[HostedService], object],
    ) -> None:
        self.spec = spec
        self.name = spec.name
        self.state = STOPPED
        self.reason = ""
        self.since = time.time()
        self.kind: type | None = spec.target if isinstance(spec.target, type) else None
        """The class, once it is known."""
        self._shared, self._is_connected, self._on_change = shared, is_connected, on_change
        self._change = threading.Condition()
        self._run: Run | None = None

    def start(self, after: Callable[[], object] | None = None) -> None:
        """Begin to start it; returns at once. One that is starting or running is left alone."""
        with self._change:
            if self.state in (STARTING, RUNNING):
                return
            run = self._run = self._new_run()
            self._set(STARTING)
        self._on_change(self)
        run.begin(lambda error, kind: self._begun(run, error, kind), after)

    def wait_up(self, timeout: float) -> bool:
        """Wait until it runs, up to `timeout` seconds; one that is not up by then has failed, until it is.

        Returns:
            Whether it runs.
        """
        with self._change:
            self._change.wait_for(lambda: self.state != STARTING, max(timeout, 0.0))
            late = self.state == STARTING
            run = self._run
        if late and run is not None:
            self._settle(run, FAILED, self._lateness(run, timeout))
        return self.state == RUNNING

    def stop(self, grace: float) -> bool:
        """Let the running call end, then close the instance; calls that have not begun are refused.

        Args:
            grace: Seconds to wait for it.

        Returns:
            Whether it has ended; otherwise its thread is left to itself, and closes the instance when it comes to it.
        """
        with self._change:
            run, self._run = self._run, None
            self._set(STOPPED if run is None else STOPPING)
        ended = True
        if run is not None:
            self._on_change(self)
            run.end()
            ended = run.join(grace)
            with self._change:
                if self.state == STOPPING:
                    self._set(STOPPED)
        self._on_change(self)
        if not ended:
            log.warning("service %r has not come to its end within %g s; its thread is left alone", self.name, grace)
        return ended

    def restart(self, grace: float, spec: ServiceSpec | None = None) -> None:
        """End this run and begin another; returns at once. Calls that come meanwhile wait for the new instance.

        Args:
            grace: Seconds that the running call has.
            spec: What it is to be from now on; None: what it was.
        """
        with self._change:
            if spec is not None:
                self.spec, self.kind = spec, spec.target if isinstance(spec.target, type) else None
            run = self._new_run()
            old, self._run = self._run, run
            self._set(STARTING)
        self._on_change(self)
        if old is not None:
            old.end()
        wait = None if old is None or self._shared is not None else lambda: old.join(grace)
        run.begin(lambda error, kind: self._begun(run, error, kind), wait)

    def check(self) -> Run:
        """Give the run that takes calls.

        Raises:
            AgentStoppedError: there is none; the text says why and what to do.
        """
        run = self._run
        if self.state in (RUNNING, STARTING) and run is not None:
            return run
        if self.state == FAILED:
            raise AgentStoppedError(f"service {self.name!r} has failed: {self.reason}; mend it, then restart it")
        raise AgentStoppedError(f"service {self.name!r} is {self.state}; start it, then call again")

    def submit(self, call: Call, token: str, connection: int) -> None:
        """Have a call run, or refuse it; returns at once and never raises."""
        try:
            run = self.check()
        except AgentStoppedError as error:
            call.refuse(error)
        else:
            run.submit(call, token, connection)

    def attach(self, token: str, connection: int) -> None:
        """Note one more connection of a client, which keeps its instance."""
        self.check().attach(token, connection)

    def disconnected(self, connection: int) -> None:
        """Note that a connection has ended."""
        run = self._run
        if run is not None:
            run.disconnected(connection)

    def instance(self) -> Any:
        """Give the one instance of a single service, for its own thread; None: there is none."""
        run = self._run
        return run.instance if isinstance(run, SingleRun) else None

    def load(self) -> dict[str, Any]:
        """Give what it does now: calls that wait, what runs for how many seconds, instances."""
        run = self._run
        now = time.monotonic()
        running = [] if run is None else [[label, now - since] for label, since in run.running()]
        return {
            "queue": 0 if run is None else run.waiting(),
            "running": sorted(running, key=lambda one: -float(one[1])),
            "instances": 0 if run is None else run.instances(),
        }

    def row(self) -> dict[str, Any]:
        """Give what is to be told of it."""
        return {
            "state": self.state,
            "reason": self.reason,
            "since": self.since,
            "class": class_name(self.spec.target),
            "instancemode": self.spec.instancemode,
            "description": self.spec.description,
            "tags": list(self.spec.tags),
            **self.load(),
        }

    def _new_run(self) -> Run:
        spec, shared = self.spec, self._shared
        recipe = Recipe(spec.name, spec.target, spec.parameters)
        alone = shared is None

        def executor(most: int = 1) -> Executor:
            return Executor(f"service-{spec.name}", most) if shared is None else shared

        if spec.instancemode == "session":
            return SessionRun(recipe, executor, shared=not alone, is_connected=self._is_connected)
        if spec.instancemode == "percall":
            return PerCallRun(recipe, executor(MOST_PERCALL), shared=not alone)
        return SingleRun(recipe, executor(), shared=not alone)

    def _begun(self, run: Run, error: BaseException | None, kind: Any) -> None:
        if kind is not None:
            self.kind = kind if isinstance(kind, type) else type(kind)
        if error is None:
            self._settle(run, RUNNING, "")
        else:
            self._settle(run, FAILED, reason(error), error)

    def _settle(self, run: Run, state: str, why: str, error: BaseException | None = None) -> None:
        with self._change:
            if self._run is not run or self.state not in (STARTING, FAILED):
                return  # it was stopped or started again meanwhile
            self._set(state, why)
        self._on_change(self)
        if state == FAILED:  # last: the text of a user's exception may raise whatever it likes
            log.error("service %r has failed: %s", self.name, why, exc_info=error if _is_users(error) else None)

    def _lateness(self, run: Run, timeout: float) -> str:
        if self._shared is not None and not run.running():
            return f"the thread that it shares with others has not come to it within {timeout:.1f} s; use servertype 'thread'"
        return f"importing or constructing {class_name(self.spec.target)} has not come to an end within {timeout:.1f} s"

    def _set(self, state: str, why: str = "") -> None:
        self.state, self.reason, self.since = state, why, time.time()
        self._change.notify_all()


def _is_users(error: BaseException | None) -> bool:
    return error is not None and not type(error).__module__.startswith("agentlab.")


def start_error(service: HostedService) -> AgentStartError:
    """Give the error that says why a service does not run."""
    return AgentStartError(f"service {service.name!r} is {service.state}: {service.reason}")
