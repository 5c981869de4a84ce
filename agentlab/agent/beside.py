"""Calls that an agent answers beside its loop: an instrument's go to the thread of its driver, and the loop stays free."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Final

Done = Callable[[Any, BaseException | None], object]
"""Called once with a call's result, or with what it raised; in any thread."""


class Pending(ABC):
    """The promise of an answer that comes later, from another thread."""

    @abstractmethod
    def start(self, done: Done, wanted: Callable[[], bool]) -> object:
        """Begin.

        Args:
            done: To be called once, in any thread.
            wanted: Tells whether the caller still waits for the answer; any thread.
        """


class _NotMine:
    """What a call gets that is not answered beside the loop."""

    def __repr__(self) -> str:
        return "NOT_MINE"


NOT_MINE: Final = _NotMine()

Beside = Callable[[str, tuple[Any, ...], dict[str, Any], Mapping[str, Any] | None], Any]
"""Takes method, arguments, named arguments and the caller's note of a call; gives the result, a :class:`Pending`, or NOT_MINE.

It is asked for every call, in a control thread or in the loop's, and must not block. What it raises goes to the caller and
is no error of the agent."""


def wait_for(pending: Pending) -> Any:
    """Begin, wait for the answer in this thread, and give it or raise it."""
    answer: list[tuple[Any, BaseException | None]] = []
    came = threading.Event()

    def done(result: Any, error: BaseException | None) -> None:
        answer.append((result, error))
        came.set()

    pending.start(done, lambda: True)
    came.wait()
    result, error = answer[0]
    if error is not None:
        raise error
    return result
