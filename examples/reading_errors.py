"""Reading errors: what goes wrong in an agent reaches who asked, as its own type, with the traceback of the other process.

The agent goes on. It logs the error on stderr, counts it and keeps the last one, so that errors of handlers and timers,
which nobody asked for, can be read, too.
"""

from agentlab import Agent, run_agent, run_nameserver
from agentlab.testing import wait_condition


class InterlockError(Exception):
    pass


class Laser(Agent):
    def on_init(self):
        self.bind("PULL", alias="power", handler=self.set_power)

    def set_power(self, power):
        self.power = 1000 / power

    def shine(self):
        raise InterlockError("the door of the laboratory is open")


def main():
    ns = run_nameserver()
    laser, scan = run_agent("Laser", base=Laser), run_agent("Scan")
    scan.connect(laser.addr("power"), alias="laser")

    try:
        laser.shine()
    except InterlockError as error:
        print("a call:", error)
        print("it was raised in:", error.remote_traceback.splitlines()[-2].strip())

    try:
        laser.shin()
    except AttributeError as error:
        print("a slip:", str(error).partition(" known names")[0])

    scan.send("laser", 0)  # nobody waits for an answer to this
    wait_condition(lambda: laser.error_count() == 2)
    print("a handler:", laser.last_error().splitlines()[-1])
    print("errors:", laser.error_count())
    print("and it still runs:", laser.is_running())

    ns.shutdown()


if __name__ == "__main__":
    main()
