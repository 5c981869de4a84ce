"""Ending calls: the one that runs, a ramp, and what a client has in the queue."""

from __future__ import annotations

from typing import Any

from agentlab.errors import CancelledCallError
from agentlab.instruments.engine.answers import Answer
from agentlab.instruments.engine.board import Board
from agentlab.instruments.engine.claims import Client
from agentlab.instruments.engine.emergency import Emergency
from agentlab.instruments.engine.queue import Job
from agentlab.instruments.engine.silence import Late

ENDS_WITHIN = 1.0
"""Seconds that a call has to end after it was asked to, before its canceller is told that it runs on."""


def cancel(board: Board, emergency: Emergency, client: Client, late: Late, *, queued: bool) -> Answer:
    """End the client's call that runs, or, if it has none, another's; withdraw what the client has in the queue. Any thread.

    Args:
        board: What is shared.
        emergency: Reaches the call that runs.
        client: Who asks.
        late: Calls something at a time of the board's clock.
        queued: Whether its calls that wait are withdrawn.

    Returns:
        The answer is given when what was asked to end has ended, or after a second: ``cancelled``: what was asked to, or None;
        ``runs_on``: that it has not, and what would help, or empty; ``queued``: how many calls were withdrawn.

    Raises:
        LockedError: what runs is another client's, and somebody else owns the instrument.
    """
    why = f"by {client.label or 'a caller'}"
    with board.lock:
        mine = board.queue.withdraw(lambda job: job.client.id == client.id and not job.forced) if queued else []
        running = [job for job in dict.fromkeys((board.current, *board.tasks)) if job is not None and _may_end(job)]
    for job in mine:
        job.answer.fail(CancelledCallError(f"{job.what} was cancelled before its turn came: {why}"))
    ends = [job for job in running if job.client.id == client.id]
    if running and not ends:
        now = board.clock()
        if board.ownership.owner(now):
            board.ownership.check(client, now)
        ends = running[:1]
    for job in ends:
        with board.lock:
            if job in board.tasks:
                job.cancel(why, board.clock())
                board.lock.notify_all()  # a ramp that waits for its next step ends now
        emergency.stop_call(job, why)
    return _when_over(board, ends, late, {"cancelled": ends[0].what if ends else None, "queued": len(mine)})


def _may_end(job: Job) -> bool:
    """Tell whether a job is a client's: nobody cancels what makes safe, or what a rule demands."""
    return not (job.poll or job.safe or job.forced)


def _when_over(board: Board, ends: list[Job], late: Late, told: dict[str, Any]) -> Answer:
    answer = Answer()

    def look() -> None:
        if all(job.over for job in ends):
            answer.give({**told, "runs_on": ""})

    with board.lock:
        for job in ends:
            if not job.over:
                job.at_end.append(look)

    def give_up() -> None:
        with board.lock:
            for job in ends:
                job.at_end = [one for one in job.at_end if one is not look]
        answer.give({**told, "runs_on": _still(board, ends)})

    look()
    if not answer.over:
        late(board.clock() + ENDS_WITHIN, give_up)
    return answer


def _still(board: Board, ends: list[Job]) -> str:
    """Give what of it has not ended, and what would help; empty: all has."""
    running = [job.what for job in ends if not job.over]
    if not running:
        return ""
    cure = "; an emergency stop would abort it" if board.table.has_abort else ""
    return (
        f"{' and '.join(running)} has not ended within {ENDS_WITHIN:g} s, and runs on until it asks for `self.cancelled`, or "
        f"ends by itself{cure}"
    )
