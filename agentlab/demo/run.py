"""The demonstration's script: start a laboratory, take a spectrum, show it, end everything."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from agentlab import (
    AgentLabError,
    AgentStoppedError,
    CommunicationError,
    ConfigurationError,
    ConnectionLostError,
    MessageTimeoutError,
    NameServerError,
    NSProxy,
    Proxy,
    run_agent,
    run_nameserver,
)
from agentlab.demo.agents import Laser, PowerMeter, Scan
from agentlab.demo.show import save_files, show
from agentlab.demo.spectrum import Spectrum

AGENTS = ("Laser", "PowerMeter", "Scan")
LOOK_PERIOD = 0.05
"""Seconds between two looks at the scan's progress."""
STUCK = 5.0
"""Seconds without a new point after which the scan is given up."""


@dataclass(frozen=True)
class Plan:
    """What the scan is to do: a range in nm, a number of points, seconds for each measurement, the seed of the noise."""

    start_nm: float
    stop_nm: float
    points: int
    integration_s: float
    seed: int


def plan(seed: int, *, quick: bool = False) -> Plan:
    """Give the plan of the demonstration: about 6 s, or half a second if `quick`."""
    return Plan(780.225, 780.255, 121 if quick else 241, 0.001 if quick else 0.02, seed)


def run_demo(output: Path, what: Plan, console: Console) -> None:
    """Run the demonstration; blocks until everything has ended, whatever happens.

    Args:
        output: Directory for ``spectrum.csv`` and ``spectrum.png``; made when it is not there.
        what: What to scan.
        console: Where it shows what it does.

    Raises:
        ConfigurationError: nothing can be written to that directory.
        CommunicationError: an agent or the name server was lost in the middle.
        AgentStartError: an agent could not be started.
    """
    _check_writable(output)
    began = time.monotonic()
    with laboratory(what, console) as (ns, scan):
        spectrum = take_spectrum(ns, scan, what, console)
    console.print(f"{len(AGENTS)} agents and the name server have ended, after {time.monotonic() - began:.1f} s in all\n")
    show(spectrum, console)
    for path in save_files(spectrum, output, f"Rubidium vapour, simulated (seed {what.seed})"):
        console.print(f"saved {path}", soft_wrap=True, highlight=False)


@contextlib.contextmanager
def laboratory(what: Plan, console: Console) -> Iterator[tuple[NSProxy, Proxy]]:
    """Start a name server and the three agents, connected; give the name server and the scan; end all in the end."""
    ns = run_nameserver()
    try:
        laser = run_agent("Laser", base=Laser)
        meter = run_agent("PowerMeter", base=PowerMeter, attributes={"seed": what.seed, "integration_s": what.integration_s})
        scan = run_agent("Scan", base=Scan)
        # A publication goes to those who listen at that moment, so nothing may be sent before they do.
        laser.wait_for_subscribers("beam")
        meter.wait_for_subscribers("power")
        _introduce(ns, console)
        yield ns, scan
    except BaseException:
        with contextlib.suppress(AgentLabError):  # what went wrong first is what to tell; this process's end ends the rest
            ns.shutdown()
        raise
    ns.shutdown()


def take_spectrum(ns: NSProxy, scan: Proxy, what: Plan, console: Console) -> Spectrum:
    """Have the scan done, with a progress bar, and give the spectrum.

    Raises:
        CommunicationError: somebody was lost in the middle, or the scan does not get on.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        TimeRemainingColumn(),
    )
    try:
        with Progress(*columns, console=console) as progress:
            bar = progress.add_task("scanning", total=what.points)
            scan.start(what.start_nm, what.stop_nm, what.points)
            for done in _points_done(ns, scan):
                progress.update(bar, completed=done)
        return Spectrum.of(scan.spectrum())
    except CommunicationError as error:
        raise _cut_short("agent 'Scan' has gone (killed, or frozen)") from error
    except NameServerError as error:
        raise _cut_short("the name server has gone (killed, or frozen)") from error
    except (AgentStoppedError, MessageTimeoutError) as error:
        raise _cut_short(str(error)) from error


def _cut_short(why: str) -> CommunicationError:
    return ConnectionLostError(f"the scan was cut short: {why}; run the demo again")


def _points_done(ns: NSProxy, scan: Proxy) -> Iterator[int]:
    """Look again and again how many points are done, until all are.

    Raises:
        AgentStoppedError: an agent has gone, or the scan says that it cannot go on.
        MessageTimeoutError: no point came for long.
    """
    last, since = -1, time.monotonic()
    while True:
        gone = [name for name in AGENTS if name not in ns.agents()]
        if gone:
            raise AgentStoppedError(f"agent {gone[0]!r} has gone (killed, or frozen)")
        done, total, problem = scan.timeout(STUCK).progress()
        yield done
        if problem is not None:
            raise AgentStoppedError(problem)
        if done == total:
            return
        now = time.monotonic()
        if done > last:
            last, since = done, now
        elif now - since > STUCK:
            raise MessageTimeoutError(f"no new point came within {STUCK:g} s")
        time.sleep(LOOK_PERIOD)


def _introduce(ns: NSProxy, console: Console) -> None:
    pids = {name: registration.metadata["pid"] for name, registration in ns.registrations().items()}
    console.print(f"name server at {ns.addr()}, three agents in processes of their own:", highlight=False)
    for name, what in zip(
        AGENTS,
        (
            "answers wavelengths (REP), shows its beam (PUB)",
            "sees the beam (SUB), publishes the power that passed the sample (PUB)",
            "asks the laser (REQ), listens to the meter (SUB)",
        ),
        strict=True,
    ):
        console.print(f"  {name:<10} pid {pids[name]:<7} {what}", highlight=False, soft_wrap=True)


def _check_writable(output: Path) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"cannot make the directory {str(output)!r}: {error.strerror}; give another with --output"
        ) from None
    if not os.access(output, os.W_OK | os.X_OK):
        raise ConfigurationError(f"cannot write to the directory {str(output)!r}; give another with --output")
