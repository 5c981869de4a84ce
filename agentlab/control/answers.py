"""What a handler of calls gives: the answer, or the promise of one."""

from __future__ import annotations

import queue
from collections.abc import Callable

from agentlab.control.auth import Peer

Deliver = Callable[[bytes], None]
"""Takes the answer of a call, once, in any thread. :func:`still_wanted` tells whether anybody waits for it."""


class Later:
    """What a handler gives instead of an answer that comes later, from another thread: no worker waits for it.

    Args:
        start: Called once, with a function that is to be called once with the answer, from any thread. It must not raise.
        visits: Whether the connection may then be served by whoever has adopted connections, instead of by workers.
    """

    def __init__(self, start: Callable[[Deliver], object], *, visits: bool = True) -> None:
        self.start = start
        self.visits = visits

    def wait(self) -> bytes:
        """Start, and wait for the answer in this thread."""
        answers: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.start(answers.put)
        return answers.get()


Handler = Callable[[bytes, Peer], bytes | Later]
"""Takes a call's payload and who sent it; runs in a worker thread."""


def still_wanted(deliver: Deliver) -> bool:
    """Tell whether the caller still waits for an answer that comes later: false when its connection has gone.

    A call that is not answered at all (oneway) is always wanted. Any thread; it does not block.
    """
    wanted: Callable[[], bool] | None = getattr(deliver, "wanted", None)
    return wanted is None or wanted()
