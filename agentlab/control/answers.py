"""What a handler of calls gives: the answer, or the promise of one."""

from __future__ import annotations

import queue
from collections.abc import Callable

from agentlab.control.auth import Peer


class Later:
    """What a handler gives instead of an answer that comes later, from another thread: no worker waits for it.

    Args:
        start: Called once, with a function that is to be called once with the answer, from any thread.
    """

    def __init__(self, start: Callable[[Callable[[bytes], None]], object]) -> None:
        self.start = start

    def wait(self) -> bytes:
        """Start, and wait for the answer in this thread."""
        answers: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.start(answers.put)
        return answers.get()


Handler = Callable[[bytes, Peer], bytes | Later]
"""Takes a call's payload and who sent it; runs in a worker thread."""
