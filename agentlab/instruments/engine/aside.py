"""Short questions to a driver from beside its thread: cancel, progress. They are foreign code, which may never come back."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

_log = logging.getLogger(__name__)


class Aside:
    """One kind of question, asked in a thread of its own and one at a time. Any thread may ask; nobody waits for long.

    A driver that has a lock around each of its methods makes such a question wait for the very call that it is about.

    Args:
        name: The threads' name.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._turn = threading.Lock()

    def ask(self, function: Callable[[], Any], patience: float) -> Any:
        """Call `function`, and give its result if it comes in time, else None.

        While an earlier question has not come back, nothing is called.

        Args:
            function: What is called.
            patience: Seconds to wait for it; it goes on after them.
        """
        if not self._turn.acquire(blocking=False):
            return None
        found: list[Any] = []

        def run() -> None:
            try:
                found.append(function())
            except BaseException as error:  # noqa: BLE001 - a door: foreign code
                _log.debug("%s failed: %s", self._name, error)
            finally:
                self._turn.release()

        thread = threading.Thread(target=run, name=self._name, daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no more threads
            self._turn.release()
            return None
        thread.join(patience)
        return found[0] if found else None

    def settle(self, patience: float) -> None:
        """Wait until no question is under way, for so many seconds at most."""
        if self._turn.acquire(timeout=patience):
            self._turn.release()
