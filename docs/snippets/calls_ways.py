import asyncio
import time

from agentlab import Agent, CallTimeoutError, run_agent, run_nameserver
from agentlab.testing import wait_condition


class Camera(Agent):
    def on_init(self):
        self.exposures, self.state = 0, "idle"

    def expose(self, seconds):
        self.state = "exposing"
        time.sleep(seconds)
        self.exposures, self.state = self.exposures + 1, "idle"
        return self.exposures

    def progress(self):
        return f"{self.state}, {self.exposures} done"


ns = run_nameserver()
camera = run_agent("Camera", base=Camera)

print(camera.expose(0.1))

future = camera.future.expose(0.5)
wait_condition(lambda: camera.state == "exposing")
print("unsafe, while the loop is busy:", camera.unsafe.progress())
print("so is ping:", camera.ping())
print("safe, after it:", camera.progress())
print("the future has", future.result())


async def twice():
    return await asyncio.gather(camera.aio.expose(0.1), camera.aio.expose(0.1))


print("awaited:", sorted(asyncio.run(twice())))

print("oneway:", camera.oneway.expose(0.1))
try:
    camera.timeout(0.2).expose(1)
except CallTimeoutError:
    print("no answer within 0.2 s")

ns.shutdown()
