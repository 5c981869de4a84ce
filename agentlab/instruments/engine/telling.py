"""What an instrument says of itself: its status and its description, as plain values. Never queued."""

from __future__ import annotations

from typing import Any

from agentlab.instruments.engine.board import Board
from agentlab.instruments.engine.steps import has_safe_state

PATIENCE = 0.02
"""Seconds to wait for a driver's progress; one that takes longer has none."""


def status_of(board: Board) -> dict[str, Any]:
    """Give how an instrument is. It never waits for the device, whatever that does.

    Returns:
        ``name``; ``state``: connecting, online, busy, offline, fault or safe; ``since``: since when its link is as it is, in
        seconds since 1970; ``reason``: why it is not online, or not safe; ``action``: what runs, empty if nothing that
        lasts, and of it ``client``, ``elapsed`` (seconds) and ``progress`` (0 to 1, or None); ``owner``: a label, or empty;
        ``queue``: what waits; ``latch``: why it is latched, or None; ``safe``: ``pending`` (why it is not safe yet) and
        ``failed``;
        ``hangs``: None, or of a driver that does not come back ``what``, ``seconds``, ``cure``, and all in one line as ``text``;
        ``identity``; ``polls``: seconds by parameter; ``errors``: counts, and the ``last`` as text; ``watchdog``: seconds left.
    """
    with board.lock:
        now = board.clock()
        running = board.working(now)
        driver = board.driver if running is not None and running is board.current and running.action else None
        found: dict[str, Any] = {
            "name": board.spec.name,
            "state": board.shown(now),
            "since": board.wall(board.states.since),
            "reason": board.reason(),
            "action": "" if running is None else running.what,
            "client": "" if running is None else running.client.label,
            "elapsed": None if running is None else now - running.started,
            "progress": None if running is None else running.progress,
            "owner": board.ownership.owner(now),
            "queue": board.queue.waiting(now),
            "latch": board.latch.info(),
            "safe": {"pending": board.pending(now), "failed": list(board.unsafe)},
            "hangs": board.hanging(now),
            "identity": board.identity,
            "polls": dict(board.polls),
            "errors": {**board.counts, "last": board.last_error},
            "watchdog": None if board.watchdog is None else board.watchdog - now,
        }
    if driver is not None:
        found["progress"] = board.asking.ask(lambda: _progress(driver), PATIENCE)
    return found


def described(board: Board) -> dict[str, Any]:
    """Give what an instrument is and can do; no byte goes to the device for it.

    Returns:
        The table (``kind``, ``doc``, ``parameters``, ``actions``, ``has_safe``, ``has_abort``), and ``name``, ``driver``,
        ``address``, ``identity``, ``state``, ``polls``, ``safe`` (whether there is a safe state), ``owner_required``,
        ``on_owner_lost``, ``interlocks``, ``watchdog``.
    """
    spec = board.spec
    with board.lock:
        return {
            **board.table.to_dict(),
            "name": spec.name,
            "driver": spec.driver if isinstance(spec.driver, str) else f"{spec.driver.__module__}:{spec.driver.__qualname__}",
            "address": spec.address,
            "identity": board.identity,
            "state": board.shown(board.clock()),
            "polls": dict(board.polls),
            "safe": has_safe_state(spec, board.table),
            "owner_required": spec.owner_required,
            "on_owner_lost": spec.on_owner_lost,
            "interlocks": list(spec.interlocks),
            "watchdog": spec.watchdog,
        }


def _progress(driver: Any) -> float | None:
    try:
        found = driver.progress()
        return None if found is None else float(found)
    except BaseException:  # noqa: BLE001 - a door: a driver whose progress cannot be asked has none
        return None
