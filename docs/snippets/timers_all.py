from agentlab import Agent, run_agent, run_nameserver
from agentlab.testing import wait_condition


class Heater(Agent):
    def on_init(self):
        self.ticks = 0
        self.events = []
        self.each(0.2, self.tick, alias="ticking")
        self.after(0.3, "note", "once, after 0.3 s")

    def tick(self):
        self.ticks += 1
        if self.ticks == 3:
            self.stop_timer("ticking")
            self.note("three ticks, the first at once")

    def note(self, event):
        self.events.append(event)


ns = run_nameserver()
heater = run_agent("Heater", base=Heater)
print(len(heater.list_timers()), "timers, one of them", heater.list_timers()[0])
heater.after(0.1, lambda agent: agent.note("a function works, too"))

wait_condition(lambda: len(heater.events) == 3)

print(*heater.events, sep="\n")
print(heater.list_timers())

ns.shutdown()
