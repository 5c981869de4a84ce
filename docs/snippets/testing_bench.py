from agentlab import Agent
from agentlab.testing import TestBench


class Meter(Agent):
    def on_init(self):
        self.bind("REP", alias="gain", handler=self.set_gain)
        self.bind("PUB", alias="power")
        self.each(0.5, self.publish)

    def set_gain(self, gain):
        self.gain = gain
        return "done"

    def publish(self):
        self.send("power", 2.0 * self.gain)


class Display(Agent):
    def on_init(self):
        self.shown = []
        self.connect(("Meter", "power"), handler=self.shown.append)


def test_the_display_shows_what_the_meter_publishes():
    with TestBench() as bench:
        meter = bench.agent(Meter, "Meter", attributes={"gain": 1.0})
        display = bench.agent(Display, "Display")
        published = bench.collect(meter.addr("power"))

        bench.advance(1.0)  # ticks at 0, 0.5 and 1 s
        assert bench.ask(meter.addr("gain"), 3.0) == "done"
        bench.advance(0.5)

        assert published == [2.0, 2.0, 2.0, 6.0]
        assert display.shown == published
        assert bench.clock.now() == 1.5
