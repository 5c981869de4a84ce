"""What a daemon has seen, in numbers."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping


class Counters(Mapping[str, int]):
    """Numbers by name; any thread. Reading gives the value of that moment.

    Args:
        names: What is counted.
    """

    def __init__(self, *names: str) -> None:
        self._values = dict.fromkeys(names, 0)
        self._lock = threading.Lock()

    def add(self, name: str) -> None:
        """Count one more."""
        with self._lock:
            self._values[name] += 1

    def __getitem__(self, name: str) -> int:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Counters({self._values!r})"
