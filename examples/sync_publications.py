"""Synced publications: subscribers may ask the publisher, and the reply comes to the asker alone, in order.

So whoever joins late asks for the state so far, and gets it before any later publication.
"""

from agentlab import Agent, run_agent, run_nameserver
from agentlab.testing import wait_agent_attr


class Spectrometer(Agent):
    def on_init(self):
        self.counts = []
        self.bind("SYNC_PUB", alias="spectrum", handler=self.so_far)

    def so_far(self, first):
        return self.counts[first:]

    def measure(self, counts):
        self.counts.append(counts)
        self.send("spectrum", counts)


class Plot(Agent):
    def on_init(self):
        self.events = []

    def follow(self, address):
        self.connect(address, alias="spectrum", handler=self.point)
        self.send("spectrum", 0, handler=self.history)  # a request: from which point on

    def point(self, counts):
        self.events.append(("point", counts))

    def history(self, counts):
        self.events.append(("history", counts))


def main():
    ns = run_nameserver()
    spectrometer = run_agent("Spectrometer", base=Spectrometer)
    spectrometer.measure(10)
    spectrometer.measure(20)  # nobody listens yet

    plot = run_agent("Plot", base=Plot)
    plot.follow(spectrometer.addr("spectrum"))
    wait_agent_attr(plot, "events", length=1)
    spectrometer.measure(30)
    wait_agent_attr(plot, "events", length=2)

    for kind, counts in plot.events:
        print(f"{kind}: {counts}")

    ns.shutdown()


if __name__ == "__main__":
    main()
