import asyncio

from agentlab import Agent, run_agent, run_nameserver
from agentlab.testing import wait_condition


class Listener(Agent):
    def on_init(self):
        self.heard = {}

    def method(self, message):
        self.heard["method"] = message

    async def coroutine(self, message):
        await asyncio.sleep(0.01)
        self.heard["coroutine"] = message


def function(agent, message):
    agent.heard["function"] = message


ns = run_nameserver()
speaker = run_agent("Speaker")
listener = run_agent("Listener", base=Listener)

handlers = [
    function,
    "method",
    "coroutine",
    lambda agent, message: agent.heard.update({"lambda": message}),
]
listener.connect(speaker.bind("PUSH", alias="words"), handler=handlers)
speaker.send("words", "hello")

wait_condition(lambda: len(listener.heard) == 4)
print(sorted(listener.heard))

ns.shutdown()
