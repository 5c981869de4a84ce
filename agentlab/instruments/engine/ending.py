"""The end of an instrument: nobody is left waiting, the device is made safe, the threads are gone."""

from __future__ import annotations

import logging
import threading
import time

from agentlab.errors import OfflineError
from agentlab.instruments.engine.board import Board
from agentlab.instruments.engine.emergency import Emergency
from agentlab.instruments.engine.owners import turn_away

CLOSING = "is being shut down"


def shut_down(board: Board, emergency: Emergency, log: logging.Logger) -> None:
    """Refuse all that waits and all that comes, and end the call that runs. The driver's thread makes the device safe then."""
    with board.lock:
        board.closing = CLOSING
        waiting = board.queue.withdraw(lambda _job: True)
        board.lock.notify_all()
    emergency.abort_current()
    error = OfflineError(f"{board.spec.name} {CLOSING}")
    for job in waiting:
        job.answer.fail(error)
    turn_away(board)
    if waiting:
        log.info("%s %s: %d calls that waited were refused", board.spec.name, CLOSING, len(waiting))


def wait_for_end(board: Board, threads: list[threading.Thread], timeout: float, log: logging.Logger) -> bool:
    """Wait until the threads have ended; False: one is stuck in the driver and was left behind, and its caller told so."""
    until = time.monotonic() + timeout
    for thread in threads:
        if thread is not threading.current_thread():
            thread.join(max(0.0, until - time.monotonic()))
    stuck = [thread.name for thread in threads if thread.is_alive()]
    if not stuck:
        return True
    log.error("%s: %s did not end within %g s and is left behind", board.spec.name, " and ".join(stuck), timeout)
    with board.lock:
        job = board.current
    if job is not None and job.answer is not None:
        job.answer.fail(OfflineError(f"{board.spec.name} {CLOSING}, and {job.what} did not end in time; it may run yet"))
    return False
