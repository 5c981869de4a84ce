from agentlab import Agent, config, run_agent, run_nameserver
from agentlab.testing import wait_agent_attr

config["TRANSPORT"] = "tcp"


class Meter(Agent):
    def on_init(self):
        self.bind("PUSH", alias="power", addr="127.0.0.1", advertise="localhost")


def keep(agent, message):
    agent.last = message


ns = run_nameserver("127.0.0.1")
meter = run_agent("Meter", base=Meter, addr="127.0.0.1")
display = run_agent("Display", addr="127.0.0.1")

print(meter.addr("power").address.host)
display.connect(meter.addr("power"), handler=keep)
meter.send("power", 0.5)
wait_agent_attr(display, "last", value=0.5)
print(display.last)

ns.shutdown()
