"""Reading errors: what goes wrong in an agent reaches who asked, as its own type, with the traceback of the other process.

The agent goes on. It logs the error on stderr, counts it and keeps the last one, so that errors of handlers and timers,
whose results nobody waits for, can be read, too.
"""

from agentlab import Agent, run_agent, run_nameserver
from agentlab.testing import wait_agent_condition


class InterlockError(Exception):
    pass


class Laser(Agent):
    def on_init(self):
        self.bind("REP", alias="tune", handler=self.tune)
        self.bind("PULL", alias="period", handler=lambda agent, period: agent.set_attr(rate=1 / period))

    def tune(self, wavelength):
        raise ValueError(f"this laser emits from 1500 to 1600 nm, not {wavelength}")

    def shine(self):
        raise InterlockError("the door of the laboratory is open")


def main():
    ns = run_nameserver()
    laser, scan = run_agent("Laser", base=Laser), run_agent("Scan")
    scan.connect(laser.addr("tune"), alias="tune")
    scan.connect(laser.addr("period"), alias="period")

    try:
        laser.shine()
    except InterlockError as error:
        print("a call:", error)
        print("raised by:", error.remote_traceback.splitlines()[-2].strip())

    try:
        scan.send_recv("tune", 800)
    except ValueError as error:
        print("a request:", error)

    try:
        laser.shin()
    except AttributeError as error:
        print("a slip:", str(error).partition(" known names")[0])

    scan.send("period", 0)  # nobody waits for an answer to this
    wait_agent_condition(laser, lambda agent: agent.error_count() == 3)
    print("a handler:", laser.last_error().splitlines()[-1])
    print("errors:", laser.error_count(), "and still running:", laser.is_running())

    ns.shutdown()


if __name__ == "__main__":
    main()
