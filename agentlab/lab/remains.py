"""What a killed supervisor leaves for a moment: its units, until the kernel or their fork server has ended them.

They are told from others by a variable in the environment that every process of a lab has got from its supervisor; a
process id in a file would say nothing, as the system gives it to somebody else.
"""

from __future__ import annotations

import logging
import time

import psutil

from agentlab.lab.places import Places

log = logging.getLogger(__name__)

RUN_VARIABLE = "AGENTLAB_LAB_RUN"
PATIENCE = 3.0
"""Seconds: units end within 2 s of their supervisor."""
_STEP = 0.02


def mark(places: Places, token: str) -> str:
    """Give the value of :data:`RUN_VARIABLE` for one run of a lab."""
    return f"{places.key}:{token}"


def wait_for_remains(places: Places, token: str, timeout: float = PATIENCE) -> list[int]:
    """Wait until nothing of earlier runs of a lab is left, so that its ports and files are free.

    Returns:
        Process ids of what is still there: something that units have started and that outlives them. It is logged.
    """
    deadline = time.monotonic() + timeout
    left = [process for process in psutil.process_iter() if _is_of_earlier_run(process, places, token)]
    while left and time.monotonic() < deadline:
        time.sleep(_STEP)  # they are nobody's children here: nothing tells when they end
        left = [process for process in left if process.is_running() and _is_of_earlier_run(process, places, token)]
    pids = [process.pid for process in left]
    if pids:
        log.warning("processes of an earlier run of this lab are still there: %s; they may hold its ports", pids)
    return pids


def _is_of_earlier_run(process: psutil.Process, places: Places, token: str) -> bool:
    try:
        text = process.environ().get(RUN_VARIABLE, "")
        return text.startswith(f"{places.key}:") and text != mark(places, token) and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, OSError):  # another user's, or gone
        return False
