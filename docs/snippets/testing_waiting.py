import pytest

from agentlab import Agent, run_agent, run_nameserver
from agentlab.testing import wait_agent_attr, wait_agent_condition


class Meter(Agent):
    def on_init(self):
        self.readings = []
        self.bind("PULL", alias="light", handler=self.readings.append)


@pytest.fixture
def ns():
    nameserver = run_nameserver()
    yield nameserver
    nameserver.shutdown()


def test_the_meter_keeps_what_it_reads(ns):
    meter = run_agent("Meter", base=Meter)
    laser = run_agent("Laser")
    laser.connect(meter.addr("light"), alias="beam")

    laser.send("beam", 0.5)

    assert wait_agent_attr(meter, "readings", data=0.5)
    assert wait_agent_condition(meter, lambda agent: len(agent.readings) == 1)


def test_nobody_else_is_there(ns):
    run_agent("Meter", base=Meter)
    assert ns.agents() == ["Meter"]
