"""A device with twenty parameters, none of which takes any time to read."""

from __future__ import annotations

LONG = "x" * 4000
"""What is read is long, so that the queues of a subscriber that stands still are full after a second, not after a minute."""


class Crowd:
    """Twenty parameters, v00 to v19."""

    def __init__(self, count: int = 20) -> None:
        for number in range(count):
            setattr(self, f"v{number:02}", LONG)
