"""When what is due, for the I/O thread. Pure: the time is handed in."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator

Task = Callable[[], object]


class Timers:
    """Functions that are called once or every so many seconds. Not for several threads at once."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, float, Task]] = []  # due, order, period, task
        self._order = itertools.count()

    def every(self, period: float, task: Task, now: float) -> None:
        """Have a task come first after ``period`` seconds, then from start to start; late ones are skipped, not bunched."""
        heapq.heappush(self._heap, (now + period, next(self._order), period, task))

    def once(self, due: float, task: Task) -> None:
        """Have a task come at a time."""
        heapq.heappush(self._heap, (due, next(self._order), 0.0, task))

    def next(self) -> float | None:
        """Give the time at which something is due, or None."""
        return self._heap[0][0] if self._heap else None

    def due(self, now: float) -> Iterator[Task]:
        """Give the tasks that are due, each once."""
        while self._heap and self._heap[0][0] <= now:
            due, _, period, task = heapq.heappop(self._heap)
            if period:
                heapq.heappush(self._heap, (due + period * ((now - due) // period + 1), next(self._order), period, task))
            yield task
