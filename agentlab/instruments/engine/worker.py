"""The thread of a driver: it builds the driver, calls it and closes it; nobody else touches it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from agentlab.errors import BadReplyError, CancelledCallError, DeviceTimeoutError, ExpiredError, OfflineError
from agentlab.instruments.drivers.driver import Driver
from agentlab.instruments.engine.board import Board
from agentlab.instruments.engine.hand import Hand, told
from agentlab.instruments.engine.mending import Mender
from agentlab.instruments.engine.poller import Poller
from agentlab.instruments.engine.queue import Job
from agentlab.instruments.engine.safing import SafeWork
from agentlab.instruments.model.reading import Reading
from agentlab.instruments.model.spec import InstrumentSpec

SILENCE_HELD = 0.25
"""Seconds for which the error of a device that did not answer is held back: by then it is mostly known whether it is there."""
CANCEL_HELD = 1.0
"""Seconds to wait for the driver's own cancel to come back, before its next call."""
LONGEST_PAUSE = 3600.0
"""Seconds; no operating system waits for as long as somebody may write."""
Late = Callable[[float, Callable[[], object]], None]
"""Calls something at a time of the board's clock, in another thread."""


class Worker:
    """Takes job after job from the board. Everything in it runs in the driver's thread.

    Args:
        board: What is shared.
        load: Builds the driver.
        publish: Is given each reading that is to be published.
        tell: Is called when the state, or what is under way, has changed.
        busy: Entered while the driver runs.
        late: Calls something later, while this thread may be in a call.
        log: Where changes are told.
    """

    def __init__(
        self,
        board: Board,
        *,
        load: Callable[[InstrumentSpec], Driver],
        publish: Callable[[Reading], None],
        tell: Callable[[], None],
        busy: Callable[[], AbstractContextManager[Any]],
        late: Late,
        log: logging.Logger,
    ) -> None:
        self._board, self._tell, self._busy, self._log = board, tell, busy, log
        self._mender = Mender(board, load, busy, log)
        self._poller = Poller(board, publish, log)
        self._safe = SafeWork(board, log)
        self._late: Late = late
        self._told_late: list[tuple[Job, BaseException]] = []
        self._tasks_turn = False

    def run(self) -> None:
        """Serve until the board is closing; then make the device safe and let go of it. The thread's main function."""
        try:
            while not self._board.closing:
                try:
                    self._turn()
                except BaseException:  # noqa: BLE001 - a door: no mistake of ours may leave the instrument without its thread
                    self._log.exception("%s: a turn of the driver's thread failed", self._board.spec.name)
                    time.sleep(0.1)  # whatever it is, it must not eat a processor
        finally:
            self._end()

    def _turn(self) -> None:
        board = self._board
        with board.lock:
            now = board.clock()
            late: list[Job] = []
            if board.states.link != "online":
                when = self._mender.next_try()
                if when is None or when > now:
                    board.lock.wait(None if when is None else when - now)
                    return
                job = None
            else:
                job = self._pick(now)
                late = board.queue.found_late()
                if job is None and not late:
                    board.lock.wait(self._pause(now))
                    return
                if job is not None:
                    job.started = job.started or now
                board.current = job
        for one in late:
            one.answer.fail(board.expired(one))
        if job is not None:
            self._do(job)
        elif not late:
            self._connect()

    # ---------------------------------------------------------------- the link

    def _connect(self) -> None:
        before = self._board.states.link
        if self._mender.try_again():
            self._poller.begin()
            self._safe.order_again()
        elif self._board.states.link != before:
            self._gone()
        self._tell_late()
        self._tell()

    def _gone(self) -> None:
        """Answer everybody who waits for a device that is not there, and tell the subscribers."""
        board = self._board
        with board.lock:
            now = board.clock()
            error = board.refusal(now)
            jobs = [*board.queue.withdraw(lambda _job: True), *board.tasks]
            board.tasks.clear()
            board.queue.drop_polls()
        error = error or OfflineError(f"{board.spec.name} went away")
        for job in jobs:
            _close(job)
            job.answer.fail(error)
        self._safe.gone(error)
        self._poller.went_away()

    # ---------------------------------------------------------------- which job

    def _pick(self, now: float) -> Job | None:
        board = self._board
        self._poller.put_due(now)
        if (safe := self._safe.due(now)) is not None:
            return safe if safe.next_time <= now else board.queue.take(now, lambda job: job.writes)
        self._tasks_turn = not self._tasks_turn  # so that a ramp without a delay leaves every other turn to the others
        if self._tasks_turn and (task := self._due_task(now)) is not None:
            return task
        return board.queue.take(now, self._in_its_way if board.tasks else None) or self._due_task(now)

    def _in_its_way(self, job: Job) -> bool:
        """Tell whether a job would set what another client's ramp is setting: it waits for its end."""
        mine = job.client.id
        return job.writes and any(task.target == job.target and task.client.id != mine for task in self._board.tasks)

    def _due_task(self, now: float) -> Job | None:
        return next((task for task in self._board.tasks if task.next_time <= now or task.cancelled), None)

    def _pause(self, now: float) -> float | None:
        board = self._board
        times = [task.next_time for task in board.tasks]
        if self._safe.job is not None:
            times = [self._safe.job.next_time]
        if (poll := self._poller.next_time()) is not None:
            times.append(poll)
        return min(LONGEST_PAUSE, max(0.0, min(times) - now)) if times else None

    # ---------------------------------------------------------------- doing it

    def _do(self, job: Job) -> None:
        board, hand = self._board, self._mender.hand
        assert hand is not None
        result: Any = None
        error: BaseException | None = None
        over = True
        with board.lock:
            error = board.leave(job, board.clock())
        if job.answer is not None and job.steps is None and not job.answer.wanted():
            error = error or ExpiredError(f"{job.what} was not executed: its caller has gone")
        if error is None:
            if job.action or (job.long and job.steps is None):
                self._tell()
            board.cancelling.settle(CANCEL_HELD)  # what was to end the last call is not to end this one
            try:
                with self._busy():
                    over, result = self._advance(job, hand)
            except BaseException as caught:  # noqa: BLE001 - a door: what a driver raises belongs to whoever asked
                error = caught
        else:
            _close(job)
        self._finish(job, over or error is not None, result, error, hand.settled())

    def _advance(self, job: Job, hand: Hand) -> tuple[bool, Any]:
        """Do a job, or its next step; give whether it is over, and its result."""
        if job.steps is None:
            result = job.work(hand)
            if not job.long:
                return True, result
            job.steps = result
        try:
            delay, job.progress = next(job.steps)
        except StopIteration as stop:
            return True, stop.value
        job.next_time = self._board.clock() + delay
        return False, None

    def _finish(self, job: Job, over: bool, result: Any, error: BaseException | None, doubt: BaseException | None) -> None:
        board = self._board
        if doubt is not None:
            self._count(doubt)
            self._mender.doubted(doubt, known=job.poll and self._poller.keeps_silent(job.target))
        with board.lock:
            board.current = None
            if doubt is not None and job.safe:
                self._safe.doubted(doubt)
            if over and job in board.tasks:
                board.tasks.remove(job)
            elif not over and not job.safe and job not in board.tasks:
                board.tasks.append(job)
        if over:
            self._answer(job, result, error, doubt)
        if doubt is not None:
            self._see_to(doubt)
        if doubt is not None or (over and (job.action or job.long)):
            self._tell()

    def _answer(self, job: Job, result: Any, error: BaseException | None, doubt: BaseException | None) -> None:
        if job.safe:
            self._safe.over(result, error)
        elif job.answer is None:
            return
        elif error is None:
            job.answer.give(result)
        elif error is doubt and isinstance(doubt, DeviceTimeoutError):
            # A pulled cable looks like a silent device to those who do not see the end of a connection, as pyvisa-py does not.
            self._told_late.append((job, error))
            self._late(self._board.clock() + SILENCE_HELD, lambda: job.answer.fail(error))
        else:
            job.answer.fail(error)

    def _tell_late(self) -> None:
        """Answer those who heard nothing from the device, now that it is known whether it is there."""
        board = self._board
        held, self._told_late = self._told_late, []
        for job, error in held:
            if board.states.link != "offline" or not isinstance(self._mender.why, OfflineError):
                job.answer.fail(error)  # it is there, or at least silent as before
                continue
            gone = OfflineError(f"{board.spec.name} did not answer and is offline: {board.states.reason}")
            gone.__cause__ = error
            job.answer.fail(gone)

    def _see_to(self, doubt: BaseException) -> None:
        link = self._board.states.link
        if link == "online":
            self._mender.prove_again(doubt)
        elif link == "offline":
            self._gone()

    def _count(self, doubt: BaseException) -> None:
        if isinstance(doubt, CancelledCallError):
            return  # as it was asked to
        kinds = {DeviceTimeoutError: "timeouts", BadReplyError: "bad_replies", OfflineError: "offline"}
        kind = next((key for cls, key in kinds.items() if isinstance(doubt, cls)), "others")
        with self._board.lock:
            self._board.counts[kind] += 1
            self._board.last_error = told(doubt)

    # ---------------------------------------------------------------- the end

    def _end(self) -> None:
        board = self._board
        online = board.states.link == "online"
        self._tell_late()
        self._gone()
        hand = self._mender.hand
        if hand is None:
            return
        try:
            if online:
                self._safe.last(hand)
        finally:
            hand.driver.close()


def _close(job: Job) -> None:
    if job.steps is not None:
        job.steps.close()
