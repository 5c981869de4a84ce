"""Async handlers: `async def` handlers wait for several things at once, while the agent's loop goes on.

They run on an asyncio loop of the agent. Here three requests are under way at the same time in one agent, and end
only because each of them lets the others run.
"""

import asyncio

from agentlab import Agent, run_agent, run_nameserver
from agentlab.testing import wait_agent_attr


class Oven(Agent):
    def on_init(self):
        self.inside = 0
        self.full = asyncio.Event()
        self.bind("ASYNC_REP", alias="bake", handler=self.bake)

    async def bake(self, sample):
        self.inside += 1
        if self.inside == 3:
            self.full.set()
        await self.full.wait()  # the oven starts when there are three
        return f"{sample} baked"


def main():
    ns = run_nameserver()
    oven = run_agent("Oven", base=Oven)
    robot = run_agent("Robot", attributes={"done": []})
    robot.connect(oven.addr("bake"), alias="oven", handler=lambda agent, reply: agent.done.append(reply))

    robot.send("oven", "sample A")
    robot.send("oven", "sample B")
    wait_agent_attr(oven, "inside", value=2)
    print("waiting in the oven:", oven.inside, "done:", len(robot.done))

    robot.send("oven", "sample C")
    wait_agent_attr(robot, "done", length=3)
    print("done:", sorted(robot.done))

    ns.shutdown()


if __name__ == "__main__":
    main()
