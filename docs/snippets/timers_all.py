from agentlab import Agent, run_agent, run_nameserver
from agentlab.testing import wait_agent_attr


class Heater(Agent):
    def on_init(self):
        self.ticks = 0
        self.events = []
        self.each(0.2, self.tick, alias="ticking")
        self.after(0.3, "note", "once, after 0.3 s")
        self.after(3600, "note", "in an hour", alias="far")

    def tick(self):
        self.ticks += 1
        if self.ticks == 3:
            self.stop_timer("ticking")
            self.note("three ticks, the first at once")

    def note(self, event):
        self.events.append(event)


ns = run_nameserver()
heater = run_agent("Heater", base=Heater)

wait_agent_attr(heater, "events", length=2)
heater.after(0.01, lambda agent: agent.note("a function of the agent will do"))
wait_agent_attr(heater, "events", length=3)
print(*heater.events, sep="\n")

print(heater.list_timers(), heater.stop_timer("far"), heater.stop_timer("far"))

ns.shutdown()
