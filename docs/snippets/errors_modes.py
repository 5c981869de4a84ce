import os

from agentlab import Agent, CommunicationError, run_agent, run_nameserver
from agentlab.testing import wait_condition


class Fragile(Agent):
    def on_init(self):
        self.pid = os.getpid()

    def fail(self):
        raise RuntimeError("out of light")


ns = run_nameserver()

careful = run_agent("Careful", base=Fragile)
careful.after(0, "fail")
wait_condition(lambda: careful.error_count() == 1)
print("continue:", careful.is_running(), careful.last_error().splitlines()[-1])

stopper = run_agent("Stopper", base=Fragile, on_error="stop")
stopper.after(0, "fail")
wait_condition(lambda: not stopper.is_running())
print("stop:", "Stopper" in ns.agents(), stopper.error_count())
stopper.run()
print("run again:", stopper.is_running())

phoenix = run_agent("Phoenix", base=Fragile, on_error="restart")
first = phoenix.pid
phoenix.after(0, "fail")


def is_back():
    try:
        return phoenix.pid != first
    except CommunicationError:
        return False


wait_condition(is_back)
print("restart: another process, and the proxy has found it")

ns.shutdown()
