"""Asynchronous requests: the one who asks goes on, and a handler gets the reply when it comes.

With `wait` a request is given up after so many seconds, and `on_error` is called; a later reply is dropped with a warning.
"""

from threading import Event

from agentlab import Agent, run_agent, run_nameserver
from agentlab.testing import wait_agent_attr


class Camera(Agent):
    def on_init(self):
        self.light = Event()
        self.bind("ASYNC_REP", alias="expose", handler=self.expose)

    def expose(self, name):
        self.light.wait(timeout=10.0)  # a long exposure
        return f"picture of {name}"

    def light_on(self):
        self.light.set()


class Scan(Agent):
    def on_init(self):
        self.pictures = []
        self.given_up = 0

    def keep(self, picture):
        self.pictures.append(picture)

    def give_up(self):
        self.given_up += 1


def main():
    ns = run_nameserver()
    camera, scan = run_agent("Camera", base=Camera), run_agent("Scan", base=Scan)
    scan.connect(camera.addr("expose"), alias="camera", handler="keep")

    scan.send("camera", "sample A")
    scan.send("camera", "sample B", wait=0.1, on_error="give_up")
    print("asked, and free to go on; pictures:", scan.pictures)

    wait_agent_attr(scan, "given_up", value=1)
    print("given up:", scan.given_up)

    camera.unsafe.light_on()
    scan.send("camera", "sample C")
    wait_agent_attr(scan, "pictures", length=2)
    print("pictures:", scan.pictures)

    ns.shutdown()


if __name__ == "__main__":
    main()
