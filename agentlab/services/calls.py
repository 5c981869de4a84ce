"""Calls on their way through a service: they wait for their turn, run in an instance's thread, and are answered."""

from __future__ import annotations

import os
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Any, Protocol

from agentlab.control.answers import Deliver, still_wanted
from agentlab.errors import AgentStoppedError
from agentlab.services.instance import ASSIGN, ATTRIBUTE, GET, SET, Instance


class Entrance(Protocol):
    """What a call needs of the door that it came through."""

    def working(self, path: tuple[str, ...]) -> AbstractContextManager[None]:
        """Note that the current thread runs a call."""
        ...

    def result(self, method: str, value: Any) -> bytes:
        """Give the answer of a call that has ended well."""
        ...

    def failure(self, error: BaseException) -> bytes:
        """Give the answer of a call that has not."""
        ...

    def count(self, error: BaseException | None, what: str) -> None:
        """Note that a call was run."""

    def drop(self) -> None:
        """Note that a call was not run."""


class PlainCall:
    """One call of a stock Pyro5 client, whose worker waits for it."""

    def __init__(self, door: Entrance, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._door, self._method, self._args, self._kwargs = door, method, args, kwargs
        self.answer: Future[Any] = Future()
        self.label = _label(method, args, kwargs)

    def run(self, instance: Instance, *, close: bool = False) -> None:
        """Run it, close the instance where that is said, and answer; in the instance's thread."""
        problem: BaseException | None = None
        result = None
        try:
            with self._door.working(()):
                result = instance.ask(self._method, self._args, self._kwargs)
        except BaseException as error:  # noqa: BLE001 - the user's code: it belongs to the caller
            problem = error
        self._door.count(problem, self.label)
        if close:
            instance.close()
        if problem is None:
            self.answer.set_result(result)
        else:
            self.answer.set_exception(problem)

    def refuse(self, error: BaseException) -> None:
        """Answer with an error instead; in any thread."""
        self.answer.set_exception(error)


class ServiceCall:
    """One call that waits for its turn, and its answer."""

    __slots__ = ("_args", "_deliver", "_door", "_kwargs", "_method", "_path", "label")

    def __init__(
        self,
        door: Entrance,
        method: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        path: tuple[str, ...],
        deliver: Deliver,
    ) -> None:
        self._door, self._method, self._args, self._kwargs, self._path, self._deliver = door, method, args, kwargs, path, deliver
        self.label = _label(method, args, kwargs)

    def run(self, instance: Instance, *, close: bool = False) -> None:
        """Run it, close the instance where that is said, and answer; in the instance's thread."""
        process = os.getpid()
        answer = self._answer(instance)
        if os.getpid() != process:  # the method has forked, and this is the child: the answer is the parent's alone
            os._exit(0)
        if close:
            instance.close()
        self._deliver(answer)

    def _answer(self, instance: Instance) -> bytes:
        door = self._door
        if not still_wanted(self._deliver):
            door.drop()
            return door.failure(AgentStoppedError("nobody waits for this call any more, so it was not run"))
        problem: BaseException | None = None
        try:
            with door.working(self._path):
                answer = door.result(self._method, instance.ask(self._method, self._args, self._kwargs))
        except BaseException as error:  # noqa: BLE001 - the user's code, sys.exit in it included: it belongs to the caller
            problem = error
            answer = door.failure(error)
        door.count(problem, self.label)
        return answer

    def refuse(self, error: BaseException) -> None:
        """Answer with an error instead; in any thread."""
        self._deliver(self._door.failure(error))


def _label(method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    if method in (ATTRIBUTE, GET) and args:
        return f"reading {_shown(args[0])}"
    if method in (ASSIGN, SET):
        return f"setting {', '.join(map(_shown, list(kwargs)[:10]))}"
    return f"{_shown(method)}()"


def _shown(name: object) -> str:
    """Give a name that anybody may have sent so that it can stand in a line of a log or on a terminal."""
    text = name[:100] if isinstance(name, str) else type(name).__name__
    return text if text.isprintable() else ascii(text)
