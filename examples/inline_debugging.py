"""Inline agents: with `inline=True` an agent runs in a thread of this program instead of a process of its own.

Breakpoints and `print` work in its methods, and it sees the objects of this script. All else is the same, so that one
agent of many is run inline while its bug is looked for.
"""

import os

from agentlab import Agent, run_agent, run_nameserver

trace = []  # a list of this script


class Meter(Agent):
    def on_init(self):
        self.bind("REP", alias="read", handler=self.read)

    def read(self, channel):
        # breakpoint() would stop here, in this terminal
        trace.append(f"reading channel {channel}")
        return 1.5 * channel


def main():
    ns = run_nameserver()
    meter = run_agent("Meter", base=Meter, inline=True)
    scan = run_agent("Scan")  # a process, as ever
    scan.connect(meter.addr("read"), alias="meter")

    print("same process:", meter.execute_as_function(os.getpid) == os.getpid())
    print("reading:", scan.send_recv("meter", 2))
    print("trace:", trace)
    print("agents:", ns.agents())

    ns.shutdown()


if __name__ == "__main__":
    main()
