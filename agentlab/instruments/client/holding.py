"""Ownership on the owner's side: a token, and the heartbeat that keeps it as long as this process lives."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

from agentlab.errors import CommunicationError, LockedError, RefusedError
from agentlab.runtime import futures

SHARE = 3.0
"""Renewals per lease: two may be lost before the third is too late."""
LEAST_PERIOD = 0.02
"""Seconds between two renewals at least."""
Ask = Callable[[str, tuple[Any, ...], float | None], Any]
"""Asks the instrument: method, arguments, seconds to wait."""


class Ownership:
    """A lock that is held: writing is this proxy's alone until it is released. Any thread; also a ``with`` block.

    A heartbeat of this process renews the lease, so an idle owner keeps it for days; one that was killed loses it when the
    lease is over. An owner that has lost it, because its process stood still for longer than the lease or somebody broke the
    lock, is told so: :attr:`lost` is true, and its next write raises :class:`~agentlab.errors.LockedError`.

    Args:
        name: The instrument's name.
        ask: Asks the instrument.
        token: What proves the ownership; whoever has it may take the ownership up in another process.
        lease: Seconds that it is kept without a sign of life.
        forget: Called once, when it is held no more.
        now: When the instrument was asked for it, by :func:`time.monotonic`.
    """

    def __init__(
        self, name: str, ask: Ask, token: str, lease: float, forget: Callable[[Ownership], object], now: float | None = None
    ) -> None:
        self.name = name
        self.token = token
        self.lease = lease
        self.lost = False
        self.why = ""
        self._ask = ask
        self._forget = forget
        self._pid = os.getpid()
        self._released = False
        self._depth = 0
        self._lock = threading.Lock()
        self._renewing = False
        self._good_until = (time.monotonic() if now is None else now) + lease
        self._keeper = keeper()
        self._keeper.hold(self)

    @property
    def held(self) -> bool:
        """Whether it is held, as far as this process knows."""
        return not (self._released or self.lost) and os.getpid() == self._pid

    @property
    def period(self) -> float:
        """Seconds between two renewals."""
        return max(LEAST_PERIOD, self.lease / SHARE)

    def check(self) -> None:
        """Make sure that it is still held.

        Raises:
            LockedError: it was lost; the text says why.
        """
        if self.lost:
            raise LockedError(f"the lock of {self.name!r} was lost: {self.why}; release it and lock again")

    def release(self) -> None:
        """Give the instrument free; twice is fine. Blocks until the instrument knows, a lease at most.

        An instrument that is not there needs not be told: its lease runs out.
        """
        with self._lock:
            if self._released:
                return
            self._released = True
        if os.getpid() != self._pid:
            return  # a fork: its parent holds it
        self._keeper.drop(self)
        try:
            with suppress(CommunicationError, RefusedError, LockedError):  # one that was lost here may stand there
                self._ask("unlock", (self.token,), max(1.0, self.lease))
        finally:
            self._forget(self)

    def __enter__(self) -> Self:
        if self._released:
            raise LockedError(f"this lock of {self.name!r} was released; lock it again")
        with self._lock:
            self._depth += 1
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._depth -= 1
            over = self._depth <= 0
        if over:  # a block within a block of the same proxy shares its lock
            self.release()

    def __repr__(self) -> str:
        state = "lost" if self.lost else "released" if self._released else "held"
        return f"<Ownership of {self.name!r}: {state}>"

    # --- for the heartbeat ----------------------------------------------------------------------------------------

    def beat(self) -> None:
        """Renew the lease in another thread, unless that is being tried already. In the heartbeat's thread."""
        if self._renewing:
            self._run_out(time.monotonic())
            return
        self._renewing = True
        try:
            self._keeper.callers.submit(self.name, "", False, self._renew)
        except RuntimeError as error:  # no further thread now; the other locks are to be renewed all the same
            self._renewing = False
            self._run_out(time.monotonic(), str(error))

    def _renew(self) -> None:
        asked = time.monotonic()
        try:
            self._ask("renew", (self.token,), max(0.2, self.lease / 2))
        except LockedError as error:
            self._lose(str(error))
        except Exception as error:  # noqa: BLE001 - a door: whatever it is, it may be over before the lease is
            self._run_out(time.monotonic(), str(error))
        else:
            self._good_until = asked + self.lease
        finally:
            self._renewing = False

    def _run_out(self, now: float, why: str = "it does not answer") -> None:
        if now > self._good_until:
            self._lose(f"it could not be renewed within its lease of {self.lease:g} s ({why})")

    def _lose(self, why: str) -> None:
        if not self._released:
            self.why, self.lost = why, True
        self._keeper.drop(self)


class Keeper:
    """The heartbeat of all locks that this process holds: one thread, which ends when nothing is held.

    Attributes:
        callers: The threads that renew: its own, as those of ``proxy.future`` may all be in long calls.
    """

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.callers = futures.Callers()
        self._changed = threading.Condition()
        self._due: dict[Ownership, float] = {}
        self._thread: threading.Thread | None = None

    def hold(self, ownership: Ownership) -> None:
        """Renew a lock from now on. Any thread."""
        with self._changed:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="agentlab-locks", daemon=True)
                thread.start()  # may raise: then nothing is held, and the next lock is to try again
                self._thread = thread
            self._due[ownership] = time.monotonic() + ownership.period
            self._changed.notify()

    def drop(self, ownership: Ownership) -> None:
        """Renew a lock no more; one that is not renewed is fine. Any thread."""
        with self._changed:
            self._due.pop(ownership, None)
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._due:
                    self._thread = None
                    return
                now = time.monotonic()
                ready = [ownership for ownership, due in self._due.items() if due <= now]
                for ownership in ready:
                    self._due[ownership] = now + ownership.period
                if not ready:
                    self._changed.wait(min(self._due.values()) - now)
            for ownership in ready:
                ownership.beat()


_lock = threading.Lock()
_keeper: Keeper | None = None


def keeper() -> Keeper:
    """Give this process's heartbeat; a fork has no threads, so it gets its own."""
    global _keeper  # noqa: PLW0603 - one per process, made when first used
    with _lock:
        if _keeper is None or _keeper.pid != os.getpid():
            _keeper = Keeper()
        return _keeper
