"""Who is started again when one ends: the rules of Erlang/OTP's supervisors. Pure: the time is handed in.

A group has members in an order, a strategy and an intensity. When one of them ends:

=============  ==========================================================================================
permanent      it is started again, however it ended
transient      it is started again when it ended abnormally: an exit code other than 0, or a signal
temporary      it is never started again, and forgotten: no strategy brings it back
one_for_one    only that one is started again
rest_for_one   it and the members after it: those are stopped, in reverse order, then all are started in order
one_for_all    all members, in the same way
intensity      more than so many restarts within ``period`` seconds: the group is stopped, in reverse order
=============  ==========================================================================================

Beyond OTP: a first restart comes at once, further ones within the period after a delay that grows; and a member that
somebody stopped on purpose stays stopped until somebody starts it, whatever happens to the others.

Source: OTP's ``supervisor.erl``; there, too, a start that fails while restarting counts as one more restart, and a transient
member that had ended well comes back when its group is restarted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

Restart = Literal["permanent", "transient", "temporary"]
Strategy = Literal["one_for_one", "one_for_all", "rest_for_one"]

RESTART_CODE = 75
"""Exit code of a process that asks to be started again; abnormal like every other one that is not 0."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays of the restarts within one period: none, `first`, `first` x `factor`, ... up to `most` seconds."""

    first: float = 0.1
    factor: float = 2.0
    most: float = 10.0

    def delay(self, earlier: int) -> float:
        """Give the seconds before a restart that follows so many earlier ones."""
        if earlier <= 0 or self.first <= 0:
            return 0.0
        if self.factor <= 1 or (earlier - 1) * math.log(self.factor) < 30:
            return min(self.most, self.first * self.factor ** (earlier - 1))
        return self.most


@dataclass(frozen=True, slots=True)
class Group:
    """Units that are supervised together, in their order.

    Attributes:
        name: What it is called; a unit without a group is a group of its own name.
        members: Full names of its units.
        strategy: Who is started again with whom.
        intensity: Restarts that are allowed within `period`.
        period: Seconds.
        backoff: Delays of repeated restarts.
    """

    name: str
    members: tuple[str, ...]
    strategy: Strategy = "one_for_one"
    intensity: int = 5
    period: float = 10.0
    backoff: Backoff = field(default_factory=Backoff)

    @property
    def is_ordered(self) -> bool:
        """Whether the order of its members says who is stopped and started with whom."""
        return self.strategy != "one_for_one"


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done after an end.

    Attributes:
        stop: Members to stop, in this order; some may have ended already.
        start: Members to start, in this order, when all of `stop` have ended.
        delay: Seconds to wait before that.
        gave_up: Why the group is given up; empty: it is not.
    """

    stop: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    delay: float = 0.0
    gave_up: str = ""


def is_abnormal(exitcode: int | None) -> bool:
    """Tell whether a process ended abnormally; an end that nobody saw (None) counts as one."""
    return exitcode != 0


class GroupPolicy:
    """Decides for one group. It knows who may come back and when restarts were; who lives is its caller's knowledge.

    Args:
        group: Its rules.
        restarts: The kind of restart of each member.
    """

    def __init__(self, group: Group, restarts: dict[str, Restart]) -> None:
        self.group = group
        self._restarts = {name: restarts[name] for name in group.members}
        self._absent: set[str] = set()
        self._history: list[tuple[float, str]] = []

    def take_over(self, earlier: GroupPolicy) -> None:
        """Go on from what an earlier policy of this group knows: its restarts, and who is absent."""
        self._absent = earlier._absent & set(self.group.members)
        self._history = list(earlier._history)

    def leave(self, names: Iterable[str]) -> None:
        """Note members that somebody stopped: they do not come back with the others."""
        self._absent.update(name for name in names if name in self._restarts)

    def admit(self, name: str) -> None:
        """Note that somebody starts a member: it belongs to the group again, and its earlier restarts are forgotten."""
        self._absent.discard(name)
        self._history = [(when, who) for when, who in self._history if who != name]

    def ended(self, name: str, *, abnormal: bool, now: float) -> Decision:
        """Decide what follows from an end that nobody asked for, or from a restart that failed.

        Args:
            name: Who ended.
            abnormal: How, see :func:`is_abnormal`.
            now: Seconds of any clock that does not go back.
        """
        kind = self._restarts[name]
        if kind == "temporary":
            self._absent.add(name)
        if kind == "temporary" or (kind == "transient" and not abnormal):
            return Decision()
        group = self.group
        self._history = [entry for entry in self._history if entry[0] >= now - group.period]
        earlier = sum(1 for _, who in self._history if group.is_ordered or who == name)
        self._history.append((now, name))
        if len(self._history) > group.intensity:
            return self._give_up(name)
        affected = self._affected(name)
        stop = tuple(member for member in reversed(affected) if member != name)
        self._absent.update(member for member in stop if self._restarts[member] == "temporary")
        start = tuple(member for member in affected if member == name or member not in self._absent)
        return Decision(stop, start, group.backoff.delay(earlier))

    def _affected(self, name: str) -> Sequence[str]:
        members = self.group.members
        if self.group.strategy == "one_for_one":
            return (name,)
        return members if self.group.strategy == "one_for_all" else members[members.index(name) :]

    def _give_up(self, name: str) -> Decision:
        count, period = len(self._history), self.group.period
        who = name if len(self.group.members) == 1 else f"group {self.group.name!r}, last {name},"
        allowed = f"{self.group.intensity} restart{'' if self.group.intensity == 1 else 's'}"
        self._history.clear()
        why = f"{who} ended {count} time{'' if count == 1 else 's'} within {period:g} s; allowed are {allowed}"
        return Decision(tuple(member for member in reversed(self.group.members) if member != name), gave_up=why)
