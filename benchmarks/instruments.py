"""The figures of instruments: reading, refusing, telling, publishing and stopping, on devices behind real sockets.

The devices are ours, the server is sinstruments: one process with a port for each.
"""

from __future__ import annotations

import contextlib
import os
import signal
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import pyvisa

from agentlab import Proxy, run_agent
from agentlab.errors import LockedError
from agentlab.instruments import run_instrument
from agentlab.settings import NAMESERVER_VARIABLE, config
from benchmarks.measure import Row
from tests.instruments.live import Benches, owner, timed
from tests.instruments.subscribers import Listener

CROWD = 20
PERIOD = 0.1
LEASE = 1.0


@contextlib.contextmanager
def benches(count: int = 1) -> Iterator[Benches]:
    """Give so many devices; the instruments that hold them are ended at the end."""
    found = Benches(os.environ[NAMESERVER_VARIABLE], count)
    try:
        yield found
    finally:
        found.close()


def reading(_rounds: int, scale: float) -> list[Row]:
    """One parameter read through the whole stack, against PyVISA alone on the same device; eight clients at once."""
    count = int(3000 * scale)
    with benches() as lab:
        psu = lab.run("bench-psu")
        with _resource(lab.server.address("b0")) as resource:
            bare, ours = [], []
            for _ in range(count):  # turn about: what else the machine does hits both
                bare.append(timed(lambda: resource.query("VOLT?")))
                ours.append(timed(lambda: psu.get("voltage")))
        mixed = _mixed("bench-psu", int(1000 * scale))
    beyond = (statistics.median(ours) - statistics.median(bare)) * 1e3
    return [
        Row(
            "instrument",
            "reading a parameter, beyond the device's own time",
            f"{beyond:.2f} ms",
            f"{statistics.median(bare) * 1e6:.0f} us",
            must=1,
            at_most=True,
            measured=beyond,
            note=f"median of {count:,}; 99 of 100 within {_share(ours, 0.99) * 1e3:.2f} ms altogether; bare: PyVISA alone",
        ),
        mixed,
    ]


@contextlib.contextmanager
def _resource(address: str) -> Iterator[Any]:
    manager = pyvisa.ResourceManager("@py")
    resource = manager.open_resource(address, read_termination="\n", write_termination="\n")
    try:
        yield resource
    finally:
        resource.close()
        manager.close()


def _mixed(name: str, queries: int) -> Row:
    def client(number: int) -> int:
        proxy, wrong = Proxy(name), 0
        for turn in range(queries // 4):
            text = f"{number}-{turn}"
            wrong += proxy.echo(text) != text
            wrong += proxy.voltage != 1.25
            wrong += proxy.current != 0.5
            wrong += proxy.mode != "CV"
        return wrong

    began = time.perf_counter()
    with ThreadPoolExecutor(8) as pool:
        wrong = sum(pool.map(client, range(8)))
    rate = 8 * queries / (time.perf_counter() - began)
    title = f"8 clients x {queries:,} mixed queries: wrong values"
    return Row("instrument", title, str(wrong), must=0, at_most=True, measured=float(wrong), note=f"{rate:,.0f} queries/s")


def refusing(_rounds: int, scale: float) -> list[Row]:
    """A set that is refused as somebody else owns the instrument; and status in the middle of a long action."""
    count = int(10_000 * scale)
    with benches() as lab:
        psu, mine = lab.run("bench-psu"), Proxy("bench-psu")
        with mine.lock(reason="a benchmark"):
            times = [timed(lambda: _refused(psu)) for _ in range(count)]
        call = mine.timeout(30).future.slow(3)
        _until(lambda: psu.status()["state"] == "busy")
        told = []
        while not call.done():
            told.append(timed(psu.status))
            time.sleep(0.002)
    return [_worst(f"refusing {count:,} sets of what others own: worst", times, 50), _worst("status during 3 s: worst", told, 50)]


def _refused(proxy: Any) -> None:
    try:
        proxy.set("voltage", 3.0)
    except LockedError:
        return
    raise AssertionError("a set was not refused")


def _worst(title: str, times: list[float], must: float) -> Row:
    worst = max(times) * 1e3
    note = f"median {statistics.median(times) * 1e3:.2f} ms, 99 of 100 within {_share(times, 0.99) * 1e3:.2f} ms"
    return Row("instrument", title, f"{worst:.1f} ms", must=must, at_most=True, measured=worst, note=note)


def _share(times: list[float], share: float) -> float:
    return sorted(times)[int(len(times) * share)]


def publishing(_rounds: int, scale: float) -> list[Row]:
    """20 parameters at 10 Hz to 3 subscribers, one of them stalled."""
    seconds = 10.0 if scale >= 1 else 4.0
    hwm, config["HWM"] = config["HWM"], 100
    try:
        with benches() as lab:
            lab.proxies.append(run_instrument("bench-source", "tests.instruments.drivers.crowd:Crowd", CROWD, poll=PERIOD))
            listeners = [run_agent(f"bench-listener{number}", base=Listener) for number in range(3)]
            lab.proxies.extend(listeners)
            for listener in listeners:
                listener.listen("bench-source")
            _until(lambda: all(len(one.seen()["last"]) == CROWD for one in listeners))
            return _stalled(listeners, seconds)
    finally:
        config["HWM"] = hwm


def _stalled(listeners: list[Any], seconds: float) -> list[Row]:
    pid = listeners[2].execute_as_function(os.getpid)
    before, began = listeners[0].seen()["count"], time.perf_counter()
    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(seconds)
        good = [one.seen() for one in listeners[:2]]
        rate = (listeners[0].seen()["count"] - before) / (time.perf_counter() - began)
    finally:
        os.kill(pid, signal.SIGCONT)
    end = max(good[0]["last"].values()) + 10
    _until(lambda: min(listeners[2].seen()["last"].values()) >= end)
    bad = listeners[2].seen()
    lost = sum(one["gaps"] for one in good)
    whole = bad["count"] + bad["gaps"] == sum(bad["last"][name] - bad["first"][name] + 1 for name in bad["last"])
    note = f"{rate:.0f} readings/s; the third, stalled for {seconds:g} s, counted {bad['lost']} of {bad['gaps']} that it lost"
    title = f"{CROWD} parameters at 10 Hz: lost by the two that keep up"
    return [
        Row("instrument", title, str(lost), must=0, at_most=True, measured=float(lost), note=note),
        Row(
            "instrument",
            "readings that came, of those asked for",
            f"{rate / (CROWD / PERIOD):.2f}",
            must=0.95,
            ratio=rate / (CROWD / PERIOD),
        ),
        Row("instrument", "the stalled one's loss is counted", "yes" if whole and bad["lost"] == bad["gaps"] else "no"),
    ]


def stopping(rounds: int, scale: float) -> list[Row]:
    """The emergency stop of 20 instruments, each in a 10 s call; and an owner that is killed."""
    count = CROWD if scale >= 1 else 8
    with benches(count) as lab:
        proxies = [lab.run(f"bench-psu{number}", f"b{number}") for number in range(count)]
        reached, off = zip(*(_stop(lab, proxies) for _ in range(max(2, rounds // 3))), strict=True)
        heater = lab.run("bench-heater", lease=LEASE, on_owner_lost="safe")
        killed = [_kill_owner(lab, heater) for _ in range(max(2, rounds // 3))]
    title = f"emergency stop of {count} instruments, each in a 10 s call: all"
    note = f"all outputs off within {max(off) * 1e3:.0f} ms; worst of {len(off)}"
    return [
        Row("instrument", title, f"{max(reached) * 1e3:.0f} ms", must=250, at_most=True, measured=max(reached) * 1e3, note=note),
        Row(
            "instrument",
            f"owner killed (lease {LEASE:g} s): output off after",
            f"{max(killed):.2f} s",
            must=2,
            at_most=True,
            measured=max(killed),
            note=f"worst of {len(killed)}",
        ),
    ]


def _stop(lab: Benches, proxies: list[Any]) -> tuple[float, float]:
    for proxy in proxies:
        proxy.voltage = 20.0
    calls = [proxy.timeout(30).future.slow(10) for proxy in proxies]
    _until(lambda: all(proxy.status()["state"] == "busy" for proxy in proxies))
    began = time.perf_counter()
    told = [proxy.future.estop("a benchmark") for proxy in proxies]
    wait(told, 10)
    reached = time.perf_counter() - began
    assert all(one.result()["latched"] for one in told)
    _until(lambda: not any(lab.value("VOLT", f"b{number}") for number in range(len(proxies))))
    off = time.perf_counter() - began
    for proxy, call in zip(proxies, calls, strict=True):
        call.exception(10)
        proxy.reset()
        _until(lambda proxy=proxy: proxy.status()["state"] == "online")
    return reached, off


def _kill_owner(lab: Benches, heater: Any) -> float:
    heater.reset()
    heater.voltage = 12.0
    with owner("bench-heater", lab.nsaddr, LEASE) as (process, _):
        process.kill()
        began = time.perf_counter()
        _until(lambda: lab.value("VOLT") == 0.0)
        return time.perf_counter() - began


def _until(condition: Callable[[], object], limit: float = 15.0) -> None:
    deadline = time.monotonic() + limit
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("it did not come")
        time.sleep(0.002)
