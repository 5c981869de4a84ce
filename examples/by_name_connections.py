"""Connections by name: `connect(("Agent", "alias"))` finds the address itself, and follows the agent.

The agent is waited for if it is not there yet. When it ends and starts again elsewhere, the connection is made again.
"""

from agentlab import Agent, run_agent, run_nameserver
from agentlab.testing import agent_dies, wait_agent_attr


class Laser(Agent):
    def on_init(self):
        self.bind("PUSH", alias="power")

    def shine(self, power):
        self.send("power", power, timeout=10.0)  # waits until somebody pulls


class Meter(Agent):
    def on_init(self):
        self.powers = []

    def watch(self):
        self.connect(("Laser", "power"), handler=lambda agent, power: agent.powers.append(power), timeout=10.0)


def main():
    ns = run_nameserver()
    meter = run_agent("Meter", base=Meter)

    watching = meter.future.watch()  # there is no laser yet
    laser = run_agent("Laser", base=Laser)
    watching.result()
    laser.shine(1.0)
    wait_agent_attr(meter, "powers", length=1)

    laser.shutdown()
    agent_dies("Laser", ns)
    print("without a laser:", ns.agents())

    laser = run_agent("Laser", base=Laser)  # another process, another address
    laser.shine(2.0)
    wait_agent_attr(meter, "powers", length=2)
    print("powers:", meter.powers)

    ns.shutdown()


if __name__ == "__main__":
    main()
