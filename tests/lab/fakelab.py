"""A lab without processes: a supervisor that does what it is told, and a node around it in a thread."""

import contextlib
import threading
import time
from types import SimpleNamespace

from agentlab.errors import LabError
from agentlab.lab.client import LabClient
from agentlab.lab.node import Node
from agentlab.lab.notify import Notifier


class FakeSupervisor:
    """Keeps rows, and notes what it was asked.

    `hold` keeps start() waiting; `fail` is what it raises.
    """

    def __init__(self, lab, logbook=None, on_event=None):
        self.lab, self.logbook, self.on_event = lab, logbook, on_event
        self.done = []
        self.hold = None
        self.fail = None
        self.rows = {f"agent/{name}": "waiting" for name in lab.agents} | {"nameserver/default": "waiting"}

    def start(self, *, keep_going=False, timeout=None):
        self.done.append(("start", keep_going, timeout))
        if self.hold is not None:
            self.hold.wait(10)
        if self.fail is not None:
            raise self.fail
        for unit in self.rows:
            self.tell(unit, "starting")
            self.rows[unit] = "running"
            self.tell(unit, "ready")

    def tell(self, unit, event, text="", **more):
        if self.on_event is not None:
            self.on_event({"time": time.time(), "unit": unit, "event": event, "text": text, **more})

    def stop(self, timeout=10.0):
        self.done.append(("stop", timeout))
        if self.hold is not None:
            self.hold.set()
        for unit in self.rows:
            self.rows[unit] = "stopped"
            self.tell(unit, "stopped")

    def status(self):
        return [
            {
                "unit": unit,
                "kind": unit.partition("/")[0],
                "name": unit.partition("/")[2],
                "state": state,
                "pid": None,
                "since": 0.0,
                "restarts": 0,
                "host": "daq2" if state == "elsewhere" else "localhost",
                "reason": "",
                "address": "127.0.0.1:1234" if unit.startswith("nameserver") and state == "running" else None,
            }
            for unit, state in self.rows.items()
        ]

    def start_unit(self, name):
        self.done.append(("start_unit", name))
        if name == "agent/Bad":
            raise LabError("agent/Bad did not start: it is bad")
        self.rows[name] = "running"

    def stop_unit(self, name):
        self.done.append(("stop_unit", name))
        self.rows[name] = "stopped"

    def restart_unit(self, name):
        self.done.append(("restart_unit", name))

    def reload(self, new):
        self.done.append(("reload", new))
        before, self.lab = set(self.lab.agents), new
        self.rows = {f"agent/{name}": "running" for name in new.agents} | {"nameserver/default": "running"}
        return {"added": sorted(set(new.agents) - before), "removed": [], "changed": [], "unchanged": sorted(before)}

    def close(self):
        self.done.append(("close",))


def fake_read(path):
    names = path.read_text().split()
    return SimpleNamespace(name="fake", path=path, agents=dict.fromkeys(names), groups={})


@contextlib.contextmanager
def running(file, *, prepare=None, read=fake_read, **options):
    """Run a node in a thread; gives an object with node, client, supervisor, error; ends it."""
    here = SimpleNamespace(supervisor=None, error=None, ready=threading.Event(), made=threading.Event())

    def make(lab, book, on_event):
        here.supervisor = FakeSupervisor(lab, book, on_event)
        if prepare is not None:
            prepare(here.supervisor)
        here.made.set()
        return here.supervisor

    options.setdefault("notifier", Notifier())
    here.node = Node(file, read=read, make=make, on_ready=lambda info: here.ready.set(), **options)
    here.client = LabClient(file)

    def run():
        try:
            here.node.run()
        except Exception as error:
            here.error = error

    here.thread = threading.Thread(target=run)
    here.thread.start()
    try:
        yield here
    finally:
        here.node.ask_stop()
        here.thread.join(10)
        here.client.close()
