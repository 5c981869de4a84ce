"""The states of an instrument as a table, and the times of its attempts to reach a device that is gone. No clock.

What is known of the device is its *link*: ``connecting``, ``online``, ``offline`` or ``fault``. What people are shown adds
what happens to it while it is online: ``busy`` and ``safe``.
"""

from __future__ import annotations

STATES = ("connecting", "online", "busy", "offline", "fault", "safe")
"""All that :meth:`States.shown` gives."""
GONE = frozenset({"offline", "fault"})
"""Links of a device that cannot be asked, however fresh its last readings are."""

_TABLE = {
    ("connecting", "opened"): "online",
    ("connecting", "away"): "offline",
    ("connecting", "failed"): "fault",
    ("online", "away"): "offline",
    ("online", "failed"): "fault",
    ("online", "doubted"): "connecting",  # a reply went astray: the next is believed when the device has been proved
    ("offline", "opened"): "online",
    ("offline", "failed"): "fault",
    ("fault", "opened"): "online",
    ("fault", "away"): "offline",
}
"""Link and event, and the link that follows. What does not stand here changes nothing: a device that is away is away."""


class States:
    """The link to one device. The caller keeps threads apart.

    Args:
        now: Time in seconds.

    Attributes:
        link: ``connecting``, ``online``, ``offline`` or ``fault``.
        since: Since when, as it was handed in.
        reason: Why it is not online; empty: it is, or it has only begun.
        opened: Whether it was ever online.
    """

    __slots__ = ("link", "opened", "reason", "since")

    def __init__(self, now: float) -> None:
        self.link = "connecting"
        self.since = now
        self.reason = ""
        self.opened = False

    def move(self, event: str, now: float, reason: str = "") -> bool:
        """Note what happened: ``opened``, ``away``, ``failed`` or ``doubted``; give whether the link is another one now.

        Raises:
            ValueError: there is no such event.
        """
        if event not in {"opened", "away", "failed", "doubted"}:
            raise ValueError(f"{event!r} is no event of a link; known are opened, away, failed, doubted")
        after = _TABLE.get((self.link, event))
        if after is None:
            if event in {"away", "failed"}:
                self.reason = reason or self.reason
            return False
        self.link, self.since = after, now
        self.reason = "" if after == "online" else reason
        self.opened = self.opened or after == "online"
        return True

    def shown(self, *, working: bool, latched: bool) -> str:
        """Give the state as people are told it.

        Args:
            working: A call runs, or a ramp is under way.
            latched: The safe state is latched.
        """
        if self.link != "online":
            return self.link
        if working:
            return "busy"
        return "safe" if latched else "online"


class Backoff:
    """When to try again: at once, then after `first` seconds, twice as much each time, never more than `most`.

    Args:
        first: Seconds.
        most: Seconds.
    """

    __slots__ = ("_delay", "_first", "_most", "next_time")

    def __init__(self, first: float = 0.1, most: float = 1.0) -> None:
        self._first, self._most = first, max(first, most)
        self.again(0.0)

    def again(self, now: float) -> None:
        """Begin anew: the next attempt is due at once."""
        self._delay = self._first
        self.next_time = now

    def failed(self, now: float) -> float:
        """Note an attempt that failed; give when the next is due."""
        self.next_time = now + self._delay
        self._delay = min(self._most, 2 * self._delay)
        return self.next_time
