"""Errors of a device that did not answer, held back for a moment: mostly it is known by then whether it is there at all."""

from __future__ import annotations

from collections.abc import Callable

from agentlab.errors import OfflineError
from agentlab.instruments.engine.board import Board
from agentlab.instruments.engine.queue import Job

SILENCE_HELD = 0.25
"""Seconds for which such an error is held back, at most."""
Late = Callable[[float, Callable[[], object]], None]
"""Calls something at a time of the board's clock, in another thread."""


class Silences:
    """Answers those who heard nothing from the device. In the driver's thread.

    Args:
        board: What is shared.
        late: Calls something later, while the driver's thread may be in a call.
    """

    def __init__(self, board: Board, late: Late) -> None:
        self._board, self._late = board, late
        self._held: list[tuple[Job, BaseException]] = []

    def hold(self, job: Job, error: BaseException) -> None:
        """Keep an error: a pulled cable looks like a silent device to those who do not see the end of a connection."""
        self._held.append((job, error))
        self._late(self._board.clock() + SILENCE_HELD, lambda: job.answer.fail(error))

    def tell(self, why: BaseException | None) -> None:
        """Answer all, now that it is known whether the device is there; `why`: what the last attempt to reach it failed with."""
        held, self._held = self._held, []
        for job, error in held:
            if self._board.states.link != "offline" or not isinstance(why, OfflineError):
                job.answer.fail(error)  # it is there, or at least silent as before
                continue
            gone = OfflineError(f"{self._board.spec.name} did not answer and is offline: {self._board.states.reason}")
            gone.__cause__ = error
            job.answer.fail(gone)
