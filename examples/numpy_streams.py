"""NumPy streams: arrays of any size travel between agents without being copied on the way.

The default serializer keeps their memory in frames of its own. Do not change an array after it was sent.
"""

import numpy as np

from agentlab import Agent, run_agent, run_nameserver
from agentlab.testing import wait_agent_attr


class Camera(Agent):
    def on_init(self):
        self.bind("PUSH", alias="images")
        self.random = np.random.default_rng(seed=1)

    def record(self, images):
        for number in range(images):
            image = self.random.integers(0, 100, size=(512, 512), dtype=np.uint16)
            image[number, 2 * number] = 1000  # a bright spot
            self.send("images", {"number": number, "image": image})


class Tracker(Agent):
    def on_init(self):
        self.spots = []

    def find(self, message):
        image = message["image"]
        row, column = np.unravel_index(image.argmax(), image.shape)
        self.spots.append((message["number"], int(row), int(column)))


def main():
    ns = run_nameserver()
    camera = run_agent("Camera", base=Camera)
    tracker = run_agent("Tracker", base=Tracker)
    tracker.connect(camera.addr("images"), handler="find")

    camera.record(20)  # 10 MB

    wait_agent_attr(tracker, "spots", length=20)
    print("images:", len(tracker.spots))
    print("first and last spot:", tracker.spots[0], tracker.spots[-1])

    ns.shutdown()


if __name__ == "__main__":
    main()
