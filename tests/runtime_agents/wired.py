"""Agents that are started by the names of their classes."""

from __future__ import annotations

import time

from agentlab import Agent, Proxy


class Meter(Agent):
    binds = {"power": "PUB", "jobs": {"kind": "PULL", "handler": "on_job"}}

    def on_init(self):
        self.jobs = []
        self.each(0.02, "publish")

    def publish(self):
        if self.has_socket("power"):
            self.send("power", 1.5, topic="power")

    def on_job(self, job):
        self.jobs.append(job)

    def nap(self, seconds):
        time.sleep(seconds)

    def work(self, seconds):
        with self.busy():
            time.sleep(seconds)

    def say(self):
        self.log_info("hello")
        print("plain")
        self.log_error("bad\nthing")


class Early(Meter):
    def on_init(self):
        super().on_init()
        self.bind("PUB", "power")


class Scan(Agent):
    def on_init(self):
        self.received = []

    def on_power(self, message):
        self.received.append(message)

    def push(self, job):
        self.send("out", job)

    def ask_meter(self, seconds):
        Proxy("Meter", self.nsaddr).on_job(seconds)


class Eager(Agent):
    def before_loop(self):
        self.send("out", "the very first")


class Plain:
    """No agent."""
