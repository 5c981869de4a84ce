"""Starting reliably: an agent that fails while it starts is an error here, which says why, and leaves nothing behind.

One that dies or hangs while starting is an error within `timeout` seconds, too.
"""

import os
from threading import Event

from agentlab import Agent, AgentStartError, run_agent, run_nameserver


class Camera(Agent):
    serial = "none"

    def on_init(self):
        if self.serial == "none":
            raise ConnectionError("no camera is plugged in")


class Crashing(Agent):
    def on_init(self):
        os._exit(3)  # as a faulty driver may do


class Hanging(Agent):
    def on_init(self):
        Event().wait()


def attempt(what, **options):
    try:
        run_agent(**options)
    except AgentStartError as error:
        print(f"{what}: {str(error).splitlines()[-1]}")  # before it comes the traceback of the other process, if there is one
    else:
        print(f"{what}: started")


def main():
    ns = run_nameserver()
    run_agent("Laser")

    attempt("fails", name="Camera", base=Camera)
    attempt("dies", name="Crashing", base=Crashing)
    attempt("hangs", name="Hanging", base=Hanging, timeout=0.5)
    attempt("name in use", name="Laser")
    attempt("second attempt", name="Hanging")  # the name is free again
    print("agents:", ns.agents())

    ns.shutdown()


if __name__ == "__main__":
    main()
