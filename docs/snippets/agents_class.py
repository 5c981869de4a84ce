from agentlab import Agent, run_agent, run_nameserver


class Counter(Agent):
    step = 1

    def on_init(self):
        self.total = 0

    def before_loop(self):
        self.log_info("the loop starts")

    def on_stop(self):
        self.log_info(f"the end, at {self.total}")

    def count(self):
        """Count one step further."""
        self.total += self.step
        return self.total


ns = run_nameserver()
counter = run_agent("Counter", base=Counter)

print(counter.count(), counter.count())
counter.step = 10
print(counter.count(), counter.total)
print(counter.count.__doc__)

ns.shutdown()
