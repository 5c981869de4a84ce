"""What the keeper knows of one unit."""

from __future__ import annotations

from typing import Any

from agentlab.lab.hang import Silence
from agentlab.lab.units import ALIVE, UP, State, Unit


class Record:
    """The changing side of one unit. Owned by the keeper.

    Attributes:
        goal: Whether it is to be up.
        state: See :data:`~agentlab.lab.units.State`.
        since: When it came into that state.
        reason: Why it is in that state, where there is something to say.
        incarnation: Number of its lives so far.
        restarts: How often it was started again after an end that nobody asked for.
        fresh: Whether somebody asked for it and it has not been up since: a failing start is then no case for its policy.
        started: Whether this life has come up.
        halt: Whether this life is to end; the goal says what comes then.
        asked: Whether it was asked to end.
        kill_at: When it is killed, unless it has ended.
        killed: Whether it was killed for being late.
        hung: Whether it was killed for a hang.
        why: What its end was for.
        not_before: When it may start.
        blocked: The unit without which it cannot start, and which nobody starts.
        exitcode: Of its last life.
        cause: Its last end that nobody asked for, in a few words; empty: there was none since somebody started it.
        info: What was told when it came up.
    """

    def __init__(self, unit: Unit, now: float) -> None:
        self.unit = unit
        self.group = unit.name
        self.goal = False
        self.state: State = "stopped" if unit.here else "elsewhere"
        self.since = now
        self.reason = ""
        self.incarnation = 0
        self.restarts = 0
        self.fresh = True
        self.not_before = 0.0
        self.blocked = ""
        self.exitcode: int | None = None
        self.cause = ""
        self.info: dict[str, Any] = {}
        self._forget_life()

    @property
    def name(self) -> str:
        """The unit's full name."""
        return self.unit.name

    @property
    def is_alive(self) -> bool:
        """Whether something of it lives, or may live."""
        return self.state in ALIVE

    @property
    def is_up(self) -> bool:
        """Whether others may rely on it."""
        return self.state in UP

    @property
    def never_began(self) -> bool:
        """Whether nobody has started it yet: then it came into its state at no time."""
        return self.incarnation == 0 and self.state in ("stopped", "elsewhere")

    @property
    def is_watched(self) -> bool:
        """Whether its pulse is of interest."""
        up = self.state in ("running", "suspected") and not (self.halt or self.hung)
        return up and self.unit.hang_timeout is not None

    @property
    def is_absent(self) -> bool:
        """Whether it does not come back with the others of its group: nobody started it, or nothing may bring it back."""
        return not self.goal and (self.state == "stopped" or (self.state == "done" and self.unit.restart == "temporary"))

    @property
    def must_end(self) -> bool:
        """Whether it lives and is to end."""
        return self.halt and self.is_alive

    def go(self, state: State, now: float, reason: str = "") -> None:
        """Change its state."""
        if state != self.state:
            self.state, self.since = state, now
        self.reason = reason

    def leave_it(self, now: float) -> None:
        """Note that it belongs to another machine from now on."""
        self.goal = False
        if self.is_alive:
            self.halt = True
        else:
            self.go("elsewhere", now)

    def begin(self, now: float) -> None:
        """Begin its next life."""
        self._forget_life()
        self.incarnation += 1
        self.info = {}
        self.exitcode = None
        self.go("starting", now)

    def ended(self, now: float) -> None:
        """End its life; what comes next is said afterwards."""
        self._forget_life()
        self.go("stopped", now)

    def _forget_life(self) -> None:
        self.started = self.halt = self.asked = self.killed = self.hung = False
        self.kill_at: float | None = None
        self.why = ""
        self.silence = Silence()
