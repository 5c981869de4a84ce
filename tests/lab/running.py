"""Labs that really run, for live tests: a file, a module of agents beside it, and what tests look at."""

from __future__ import annotations

import textwrap

from agentlab.lab.file import read_lab
from agentlab.lab.supervisor import Supervisor
from agentlab.runtime.proxy import Proxy
from agentlab.testing.waiting import wait_condition

PARTS = """
import os, signal, time
from agentlab import Agent


class Meter(Agent):
    binds = {"power": "PUB"}

    def on_init(self):
        self.sent = 0
        self.each(0.005, self.tick)

    def tick(self):
        self.sent += 1
        self.send("power", self.sent)


class Scan(Agent):
    def on_init(self):
        self.received = []

    def on_power(self, value):
        self.received.append(value)
        if self.has_socket("rows"):
            self.send("rows", value * 10)


class Plot(Agent):
    binds = {"rows": {"kind": "PULL", "handler": "on_row"}}

    def on_init(self):
        self.rows = []

    def on_row(self, row):
        self.rows.append(row)


class Plain(Agent):
    def spin(self):
        while True:
            pass

    def work(self, seconds):
        with self.busy():
            time.sleep(seconds)

    def be_deaf(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)

    def leave(self, code):
        os._exit(code)

    def die_saying(self, words):
        print(words, flush=True)
        os._exit(7)


class Bad(Agent):
    def on_init(self):
        raise ValueError("there is no laser at COM3")


class Counter:
    def __init__(self, start=0):
        self.count = start

    def add(self):
        self.count += 1
        return self.count


class Broken:
    def __init__(self):
        raise ValueError("no such device")

    def read(self):
        return 1
"""

SERVER = "nameservers: [{default: {ns_port: 0}}]\n"


def write(folder, text):
    """Write a lab file (behind a name server's lines) with the module `parts` beside it; give its path."""
    (folder / "parts.py").write_text(PARTS)
    path = folder / "lab.yml"
    path.write_text(SERVER + textwrap.dedent(text) + "\n")
    return path


class Running:
    """A supervisor that really runs, and what its units look like."""

    def __init__(self, folder, text, **options):
        self.folder = folder
        self.events = []
        self.supervisor = Supervisor(self.read(text), on_event=self.events.append, **options)

    def read(self, text):
        return read_lab(write(self.folder, text), inspect="wires" in text)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.supervisor.close()

    def row(self, name):
        return next(row for row in self.supervisor.status() if row["unit"] == name or row["name"] == name)

    def pid(self, name):
        return self.row(name)["pid"]

    def pids(self):
        return {row["name"]: row["pid"] for row in self.supervisor.status() if row["kind"] != "nameserver"}

    def states(self):
        return {row["name"]: row["state"] for row in self.supervisor.status()}

    def proxy(self, name):
        return Proxy(name, self.supervisor.address())

    def wait_for_restart(self, name, restarts, timeout=5.0):
        def there():
            row = self.row(name)
            return row["restarts"] >= restarts and row["state"] == "running"

        assert wait_condition(there, timeout=timeout, poll=0.002), self.row(name)

    def told(self, name):
        return [event["event"] for event in list(self.events) if event["unit"].endswith(f"/{name}")]
