import os
import signal

from agentlab import Agent, MessageTimeoutError, run_agent, run_nameserver
from agentlab.testing import agent_dies, wait_agent_attr


class Laser(Agent):
    def on_init(self):
        self.pid = os.getpid()
        self.bind("REP", alias="tune", handler=lambda agent, nm: f"at {nm} nm")
        self.bind("ASYNC_REP", alias="sweep", handler=lambda agent, nm: os.kill(os.getpid(), signal.SIGKILL))


class Scan(Agent):
    def on_init(self):
        self.lost = []
        self.connect(("Laser", "tune"), alias="tune")
        self.connect(("Laser", "sweep"), alias="sweep", handler=lambda agent, reply: None)

    def sweep(self):
        self.send("sweep", 1550, on_error=lambda agent, error: agent.lost.append(type(error).__name__))


ns = run_nameserver()
run_agent("Laser", base=Laser)
scan = run_agent("Scan", base=Scan)

scan.sweep()  # it kills the laser
print("name gone:", agent_dies("Laser", ns))
try:
    scan.send_recv("tune", 1551, timeout=0.3)
except MessageTimeoutError as error:
    print(error)

run_agent("Laser", base=Laser)
wait_agent_attr(scan, "lost", length=1)
print(scan.lost)
print(scan.send_recv("tune", 1552, timeout=3))

ns.shutdown()
