"""Handlers of all forms: functions, lambdas, lists of them, the name of a method, a method of the agent.

Functions travel to the agent's process, with what they refer to. They get the agent first, then the message.
"""

import math

from agentlab import Agent, run_agent, run_nameserver
from agentlab.testing import wait_agent_attr


class Meter(Agent):
    def on_init(self):
        self.milliwatts, self.dbm, self.seen = [], [], 0
        self.bind("REP", alias="seen", handler=self.how_many)  # a method, as agents with a class use it

    def how_many(self, _request):
        return self.seen

    def count(self, _message):
        self.seen += 1


def to_dbm(agent, milliwatts):
    agent.dbm.append(round(10 * math.log10(milliwatts), 2))


def main():
    ns = run_nameserver()
    laser, meter = run_agent("Laser"), run_agent("Meter", base=Meter)

    # PULL takes a list, too: all of them get each message, in order.
    factor = 1000  # what a lambda needs goes with it
    handlers = [lambda agent, watts: agent.milliwatts.append(watts * factor), to_dbm, "count"]
    meter.bind("PULL", alias="power", handler=handlers)
    laser.connect(meter.addr("power"), alias="meter")
    laser.send_many("meter", [1, 10, 100])

    wait_agent_attr(meter, "seen", value=3)
    print("in mW:", meter.milliwatts)
    print("in dBm:", meter.dbm)

    # What a lambda gives is the reply to a request.
    meter.bind("REP", alias="double", handler=lambda _agent, message: 2 * message)
    laser.connect(meter.addr("double"), alias="double")
    laser.connect(meter.addr("seen"), alias="seen")
    print("doubled:", laser.send_recv("double", 21))
    print("seen:", laser.send_recv("seen", None))

    ns.shutdown()


if __name__ == "__main__":
    main()
