"""One rig for each kind of driver: how an instrument of that kind is made, what it can be asked, how its cable is pulled.

The cases of :mod:`tests.instruments.conformance` run on all of them unchanged. What a rig physically cannot do is said in
``cannot``, with the reason; the test run counts these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agentlab.instruments import run_instrument
from agentlab.instruments.simulated.bench import run_simulated, table_path
from tests.instruments.servers import BENCH, CRYOCON, PACE, Lewis, Sinstruments, address_of

DRIVERS = Path(__file__).parent / "drivers"
MODULE = "tests.instruments.drivers"
IN_PROCESS = "the device lives in the driver's own process: it has no cable"
NO_WIRE = "no bytes travel, so none can be counted"
DEVICE = "bench"


@dataclass
class Where:
    """A running device: its port, and the hands on its cable."""

    port: int = 0
    unplug: Callable[[], object] | None = None
    plug: Callable[[], object] | None = None
    heard: Callable[[], list[str]] | None = None

    @property
    def address(self) -> str:
        return address_of(self.port)


@dataclass(frozen=True)
class Rig:
    """One kind of driver.

    Args:
        name: For the test's name.
        device: Gives the running device.
        arguments: What ``run_instrument`` gets beside the name, as (positional, named).
        reads: A parameter that can be read at any time; with its unit, its type and the limits between which it lies.
        writes: A parameter that can be set to ``value`` and ``other`` and reads the same then; ``outside`` is refused.
        quiet: A parameter whose reply never comes, or too late.
        echo: An action that gives back its argument.
        slow: An action that takes as many seconds as it is told.
        bounds: Limits of the parameter that is written, where its driver knows none.
        rounds: How many questions each of the clients asks in the case of mixed ones.
        cannot: Cases that this rig physically cannot do, and why.
    """

    name: str
    device: Callable[[], Any]
    arguments: Callable[[Where], tuple[tuple[Any, ...], dict[str, Any]]]
    reads: str = "current"
    unit: str = "A"
    kind: type = float
    near: tuple[float, float] = (0.5, 0.5)
    writes: str = "voltage"
    value: float = 2.0
    other: float = 3.0
    outside: float = 31.0
    typo: tuple[str, str] = ("volatge", "voltage")
    quiet: str = "late"
    echo: str = "echo"
    slow: str = "slow"
    rounds: int = 40
    bounds: dict[str, float] = field(default_factory=dict)
    cannot: dict[str, str] = field(default_factory=dict)

    def start(self, where: Where, name: str, nsaddr: Any, **more: Any) -> Any:
        """Run the instrument; `more` is for ``run_instrument``."""
        positional, named = self.arguments(where)
        overrides = {self.writes: {"step": 1.0, "delay": 0.1, **self.bounds}}
        return run_instrument(name, *positional, nsaddr=nsaddr, overrides=overrides, **{**named, **more})


@contextmanager
def _sinstruments(kind: dict[str, Any]) -> Iterator[Where]:
    server = Sinstruments({DEVICE: dict(kind)})
    try:
        heard = (lambda: server.order("heard", DEVICE)) if kind is BENCH else None
        yield Where(server.port[DEVICE], lambda: server.order("unplug", DEVICE), lambda: server.order("plug", DEVICE), heard)
    finally:
        server.close()


def bench() -> Any:
    """Give a running bench device (sinstruments, of our own)."""
    return _sinstruments(BENCH)


def pace() -> Any:
    """Give a running pressure controller (sinstruments, gepace)."""
    return _sinstruments(PACE)


def cryocon() -> Any:
    """Give a running temperature controller (sinstruments, cryocon)."""
    return _sinstruments(CRYOCON)


@contextmanager
def linkam() -> Iterator[Where]:
    """Give a running temperature stage (lewis)."""
    server = Lewis()
    try:
        yield Where(server.port, server.unplug, server.plug)
    finally:
        server.close()


@contextmanager
def supply() -> Iterator[Where]:
    """Give the simulated power supply that comes with the package."""
    with run_simulated(["supply"]) as simulated:
        port = int(simulated.addresses["supply"].split("::")[2])
        yield Where(port, lambda: simulated.unplug("supply"), lambda: simulated.plug("supply"))


@contextmanager
def nowhere() -> Iterator[Where]:
    """Give the place of a device that lives in its driver's process."""
    yield Where()


def _scpi(table: str, address: str | None = None, **named: Any) -> Callable[[Where], Any]:
    named = {"parameters": str(DRIVERS / table), "timeout": 0.3, **named}
    return lambda where: (("agentlab.instruments:ScpiDevice", address or where.address), named)


RIGS = [
    Rig("scpi", bench, _scpi("bench.yml")),
    Rig(
        "supply",
        supply,
        _scpi(str(table_path("supply"))),
        near=(0.0, 3.0),
        quiet="",
        echo="",
        slow="",
        cannot={"timeout": "the simulated supply answers whatever it is asked"},
    ),
    Rig(
        "resource",
        bench,
        lambda where: (
            ("pyvisa.resources:TCPIPSocket", where.address),
            {"parameters": str(DRIVERS / "bench.yml"), "timeout": 0.3, "read_termination": "\n", "write_termination": "\n"},
        ),
    ),
    Rig(
        "plain",
        bench,
        lambda where: ((f"{MODULE}.socket_bench:SocketBench", "127.0.0.1", where.port), {"timeout": 0.3}),
    ),
    Rig(
        "pymeasure",
        bench,
        lambda where: (
            (f"{MODULE}.pymeasure_bench:MeasureBench", where.address),
            {"kwargs": {"visa_library": "@py", "timeout": 300}},
        ),
    ),
    Rig(
        "qcodes",
        bench,
        lambda where: (
            (f"{MODULE}.qcodes_bench:CodesBench",),
            {"args": ("bench", where.address), "kwargs": {"visalib": "@py", "timeout": 0.3}},
        ),
    ),
    Rig(
        "ophyd",
        nowhere,
        lambda where: ((f"{MODULE}.ophyd_bench:SoftBench",), {}),
        bounds={"min": 0, "max": 30},
        quiet="",
        echo="",
        slow="",
        cannot={"cable": IN_PROCESS, "timeout": "a soft signal always answers"},
    ),
    Rig(
        "simfile",
        nowhere,
        _scpi("sim.yml", "GPIB::9::INSTR", visa_library=f"{DRIVERS / 'sim.yaml'}@sim"),
        quiet="quiet",
        echo="",
        slow="",
        cannot={"cable": IN_PROCESS},
    ),
    Rig(
        "pace",
        pace,
        lambda where: ((f"{MODULE}.pace:PressureController", "127.0.0.1", where.port), {"timeout": 0.3}),
        reads="pressure",
        unit="mbar",
        near=(34.567, 35.567),
        writes="setpoint",
        typo=("setpiont", "setpoint"),
        quiet="quiet",
        echo="",
        slow="",
    ),
    Rig(
        "cryocon",
        cryocon,
        _scpi("cryocon.yml"),
        reads="setpoint",
        unit="K",
        near=(0.0, 300.0),
        writes="setpoint",
        outside=301.0,
        typo=("setpiont", "setpoint"),
        quiet="quiet",
        echo="",
        slow="",
        rounds=1,  # this device answers ten questions a second
    ),
    Rig(
        "linkam",
        linkam,
        lambda where: ((f"{MODULE}.linkam:LinkamT95", where.address), {"timeout": 0.3}),
        reads="temperature",
        unit="degC",
        near=(-200, 600),
        writes="limit",
        outside=601.0,
        typo=("temprature", "temperature"),
        quiet="quiet",
        echo="",
        slow="",
        rounds=5,  # 20 ms for each question
    ),
]
