"""Reading parameters by itself, at their times, and telling the world what they are."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from agentlab.errors import DeviceTimeoutError, OfflineError
from agentlab.instruments.engine.board import Board
from agentlab.instruments.engine.hand import Hand, told
from agentlab.instruments.engine.polling import PollPlan, patience
from agentlab.instruments.engine.queue import Job
from agentlab.instruments.model.reading import Reading, quality_of


class Poller:
    """Puts polls into the queue and publishes what they give. In the driver's thread.

    Args:
        board: What is shared.
        publish: Is given each reading; it numbers them.
        log: Where the first of a row of failures is told.
    """

    def __init__(self, board: Board, publish: Callable[[Reading], object], log: logging.Logger) -> None:
        self._board, self._publish, self._log = board, publish, log
        self._plan = PollPlan({}, 0.0)
        self._failing: set[str] = set()
        self._silent: dict[str, int] = {}

    def begin(self) -> None:
        """Begin anew: all are due now, except those to which the device keeps silent."""
        now = self._board.clock()
        self._plan = PollPlan(self._board.polls, now)
        for name, times in self._silent.items():
            if times > 1 and name in self._plan.periods:
                self._plan.put_off(name, now + patience(self._plan.periods[name], times))

    def keeps_silent(self, name: str) -> bool:
        """Tell whether the device has not answered to a poll more than once in a row, which costs all others their time."""
        return self._silent.get(name, 0) > 1

    def next_time(self) -> float | None:
        """Give when the next poll is due; None: nothing is polled."""
        return self._plan.next_time()

    def put_due(self, now: float) -> None:
        """Put what is due into the queue, with the board's lock held."""
        for name in self._plan.due(now):
            self._board.queue.put_poll(Job(f"poll {name}", self._reader(name), put_at=now, poll=True, target=name))

    def went_away(self) -> None:
        """Tell that every reading is stale, for the device is gone."""
        board = self._board
        if board.states.link == "offline":
            self._silent.clear()  # who was gone may answer to everything when it is back
            board.book.doubt(board.table.parameters)  # and may have forgotten what it was told
        for reading in board.book.to_tell(board.polls, board.clock(), online=False):
            self._publish(reading)

    def _reader(self, name: str) -> Callable[[Hand], None]:
        board = self._board
        parameter = board.table.parameter(name)

        def read(hand: Hand) -> None:
            try:
                value = hand.read(parameter)
            except OfflineError:
                raise  # all readings are told to be stale then
            except Exception as error:
                if isinstance(error, DeviceTimeoutError):
                    self._silent[name] = times = self._silent.get(name, 0) + 1
                    self._plan.put_off(name, board.clock() + patience(self._plan.periods[name], times))
                self._failed(name, parameter.unit, error)
                raise
            self._failing.discard(name)
            self._silent.pop(name, None)
            reading = Reading(value, parameter.unit, time.time(), quality_of(value), name)
            self._publish(reading)

        return read

    def _failed(self, name: str, unit: str, error: Exception) -> None:
        self._publish(Reading(None, unit, time.time(), "bad", name))
        if name not in self._failing:
            self._failing.add(name)
            self._log.warning("%s.%s cannot be read: %s", self._board.spec.name, name, told(error))
