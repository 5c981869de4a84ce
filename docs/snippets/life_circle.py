from agentlab import Agent, run_agent, run_nameserver
from agentlab.testing import wait_agent_attr


class Neighbour(Agent):
    def on_init(self):
        self.heard = []
        self.bind("PUSH", alias="out")
        self.after(0, self.meet)

    def meet(self):
        self.connect((self.other, "out"), handler=self.heard.append)


ns = run_nameserver()
left = run_agent("Left", base=Neighbour, attributes={"other": "Right"})
right = run_agent("Right", base=Neighbour, attributes={"other": "Left"})

left.send("out", "from the left")
right.send("out", "from the right")
wait_agent_attr(left, "heard", length=1)
wait_agent_attr(right, "heard", length=1)
print(left.heard, right.heard)

ns.shutdown()
