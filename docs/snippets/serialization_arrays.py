import numpy as np

from agentlab import Agent, run_agent, run_nameserver
from agentlab.testing import wait_agent_attr


class Camera(Agent):
    def on_init(self):
        self.image = np.zeros((480, 640))
        self.bind("PUSH", alias="images")

    def take(self):
        self.image += 1
        self.send("images", self.image.copy())


class Stack(Agent):
    def on_init(self):
        self.sum, self.count = 0, 0
        self.connect(("Camera", "images"), handler=self.add)

    def add(self, image):
        self.sum = self.sum + image
        self.count += 1


ns = run_nameserver()
camera, stack = run_agent("Camera", base=Camera), run_agent("Stack", base=Stack)

for _ in range(3):
    camera.take()
wait_agent_attr(stack, "count", value=3)
print("sum of one pixel:", stack.sum[0, 0])

ns.shutdown()
