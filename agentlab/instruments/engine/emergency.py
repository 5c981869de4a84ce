"""Bringing an instrument into its safe state at once, also while its driver is in the middle of a long call."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from agentlab.instruments.drivers.driver import Driver
from agentlab.instruments.engine.answers import Answer
from agentlab.instruments.engine.board import BRIEF, Board, SafeOrder
from agentlab.instruments.engine.hand import told
from agentlab.instruments.engine.queue import Job
from agentlab.instruments.engine.steps import has_safe_state

LONGEST_REMINDER = 5.0
"""Seconds between two questions to a call that does not end although it was asked to, at most."""


class Emergency:
    """Orders the safe state of one instrument. Any thread; nothing here waits for the device.

    First the latch, if it is to hold: from then on no write begins. Then the call that runs is asked to end, and aborted by
    the driver's own means, in a thread of its own. The safe state is the next thing that the driver's thread does.

    Args:
        board: What is shared.
        tell: Is called when the state has changed.
        log: Where orders are told.
    """

    def __init__(self, board: Board, tell: Callable[[], None], log: logging.Logger) -> None:
        self._board, self._tell, self._log = board, tell, log
        self._aborting: set[Job] = set()
        self._reminded: Job | None = None
        self._remind_at = 0.0

    def order(self, reason: str, by: str, *, latch: bool, answer: Answer | None = None) -> dict[str, Any]:
        """Order the safe state.

        Args:
            reason: Why, for people.
            by: Who.
            latch: Whether writes are refused from now on, until a reset.
            answer: To be answered when the safe state has been tried.

        Returns:
            ``latched``; ``aborted``: whether the driver was asked to abort a call; ``pending``: why the safe state is not
            reached yet, or None; ``state``; ``reason``.
        """
        board, now = self._board, self._board.clock()
        with board.lock:
            if latch:
                board.latch.set(reason, by, board.wall(now))
            refused = board.queue.withdraw(lambda job: job.writes) if latch else []
            for task in board.tasks:
                if task.target and not task.cancelled:  # an interlock's ramp, too: from the safe state it would go on with a jump
                    task.cancel(f"made safe: {reason}", now)  # the latch alone may be reset before the ramp has its turn
                    task.next_time = now  # a ramp that waits for its next step ends at once
            running = self._to_abort()
            known = board.states.opened or bool(board.table.kind)
            wanted = not known or has_safe_state(board.spec, board.table)
            if wanted:
                board.order = order = board.order or SafeOrder(reason, by)
                order.answers = [one for one in order.answers if not one.over]  # an order may stand for days
                if answer is not None:
                    order.answers.append(answer)
            error = board.latch.refusal()
            aborted = board.table.has_abort and (running is not None or board.current in self._aborting)
            told_now = {
                "latched": bool(board.latch),
                "aborted": aborted,
                "pending": board.pending(now),
                "state": board.shown(now),
                "reason": reason,
            }
            board.lock.notify_all()
        for job in refused:
            assert error is not None
            job.answer.fail(error)
        if not wanted and answer is not None:
            answer.give(None)
        if running is not None and board.driver is not None:
            self._abort_soon(running, board.driver)
        board.keep_latch(self._log)
        self._log.warning(
            "%s is to be safe%s, by %s: %s", board.spec.name, " and latched" if latch else "", by or "itself", reason
        )
        if wanted:
            order.logged.set()
        self._tell()
        return told_now

    def stop_call(self, job: Job, why: str) -> None:
        """Ask a call that runs to end, without anything else."""
        with self._board.lock:
            if self._board.current is not job or self._board.driver is None:
                return
            job.cancel(why, self._board.clock())
            driver = self._board.driver
        self._cancel(job, driver, BRIEF)

    def remind(self) -> float | None:
        """Ask again a call that was asked to end and has not; give when to do it next, ever more rarely, or None.

        A driver clears the mark when it begins an action, so that one that was set in that moment would be lost.
        """
        board = self._board
        with board.lock:
            job = board.current
            driver = board.driver
            if job is None or not job.cancelled or job.safe or driver is None:
                return None
        now = board.clock()
        if job is not self._reminded or now >= self._remind_at:  # the watch may look for other reasons, and more often
            self._cancel(job, driver, 0.0)
            self._reminded, self._remind_at = job, now + min(LONGEST_REMINDER, max(BRIEF, (now - job.cancelled_at) / 4))
        return self._remind_at

    def abort_current(self) -> None:
        """End the call that runs by the driver's own means, for a shutdown."""
        with self._board.lock:
            running, driver = self._to_abort(), self._board.driver
        if running is not None and driver is not None:
            self._abort_soon(running, driver)

    def _to_abort(self) -> Job | None:
        job = self._board.current
        if job is None or job.safe or job in self._aborting:
            return None
        if job.action or job.writes or job.forced:  # a rule's ramp may be in its first step, which is no task yet
            job.cancel("the instrument is made safe", self._board.clock())
        return job

    def _abort_soon(self, job: Job, driver: Driver) -> None:
        name = f"{self._board.spec.name}-abort"
        with self._board.lock:
            self._aborting.add(job)
        try:
            threading.Thread(target=self._abort, args=(job, driver), name=name, daemon=True).start()
        except RuntimeError:  # no more threads; the rest of the stop must not fail by it
            self._log.exception("%s could not abort %s", self._board.spec.name, job.what)
            with self._board.lock:
                self._aborting.discard(job)

    def _abort(self, job: Job, driver: Driver) -> None:
        board = self._board
        try:
            with board.lock:
                # Most calls end by themselves before this; an abort would only leave them a broken session.
                board.lock.wait_for(lambda: board.current is not job, max(0.0, job.started + BRIEF - board.clock()))
                if board.current is not job:
                    return
            self._cancel(job, driver, BRIEF)
            if not driver.abort():
                self._log.warning("%s cannot abort %s; it is made safe when that ends", board.spec.name, job.what)
        except BaseException as error:  # noqa: BLE001 - a door: foreign code
            self._log.exception("%s could not abort %s: %s", board.spec.name, job.what, told(error))
        finally:
            with board.lock:
                self._aborting.discard(job)

    def _cancel(self, job: Job, driver: Driver, patience: float) -> None:
        """Ask the driver to end a call; it cannot hit the next one, which waits until this has been asked."""
        board = self._board

        def ask() -> None:
            with board.lock:
                if board.current is not job:
                    return
            try:
                driver.cancel()
            except BaseException as error:  # noqa: BLE001 - a door: foreign code
                self._log.exception("%s could not cancel: %s", board.spec.name, told(error))

        board.cancelling.ask(ask, patience)
