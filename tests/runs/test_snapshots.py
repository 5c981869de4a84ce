"""What is kept of the instruments at the start of a run."""

from __future__ import annotations

import threading

from agentlab.errors import ExpiredError, OfflineError
from agentlab.runs import snapshots
from tests.runs.fakes import FakeInstrument


class Busy:
    """Answers as an instrument's proxy does: it cannot ask its device in time."""

    def __init__(self) -> None:
        self.limits: list[float] = []
        self.asked: list[bool] = []
        self.gone = False

    def timeout(self, seconds: float) -> Busy:
        self.limits.append(seconds)
        return self

    def snapshot(self, *, refresh: bool = False) -> dict[str, float]:
        self.asked.append(refresh)
        if self.gone:
            raise OfflineError("gone")
        if refresh:
            raise ExpiredError("the device is in a long call")
        return {"voltage": 1.5}


def test_the_device_is_asked_and_else_the_last_readings_are_taken() -> None:
    busy = Busy()
    assert snapshots.take([("busy", busy), None, ("busy", busy)]) == {"busy": {"voltage": {"value": 1.5}}}
    assert busy.asked == [True, False]
    assert set(busy.limits) == {snapshots.LIMIT}
    busy.gone = True
    assert snapshots.take([("busy", busy)]) == {"busy": {"error": "OfflineError: gone"}}


def test_all_are_asked_at_once() -> None:
    together = threading.Barrier(3)

    class Slow(FakeInstrument):
        def snapshot(self):
            together.wait(5.0)
            return super().snapshot()

    found = snapshots.take([(name, Slow(name)) for name in ("a", "b", "c")])
    assert list(found) == ["a", "b", "c"]
    assert found["b"]["voltage"]["value"] == 0.0
