"""Push-pull with classes: sockets are bound in `on_init`, handlers are methods, sending is hidden in a method.

The script only starts the agents and joins them: all that an agent does stands in its class.
"""

from agentlab import Agent, run_agent, run_nameserver
from agentlab.testing import wait_agent_attr


class Laser(Agent):
    def on_init(self):
        self.bind("PUSH", alias="power")

    def ramp(self, start, stop, steps):
        for step in range(steps):
            self.send("power", start + (stop - start) * step / (steps - 1))


class Meter(Agent):
    def on_init(self):
        self.highest = 0.0
        self.count = 0

    def watch(self, address):
        self.connect(address, handler=self.take)

    def take(self, power):
        self.highest = max(self.highest, power)
        self.count += 1


def main():
    ns = run_nameserver()
    laser = run_agent("Laser", base=Laser)
    meter = run_agent("Meter", base=Meter)

    meter.watch(laser.addr("power"))
    laser.ramp(0.0, 2.0, steps=5)

    wait_agent_attr(meter, "count", value=5)
    print(f"{meter.count} readings, the highest {meter.highest} mW")

    ns.shutdown()


if __name__ == "__main__":
    main()
