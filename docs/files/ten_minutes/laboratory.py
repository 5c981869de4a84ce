import random

from agentlab import Agent


class Laser(Agent):
    """A simulated laser. It publishes its power, in milliwatts."""

    binds = {"power": "PUB"}
    wavelength = 1550.0

    def before_loop(self):
        self.each(0.1, self.measure)

    def measure(self):
        self.send("power", random.gauss(1.0, 0.05))


class Recorder(Agent):
    """Keeps what the laser says."""

    def on_init(self):
        self.readings = []

    def on_power(self, power):
        self.readings.append(power)

    def mean(self):
        return sum(self.readings) / len(self.readings)


class Alarm(Agent):
    """Remembers readings that are too high."""

    limit = 1.0

    def on_init(self):
        self.alarms = 0

    def on_power(self, power):
        if power > self.limit:
            self.alarms += 1
            self.log_warning(f"{power:.3f} mW")
