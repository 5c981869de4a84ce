"""The link to the device as the driver's thread keeps it: connecting, proving, recovering, trying again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from agentlab.errors import AgentLabError, DeviceTimeoutError, DriverError, OfflineError
from agentlab.instruments.drivers.driver import Driver
from agentlab.instruments.engine.board import Board
from agentlab.instruments.engine.hand import Hand, is_gone, is_out_of_step, told
from agentlab.instruments.engine.polling import periods
from agentlab.instruments.engine.states import Backoff
from agentlab.instruments.engine.steps import check_rules, check_safe_state
from agentlab.instruments.model.overrides import apply_overrides, prepared
from agentlab.instruments.model.spec import InstrumentSpec
from agentlab.instruments.model.table import Table
from agentlab.instruments.visa.translation import said_by, translated

ANOTHER_REASON = 60.0
"""Seconds in which a device that fails in another way at each attempt, as one that sends rubbish does, is logged once."""


class Mender:
    """Brings the device online, and back. In the driver's thread.

    Args:
        board: What is shared.
        load: Builds the driver from the spec; nothing is sent by it.
        busy: Entered while the driver runs.
        log: Where changes are told.

    Attributes:
        hand: The driver, once it is loaded.
        why: What the last attempt failed with.
    """

    def __init__(
        self,
        board: Board,
        load: Callable[[InstrumentSpec], Driver],
        busy: Callable[[], AbstractContextManager[Any]],
        log: logging.Logger,
    ) -> None:
        self._board, self._load, self._busy, self._log = board, load, busy, log
        self._backoff = Backoff(board.spec.reconnect_first, board.spec.reconnect_most)
        self._backoff.again(board.clock())
        self._hopeless = False
        self._known = False  # whether what it is to recover from has been told
        self._told_at = board.clock()
        self.hand: Hand | None = None
        self.why: BaseException | None = None

    def next_try(self) -> float | None:
        """Give when to try again to come online; None: it would never help."""
        return None if self._hopeless else self._backoff.next_time

    def try_again(self) -> bool:
        """Try to come online; True when it worked. What went wrong becomes the state and its reason."""
        board = self._board
        try:
            with self._busy():
                if self.hand is None:
                    self.hand = self._loaded()
                if board.states.opened:
                    self.hand.driver.recover()
                    identity, table = board.identity, board.table
                else:
                    identity, table = self._opened(self.hand.driver)
        except BaseException as error:  # noqa: BLE001 - a door: a vendor's constructor may raise anything, SystemExit too
            self._note(translated(error))
            return False
        again = board.states.opened
        with board.lock:
            board.identity, board.table, board.fault = identity, table, None
            board.polls = periods(table)
            board.states.move("opened", board.clock())
            board.counts["recovered"] += again
        self.hand.settled()
        self._backoff.again(board.clock())
        level, self._known = logging.DEBUG if self._known else logging.INFO, False
        state, who = "online again" if again else "online", f": {identity}" if identity else ""
        self._log.log(level, "%s is %s%s", board.spec.name, state, who)
        return True

    def _loaded(self) -> Hand:
        board = self._board
        driver = self._load(board.spec)
        table = driver.table()
        known = {name: one for name, one in board.spec.parameters.items() if name in table.parameters}
        with board.lock:  # what the class tells is enough to describe the instrument while its device is away
            board.driver, board.table = driver, apply_overrides(table, known)
        return Hand(driver)

    def _opened(self, driver: Driver) -> tuple[str, Table]:
        spec = self._board.spec
        try:
            driver.open()
            identity = driver.prove()
            table = prepared(driver.table(), spec)
            check_safe_state(spec, table)
            check_rules(spec, table)
        except BaseException:
            driver.close()
            raise
        return identity, table

    def doubted(self, doubt: BaseException, *, known: bool = False) -> None:
        """Note an error of the driver: the link is no longer online if it says so. Nothing is asked of the device here.

        `known`: it comes again and again, and has been told.
        """
        self._known = known
        if is_gone(doubt):
            self.lost(doubt)
        elif is_out_of_step(doubt):
            self._recover_next(doubt)

    def prove_again(self, doubt: BaseException) -> None:
        """See to the session after an error that says nothing of it, such as a vendor's ValueError."""
        if not self._answers_rightly():
            self._recover_next(doubt)

    def _recover_next(self, doubt: BaseException) -> None:
        board = self._board
        with board.lock:
            board.states.move("doubted", board.clock(), told(doubt))
        self._backoff.again(board.clock())

    def mended(self) -> bool:
        """Try once to bring the session back into order, for the last orders to the device; tell whether it is."""
        assert self.hand is not None
        try:
            with self._busy():
                self.hand.driver.recover()
        except BaseException as error:  # noqa: BLE001 - a door: the driver is closed all the same
            self._log.warning("%s cannot be made safe before it is closed: %s", self._board.spec.name, told(translated(error)))
            return False
        self.hand.settled()
        return True

    def _answers_rightly(self) -> bool:
        assert self.hand is not None
        try:
            with self._busy():
                return self.hand.driver.prove() == self._board.identity
        except BaseException:  # noqa: BLE001 - a door: whatever it raises, the session is not in order
            return False

    def lost(self, error: BaseException) -> None:
        """Note that the device is gone; the first attempt to reach it is due at once."""
        board = self._board
        with board.lock:
            moved = board.states.move("away", board.clock(), told(error))
        if moved:
            self._backoff.again(board.clock())
            self._log.warning("%s is offline: %s", board.spec.name, told(error))

    def _note(self, error: BaseException) -> None:
        if isinstance(error, OSError) and not isinstance(error, AgentLabError):  # whatever its number: it cannot be reached
            gone = OfflineError(f"the device is not there: {said_by(error)}")
            gone.__cause__, error = error, gone
        self.why = error
        board, text = self._board, told(error)
        away = isinstance(error, (OfflineError, DeviceTimeoutError))
        self._hopeless = isinstance(error, DriverError) and not board.states.opened
        with board.lock:
            before = board.states.link, board.states.reason
            board.states.move("away" if away else "failed", board.clock(), text)
            board.fault = None if away else error
            board.last_error = text
            after = board.states.link, board.states.reason
        now = board.clock()
        self._backoff.failed(now)
        self._known = False
        if before[0] != after[0] or (before != after and now - self._told_at >= ANOTHER_REASON):
            self._told_at = now
            self._log.warning("%s is %s: %s", board.spec.name, "offline" if away else "in fault", text)
