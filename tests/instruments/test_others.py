"""What is particular of instruments that others wrote: lewis' stage, cryocon's sensors, gepace's own client."""

from __future__ import annotations

from contextlib import suppress

import pytest

from agentlab import AgentLabError, run_nameserver
from agentlab.errors import BadReplyError, OfflineError
from agentlab.testing.waiting import wait_condition
from tests.instruments.live import end
from tests.instruments.rigs import RIGS

BY_NAME = {rig.name: rig for rig in RIGS}


@pytest.fixture(scope="module")
def ns():
    server = run_nameserver()
    yield server
    with suppress(AgentLabError):
        server.shutdown(4.0)
    server.release()


@pytest.fixture
def instrument(ns, request):
    rig = BY_NAME[request.param]
    with rig.device() as where:
        proxy = rig.start(where, f"the-{rig.name}", ns.addr(), poll={rig.reads: 0.1})
        try:
            yield proxy.wait_online(10.0), where
        finally:
            end(proxy)


@pytest.mark.parametrize("instrument", ["linkam"], indirect=True)
def test_a_stage_goes_on_cooling_while_its_cable_is_out(instrument):
    stage, where = instrument
    with pytest.raises(ValueError, match="600"):
        stage.limit = 601
    stage.set("limit", "275 K")  # it is told degrees Celsius
    assert stage.limit == pytest.approx(1.85)
    stage.start()
    with stage.watch("temperature", timeout=5.0) as readings:
        first = next(iter(readings))
        assert first.unit == "degC"
        assert any(reading.value < first.value for reading, _ in zip(readings, range(40), strict=False))
        where.unplug()
        assert any(reading.quality != "good" for reading, _ in zip(readings, range(20), strict=False))
        with pytest.raises(OfflineError):
            stage.get("temperature")
        where.plug()
        assert any(reading.quality == "good" for reading, _ in zip(readings, range(40), strict=False))
    assert stage.temperature < first.value


@pytest.mark.parametrize("instrument", ["cryocon"], indirect=True)
def test_a_sensor_that_is_not_there_is_an_error_never_a_temperature(instrument):
    controller, _ = instrument
    good, bad = set(), 0
    for _ in range(60):
        try:
            good.add(controller.timeout(5).get("temperature").value)
        except BadReplyError as error:
            bad += 1
            found = str(error)
        if bad and len(good) > 1:
            break
    assert good <= {11.456, 12.456, 13.456, 14.456} and good
    assert bad and ("....." in found or "-----" in found)
    assert controller.sensor_unit == "K"


@pytest.mark.parametrize("instrument", ["pace"], indirect=True)
def test_gepace_s_own_client_is_an_instrument(instrument):
    controller, _ = instrument
    assert wait_condition(lambda: controller.snapshot().get("pressure") is not None)
    found = controller.snapshot()["pressure"]
    assert 34 < found.value < 36 and found.unit == "mbar"
    controller.set("setpoint", "0.003 bar")
    assert controller.setpoint == pytest.approx(3.0)
    assert "PACE5000" in controller.identity()
