"""Parameters of instruments as proxies give them, without any instrument."""

from dataclasses import dataclass

from agentlab.errors import OfflineError


@dataclass
class FakeReading:
    value: object
    unit: str = ""
    timestamp: float = 0.0
    quality: str = "good"
    name: str = ""
    sequence: int = 0


class FakeInstrument:
    """Counts what it is asked; its snapshot has whatever its parameters are."""

    def __init__(self, name="psu"):
        self.name = name
        self.values = {"voltage": 0.0, "current": 0.25}
        self.snapshots = 0
        self.is_offline = False

    def snapshot(self):
        self.snapshots += 1
        if self.is_offline:
            raise OfflineError(f"{self.name} is offline")
        return {name: FakeReading(value, "V", 1.5) for name, value in self.values.items()}

    def __getitem__(self, parameter):
        return FakeHandle(self, parameter)


class FakeHandle:
    def __init__(self, proxy, parameter, unit="V"):
        self.proxy, self.parameter, self.unit = proxy, parameter, unit
        self.path, self.name = f"{proxy.name}.{parameter}", f"{proxy.name}_{parameter}"
        self.puts, self.limits, self.gets = [], [], 0

    @property
    def value(self):
        raise AssertionError("nobody asked for the device to be read")

    def put(self, value, timeout=None):
        if self.proxy.is_offline:
            raise OfflineError(f"{self.proxy.name} is offline")
        self.puts.append(value)
        self.limits.append(timeout)
        self.proxy.values[self.parameter] = value

    def get(self):
        self.gets += 1
        if self.proxy.is_offline:
            raise OfflineError(f"{self.proxy.name} is offline")
        return FakeReading(self.proxy.values[self.parameter], self.unit)
