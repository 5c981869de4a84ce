"""The demonstration's script: start a laboratory, find the beam, take a spectrum, show it, end everything."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from agentlab import (
    AgentLabError,
    CommunicationError,
    ConfigurationError,
    ConnectionLostError,
    InstrumentError,
    LockedError,
    NSProxy,
    Proxy,
    run_nameserver,
)
from agentlab.demo.mishap import Mishap
from agentlab.demo.show import save_files, show
from agentlab.demo.spectrum import Spectrum
from agentlab.instruments import InstrumentProxy, run_instrument, sweep
from agentlab.instruments.simulated import SimulatedBench, run_simulated

DEVICES = {"Laser": "laser", "Stage": "stage", "Meter": "meter"}
"""The instruments of the demonstration, and what kind of simulated device each is."""
PATIENCE = 4.0
"""Seconds that the scan waits for a device that is away."""
BEAM_MM = (9.0, 16.0)
"""Where on the stage's axis the beam is looked for."""


@dataclass(frozen=True)
class Plan:
    """What the scan is to do: a range in nm, a number of points, samples (of 1 ms) for each reading, the seed of the noise."""

    start_nm: float
    stop_nm: float
    points: int
    averages: int
    seed: int


@dataclass(frozen=True)
class Laboratory:
    """What runs while the demonstration runs."""

    ns: NSProxy
    bench: SimulatedBench
    laser: InstrumentProxy
    stage: InstrumentProxy
    meter: InstrumentProxy


def plan(seed: int, *, quick: bool = False) -> Plan:
    """Give the plan of the demonstration: about 8 s, or a few if `quick`."""
    return Plan(780.225, 780.255, 121 if quick else 241, 4 if quick else 10, seed)


def run_demo(output: Path, what: Plan, console: Console) -> None:
    """Run the demonstration; blocks until everything has ended, whatever happens.

    Args:
        output: Directory for ``spectrum.csv``, ``spectrum.png`` and ``runs.sqlite``; made when it is not there.
        what: What to scan.
        console: Where it shows what it does.

    Raises:
        ConfigurationError: nothing can be written to that directory.
        CommunicationError: an agent was lost in the middle.
        AgentStartError: an agent could not be started.
        RunError: what was measured cannot be written.
    """
    _check_writable(output)
    store = output / "runs.sqlite"
    began = time.monotonic()
    with laboratory(what, console) as lab:
        try:
            spectrum = measure(lab, what, store, console)
        except (CommunicationError, InstrumentError) as error:
            raise _cut_short(lab, error) from error
    console.print(f"all processes have ended, after {time.monotonic() - began:.1f} s in all\n", highlight=False)
    show(spectrum, console)
    for path in save_files(spectrum, output, f"Rubidium vapour, simulated (seed {what.seed})"):
        console.print(f"saved {path}", soft_wrap=True, highlight=False)
    console.print(f"kept both scans in {store.resolve()}: agentlab runs --store {store}", soft_wrap=True, highlight=False)


@contextlib.contextmanager
def laboratory(what: Plan, console: Console) -> Iterator[Laboratory]:
    """Start devices, a name server and three instrument agents; end all in the end."""
    with run_simulated(DEVICES, seed=what.seed) as bench:
        ns = run_nameserver()
        try:
            laser, stage, meter = (_instrument(name, bench) for name in DEVICES)
            _introduce(ns, bench, console)
            yield Laboratory(ns, bench, laser, stage, meter)
        except BaseException:
            with contextlib.suppress(AgentLabError):  # what went wrong first is what to tell; this process's end ends the rest
                ns.shutdown()
            raise
        ns.shutdown()


def _instrument(name: str, bench: SimulatedBench) -> InstrumentProxy:
    """Start an instrument agent: a driver without code, a table of SCPI commands, and the device's address."""
    return run_instrument(name, "agentlab.instruments:ScpiDevice", bench.addresses[name], parameters=bench.tables[name])


def measure(lab: Laboratory, what: Plan, store: Path, console: Console) -> Spectrum:
    """Find the beam, take the spectrum over a mishap, and give it."""
    laser, stage, meter = lab.laser, lab.stage, lab.meter
    with laser.lock(reason="spectrum"), stage.lock(reason="spectrum"):
        _show_conflict(console)
        laser.wavelength, laser.output, meter.averages = what.start_nm, True, what.averages
        _find_beam(lab, store, console)
        mishap = Mishap(lab.bench, "Meter", after=what.points * 2 // 5)
        with mishap:
            run = sweep(
                laser["wavelength"],
                [what.start_nm + (what.stop_nm - what.start_nm) * i / (what.points - 1) for i in range(what.points)],
                reads=[meter["power"]],
                until=mishap.look,
                name="spectrum",
                store=store,
                on_error="wait",
                patience=PATIENCE,
            )
        laser.output = False
    _say(console, f"spectrum: {len(run)} points; {mishap.told()}")
    data = run.data
    return Spectrum.of(list(zip(map(float, data["Laser.wavelength"]), map(float, data["Meter.power"]), strict=True)))


def _show_conflict(console: Console) -> None:
    """Have another client try to tune the laser, and say what it is told."""
    refused: list[AgentLabError] = []

    def intrude() -> None:
        try:
            Proxy("Laser").wavelength = 780.24
        except AgentLabError as error:
            refused.append(error)

    began = time.monotonic()
    other = threading.Thread(target=intrude)
    other.start()
    other.join()
    took = time.monotonic() - began
    if not refused or not isinstance(refused[0], LockedError):
        raise ConnectionLostError(f"the laser did not refuse another client: {refused[0] if refused else 'it obeyed'}")
    _say(console, f"another client tunes the laser: refused after {took * 1000:.0f} ms: {refused[0]}")


def _find_beam(lab: Laboratory, store: Path, console: Console) -> None:
    """Scan the stage, and go to where the light is brightest."""
    low, high = BEAM_MM
    positions = [low + (high - low) * i / 28 for i in range(29)]
    run = sweep(lab.stage["position"], positions, reads=[lab.meter["power"]], name="beam", store=store, patience=PATIENCE)
    powers = [float(power) for power in run.data["Meter.power"]]
    best = positions[powers.index(max(powers))]
    lab.stage.position = best
    position, power = lab.stage.get("position"), lab.meter.get("power")
    _say(console, f"beam found by moving the stage: {position}, {float(power):.3f} {power.unit}")


def _cut_short(lab: Laboratory, error: Exception) -> CommunicationError:
    """Say who was lost."""
    there = lab.ns.agents() if _answers(lab.ns) else []
    gone = [name for name in DEVICES if name not in there]
    why = f"agent {gone[0]!r} has gone (killed, or frozen)" if there and gone else str(error)
    return ConnectionLostError(f"the scan was cut short: {why}; run the demo again")


def _answers(ns: NSProxy) -> bool:
    try:
        return ns.ping() == "pong"
    except AgentLabError:
        return False


def _introduce(ns: NSProxy, bench: SimulatedBench, console: Console) -> None:
    pids = {name: registration.metadata["pid"] for name, registration in ns.registrations().items()}
    _say(console, f"name server at {ns.addr()}; simulated devices in process {bench.pid}; three instrument agents:")
    for name in DEVICES:
        _say(console, f"  {name:<6} pid {pids[name]:<7} speaks SCPI with {bench.addresses[name]}")


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, soft_wrap=True, markup=False)


def _check_writable(output: Path) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"cannot make the directory {str(output)!r}: {error.strerror}; give another with --output"
        ) from None
    if not os.access(output, os.W_OK | os.X_OK):
        raise ConfigurationError(f"cannot write to the directory {str(output)!r}; give another with --output")
