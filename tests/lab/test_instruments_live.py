"""Instruments of a lab that really runs: supervised, wired, locked to each other by rules."""

import os
import signal

import pytest

from agentlab.errors import LatchedError, LimitError
from agentlab.instruments.client.proxy import InstrumentProxy
from agentlab.lab.lab import Lab
from agentlab.testing import wait_condition

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")

PARTS = """
from typing import Annotated
from agentlab import Agent
from agentlab.instruments import Range, Unit


class Oven:
    def __init__(self, start=300.0):
        self._temperature = start

    @property
    def temperature(self) -> Annotated[float, Unit("K"), Range(0, 1000)]:
        return self._temperature

    @temperature.setter
    def temperature(self, value):
        self._temperature = value


class Heater:
    def __init__(self):
        self._power = 0.0

    @property
    def power(self) -> Annotated[float, Unit("W"), Range(0, 50)]:
        return self._power

    @power.setter
    def power(self, value):
        self._power = value

    def safe(self):
        self._power = 0.0


class Screen(Agent):
    def on_init(self):
        self.seen = []

    def on_temperature(self, reading):
        self.seen.append(reading["value"])
"""
LAB = """
nameservers: [{default: {ns_port: 0}}]
interlocks: ["oven.temperature > 50 degC -> heater.safe()"]
agents: {Screen: {class: "MODULE:Screen"}}
wires: [{from: oven.readings, to: Screen.on_temperature, topic: temperature}]
instruments:
  heater: {driver: MODULE.Heater, after: [oven], parameters: {power: {max: LIMIT}}, restart: permanent}
  oven: {driver: MODULE.Oven, poll: 0.05, owner: {lease: 3}}
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / f"ovens_{tmp_path.name}.py").write_text(PARTS)
    path = tmp_path / "lab.yml"

    def write(limit):
        path.write_text(LAB.replace("MODULE", f"ovens_{tmp_path.name}").replace("LIMIT", str(limit)))
        return path

    return write


def row(lab, unit):
    return next(row for row in lab.status() if row["unit"] == unit)


def may_be_reset(instrument):
    try:
        return instrument.reset()["reset"]
    except LatchedError:
        return False


def test_instruments_of_a_lab(file):
    with Lab.from_file(file(20)) as lab:
        oven, heater = lab["oven"], lab["heater"]
        assert isinstance(oven, InstrumentProxy) and "heater" in lab and set(lab) == {"Screen", "heater", "oven"}
        oven.wait_online(5)
        heater.wait_online(5)
        assert wait_condition(lambda: lab["Screen"].seen)
        heater.power = 10
        with pytest.raises(LimitError):
            heater.power = 30
        oven.temperature = "60 degC"
        assert wait_condition(lambda: heater.status()["state"] == "safe")
        assert heater.power == 0
        with pytest.raises(LatchedError, match=r"oven\.temperature"):
            heater.power = 1
        oven.temperature = 300
        assert heater.status()["state"] == "safe"  # nothing comes back by itself
        assert wait_condition(lambda: may_be_reset(heater))  # not before it has heard of it
        heater.power = 5
        os.kill(row(lab, "instrument/oven")["pid"], signal.SIGKILL)
        assert wait_condition(lambda: row(lab, "instrument/oven")["restarts"] == 1)  # supervised as any agent is
        assert oven.wait_online(5).temperature == 300
        lab["Screen"].set_attr(seen=[])
        assert wait_condition(lambda: lab["Screen"].seen)  # the wire is there again
        file(40)
        assert lab.reload()["changed"] == ["instrument/heater"]
        heater.wait_online(5)
        heater.power = 30
        assert heater.get("power").unit == "W"
