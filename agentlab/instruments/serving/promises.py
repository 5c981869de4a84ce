"""Promises of answers that are made from other promises, or from a thread of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agentlab.agent.beside import Done, Pending
from agentlab.errors import ExpiredError
from agentlab.runtime import futures


class Then(Pending):
    """A promise whose result is made into something else."""

    def __init__(self, pending: Any, change: Callable[[Any], Any]) -> None:
        self._pending = pending
        self._change = change

    def start(self, done: Done, wanted: Callable[[], bool]) -> None:
        """Begin."""

        def changed(result: Any, error: BaseException | None) -> None:
            try:
                found = None if error is not None else self._change(result)
            except BaseException as caught:  # noqa: BLE001 - a door: whoever asked must not wait for ever
                found, error = None, caught
            done(found, error)

        self._pending.start(changed, wanted)


class After(Pending):
    """A promise that is kept by another one, or by a result, which can be had only after a first one was kept.

    Args:
        first: What is waited for; its error is the caller's.
        then: Gives the other one, or the result. It must not block.
    """

    def __init__(self, first: Any, then: Callable[[], Any]) -> None:
        self._first = first
        self._then = then

    def start(self, done: Done, wanted: Callable[[], bool]) -> None:
        """Begin."""

        def go_on(_: Any, error: BaseException | None) -> None:
            if error is not None:
                done(None, error)
                return
            try:
                found = self._then()
            except Exception as caught:  # noqa: BLE001 - a door: it goes to the caller
                done(None, caught)
                return
            if isinstance(found, Pending):
                found.start(done, wanted)
            else:
                done(found, None)

        self._first.start(go_on, wanted)


class IfWanted(Pending):
    """A promise that is made when its answer is to be waited for, and only if the caller is still there.

    Args:
        make: Gives the promise. It must not block.
        gone: What those are told who have gone: nobody, but every promise is answered.
    """

    def __init__(self, make: Callable[[], Pending], gone: str) -> None:
        self._make = make
        self._gone = gone

    def start(self, done: Done, wanted: Callable[[], bool]) -> None:
        """Begin."""
        if not wanted():
            done(None, ExpiredError(self._gone))
            return
        try:
            found = self._make()
        except Exception as error:  # noqa: BLE001 - a door: it goes to the caller
            done(None, error)
            return
        found.start(done, wanted)


class Elsewhere(Pending):
    """A promise that a thread of ours fulfils: of what may take long and asks no device."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work

    def start(self, done: Done, wanted: Callable[[], bool]) -> None:  # noqa: ARG002 - it is short
        """Begin."""

        def run() -> None:
            try:
                result = self._work()
            except BaseException as error:  # noqa: BLE001 - a door: it goes to the caller
                done(None, error)
            else:
                done(result, None)

        futures.submit("", "", False, run)
