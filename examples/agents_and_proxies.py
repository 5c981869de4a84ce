"""Agents and proxies: an agent with methods and attributes of its own, steered from outside through proxies.

The class of an agent inherits from `Agent`; `on_init` is where it is set up. Any script that reaches the name server
gets a proxy of an agent by its name.
"""

import os

from agentlab import Agent, Proxy, run_agent, run_nameserver


class Laser(Agent):
    def on_init(self):
        self.wavelength = 1550.0  # nm

    def tune(self, wavelength):
        self.wavelength = wavelength
        return f"tuned to {wavelength} nm"


def main():
    ns = run_nameserver()
    laser = run_agent("Laser", base=Laser)
    run_agent("Meter", attributes={"unit": "mW"})  # a plain agent, with an attribute from the start
    print("agents:", ns.agents())

    print("method:", laser.tune(1532.5))
    print("attribute:", laser.wavelength)
    laser.power = 2.0  # sets an attribute of the agent
    print("set from outside:", laser.get_attr("power"))

    meter = Proxy("Meter")  # the same from any other script
    print("by name:", meter.unit)
    print("its own process:", meter.execute_as_function(os.getpid) != os.getpid())

    ns.shutdown()


if __name__ == "__main__":
    main()
