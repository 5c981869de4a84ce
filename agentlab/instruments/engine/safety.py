"""What people and rules ask of an instrument's safety: stop, make safe, reset, kick. Any thread; nothing here waits."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from agentlab.errors import InstrumentError
from agentlab.instruments.engine.answers import Answer
from agentlab.instruments.engine.board import Board
from agentlab.instruments.engine.calls import Calls
from agentlab.instruments.engine.claims import Client
from agentlab.instruments.engine.emergency import Emergency
from agentlab.instruments.engine.interlocks import Rule
from agentlab.instruments.engine.watching import Watcher

SAME_STORY = 10.0
"""Seconds; a rule that is carried out again within them is violated still."""


class Safety:
    """The safe state of one instrument, its latch and its watchdog.

    Args:
        board: What is shared.
        emergency: Carries out orders.
        watcher: Looks at the time.
        calls: For rules that set or call something.
        tell: Is called when the latch has changed.
        log: Where it is told.
    """

    def __init__(
        self,
        board: Board,
        emergency: Emergency,
        watcher: Watcher,
        calls: Calls,
        tell: Callable[[], None],
        log: logging.Logger,
    ) -> None:
        self._board, self._emergency, self._watcher = board, emergency, watcher
        self._calls, self._tell, self._log = calls, tell, log
        self._carrying_out: dict[str, Answer] = {}
        self._enforced: dict[str, float] = {}

    def safe(self, client: Client) -> Answer:
        """Bring it into its safe state once; the answer comes when that is done, or as an error when it cannot be now."""
        answer, board = Answer(), self._board
        with board.lock:
            error = board.refusal(board.clock())
        if error is not None:
            answer.fail(error)  # the order is given all the same, and carried out when the device is back
        self._emergency.order("asked for", client.label, latch=False, answer=answer)
        return answer

    def estop_within(self, seconds: float, reason: str, by: str) -> Answer:
        """Order the safe state and latch it; the answer is how far that has come when it is reached, or after so long."""
        answer, done, board = Answer(), Answer(), self._board
        first = self._emergency.order(reason, by, latch=True, answer=done)

        def tell() -> None:
            self._watcher.forget(tell)
            with board.lock:
                now = board.clock()
                pending, state, failed = board.pending(now), board.shown(now), "; ".join(board.unsafe)
            answer.give({**first, "pending": pending or failed or None, "state": state})
            done.give(None)  # whoever carries out the order need not keep it for somebody who has been told

        self._watcher.alarm(board.clock() + seconds, tell)
        done.start(lambda _result, _error: tell())
        if board.closing:
            tell()  # nobody looks at the time any more
        return answer

    def enforce(self, rule: Rule, reason: str) -> dict[str, Any] | Answer:
        """Carry out an interlock's rule, whoever owns the instrument and whether it is latched or not; once at a time."""
        by = f"interlock {rule.text}"
        if rule.latches:
            return self._emergency.order(reason, by, latch=True)
        earlier = self._carrying_out.get(rule.text)
        if earlier is not None and not earlier.over:
            return {"pending": f"{by} is being carried out"}  # behind a call that hangs they would grow in number for ever
        now = self._board.clock()
        again = now - self._enforced.get(rule.text, -SAME_STORY) < SAME_STORY  # told once, however long it is violated
        self._enforced[rule.text] = now
        self._log.log(logging.DEBUG if again else logging.WARNING, "%s: %s: %s", self._board.spec.name, by, reason)
        client = Client(f"\0{by}", by)  # no client is called so: a ramp of somebody without a name is another's
        if rule.sets:
            answer = self._calls.set(rule.what, rule.value, client, None, forced=True)
        else:
            answer = self._calls.call(rule.what, (), {}, client, None, forced=True)
        self._carrying_out[rule.text] = answer
        return answer

    def reset(self, client: Client) -> dict[str, Any]:
        """Let go of the latch, and stop the watchdog until the next kick or write."""
        board = self._board
        with board.lock:
            found = board.latch.reset()
            board.watchdog = None
        board.keep_latch(self._log)
        if found is not None:
            who = client.label or "somebody"
            self._log.warning("%s was reset by %s; it was latched: %s", board.spec.name, who, found.reason)
            self._tell()
        return {"reset": found is not None, "reason": found.reason if found else "", "by": found.by if found else ""}

    def kick(self, client: Client) -> float:
        """Put the watchdog off; give its period.

        Raises:
            InstrumentError: it has none.
            LockedError: somebody else owns the instrument.
        """
        board = self._board
        period = board.spec.watchdog
        if period is None:
            raise InstrumentError(f"{board.spec.name} has no watchdog; give it watchdog=SECONDS")
        now = board.clock()
        if board.ownership.owner(now):
            board.ownership.check(client, now)
        with board.lock:
            if not board.latch:
                board.watchdog = now + period
        self._watcher.by(now + period)
        return period
