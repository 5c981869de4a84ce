"""A driver without a device: a voltage, a current, an output, and a test's hand on everything that can go wrong."""

from __future__ import annotations

import threading
import time

from agentlab.errors import CancelledCallError, DeviceTimeoutError, OfflineError
from agentlab.instruments.drivers.driver import Driver
from agentlab.instruments.engine.instrument import Instrument
from agentlab.instruments.model.parameter import Parameter
from agentlab.instruments.model.spec import InstrumentSpec
from agentlab.instruments.model.table import Action, Table
from agentlab.testing.waiting import wait_condition

TABLE = Table.of(
    "fake",
    [
        Parameter("voltage", unit="V", minimum=0, maximum=10),
        Parameter("current", unit="A", minimum=0, maximum=100, step=10.0, delay=0.001),
        Parameter("temperature", unit="K", minimum=0, maximum=300),
        Parameter("output", type="bool"),
        Parameter("secret", readable=False),
        Parameter("serial", type="str", writable=False),
    ],
    [
        Action("slow", "Last until it is told to end.", [("seconds", 1, "10")]),
        Action("look", "Change nothing.", [], reads=True),
        Action("fire", "Do it once.", []),
    ],
    has_safe=True,
    has_abort=True,
)


class FakeDriver(Driver):
    """Everything that happens to it stands in `did`, in order; errors come from `raising`, by what is done."""

    kind = "fake"

    def __init__(self, table=TABLE):
        self.the_table = table
        self.did = []
        self.values = {"voltage": 0.0, "current": 0.0, "temperature": 300.0, "output": False, "serial": "F1", "secret": 0.0}
        self.identity = "ACME,F1"
        self.away = ""  # why the device is not there
        self.raising = {}  # by what is done: an error, or a list of errors, each raised once
        self.threads = set()
        self.inside = threading.Event()  # a slow call has begun
        self.free = threading.Event()  # what ends a slow call
        self.cancelled = False
        self.can_abort = True
        self.hears_cancel = False

    def _touch(self, what, *args):
        self.threads.add(threading.current_thread().name)
        self.did.append((what, *args))
        errors = self.raising.get(what)
        if isinstance(errors, list):
            if errors:
                raise errors.pop(0)
        elif errors is not None:
            raise errors
        if self.away:
            raise OfflineError(self.away)

    def table(self):
        return self.the_table

    def open(self):
        self._touch("open")

    def close(self):
        self.threads.add(threading.current_thread().name)
        self.did.append(("close",))

    def prove(self):
        self._touch("prove")
        return self.identity

    def recover(self):
        self._touch("recover")

    def get(self, name):
        self._touch("get", name)
        return self.values[name]

    def set(self, name, value):
        self._touch("set", name, value)
        self.values[name] = value

    def call(self, name, args, kwargs):
        self.cancelled = False
        self._touch("call", name, *args)
        if name == "slow":
            return self._slow()
        return name

    def _slow(self):
        self.free.clear()
        self.inside.set()
        until = time.monotonic() + 20
        while not self.free.wait(0.002):
            if self.cancelled and self.hears_cancel:
                raise CancelledCallError("the slow one was cancelled")
            if time.monotonic() > until:
                raise AssertionError("nobody ended the slow call")
        self.inside.clear()
        return "slept"

    def safe(self):
        self._touch("safe")
        self.values["output"] = False
        return True

    def abort(self):
        self.did.append(("abort",))
        if self.can_abort:
            self.free.set()
        return self.can_abort

    def cancel(self):
        self.cancelled = True

    def progress(self):
        return 0.25

    def count(self, what, *args):
        return sum(one[: 1 + len(args)] == (what, *args) for one in list(self.did))


def silent():
    return DeviceTimeoutError("no reply within 1 s")


class Rig:
    """An instrument with a fake driver, and all that it says."""

    def __init__(self, driver=None, load=None, **spec):
        self.driver = driver or FakeDriver()
        self.readings = []
        self.changes = []
        settings = {"reconnect_first": 0.01, "reconnect_most": 0.05, **spec}
        self.engine = Instrument(
            InstrumentSpec("psu", "fake:Fake", **settings),
            on_reading=self.readings.append,
            on_change=self.changes.append,
            load=load or (lambda _spec: self.driver),
        )

    def __enter__(self):
        self.engine.start()
        return self

    def __exit__(self, *_):
        self.driver.free.set()
        assert self.engine.close(timeout=10.0)

    def online(self):
        assert self.until("online"), self.engine.status()
        return self.engine

    def until(self, state, timeout=5.0):
        return wait_condition(lambda: self.engine.status()["state"] == state, timeout=timeout, poll=0.002)

    def slow(self, client, limit=None):
        """Start the call that lasts, and wait until it has begun."""
        answer = self.engine.call("slow", (10,), {}, client, limit)
        assert self.driver.inside.wait(5.0)
        return answer
