"""The thread of a driver: it builds the driver, calls it and closes it; nobody else touches it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from agentlab.errors import BadReplyError, CancelledCallError, DeviceTimeoutError, ExpiredError, InstrumentError, OfflineError
from agentlab.instruments.drivers.driver import Driver
from agentlab.instruments.engine.board import Board
from agentlab.instruments.engine.hand import Hand, told
from agentlab.instruments.engine.mending import Mender
from agentlab.instruments.engine.poller import Poller
from agentlab.instruments.engine.queue import Job
from agentlab.instruments.engine.safing import SafeWork
from agentlab.instruments.engine.silence import Late, Silences
from agentlab.instruments.model.reading import Reading
from agentlab.instruments.model.spec import InstrumentSpec

CANCEL_HELD = 1.0
"""Seconds to wait for the driver's own cancel to come back, before its next call."""
LONGEST_PAUSE = 3600.0
"""Seconds; no operating system waits for as long as somebody may write."""


class Worker:
    """Takes job after job from the board. Everything in it runs in the driver's thread.

    Args:
        board: What is shared.
        load: Builds the driver.
        publish: Is given each reading that is to be published.
        tell: Is called when the state, or what is under way, has changed.
        busy: Entered while the driver runs.
        late: Calls something later, while this thread may be in a call.
        by: Is told when somebody is to look whether this thread is still in the driver.
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
        by: Callable[[float | None], None],
        log: logging.Logger,
    ) -> None:
        self._board, self._tell, self._busy, self._log = board, tell, busy, log
        self._mender = Mender(board, load, busy, log)
        self._poller = Poller(board, publish, log)
        self._safe = SafeWork(board, log)
        self._silences = Silences(board, late)
        self._by = by
        self._tasks_turn = False
        self._was_online = False  # before the last turn: what ended its call for a shutdown may have broken the session

    def run(self) -> None:
        """Serve until the board is closing; then make the device safe and let go of it. The thread's main function."""
        try:
            while not self._board.closing:
                try:
                    self._turn()
                except BaseException as error:  # noqa: BLE001 - a door: no mistake of ours may leave the device without its thread
                    self._log.exception("%s: a turn of the driver's thread failed", self._board.spec.name)
                    self._give_up(error)
                    time.sleep(0.1)  # whatever it is, it must not eat a processor
        finally:
            self._end()

    def _give_up(self, error: BaseException) -> None:
        """Leave the job of a turn that failed: whoever asked for it is told, and nobody takes it for running."""
        board = self._board
        with board.lock:
            job, board.current = board.current, None
            board.tasks = [task for task in board.tasks if task is not job]
        if job is None:
            return
        if job.safe:
            self._safe.job = None  # its order stands, and is carried out anew
        elif job.answer is not None:
            job.answer.fail(InstrumentError(f"{job.what} could not be carried out: {told(error)}"))
        self._ended(job)

    def _turn(self) -> None:
        board = self._board
        with board.lock:
            now = board.clock()
            late: list[Job] = []
            if board.states.link != "online":
                when = self._mender.next_try()
                if when is None or when > now:
                    board.lock.wait(None if when is None else min(LONGEST_PAUSE, when - now))
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
            self._was_online = job is not None
        for one in late:
            one.answer.fail(board.expired(one))
        if job is not None:
            self._do(job)
        elif not late:
            self._connect()

    # ---------------------------------------------------------------- the link

    def _connect(self) -> None:
        before = self._board.states.link
        with self._inside("the attempt to connect"):
            connected = self._mender.try_again()
        if connected:
            self._poller.begin()
            self._safe.order_again()
        elif self._board.states.link != before:
            self._gone()
        self._silences.tell(self._mender.why)
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
            self._ended(job)
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
                with self._busy(), self._inside(job.what):
                    over, result = self._advance(job, hand)
            except BaseException as caught:  # noqa: BLE001 - a door: what a driver raises belongs to whoever asked
                error = caught
        else:
            _close(job)
        self._finish(job, over or error is not None, result, error, hand.settled())

    @contextmanager
    def _inside(self, what: str) -> Iterator[None]:
        """Around what is foreign code: it may never come back."""
        board = self._board
        with board.lock:
            board.inside = what, board.clock()
            when = board.hangs_from()
        self._by(when)
        try:
            yield
        finally:
            with board.lock:
                board.inside = None

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
            self._ended(job)
        if doubt is not None:
            self._see_to(doubt)
        if doubt is not None or (over and (job.action or job.long)):
            self._tell()

    def _ended(self, job: Job) -> None:
        """Tell those who wait for the end of a job, whatever became of it."""
        with self._board.lock:
            job.over = True
            told, job.at_end = job.at_end, []
        for tell in told:
            tell()

    def _answer(self, job: Job, result: Any, error: BaseException | None, doubt: BaseException | None) -> None:
        if job.safe:
            self._safe.over(result, error)
        elif job.answer is None:
            return
        elif error is None:
            job.answer.give(result)
        elif error is doubt and isinstance(doubt, DeviceTimeoutError):
            self._silences.hold(job, error)
        else:
            job.answer.fail(error)

    def _see_to(self, doubt: BaseException) -> None:
        link = self._board.states.link
        if link == "online":
            with self._inside("the question who answers"):
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
        board, hand = self._board, self._mender.hand
        try:
            self._silences.tell(self._mender.why)
            self._gone()
        except BaseException:  # noqa: BLE001 - a door: the device is made safe all the same
            self._log.exception("%s: those who wait for it could not be told of its end", board.spec.name)
        if hand is None:
            return
        try:
            if board.states.link == "online" or (self._was_online and self._mender.mended()):
                self._safe.last(hand)
        finally:
            hand.driver.close()


def _close(job: Job) -> None:
    if job.steps is not None:
        job.steps.close()
