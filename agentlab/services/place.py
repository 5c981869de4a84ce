"""Where calls go: to an instance in its thread. One for the service, one for each client, or a new one for each call."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from agentlab.agent.faults import brief_error
from agentlab.errors import AgentStoppedError
from agentlab.services.executor import Executor, Job
from agentlab.services.instance import Instance, load
from agentlab.services.model import Packed


@dataclass(frozen=True)
class Recipe:
    """How an instance is made.

    Args:
        name: The service's name.
        target: The class, ``module:Class``, a :class:`~agentlab.services.model.Packed`, or an object that is there already.
        parameters: Keyword arguments of the constructor or of ``connect()``.
    """

    name: str
    target: Any
    parameters: dict[str, Any]

    def load(self) -> tuple[Any, dict[str, Any]]:
        """Give the class, imported here if need be, and the parameters. Raises what importing it raises."""
        target, parameters = self.target.unpacked() if isinstance(self.target, Packed) else (self.target, self.parameters)
        return load(target), parameters

    def make(self) -> Instance:
        """Give a new instance; it belongs to the calling thread. Raises what importing or constructing raises."""
        return Instance(self.name, *self.load())


class Call(Protocol):
    """A client's call on its way."""

    label: str

    def run(self, instance: Instance, *, close: bool = False) -> None:
        """Run it, close the instance where that is said, and answer; never raises."""

    def refuse(self, error: BaseException) -> None:
        """Answer with an error instead."""


Done = Callable[[BaseException | None, Any], None]
"""Told once, in the executor's thread, that what was begun works and of which class it is, or why not."""


class Place:
    """An instance in the one thread that it has to itself, or shares with others. Any thread may use its methods.

    Args:
        recipe: How the instance is made.
        executor: The thread.
        shared: Whether others use it too, so that it is not closed here.
    """

    def __init__(self, recipe: Recipe, executor: Executor, *, shared: bool) -> None:
        self._recipe, self._executor, self._shared = recipe, executor, shared
        self.instance: Instance | None = None
        self.problem: BaseException | None = None
        self._ended = threading.Event()

    def begin(self, done: Done, after: Callable[[], object] | None = None) -> None:
        """Make the instance.

        Args:
            done: Told how it went.
            after: Called before, in that thread; may block.
        """

        def make() -> None:
            try:
                if after is not None:
                    after()
                self.instance = self._recipe.make()
            except BaseException as error:  # noqa: BLE001 - the user's constructor, sys.exit in it included
                self.problem = error
                done(error, None)
            else:
                done(None, type(self.instance.object))

        self._executor.post(Job("starting", self, make, lambda error: done(error, None)))

    def submit(self, call: Call) -> None:
        """Have a call run after those that came before it."""

        def run() -> None:
            if self.instance is not None:
                call.run(self.instance)
            else:
                call.refuse(self.problem or AgentStoppedError(f"service {self._recipe.name!r} has stopped; start it again"))

        self._executor.post(Job(call.label, self, run, call.refuse))

    def end(self, *, refuse: bool = True) -> None:
        """Have the instance closed after the call that runs; returns at once.

        Args:
            refuse: Whether calls that have not begun are refused; otherwise they run before.
        """

        def close() -> None:
            instance, self.instance = self.instance, None
            try:
                if instance is not None:
                    instance.close()
            finally:
                self._ended.set()

        job = Job("stopping", self, close, lambda _: self._ended.set())
        text = f"service {self._recipe.name!r} is stopping, and this call had not begun; call again when it is back"
        if refuse:
            self._executor.withdraw(self, AgentStoppedError(text))
        self._executor.post(job, last=not self._shared)

    def join(self, timeout: float) -> bool:
        """Wait until the instance is closed, after :meth:`end`; tell whether it is."""
        return self._ended.wait(max(timeout, 0.0))

    def waiting(self) -> int:
        """Count the calls that have not begun."""
        return self._executor.waiting(self)

    def running(self) -> list[tuple[str, float]]:
        """Give what runs, and since when by ``time.monotonic``."""
        return self._executor.running(self)


class Run(Protocol):
    """One run of a service, from its start to its end, in one of the three modes. Any thread."""

    def begin(self, done: Done, after: Callable[[], object] | None = None) -> None:
        """Start it; see :meth:`Place.begin`."""

    def submit(self, call: Call, token: str, connection: int) -> None:
        """Have a call run; `token` says which client it is from, `connection` on which connection it came."""

    def attach(self, token: str, connection: int) -> None:
        """Note that a client has one more connection."""

    def disconnected(self, connection: int) -> None:
        """Note that a connection has ended."""

    def end(self) -> None:
        """Let it end after the calls that run; returns at once."""

    def join(self, timeout: float) -> bool:
        """Wait for that; tell whether it has ended."""
        ...

    def waiting(self) -> int:
        """Count the calls that have not begun."""
        ...

    def running(self) -> list[tuple[str, float]]:
        """Give what runs, and since when."""
        ...

    def instances(self) -> int:
        """Count the instances that there are."""
        ...


class SingleRun(Place):
    """One instance for all clients, one call at a time."""

    def submit(self, call: Call, token: str = "", connection: int = 0) -> None:  # noqa: ARG002 - see Run
        """Have a call run after those that came before it."""
        super().submit(call)

    def attach(self, token: str, connection: int) -> None:
        """Nothing: all clients have the same instance."""

    def disconnected(self, connection: int) -> None:
        """Nothing: the instance stays."""

    def instances(self) -> int:
        """Give 1, or 0 when there is none."""
        return int(self.instance is not None)


def import_class(
    recipe: Recipe, executor: Executor, owner: object, done: Done, after: Callable[[], object] | None, *, shared: bool
) -> None:
    """Have a class imported in an executor's thread, without making an instance; an executor that is not shared ends then."""

    def run() -> None:
        try:
            if after is not None:
                after()
            found, _ = recipe.load()
        except BaseException as error:  # noqa: BLE001 - the user's module may raise anything
            done(error, None)
        else:
            done(None, found)

    executor.post(Job("starting", owner, run, lambda error: done(error, None)), last=not shared)


def reason(error: BaseException) -> str:
    """Give one line that says why a service has failed."""
    return brief_error(error).removeprefix("agentlab.errors.")
