"""Whether a device has heard its safe state: it has more time for that answer than for others."""

from __future__ import annotations

import pytest

from agentlab.errors import DeviceTimeoutError
from agentlab.instruments import InstrumentSpec
from agentlab.instruments.drivers.loading import load_driver
from agentlab.testing.transcript import Transcript, late

IDN = "*IDN?"
WHO = "ACME,1,2,3"
TIMEOUT = 0.2


def spec_of(kind: str, address: str) -> InstrumentSpec:
    if kind == "scpi":
        table = {"parameters": {"voltage": {"get": "VOLT?"}}, "safe": ["*RST"]}
        return InstrumentSpec("psu", "agentlab.instruments:ScpiDevice", address, kwargs={"parameters": table}, timeout=TIMEOUT)
    cls, name = {
        "pymeasure": ("tests.instruments.drivers.pymeasure_bench:MeasureBench", {"visa_library": "@py"}),
        "qcodes": ("tests.instruments.drivers.qcodes_bench:CodesBench", {"visalib": "@py"}),
    }[kind]
    return InstrumentSpec("psu", cls, address, kwargs=name, timeout=TIMEOUT)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("kind", ["scpi", "pymeasure", "qcodes"])
def test_a_slow_answer_is_waited_for_and_the_time_for_others_stays(kind):
    first = [(IDN, WHO)] * 2  # who it is, asked twice
    with Transcript([*first, (IDN, late(WHO, 3 * TIMEOUT)), (IDN, late(WHO, 3 * TIMEOUT))]).serve() as server:
        driver = load_driver(spec_of(kind, server.address))
        driver.open()
        try:
            driver.prove()
            assert "ACME" in driver.confirm(10.0)
            with pytest.raises(DeviceTimeoutError):
                driver.prove()
        finally:
            driver.close()
