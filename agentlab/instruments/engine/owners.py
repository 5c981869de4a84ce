"""Ownership of a running instrument: who waits is answered, what is lost has consequences."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from agentlab.errors import LockedError, OfflineError
from agentlab.instruments.engine.answers import Answer
from agentlab.instruments.engine.board import Board
from agentlab.instruments.engine.claims import Client, Grant, Lost, Waited


class Owners:
    """Gives, renews and ends ownership. Any thread; nothing here waits.

    Args:
        board: What is shared.
        lost: Is called with the label of an owner whose lease ran out, if the device is to be made safe then.
        tell: Is called when the owner has changed.
        by: Is told when to look again.
        log: Where changes are told.
    """

    def __init__(
        self,
        board: Board,
        *,
        lost: Callable[[str], object],
        tell: Callable[[], None],
        by: Callable[[float | None], None],
        log: logging.Logger,
    ) -> None:
        self._board, self._lost, self._tell, self._by, self._log = board, lost, tell, by, log

    def acquire(self, client: Client, timeout: float, lease: float | None, reason: str, token: str | None) -> Answer:
        """Become owner, or wait for it. See :meth:`agentlab.instruments.engine.ownership.Ownership.acquire`."""
        board, answer = self._board, Answer()
        try:
            got = board.ownership.acquire(
                client, board.clock(), timeout=timeout or 0.0, lease=lease, reason=reason, token=token, tag=answer
            )
        except (LockedError, ValueError) as error:
            answer.fail(error)
        else:
            if isinstance(got, Grant):
                self.happened()  # the last owner's safe state is ordered before the next one may write
                answer.give(_proof(got))
                self._log.info("%s is owned by %s%s", board.spec.name, client.label, f": {reason}" if reason else "")
        if board.closing:
            turn_away(board)  # the row was emptied before, and nobody looks at it any more
        self._by(board.ownership.next_time())
        self.happened(changed=answer.over)
        return answer

    def renew(self, token: str) -> dict[str, Any]:
        """Keep ownership; give ``until`` when, in seconds since 1970, and the ``lease``.

        Raises:
            LockedError: it is over.
        """
        until = self._board.ownership.renew(token, self._board.clock())
        return {"until": self._board.wall(until)}

    def release(self, token: str) -> bool:
        """Give it back; False when it was acquired more than once, and goes on.

        Raises:
            LockedError: it is over.
        """
        ended = self._board.ownership.release(token, self._board.clock())
        self.happened(changed=ended)
        return ended

    def break_lock(self, reason: str, by: str) -> dict[str, Any]:
        """End somebody's ownership; give ``broken``: whether there was any, ``owner`` and ``reason``: the owner's."""
        held = self._board.ownership.break_(self._board.clock())
        if held is not None:
            name, why = self._board.spec.name, reason or "no reason given"
            self._log.warning("the lock of %s on %s was broken by %s: %s", held.label, name, by or "somebody", why)
        self.happened(changed=held is not None)
        return {"broken": held is not None, "owner": held.label if held else "", "reason": held.reason if held else ""}

    def happened(self, *, changed: bool = False) -> None:
        """Answer those who waited, and see to what was lost; each thing once."""
        board = self._board
        for event in board.ownership.events(board.clock()):
            changed = True
            match event:
                case Grant():
                    self._granted(event)
                case Waited():
                    event.ticket.tag.fail(event.error)
                case Lost():
                    label = event.holding.label
                    self._log.warning("%s has lost %s: its lease of %g s ran out", label, board.spec.name, event.holding.lease)
                    if board.spec.on_owner_lost == "safe":
                        self._lost(label)
        if changed:
            self._tell()

    def _granted(self, grant: Grant) -> None:
        assert grant.ticket is not None
        answer: Answer = grant.ticket.tag
        if answer.wanted() and answer.give(_proof(grant)):
            self._by(self._board.ownership.next_time())
            self._log.info("%s is owned by %s, who waited for it", self._board.spec.name, grant.ticket.client.label)
            return
        answer.fail(LockedError(f"{self._board.spec.name} is not owned by who waited for it and has gone"))
        try:  # the next one's turn
            self.release(grant.token)
        except LockedError:
            return  # it was over already


def turn_away(board: Board) -> None:
    """Refuse all who wait for an instrument that is being closed."""
    for ticket in board.ownership.drain():
        ticket.tag.fail(OfflineError(f"{board.spec.name} {board.closing}"))


def _proof(grant: Grant) -> dict[str, Any]:
    return {"token": grant.token, "lease": grant.lease, "again": grant.again}
