"""Instruments that are just being loaded, latched, or whose driver goes astray: live, each test a story."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import psutil
import pytest

from agentlab import NSProxy, Proxy, run_nameserver
from agentlab.errors import (
    CallTimeoutError,
    DeadlockError,
    DriverError,
    InstrumentError,
    LatchedError,
    LimitError,
    NameTakenError,
    OfflineError,
    SerializationError,
    UnknownParameterError,
)
from agentlab.instruments import Range, Unit, run_instrument
from agentlab.runtime.calling import Caller
from agentlab.testing.transcript import Transcript
from agentlab.testing.waiting import wait_condition
from tests.cli.inprocess import Runner
from tests.timing import soon

ODD = "tests.instruments.drivers.odd"


class Tardy:
    """Its parameters are known when it is built, which takes a while."""

    def __init__(self, seconds: float = 0.4) -> None:
        time.sleep(seconds)
        self.voltage = 1.5

    def look(self) -> str:
        return "seen"


class Supply:
    voltage: Annotated[float, Unit("V"), Range(0, 10)]

    def __init__(self) -> None:
        self.voltage = 0.0

    def safe(self) -> None:
        self.voltage = 0.0


@pytest.fixture
def ns() -> Iterator[NSProxy]:
    ns = run_nameserver()
    yield ns
    ns.shutdown()


def tardy(seconds: float) -> Any:
    return run_instrument("psu", Tardy, seconds, wait=0)


def _sets(psu: Any) -> float:
    psu.voltage = 1.5
    return float(psu.voltage)


ASKED: dict[str, tuple[Callable[[Any, Caller], Any], Any]] = {
    "attribute": (lambda psu, _: psu.voltage, 1.5),
    "set": (lambda psu, _: _sets(psu), 1.5),
    "action": (lambda psu, _: psu.look(), "seen"),
    "handle": (lambda psu, _: psu["voltage"].get().value, 1.5),
    "readable": (lambda psu, _: list(psu.readable().read()), ["psu_voltage"]),
    "names": (lambda psu, _: list(psu), ["voltage"]),
    "future": (lambda psu, _: psu.future.voltage.result(5.0), 1.5),
    "raw attribute": (lambda _, raw: raw.call("_attribute", ("voltage",), {}, safe=False), (True, 1.5)),
    "raw get_attr": (lambda _, raw: raw.call("get_attr", ("voltage",), {}, safe=False), 1.5),
    "raw set_attr": (lambda _, raw: raw.call("set_attr", (), {"voltage": 1.5}, safe=False), None),
    "raw action": (lambda _, raw: raw.call("look", (), {}, safe=False), "seen"),
}


def test_names_are_awaited_while_the_driver_is_loaded(ns: NSProxy) -> None:
    psu = tardy(0.8)
    raw = Caller("psu", psu._core.uri, None)
    with ThreadPoolExecutor(len(ASKED) + 1) as pool:
        asked = {how: pool.submit(ask, Proxy("psu"), raw) for how, (ask, _) in ASKED.items()}
        typo = pool.submit(lambda: Proxy("psu").voltgae)
        assert psu.status()["state"] == "connecting"
        assert {how: one.result(5.0) for how, one in asked.items()} == {how: wanted for how, (_, wanted) in ASKED.items()}
        with pytest.raises(UnknownParameterError, match="did you mean 'voltage'"):
            typo.result(5.0)
    raw.close()
    psu.shutdown()


def test_the_command_line_awaits_the_driver_too(ns: NSProxy, capsys: pytest.CaptureFixture[str]) -> None:
    psu, run = tardy(0.6), Runner(capsys)
    where = ("--nsaddr", str(ns.addr()))
    outcome = run("set", "psu.voltage", "2.5", *where)
    assert (outcome.code, outcome.out) == (0, "psu.voltage = 2.5\n")
    psu.shutdown()
    psu = tardy(0.6)
    assert run("get", "psu.voltage", *where).out == "1.5\n"
    psu.shutdown()


def test_a_driver_that_hangs_while_it_is_built_keeps_nobody_waiting_for_ever(ns: NSProxy) -> None:
    psu = tardy(60.0)
    for ask in (lambda: psu.timeout(1.0).voltage, lambda: psu.timeout(1.0)["voltage"], lambda: psu.timeout(1.0).look()):
        began = time.monotonic()
        with pytest.raises(OfflineError, match="connecting"):
            ask()
        assert time.monotonic() - began < soon(5.0)
    assert psu.on_error  # what is the agent's own needs no driver
    os.kill(psu.execute_as_function(os.getpid), signal.SIGKILL)


def test_a_latch_outlives_its_agent_and_only_a_reset_ends_it(ns: NSProxy, tmp_path: Path) -> None:
    psu = run_instrument("psu", Supply, latch_file=tmp_path / "psu.json")
    psu.voltage = 5
    assert psu.snapshot()["voltage"].value == 5.0  # what was set is its last reading
    psu.estop("smoke", within=2)
    os.kill(psu.execute_as_function(os.getpid), signal.SIGKILL)
    psu = run_instrument("psu", Supply, latch_file=tmp_path / "psu.json")
    with pytest.raises(LatchedError, match="smoke"):
        psu.voltage = 5
    assert psu.status()["state"] == "safe"
    psu.shutdown()
    psu = run_instrument("psu", Supply, latch_file=tmp_path / "psu.json")
    assert psu.reset()["reason"] == "smoke"
    psu.voltage = 5
    psu.shutdown()
    psu = run_instrument("psu", Supply, latch_file=tmp_path / "psu.json")
    psu.voltage = 5
    psu.shutdown()


def test_who_comes_too_late_for_a_name_does_not_touch_the_device(ns: NSProxy) -> None:
    device_side = Transcript([("*IDN?", "ACME"), ("OUT?", "1"), ("OUT 0", None)])
    with device_side.serve() as device:
        table = {"ping": "*IDN?", "safe": ["OUT 0"], "parameters": {"out": {"get": "OUT?", "type": "int"}}}
        psu = run_instrument("psu", "agentlab.instruments:ScpiDevice", device.address, parameters=table)
        assert psu.out == 1
        before = list(device_side.received)
        with pytest.raises(NameTakenError, match=r"'psu'.*Proxy\('psu'\)") as caught:
            run_instrument("psu", "agentlab.instruments:ScpiDevice", device.address, parameters=table)
        assert "\n" not in str(caught.value)
        assert device_side.received == before
        assert psu.out == 1
        psu.shutdown()


def test_a_rule_that_cannot_be_read_is_told_before_anything_starts(ns: NSProxy) -> None:
    with pytest.raises(DriverError, match="=>"):
        run_instrument("psu", Supply, interlocks=["foo.bar > 3 => psu.safe()"])
    assert ns.agents() == []


def test_no_reset_while_the_interlock_is_violated(ns: NSProxy) -> None:
    psu = run_instrument("psu", Supply, poll=0.02, interlocks=["psu.voltage > 3 V -> psu.safe()", "gone.x > 1 -> psu.safe()"])
    assert wait_condition(lambda: psu.status()["latch"] is not None)
    for _ in range(50):
        with pytest.raises(LatchedError, match="gone.x has no reading"):
            psu.reset()
        with pytest.raises(LatchedError):
            psu.voltage = 5
    psu.shutdown()


def test_a_driver_that_asks_its_own_instrument_is_told_so(ns: NSProxy) -> None:
    psu = run_instrument("psu", f"{ODD}:Odd", "psu")
    began = time.monotonic()
    with pytest.raises(DeadlockError, match="of its own instrument"):
        _ = psu.mirrored
    assert time.monotonic() - began < soon(1.0)
    assert psu.voltage == 0.0
    psu.shutdown()


def test_what_a_driver_raises_is_no_fault_of_the_agent(ns: NSProxy) -> None:
    psu = run_instrument("psu", f"{ODD}:Odd", agent={"on_error": "stop"})
    for _ in range(3):
        with pytest.raises(ValueError, match="as always"):
            psu.fail()
        with pytest.raises(LimitError):
            psu.voltage = float("nan")
        with pytest.raises(TypeError):
            psu.fail(1, 2)
    assert psu.is_running()
    assert psu.error_count() == 0
    psu.shutdown()


def test_nothing_that_a_driver_raises_ends_anything(ns: NSProxy) -> None:
    psu = run_instrument("psu", f"{ODD}:Odd")
    for how in ("exit", "key", "base", "generator"):
        with pytest.raises(InstrumentError):
            psu.timeout(5).end(how)
        assert psu.timeout(5).voltage == 0.0
    psu.shutdown()


def test_results_that_cannot_be_sent(ns: NSProxy) -> None:
    psu = run_instrument("psu", f"{ODD}:Odd")
    for what in ("generator", "lock", "deep", "key", "exit", "value", "base"):
        with pytest.raises((SerializationError, InstrumentError), match="call|give"):
            psu.timeout(10).give(what)
        assert psu.timeout(5).voltage == 0.0
    assert len(psu.timeout(30).give("huge")) == 100_000_000
    psu.shutdown()


def test_an_agent_that_stood_still_gives_nothing_to_those_who_have_gone(ns: NSProxy) -> None:
    psu, other, third = run_instrument("psu", Supply), Proxy("psu"), Proxy("psu")
    pid = psu.execute_as_function(os.getpid)
    for one in (psu, other, third):
        one.voltage = 1.0
    os.kill(pid, signal.SIGSTOP)
    assert wait_condition(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    try:
        with pytest.raises(CallTimeoutError):
            other.timeout(0.3).lock(timeout=0, lease=60.0)
        with pytest.raises(CallTimeoutError):
            third.timeout(0.3).set("voltage", 9.0)
    finally:
        os.kill(pid, signal.SIGCONT)
    with psu.lock(timeout=1.0):
        assert psu.voltage == 1.0
    psu.shutdown()


class Choosy:
    """A constructor that raises what it is told."""

    def __init__(self, error: str) -> None:
        self.level = 0
        if error:
            raise {"value": ValueError("speed 1000 is out of limits"), "os": OSError("no device")}[error]


def test_an_error_of_the_constructor_is_told_where_the_instrument_is_started(ns: NSProxy) -> None:
    with pytest.raises(DriverError, match="psu cannot be opened: ValueError: speed 1000 is out of limits") as caught:
        run_instrument("psu", Choosy, "value")
    assert "\n" not in str(caught.value)
    assert ns.agents() == []
    psu = run_instrument("psu", Choosy, "os")
    assert psu.status()["state"] == "offline"
    assert psu.status()["reason"] == "the device is not there: no device"
    psu.shutdown()


def test_what_a_number_of_a_plain_class_takes_and_what_a_typo_is_told(ns: NSProxy) -> None:
    psu = run_instrument("psu", Choosy, "")
    psu.level = 2.5
    assert psu.level == 2.5
    with pytest.raises(UnknownParameterError) as caught:
        psu.speed()
    assert str(caught.value).endswith("no parameter or action 'speed'; known names: 'level'")
    with pytest.raises(UnknownParameterError, match="did you mean 'lock_info'"):
        psu.lock_inof()
    psu.shutdown()
