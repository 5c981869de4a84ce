"""Timers: call a method again and again (`each`), or once in a while (`after`); stop them by their alias.

They run in the agent's loop, so they never meet a handler half-way. `each` ticks at once, then from start to start.
"""

from agentlab import Agent, run_agent, run_nameserver
from agentlab.testing import wait_agent_attr, wait_agent_condition


class Thermometer(Agent):
    def on_init(self):
        self.readings = []
        self.warm = False
        self.each(0.02, self.read, alias="reading")
        self.after(0.1, "warm_up")  # by name

    def read(self):
        self.readings.append(295.0)
        if len(self.readings) == 10:
            self.stop_timer("reading")  # an agent may stop its own timers

    def warm_up(self):
        self.warm = True


def main():
    ns = run_nameserver()
    thermometer = run_agent("Thermometer", base=Thermometer)

    wait_agent_attr(thermometer, "warm", value=True)
    wait_agent_attr(thermometer, "readings", length=10)
    print("readings:", len(thermometer.readings))
    print("timers left:", thermometer.list_timers())

    # From outside: a function of the agent, with arguments.
    thermometer.set_attr(count=0)
    thermometer.each(0.01, lambda agent, step: agent.set_attr(count=agent.count + step), 5, alias="count")
    never = thermometer.after(3600, "shutdown")
    wait_agent_condition(thermometer, lambda agent: agent.count >= 20)
    print("timers now:", len(thermometer.list_timers()))
    print("stopped:", thermometer.stop_timer("count"), thermometer.stop_timer(never))
    print("stopped again:", thermometer.stop_timer(never))

    ns.shutdown()


if __name__ == "__main__":
    main()
