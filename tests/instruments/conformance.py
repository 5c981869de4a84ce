"""What every instrument owes its users, whatever its driver: one function per case, run on all rigs unchanged.

A case gets a :class:`Bed`: a running instrument of one rig. It leaves the instrument as it found it: online, unlocked,
not latched.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from agentlab import Proxy
from agentlab.errors import (
    CallTimeoutError,
    CancelledCallError,
    DeviceTimeoutError,
    ExpiredError,
    LatchedError,
    LimitError,
    LockedError,
    OfflineError,
)
from agentlab.testing.waiting import wait_condition
from tests.instruments.rigs import Rig, Where
from tests.timing import soon

QUICK = 0.05
"""Seconds within which what needs no device is answered."""
SLACK = 4.0
"""How many times as long it may take here: two cores run the server, the agent, the clients and other tests."""
LONG = 0.5
"""Seconds that a slow action takes."""
RAMP = 25.0
"""A set to this one lasts 2 s and more, as each step of 1 takes 0.1 s."""

Case = Callable[["Bed"], None]
CASES: dict[str, Case] = {}


@dataclass
class Bed:
    """One running instrument under test."""

    rig: Rig
    where: Where
    name: str
    proxy: Any
    nsaddr: Any

    def another(self) -> Any:
        """Give another client of it."""
        return Proxy(self.name, self.nsaddr)

    def read(self, proxy: Any = None) -> Any:
        """Give the reading of the parameter that can always be read."""
        return (proxy or self.proxy).get(self.rig.reads)

    def write(self, value: float, proxy: Any = None) -> None:
        """Set the parameter that can be set."""
        (proxy or self.proxy).set(self.rig.writes, value)

    def written(self) -> float:
        """Give what was set last, as the device says."""
        return float(self.proxy.get(self.rig.writes).value)

    def heard(self) -> list[str] | None:
        """Give what the device was told so far; None where nobody counts."""
        return None if self.where.heard is None else list(self.where.heard())

    def long(self, proxy: Any = None, seconds: float = LONG) -> Any:
        """Begin what takes long, a slow action if the device has one and else a ramp; give its future."""
        future = (proxy or self.another()).timeout(20).future
        if self.rig.slow:
            return getattr(future, self.rig.slow)(seconds)
        return future.set(self.rig.writes, RAMP)

    def busy(self) -> bool:
        """Tell whether the instrument says that it is busy with what :meth:`long` began."""
        status = self.proxy.status()
        return bool(status["state"] == "busy" and status["action"])

    def online(self, limit: float = 5.0) -> bool:
        """Wait until the device is reachable."""
        return wait_condition(lambda: self.proxy.status()["state"] in {"online", "busy", "safe"}, timeout=limit)

    def back(self) -> None:
        """End what runs and bring the parameter back to where it began, in one step."""
        self.proxy.cancel()
        assert wait_condition(lambda: self.proxy.status()["state"] == "online", timeout=5.0), self.proxy.status()
        self.proxy.timeout(20).set(self.rig.writes, self.rig.value)


def case(function: Case) -> Case:
    """Make a function one of the cases."""
    CASES[function.__name__] = function
    return function


def quickly(function: Callable[[], Any], what: str) -> Any:
    """Call it; it must be done within :data:`QUICK` seconds at best of three.

    A stall of the machine hits one of three, a wait that is built in hits all.
    """
    times = []
    for _ in range(3):
        began = time.perf_counter()
        found = function()
        times.append(time.perf_counter() - began)
        if times[-1] < soon(QUICK):
            return found
    raise AssertionError(f"{what} took {[round(one * 1e3) for one in times]} ms, not {QUICK * 1e3:g} ms")


def refused(function: Callable[[], Any], error: type[Exception], what: str) -> Exception:
    """Call it; it must be refused with that error, quickly."""

    def attempt() -> Exception:
        with pytest.raises(error) as found:
            function()
        return found.value

    return quickly(attempt, what)


@case
def value(bed: Bed) -> None:
    """A reading has a value of the right type, the unit, the time and a good quality."""
    before = time.time()
    found = bed.read()
    assert type(found.value) is bed.rig.kind
    assert bed.rig.near[0] <= found.value <= bed.rig.near[1]
    assert found.unit == bed.rig.unit and found.quality == "good"
    assert before - 1 < found.timestamp < time.time() + 1
    assert type(getattr(bed.proxy, bed.rig.reads)) is bed.rig.kind
    assert str(found).endswith(f" {bed.rig.unit}")


@case
def setting(bed: Bed) -> None:
    """What is set is read back, by method and by attribute."""
    before = bed.heard()
    bed.write(bed.rig.other)
    assert bed.written() == pytest.approx(bed.rig.other)
    assert before is None or len(bed.heard() or ()) > len(before)  # else counting bytes would show nothing
    setattr(bed.proxy, bed.rig.writes, bed.rig.value)
    assert getattr(bed.proxy, bed.rig.writes) == pytest.approx(bed.rig.value)


@case
def limits(bed: Bed) -> None:
    """A value out of limits, not a number or of another type is refused; no byte is sent, nothing is clamped."""
    bed.write(bed.rig.value)
    assert bed.written() == pytest.approx(bed.rig.value)  # all that was sent has arrived
    before = bed.heard()
    for wrong in (bed.rig.outside, -1e9, float("nan"), "nonsense", True, None):
        with pytest.raises((LimitError, ValueError, TypeError)) as found:
            bed.write(wrong)
        assert "\n" not in str(found.value)
    with pytest.raises(LimitError, match=f"{bed.rig.outside:g}"):
        setattr(bed.proxy, bed.rig.writes, bed.rig.outside)
    assert bed.heard() == before
    assert bed.written() == pytest.approx(bed.rig.value)


@case
def typo(bed: Bed) -> None:
    """A misspelt name is an AttributeError that names the nearest one, for reading, setting and getting."""
    wrong, right = bed.rig.typo
    bed.read()  # all that was sent has arrived
    before = bed.heard()
    for attempt in (
        lambda: getattr(bed.proxy, wrong),
        lambda: setattr(bed.proxy, wrong, 1.0),
        lambda: bed.proxy.get(wrong),
        lambda: bed.proxy.set(wrong, 1.0),
    ):
        with pytest.raises(AttributeError, match=right):
            attempt()
    assert bed.heard() == before


@case
def describe(bed: Bed) -> None:
    """The table of parameters and actions is told without a byte, by every way there is."""
    bed.read()  # all that was sent has arrived
    before = bed.heard()
    found = quickly(bed.proxy.describe, "describe()")
    names = _names(found)
    assert {bed.rig.reads, bed.rig.writes} <= set(names)
    assert names[bed.rig.reads]["unit"] == bed.rig.unit
    assert bed.rig.reads in dir(bed.proxy)
    bed.proxy.snapshot()
    bed.another().describe()
    assert bed.heard() == before


def _names(found: Any) -> dict[str, Any]:
    table = found["parameters"]
    return table if isinstance(table, dict) else {one["name"]: one for one in table}


@case
def mixed(bed: Bed) -> None:
    """Eight clients ask different things at the same time: no wrong value."""
    wrong: list[Any] = []
    bed.write(bed.rig.value)

    def client(number: int) -> int:
        proxy, done = bed.another().timeout(60), 0
        for turn in range(bed.rig.rounds):
            if bed.rig.echo:
                text = f"{number}.{turn}"
                found = getattr(proxy, bed.rig.echo)(text)
                wrong.extend([] if str(found) == text else [(text, found)])
            found = proxy.get(bed.rig.reads)
            wrong.extend([] if bed.rig.near[0] <= found.value <= bed.rig.near[1] else [found])
            found = proxy.get(bed.rig.writes)
            wrong.extend([] if found.value == pytest.approx(bed.rig.value) else [found])
            done += 1
        return done

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(client, range(8))) == 8 * bed.rig.rounds
    assert not wrong


@case
def timeout(bed: Bed) -> None:
    """A reply that comes too late, or never, is a timeout; every reply after it is the right one."""
    bed.write(bed.rig.value)
    for _ in range(2):
        with pytest.raises(DeviceTimeoutError) as found:
            bed.proxy.timeout(10).get(bed.rig.quiet)
        assert isinstance(found.value, TimeoutError)
        for _ in range(max(2, bed.rig.rounds // 2)):
            assert bed.rig.near[0] <= bed.proxy.timeout(10).get(bed.rig.reads).value <= bed.rig.near[1]
            assert bed.written() == pytest.approx(bed.rig.value)


@case
def cable(bed: Bed) -> None:
    """A pulled cable is an OfflineError, at once from then on; two seconds after its return all is as before."""
    bed.write(bed.rig.value)
    assert bed.where.unplug is not None and bed.where.plug is not None
    bed.where.unplug()
    try:
        began = time.monotonic()
        with pytest.raises(OfflineError) as found:  # the first call may have to find it out
            bed.proxy.timeout(10).get(bed.rig.reads)
        assert isinstance(found.value, ConnectionError)
        assert time.monotonic() - began < soon(2.0)
        assert wait_condition(lambda: bed.proxy.status()["state"] == "offline", timeout=5.0), bed.proxy.status()
        refused(bed.read, OfflineError, "reading from what is offline")
        refused(lambda: bed.write(bed.rig.other), OfflineError, "setting what is offline")
    finally:
        bed.where.plug()
    began = time.monotonic()
    assert wait_condition(lambda: bed.proxy.status()["state"] == "online", timeout=2.0 * SLACK)
    assert time.monotonic() - began < soon(2.0 + 0.5)
    assert bed.rig.near[0] <= bed.read().value <= bed.rig.near[1]
    bed.write(bed.rig.value)
    assert bed.written() == pytest.approx(bed.rig.value)


@case
def status(bed: Bed) -> None:
    """While something takes seconds, status says at once what and for how long; snapshot and describe answer too."""
    future = bed.long()
    try:
        assert wait_condition(bed.busy), bed.proxy.status()
        found = quickly(bed.proxy.status, "status() during a long call")
        assert (bed.rig.slow or bed.rig.writes) in found["action"]
        assert found["elapsed"] >= 0
        later = bed.proxy.status()
        assert later["elapsed"] > found["elapsed"]
        quickly(bed.proxy.describe, "describe() during a long call")
        quickly(bed.proxy.snapshot, "snapshot() during a long call")
        quickly(bed.proxy.lock_info, "lock_info() during a long call")
        quickly(bed.proxy.ping, "ping() during a long call")
        if bed.rig.slow:
            assert float(future.result(10)) == pytest.approx(LONG)
    finally:
        bed.back()
        future.exception(10)


@case
def expired(bed: Bed) -> None:
    """A call whose time ran out while it waited is not executed."""
    bed.write(bed.rig.value)
    assert bed.written() == pytest.approx(bed.rig.value)  # so it was heard: nothing answers to a set
    before = bed.heard()
    future = bed.long()
    try:
        assert wait_condition(bed.busy), bed.proxy.status()
        with pytest.raises((ExpiredError, CallTimeoutError)):
            bed.another().timeout(0.2).set(bed.rig.writes, bed.rig.other)
        if bed.rig.slow:
            future.result(10)
            assert bed.proxy.timeout(5).get(bed.rig.writes).value == pytest.approx(bed.rig.value)
            heard = bed.heard()
            assert heard is None or before is None or not [one for one in heard[len(before) :] if one.startswith("VOLT ")]
    finally:
        bed.back()
        future.exception(10)
    assert bed.written() == pytest.approx(bed.rig.value)


@case
def cancel(bed: Bed) -> None:
    """What takes long and can be ended ends soon after cancel(), and says so to its caller."""
    bed.write(bed.rig.value)
    future = bed.another().timeout(20).future.set(bed.rig.writes, RAMP)
    try:
        assert wait_condition(bed.busy), bed.proxy.status()
        began = time.monotonic()
        bed.proxy.cancel()
        with pytest.raises(CancelledCallError):
            future.result(10)
        assert time.monotonic() - began < soon(0.5 * SLACK)
        assert bed.written() < RAMP - 1
    finally:
        bed.back()


@case
def lock(bed: Bed) -> None:
    """Writing is the owner's alone, reading stays free, and who was refused is told why."""
    bed.write(bed.rig.value)
    owner, other = bed.another(), bed.another()
    with owner.lock(timeout=2, lease=5, reason="calibration"):
        bed.write(bed.rig.other, owner)
        error = refused(lambda: bed.write(bed.rig.value, other), LockedError, "a set of what others own")
        assert isinstance(error, PermissionError)
        assert error.owner and error.reason == "calibration"
        assert bed.rig.near[0] <= bed.read(other).value <= bed.rig.near[1]
        assert quickly(other.lock_info, "lock_info()")["owner"] == error.owner
        other.status(), other.ping(), other.describe()
        with pytest.raises((LockedError, TimeoutError)):
            other.lock(timeout=0.1)
    assert not bed.proxy.lock_info()["owner"]
    assert bed.written() == pytest.approx(bed.rig.other)
    bed.write(bed.rig.value, other)


@case
def latch(bed: Bed) -> None:
    """An emergency stop latches: sets are refused until somebody resets, reads are not."""
    bed.write(bed.rig.other)
    try:
        quickly(lambda: bed.proxy.estop("conformance"), "estop()")
        error = refused(lambda: bed.write(bed.rig.value), LatchedError, "a set after the emergency stop")
        assert "reset" in str(error)
        assert bed.rig.near[0] <= bed.read().value <= bed.rig.near[1]
        assert wait_condition(lambda: bed.proxy.status()["state"] == "safe"), bed.proxy.status()
        assert wait_condition(lambda: bed.written() == pytest.approx(0)), "the safe state was not reached"
    finally:
        bed.proxy.reset()
    assert wait_condition(lambda: bed.proxy.status()["state"] == "online"), bed.proxy.status()
    bed.write(bed.rig.value)


@case
def threads(bed: Bed) -> None:
    """One proxy in many threads is as good as many proxies."""
    bed.write(bed.rig.value)
    found: list[float] = []
    workers = [threading.Thread(target=lambda: found.append(bed.written())) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(20)
    assert found == [pytest.approx(bed.rig.value)] * 8
