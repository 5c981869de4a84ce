"""An instance for each call of a service."""

from __future__ import annotations

import threading
from collections.abc import Callable

from agentlab.errors import AgentStoppedError
from agentlab.services.executor import Executor, Job
from agentlab.services.place import Call, Done, Recipe, import_class

MOST_PERCALL = 32
"""Calls that run side by side; more wait."""


class PerCallRun:
    """A new instance for each call; calls run side by side.

    Args:
        recipe: How instances are made.
        executor: The threads.
        shared: Whether other services use them too.
    """

    def __init__(self, recipe: Recipe, executor: Executor, *, shared: bool) -> None:
        self._recipe, self._executor, self._shared = recipe, executor, shared
        self._ended = threading.Event()

    def begin(self, done: Done, after: Callable[[], object] | None = None) -> None:
        """Import the class; no instance is made."""
        import_class(self._recipe, self._executor, self, done, after, shared=True)

    def submit(self, call: Call, token: str, connection: int) -> None:  # noqa: ARG002 - see Run
        """Have a call run by an instance of its own."""

        def run() -> None:
            try:
                instance = self._recipe.make()
            except BaseException as error:  # noqa: BLE001 - the user's constructor: it belongs to the caller
                call.refuse(error)
                return
            call.run(instance, close=True)  # closed before the answer: the caller's next call may need the same device

        self._executor.post(Job(call.label, self, run, call.refuse))

    def attach(self, token: str, connection: int) -> None:
        """Nothing: instances belong to calls."""

    def disconnected(self, connection: int) -> None:
        """Nothing: instances belong to calls."""

    def end(self) -> None:
        """Refuse the calls that have not begun."""
        self._executor.withdraw(self, AgentStoppedError(f"service {self._recipe.name!r} is stopping; call again when it is back"))
        self._executor.post(Job("stopping", self, self._ended.set, lambda _: self._ended.set()), last=not self._shared)

    def join(self, timeout: float) -> bool:
        """Wait for the calls that run."""
        return self._ended.wait(max(timeout, 0.0)) if self._shared else self._executor.join(timeout)

    def waiting(self) -> int:
        """Count the calls that have not begun."""
        return self._executor.waiting(self)

    def running(self) -> list[tuple[str, float]]:
        """Give what runs, and since when."""
        return self._executor.running(self)

    def instances(self) -> int:
        """Count the instances, of which each call that runs has one."""
        return len(self.running())
