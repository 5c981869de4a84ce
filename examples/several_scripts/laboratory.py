"""The first script: starts a name server and the agents, which outlive it, and ends."""

import os

from agentlab import Agent, AgentProcess, run_agent, run_nameserver


class Laser(Agent):
    def on_init(self):
        self.power = 0.0

    def shine(self, power):
        self.power = power
        return f"shining with {power} mW"


def main():
    run_nameserver(os.environ["AGENTLAB_NAMESERVER_ADDRESS"], detach=True)

    process = AgentProcess("Laser", base=Laser, detach=True)
    process.start()  # it has its name now, but its loop does not run yet
    meter = run_agent("Meter", attributes={"factor": 0.5}, detach=True)
    meter.set_method(read=lambda agent, power: power * agent.factor)
    process.proxy().run()


if __name__ == "__main__":
    main()
