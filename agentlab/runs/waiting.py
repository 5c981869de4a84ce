"""What a run keeps of a wait for a device that was away: a remark on the row that was measured when it was back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

_WAITED = "waited "


@dataclass(frozen=True, slots=True)
class Wait:
    """One wait of a scan. Pure: the times are handed in.

    Attributes:
        column: Of what could not be set or read first.
        why: What was raised first.
        since: Seconds since 1970.
        began: The same moment by :func:`time.monotonic`.
    """

    column: str
    why: str
    since: float
    began: float

    def remark(self, now: float, other: str = "") -> str:
        """Give the text for its column, with the other remark on the same value; `now` by :func:`time.monotonic`."""
        when = datetime.fromtimestamp(self.since).astimezone().isoformat(" ", "seconds")[:19]
        text = f"{_WAITED}{now - self.began:.1f} s, from {when}: {self.why}"
        return f"{text}; {other}" if other else text


def is_wait(text: str) -> bool:
    """Tell whether a remark is one of a wait."""
    return text.startswith(_WAITED)
