"""The safe state as work of the driver's thread: when it is due, what becomes of it, and the last one before the end."""

from __future__ import annotations

import logging
import time
from typing import Any

from agentlab.errors import DeviceTimeoutError, InstrumentError
from agentlab.instruments.engine.board import Board, SafeOrder
from agentlab.instruments.engine.hand import Hand, is_out_of_step, told
from agentlab.instruments.engine.queue import Job
from agentlab.instruments.engine.steps import Steps, has_safe_state, safe_state

ATTEMPTS = 3
"""How often a safe state is tried that fails because replies go astray."""

PATIENCE, PATIENCES = 10.0, 4
"""Seconds that a device has to answer after its safe state, and how often they are doubled when it did not.

It may be away, so that all is done again when it is back; or its safe state, such as a reset, takes it longer than that, and
without more time it would be reset for ever.
"""

CLOSING = 1.0
"""The same before it is closed: who ends an agent does not wait for long."""

LOGGED = 0.1
"""Seconds to wait for the line that tells of the order, as whoever gave it writes that only when it is given."""


class SafeWork:
    """Carries out the board's order to be safe. In the driver's thread.

    Args:
        board: What is shared.
        log: Where it is told.

    Attributes:
        job: The safe state that is under way; None: none is.
    """

    def __init__(self, board: Board, log: logging.Logger) -> None:
        self._board, self._log = board, log
        self.job: Job | None = None
        self._unheard = 0

    def due(self, now: float) -> Job | None:
        """Give the job that makes it safe, if that is ordered; with the board's lock held."""
        board = self._board
        if board.order is not None and self.job is None:
            self.job = Job("safe()", self._work, put_at=now, long=True, safe=True)
        return self.job

    def _work(self, hand: Hand) -> Steps:
        board = self._board
        try:
            failed = yield from safe_state(hand, board.spec, board.table, board.book, PATIENCE * 2**self._unheard)
        except DeviceTimeoutError:
            self._unheard = min(self._unheard + 1, PATIENCES)
            raise
        self._unheard = 0
        return failed

    def order_again(self) -> None:
        """Order it for a device that comes back while the latch is set: nobody knows what it did meanwhile."""
        board = self._board
        with board.lock:
            info = board.latch.info()
            if info is not None and board.order is None:
                board.order = SafeOrder(info["reason"], info["by"])
                board.order.logged.set()

    def doubted(self, doubt: BaseException) -> None:
        """Note that replies went astray in it; with the board's lock held."""
        if self._board.order is not None and is_out_of_step(doubt):
            self._board.order.doubted = True

    def over(self, failed: list[str] | None, error: BaseException | None) -> None:
        """Note how it ended: it is safe, or is not, or is tried again."""
        board, self.job = self._board, None
        if error is not None:
            failed = [told(error)]
        with board.lock:
            order = board.order
            if order is None or board.states.link == "offline":
                return  # it stands until the device is back
            order.attempts += 1
            again, order.doubted = order.doubted, False
            if failed and again and order.attempts < ATTEMPTS:
                return
            board.order = None
            board.unsafe = failed or []
            answers = _taken(order)
        order.logged.wait(LOGGED)
        if failed:
            text = f"{board.spec.name} could not be made safe: {'; '.join(failed)}"
            self._log.error("%s", text)
        else:
            self._log.warning("%s is in its safe state: %s", board.spec.name, order.reason)
        for answer in answers:
            answer.fail(InstrumentError(text)) if failed else answer.give(None)

    def gone(self, error: BaseException) -> None:
        """Tell those who wait for it that the device is not there. The order stands until it is back."""
        self.job = None
        with self._board.lock:
            order = self._board.order
            answers = _taken(order)
        for answer in answers:
            answer.fail(error)

    def last(self, hand: Hand) -> None:
        """Make it safe before the driver is closed, waiting for it here."""
        board = self._board
        if not has_safe_state(board.spec, board.table):
            return
        failed: list[str] = []
        work = safe_state(hand, board.spec, board.table, board.book, CLOSING)
        try:
            while True:
                delay, _ = next(work)
                time.sleep(delay)
                if hand.settled() is not None:
                    hand.driver.recover()
        except StopIteration as stop:
            failed = stop.value
        except BaseException as error:  # noqa: BLE001 - a door: the driver is closed all the same
            failed = [told(error)]
        if failed:
            self._log.error("%s could not be made safe when it was closed: %s", board.spec.name, "; ".join(failed))


def _taken(order: SafeOrder | None) -> list[Any]:
    """Give those who wait for an order, each once; with the board's lock held, as others join them."""
    if order is None:
        return []
    answers, order.answers = order.answers, []
    return answers
