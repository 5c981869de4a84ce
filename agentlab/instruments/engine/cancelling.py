"""Ending calls: the one that runs, a ramp, and what a client has in the queue."""

from __future__ import annotations

from typing import Any

from agentlab.errors import CancelledCallError
from agentlab.instruments.engine.board import Board
from agentlab.instruments.engine.claims import Client
from agentlab.instruments.engine.emergency import Emergency


def cancel(board: Board, emergency: Emergency, client: Client, *, queued: bool) -> dict[str, Any]:
    """End the client's call that runs, or, if it has none, another's; withdraw what the client has in the queue. Any thread.

    Args:
        board: What is shared.
        emergency: Reaches the call that runs.
        client: Who asks.
        queued: Whether its calls that wait are withdrawn.

    Returns:
        ``cancelled``: what was asked to end, or None; ``queued``: how many calls were withdrawn.

    Raises:
        LockedError: what runs is another client's, and somebody else owns the instrument.
    """
    why = f"by {client.label or 'a caller'}"
    with board.lock:
        mine = board.queue.withdraw(lambda job: job.client.id == client.id) if queued else []
        running = [job for job in dict.fromkeys((board.current, *board.tasks)) if job and not job.poll and not job.safe]
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
                job.cancelled = why
                board.lock.notify_all()  # a ramp that waits for its next step ends now
        emergency.stop_call(job, why)
    return {"cancelled": ends[0].what if ends else None, "queued": len(mine)}
