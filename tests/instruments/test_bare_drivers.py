"""What the README says of others: their drivers, by themselves, give a late reply as the next value."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pymeasure.instruments import Instrument
from qcodes.instrument import VisaInstrument

from agentlab.testing.transcript import Transcript, late

LATE = 0.4
LIMIT = 0.1  # what a driver waits
DEVICE = [("*IDN?", "ACME,Supply,1,1"), ("VOLT?", late("5.0", LATE)), ("CURR?", "0.1")]


@contextmanager
def pymeasure_driver(address: str) -> Iterator[Callable[[str], float]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs
        options = {"read_termination": "\n", "write_termination": "\n", "timeout": LIMIT * 1000}
        device: Any = Instrument(address, "supply", visa_library="@py", includeSCPI=False, **options)
    try:
        yield lambda command: float(device.ask(command))
    finally:
        device.adapter.close()


@contextmanager
def qcodes_driver(address: str) -> Iterator[Callable[[str], float]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        device = VisaInstrument("supply", address, visalib="@py", terminator="\n", timeout=LIMIT)
    try:
        yield lambda command: float(device.ask(command))
    finally:
        device.close()


@pytest.mark.parametrize("driver", [pymeasure_driver, qcodes_driver])
def test_a_late_reply_is_the_next_value_of_a_bare_driver(driver):
    with Transcript(DEVICE).serve() as server, driver(server.address) as ask:
        with pytest.raises(Exception, match="(?i)timeout"):
            ask("VOLT?")
        time.sleep(LATE)  # until its reply is there; nothing tells
        assert ask("CURR?") == 5.0  # the voltage
