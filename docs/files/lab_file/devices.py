"""Agents and services of the page on lab files; everything is simulated."""

from agentlab import Agent


class Laser(Agent):
    binds = {"power": "PUB"}
    nominal = 5.0

    def before_loop(self):
        self.each(0.1, self.measure)

    def measure(self):
        self.send("power", self.nominal, topic="mW")


class Analysis(Agent):
    binds = {"jobs": {"kind": "PULL", "handler": "on_job"}}

    def on_job(self, spectrum):
        self.log_info(f"{len(spectrum)} points")


class Recorder(Agent):
    mean = 0.0

    def on_power(self, power):
        self.mean = 0.9 * self.mean + 0.1 * power
        self.send("work", [power] * 100)


class Stage:
    def __init__(self, axis, speed=1.0):
        self.axis, self.speed, self.position = axis, speed, 0.0

    def move(self, to):
        self.position = float(to)
