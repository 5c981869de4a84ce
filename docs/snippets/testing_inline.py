from agentlab import Agent, run_agent, run_nameserver


class Meter(Agent):
    def read(self):
        return shared[-1]


shared = []
ns = run_nameserver()
meter = run_agent("Meter", base=Meter, inline=True)

shared.append(42)
print(meter.read())

ns.shutdown()
