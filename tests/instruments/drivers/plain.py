"""A driver that needs nothing, for tests of what else a process has loaded."""

from __future__ import annotations

from pathlib import Path


class Marked:
    """Something that can be on, and writes a file when it is made safe."""

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self._on = True

    @property
    def on(self) -> bool:
        """Whether it is on."""
        return self._on

    def safe(self) -> None:
        """Switch off."""
        self._on = False
        if self._mark:
            Path(self._mark).write_text("off")
