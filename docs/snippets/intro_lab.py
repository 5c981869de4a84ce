from agentlab import Agent, run_agent, run_nameserver
from agentlab.testing import wait_agent_attr


class Laser(Agent):
    def on_init(self):
        self.bind("PUB", alias="light")

    def tune(self, wavelength):
        self.send("light", wavelength)


class Meter(Agent):
    def on_init(self):
        self.bind("PUSH", alias="power")
        self.connect(("Laser", "light"), handler=self.measure)

    def measure(self, wavelength):
        power = 1 / (1 + (wavelength - 1551) ** 2)
        self.send("power", (wavelength, power))


class Recorder(Agent):
    def on_init(self):
        self.spectrum = {}
        self.connect(("Meter", "power"), handler=self.record)

    def record(self, point):
        wavelength, power = point
        self.spectrum[wavelength] = power


ns = run_nameserver()
laser = run_agent("Laser", base=Laser)
meter = run_agent("Meter", base=Meter)
recorder = run_agent("Recorder", base=Recorder)

laser.wait_for_subscribers("light")
for wavelength in range(1549, 1554):
    laser.tune(wavelength)

wait_agent_attr(recorder, "spectrum", length=5)
for wavelength, power in recorder.spectrum.items():
    print(f"{wavelength} nm  {power:.2f}  {'#' * round(20 * power)}")

ns.shutdown()
