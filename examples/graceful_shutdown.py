"""Graceful shutdown: `on_stop` runs before an agent's sockets close, however it is told to end.

`shutdown` ends one agent, `ns.shutdown` all of them; SIGTERM, Ctrl-C and the end of the script that started it do the
same. What `on_stop` sends still goes out.
"""

import os
import signal

from agentlab import Agent, run_agent, run_nameserver
from agentlab.testing import agent_dies, wait_agent_attr


class Laser(Agent):
    def on_init(self):
        self.connect(("Logbook", "entries"), alias="logbook")

    def on_stop(self):
        self.send("logbook", f"{self.name}: shutter closed")  # the place to make things safe


def main():
    ns = run_nameserver()
    logbook = run_agent("Logbook", attributes={"entries": []})
    logbook.bind("PULL", alias="entries", handler=lambda agent, entry: agent.entries.append(entry))

    red, green = run_agent("Red", base=Laser), run_agent("Green", base=Laser)

    red.shutdown()
    agent_dies("Red", ns)

    pid = green.execute_as_function(os.getpid)
    os.kill(pid, signal.SIGTERM)  # as `kill`, systemd and other programs do
    agent_dies("Green", ns)

    wait_agent_attr(logbook, "entries", length=2)
    for entry in logbook.entries:
        print(entry)
    print("left:", ns.agents())

    try:
        raise RuntimeError("something goes wrong in the script")
    except RuntimeError as error:
        print("error:", error)
    finally:
        ns.shutdown(timeout=5.0)  # asks all; kills those that have not ended after half the time
    print("all shut down")


if __name__ == "__main__":
    main()
