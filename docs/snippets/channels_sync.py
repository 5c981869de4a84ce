from agentlab import Agent, run_agent, run_nameserver
from agentlab.testing import wait_agent_attr


class Camera(Agent):
    def on_init(self):
        self.frame = 0
        self.bind("SYNC_PUB", alias="frames", handler=self.change)

    def change(self, exposure):
        return f"exposure {exposure} from frame {self.frame + 1}"

    def take(self):
        self.frame += 1
        self.send("frames", f"frame {self.frame}")


class Display(Agent):
    def on_init(self):
        self.seen = []
        self.connect(("Camera", "frames"), alias="frames", handler=self.seen.append)

    def ask(self, exposure):
        self.send("frames", exposure, handler=self.seen.append)


ns = run_nameserver()
camera = run_agent("Camera", base=Camera)
display = run_agent("Display", base=Display)
camera.wait_for_subscribers("frames")

camera.take()
display.ask(0.5)
wait_agent_attr(display, "seen", length=2)
camera.take()

wait_agent_attr(display, "seen", length=3)
print(*display.seen, sep="\n")

ns.shutdown()
