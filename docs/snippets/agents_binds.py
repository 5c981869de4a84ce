from agentlab import Agent, run_agent, run_nameserver
from agentlab.testing import wait_condition


class Sorter(Agent):
    binds = {
        "done": "PUB",
        "jobs": {"kind": "PULL", "handler": "on_job", "transport": "tcp"},
        "count": {"kind": "REP", "handler": "on_count"},
        "lamps": {"kind": "SUB", "handler": {"red": "on_red", "green": "on_green"}},
    }

    def on_init(self):
        self.seen = []

    def on_job(self, job):
        self.seen.append(job)
        self.send("done", job)

    def on_count(self, _):
        return len(self.seen)

    def on_red(self, message):
        self.seen.append(f"red {message}")

    def on_green(self, message):
        self.seen.append(f"green {message}")


ns = run_nameserver()
sorter = run_agent("Sorter", base=Sorter)
user = run_agent("User")
for alias in ("jobs", "count", "lamps"):
    user.connect(("Sorter", alias), alias=alias)

user.send("jobs", "a job")
user.send("lamps", "on", topic="red")
user.send("lamps", "off", topic="green")
wait_condition(lambda: len(sorter.seen) == 3)
print(sorted(sorter.seen))
print(user.send_recv("count", None))

ns.shutdown()
