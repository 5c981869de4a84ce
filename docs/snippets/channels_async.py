import asyncio

from agentlab import Agent, run_agent, run_nameserver
from agentlab.testing import wait_condition


class Analyser(Agent):
    def on_init(self):
        self.bind("ASYNC_REP", alias="mean", handler=self.mean)
        self.bind("ASYNC_REP", alias="slow", handler=self.slow)

    def mean(self, numbers):
        return sum(numbers) / len(numbers)

    async def slow(self, seconds):
        await asyncio.sleep(seconds)
        return "done at last"


class User(Agent):
    def on_init(self):
        self.seen = []
        self.connect(("Analyser", "mean"), alias="mean", handler=self.seen.append)
        self.connect(("Analyser", "slow"), alias="slow", handler=self.seen.append)

    def ask(self):
        self.send("mean", [1, 2, 6])
        self.send("mean", [], on_error=self.failed)
        self.send("slow", 30, wait=0.5, on_error=self.failed)
        self.seen.append("all asked")

    def failed(self, error):
        self.seen.append("no reply" if error is None else repr(error))


ns = run_nameserver()
run_agent("Analyser", base=Analyser)
user = run_agent("User", base=User)

user.ask()
wait_condition(lambda: len(user.seen) == 4)
print(*user.seen, sep="\n")

ns.shutdown()
