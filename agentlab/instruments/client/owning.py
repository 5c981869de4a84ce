"""Owning an instrument, as its proxy offers it."""

from __future__ import annotations

import time
from typing import Any

from agentlab.instruments.client.asking import Asking
from agentlab.instruments.client.holding import Ownership


class Owning(Asking):
    """The part of an instrument's proxy that locks it. Any thread."""

    def lock(
        self, timeout: float | None = 5.0, lease: float | None = None, reason: str = "", token: str | None = None
    ) -> Ownership:
        """Own the instrument: writing is this proxy's alone, reading stays free. For a ``with`` block, or until released.

        Who waits is served in order. A proxy that holds it already gets the same ownership again.

        Args:
            timeout: Seconds to wait for it; 0: not at all; None: for ever.
            lease: Seconds after which it is lost when this process is killed; None: what the instrument's description says.
            reason: What others are told.
            token: Of an ownership that another process or proxy had: it is taken up again.

        Raises:
            LockedError: somebody else has it, who and why, and did not give it free in time.
        """
        side = self._side()
        holding = side.client.holding
        if holding is not None and holding.held and token in (None, holding.token):
            return holding
        if holding is not None:
            holding.release()
        if self._limit is not None:  # a refusal tells more than an answer that does not come
            timeout = min(self._limit * 0.9, self._limit if timeout is None else timeout)
        asked = time.monotonic()
        granted = self._ask("acquire", (timeout, lease, reason, token), self._limit)

        def forget(ownership: Ownership) -> None:
            if side.client.holding is ownership:
                side.client.holding = None

        # A wait is no part of the lease: it begins when the lock is granted, a moment before the answer comes.
        since = asked if not timeout else time.monotonic()
        made = Ownership(self._core.name, self._ask, granted["token"], float(granted["lease"]), forget, since)
        side.client.holding = made
        return made

    def lock_info(self) -> Any:
        """Give who owns it: ``owner``, ``since``, ``until``, ``reason``, ``queue``. Never refused."""
        return self._op("lock_info")

    def break_lock(self, reason: str) -> Any:
        """Take the lock away from whoever has it; who did so, and why, is logged."""
        return self._op("break_lock", (reason,))

    def _check_lock(self) -> None:
        holding = self._side().client.holding
        if holding is not None:
            holding.check()
