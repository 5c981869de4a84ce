"""Calls to the device: checked at once, made into jobs, and put into the queue. Any thread; nothing here waits."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from agentlab.errors import InstrumentError, LimitError
from agentlab.instruments.engine.answers import Answer
from agentlab.instruments.engine.board import PATIENCE, Board
from agentlab.instruments.engine.claims import Client
from agentlab.instruments.engine.hand import Hand
from agentlab.instruments.engine.queue import NOBODY, Job
from agentlab.instruments.engine.steps import Steps, ramp, refresh, settle
from agentlab.instruments.model.arguments import bound_arguments
from agentlab.instruments.model.parameter import Parameter
from agentlab.instruments.model.reading import Reading, value_text
from agentlab.instruments.model.table import Action

MOST_OF_ONE = 500
"""Calls of one client in it, so that there is room for others."""
MOST_WAITING = 1000
"""Calls in the queue of one instrument; who asks for more does not wait for answers."""


class Calls:
    """Makes jobs.

    What a driver tells of itself only when it is built is not known before the device was online for the first time; names
    are then checked when the call's turn comes, and so is everything again: limits, ownership, the latch.

    Args:
        board: What is shared.
        by: Is told when a deadline is to be looked at.
    """

    def __init__(self, board: Board, by: Callable[[float | None], None]) -> None:
        self._board, self._by = board, by

    def get(self, name: str, client: Client, limit: float | None) -> Answer:
        """Read a parameter; the answer is a :class:`~agentlab.instruments.model.reading.Reading`."""
        board = self._board

        def work(hand: Hand) -> Reading:
            parameter = board.table.parameter(name)
            _readable(parameter)
            return board.book.note(name, hand.read(parameter), parameter.unit, time.time())

        try:
            if (parameter := self._parameter(name)) is not None:
                _readable(parameter)
        except Exception as error:  # noqa: BLE001 - a door: what the checks raise belongs to the caller
            return Answer.failed(error)
        return self._put(Job(f"get {name}", work, put_at=board.clock(), client=client, limit=limit, target=name))

    def set(
        self,
        name: str,
        value: Any,
        client: Client,
        limit: float | None,
        tolerance: float | None = None,
        timeout: float | None = None,
        *,
        forced: bool = False,
    ) -> Answer:
        """Set a parameter; the answer is a reading: of what was set, or of what was read back where there is a tolerance.

        Args:
            name: Which.
            value: In its unit, or a text with a unit.
            client: Who asks.
            limit: Seconds until it must have begun; None: whenever.
            tolerance: Wait until it reads that near, in its unit; None: do not wait.
            timeout: Seconds for that wait; None: as long as it takes.
            forced: Neither ownership nor the latch is asked: an interlock does it.
        """
        board, answer = self._board, Answer()

        def checked(hand: Hand) -> tuple[Parameter, Any]:
            del hand
            parameter = board.table.parameter(name)
            self._supersede(name, job)
            return parameter, _checked(parameter, value, tolerance)

        def once(hand: Hand) -> Reading:
            parameter, found = checked(hand)
            hand.write(name, found)
            board.book.note_set(name, found, parameter.unit, time.time())
            return _as_set(parameter, found)

        def steps(hand: Hand) -> Steps:
            parameter, found = checked(hand)
            if tolerance is None:
                yield from ramp(hand, parameter, found, board.book, jump=forced)
                return _as_set(parameter, found)
            return (yield from settle(hand, parameter, found, board.book, tolerance, timeout, answer.wanted, board.clock))

        try:
            parameter = self._parameter(name)
            shown = _shown(value, parameter) if parameter is None else _shown(_checked(parameter, value, tolerance), parameter)
            _time("timeout", timeout)
            token = None if forced else board.ownership.check(client, board.clock())
        except Exception as error:  # noqa: BLE001 - a door: what the checks raise belongs to the caller
            answer.fail(error)
            return answer
        long = parameter is None or parameter.step is not None or tolerance is not None
        job = Job(
            f"set {name} to {shown}", steps if long else once, put_at=board.clock(), client=client, limit=limit,
            writes=not forced, token=token, long=long, answer=answer, target=name, forced=forced,
        )  # fmt: skip
        return self._put(job, urgent=forced)

    def call(
        self,
        name: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        client: Client,
        limit: float | None,
        *,
        forced: bool = False,
    ) -> Answer:
        """Run an action; the answer is its result. `forced`: an interlock does it."""
        board = self._board

        def work(hand: Hand) -> Any:
            return hand.call(name, *bound_arguments(board.table.action(name), args, kwargs))

        try:
            action = self._action(name)
            if action is not None:
                bound_arguments(action, args, kwargs)
            reads = forced or (action is not None and action.reads)
            token = None if reads else board.ownership.check(client, board.clock())
        except Exception as error:  # noqa: BLE001 - a door: what the checks raise belongs to the caller
            return Answer.failed(error)
        job = Job(
            name, work, put_at=board.clock(), client=client, limit=limit, writes=not reads, token=token, target=name, action=True,
            forced=forced,
        )  # fmt: skip
        return self._put(job, urgent=forced)

    def refresh(self, client: Client = NOBODY, limit: float | None = None) -> Answer:
        """Read all parameters; the answer is a dict of readings."""
        board, answer = self._board, Answer()
        job = Job(
            "snapshot", lambda hand: refresh(hand, board.table, board.book, answer.wanted), put_at=board.clock(), client=client,
            limit=limit, long=True, answer=answer,
        )  # fmt: skip
        return self._put(job)

    def when_known(self, client: Client = NOBODY, limit: float | None = None) -> Answer:
        """Answer when the device was online, so that all parameters are known; the error of any call if that is not so soon."""
        return self._put(
            Job("a look at the parameters", lambda _hand: None, put_at=self._board.clock(), client=client, limit=limit)
        )

    # ---------------------------------------------------------------- inside

    def _put(self, job: Job, *, urgent: bool = False) -> Answer:
        board = self._board
        if job.answer is None:
            job.answer = Answer()
        when = job.deadline
        with board.lock:
            now = board.clock()
            error = (board.latch.refusal() if job.writes else None) or board.refusal(now)
            if error is None and not urgent:  # an interlock finds room whatever clients do
                error = self._full(job)
            if error is None:
                board.queue.put(job, urgent=urgent)
                if job.writes and board.spec.watchdog is not None and board.watchdog is None:
                    board.watchdog = now + board.spec.watchdog
                    when = board.watchdog if when is None else min(when, board.watchdog)
                if board.states.link == "connecting":
                    when = now + PATIENCE if when is None else min(when, now + PATIENCE)
                board.lock.notify_all()
        if error is not None:
            job.answer.fail(error)
        else:
            self._by(when)
        answer: Answer = job.answer
        return answer

    def _full(self, job: Job) -> InstrumentError | None:
        """Give the error of a call for which there is no room in the queue, with the board's lock held; None: there is."""
        queue, name = self._board.queue, self._board.spec.name
        if len(queue) >= MOST_WAITING:
            return InstrumentError(f"{MOST_WAITING} calls wait for {name} already; wait for their answers first")
        if len(queue) >= MOST_OF_ONE and queue.count_of(job.client.id) >= MOST_OF_ONE:
            return InstrumentError(f"{MOST_OF_ONE} calls of yours wait for {name} already; wait for their answers first")
        return None

    def _parameter(self, name: str) -> Parameter | None:
        board = self._board
        found = board.table.parameters.get(name)
        return found if found is not None or not board.states.opened else board.table.parameter(name)

    def _action(self, name: str) -> Action | None:
        board = self._board
        found = board.table.actions.get(name)
        return found if found is not None or not board.states.opened else board.table.action(name)

    def _supersede(self, name: str, job: Job) -> None:
        """End a ramp of the same parameter: its client has changed its mind, or an interlock does not wait."""
        with self._board.lock:
            for task in self._board.tasks:
                if task is not job and task.target == name and task.writes:
                    task.cancel(f"{job.client.label or 'the instrument'} has set {name} anew", self._board.clock())


def _readable(parameter: Parameter) -> None:
    if not parameter.readable:
        raise LimitError(f"{parameter.name} cannot be read: it is only set")


def _checked(parameter: Parameter, value: Any, tolerance: float | None) -> Any:
    found = parameter.check(value)
    if tolerance is not None:
        _time("tolerance", tolerance)
        _readable(parameter)
        if isinstance(found, bool) or not isinstance(found, (int, float)):
            raise LimitError(f"{parameter.name} is no number, so nothing is near it; set it without a tolerance")
    return found


def _time(what: str, value: Any) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0):
        raise LimitError(f"a {what} of {value!r} cannot be; give a number, 0 or more")


def _shown(value: Any, parameter: Parameter | None) -> str:
    unit = f" {parameter.unit}" if parameter is not None and parameter.unit else ""
    return f"{value_text(value):.40}{unit}"


def _as_set(parameter: Parameter, value: Any) -> Reading:
    return Reading(value, parameter.unit, time.time(), "good", parameter.name)
