"""Devices that answer garbage, nothing, too late, too much; drivers that cannot be: typed errors and states."""

from __future__ import annotations

import os
from contextlib import suppress

import pytest

from agentlab import run_nameserver
from agentlab.errors import BadReplyError, ConfigurationError, DeviceTimeoutError, DriverError, InstrumentError, OfflineError
from agentlab.instruments import run_instrument
from agentlab.testing.waiting import wait_condition
from tests.instruments.live import TABLE, Benches, end
from tests.instruments.rigs import MODULE
from tests.instruments.servers import address_of, free_port

KINDS = ["scpi", "pymeasure", "qcodes"]
FAULTS = {
    "silent": DeviceTimeoutError,
    "late": DeviceTimeoutError,
    "garbage": BadReplyError,
    "latin": BadReplyError,
    "half": (DeviceTimeoutError, BadReplyError),
    "long": BadReplyError,
}


@pytest.fixture(scope="module")
def lab():
    ns = run_nameserver()
    found = Benches(ns.addr(), 2)
    yield found
    found.close()
    ns.shutdown(4.0)
    ns.release()


@pytest.fixture(scope="module", params=KINDS)
def psu(lab, request):
    address = lab.server.address("b0")
    driver, arguments = {
        "scpi": ("agentlab.instruments:ScpiDevice", {"address": address, "parameters": str(TABLE), "timeout": 0.3}),
        "pymeasure": (
            f"{MODULE}.pymeasure_bench:MeasureBench",
            {"address": address, "kwargs": {"visa_library": "@py", "timeout": 300}},
        ),
        "qcodes": (
            f"{MODULE}.qcodes_bench:CodesBench",
            {"args": ("bench", address), "kwargs": {"visalib": "@py", "timeout": 0.3}},
        ),
    }[request.param]
    proxy = run_instrument(f"psu-{request.param}", driver, nsaddr=lab.nsaddr, **arguments)
    lab.proxies.append(proxy)
    assert wait_condition(lambda: proxy.status()["state"] == "online", timeout=10.0), proxy.status()
    proxy.voltage = 2.0
    return proxy


def counted(proxy) -> int:
    """Give how many errors of its device an instrument has counted."""
    errors = proxy.status()["errors"]
    return errors["timeouts"] + errors["bad_replies"] + errors["offline"]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_reply_is_an_error_and_the_next_ones_are_right(lab, psu, fault):
    before = counted(psu)
    lab.server.order("arm", "b0", "CURR?", fault, 0.6)
    with pytest.raises(FAULTS[fault]) as found:
        psu.timeout(10).get("current")
    assert "\n" not in str(found.value)
    for _ in range(100):
        assert psu.timeout(10).get("current").value == 0.5
        assert psu.voltage == 2.0
    assert counted(psu) > before


def test_a_reply_too_much_never_becomes_another_one_s(lab, psu):
    lab.server.order("arm", "b0", "CURR?", "much", 0.0)
    with suppress(BadReplyError):  # what follows the right one may be seen at once
        assert psu.current == 0.5
    for _ in range(100):
        with suppress(BadReplyError):
            assert psu.timeout(10).get("voltage").value == 2.0
    assert psu.current == 0.5


def test_another_device_at_the_address_is_not_taken_for_the_first(lab, psu):
    lab.server.order("set", "b0", "identity", "OTHER,Thing,2,2.0")
    try:
        lab.server.order("unplug", "b0")
        with pytest.raises(OfflineError):
            psu.timeout(10).get("current")
        lab.server.order("plug", "b0")
        with pytest.raises(InstrumentError):
            psu.timeout(3).get("current")
        assert not wait_condition(lambda: psu.status()["state"] == "online", timeout=1.0, poll=0.1)
        assert "OTHER" in str(psu.status()["reason"])
    finally:
        lab.server.order("set", "b0", "identity", "ACME,Bench,b0,1.0")
    assert wait_condition(lambda: psu.status()["state"] == "online", timeout=5.0), psu.status()
    assert psu.current == 0.5


def test_a_device_that_is_away_at_the_start_is_offline_and_comes(lab, request):
    lab.server.order("unplug", "b1")
    proxy = run_instrument(
        "late-comer", "agentlab.instruments:ScpiDevice", lab.server.address("b1"), parameters=str(TABLE), nsaddr=lab.nsaddr
    )
    request.addfinalizer(lambda: end(proxy))
    assert wait_condition(lambda: proxy.status()["state"] == "offline", timeout=5.0), proxy.status()
    with pytest.raises(OfflineError):
        _ = proxy.voltage
    assert {"voltage", "current"} <= set(dir(proxy))
    lab.server.order("plug", "b1")
    assert wait_condition(lambda: proxy.status()["state"] == "online", timeout=2.5), proxy.status()
    assert proxy.voltage == 1.25


HANGS = """
import time
class Hangs:
    def __init__(self, seconds):
        time.sleep(seconds)
    @property
    def voltage(self) -> float:
        return 1.0
class Raises:
    def __init__(self):
        raise ValueError("the vendor's library has no licence")
"""


def test_a_constructor_that_hangs_harms_nobody(lab, request, tmp_path, monkeypatch):
    (tmp_path / "stubborn.py").write_text(HANGS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ['PYTHONPATH']}")
    hangs = run_instrument("hangs", "stubborn:Hangs", 1.0, nsaddr=lab.nsaddr, wait=0)
    request.addfinalizer(lambda: end(hangs))
    assert hangs.status()["state"] == "connecting"
    assert hangs.ping() == "pong"
    assert wait_condition(lambda: hangs.status()["state"] == "online", timeout=8.0)
    assert hangs.voltage == 1.0


def test_a_constructor_that_raises_says_why(lab, request, tmp_path, monkeypatch):
    (tmp_path / "stubborn2.py").write_text(HANGS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ['PYTHONPATH']}")
    with pytest.raises(DriverError, match="raises cannot be opened: .*licence"):
        run_instrument("raises", "stubborn2:Raises", nsaddr=lab.nsaddr)
    raises = run_instrument("raises", "stubborn2:Raises", nsaddr=lab.nsaddr, wait=0)  # as one of a lab file, it stays
    request.addfinalizer(lambda: end(raises))
    assert wait_condition(lambda: raises.status()["state"] == "fault"), raises.status()
    assert "licence" in str(raises.status()["reason"])
    with pytest.raises(InstrumentError, match="licence"):
        raises.get("voltage")


@pytest.mark.parametrize(
    ("driver", "arguments", "says"),
    [
        ("agentlab.instruments:ScpiDevise", {}, "ScpiDevice"),
        ("nowhere.at_all:Thing", {}, "nowhere"),
        ("no-colon", {}, "module:Class"),
        ("agentlab.instruments:ScpiDevice", {"parametres": "x.yml"}, "parameters"),
        ("agentlab.instruments:ScpiDevice", {"parameters": "not/there.yml"}, "there.yml"),
        ("agentlab.instruments:ScpiDevice", {"parameters": {"voltage": {"get": "VOLT?", "set": "VOLT {:q}"}}}, "VOLT {:q}"),
        ("agentlab.instruments:ScpiDevice", {"parameters": {"voltage": {"get": "VOLT?", "unit": "furlongz"}}}, "furlongz"),
    ],
)
def test_what_can_never_work_says_so_at_once(lab, driver, arguments, says):
    if driver.startswith("agentlab"):
        arguments = {**arguments, "address": address_of(free_port())}
    found = _outcome(lab, driver, arguments)
    assert says in found, found
    assert "\n" not in found.strip()


def _outcome(lab, driver, arguments) -> str:
    """Run it; give the error's text, or the reason of its state ``fault``."""
    try:
        proxy = run_instrument("never", driver, nsaddr=lab.nsaddr, **arguments)
    except (DriverError, ConfigurationError) as error:
        return str(error)
    try:
        assert wait_condition(lambda: proxy.status()["state"] == "fault"), proxy.status()
        return str(proxy.status()["reason"])
    finally:
        end(proxy)
