"""``agentlab demo``: a laboratory of simulated instruments takes a spectrum."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Directory for spectrum.csv, spectrum.png, runs.sqlite.")
    ] = Path("agentlab-demo"),
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Seed of the noise: the same gives the same spectrum.")] = 1,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer points and shorter measurements.")] = False,
) -> None:
    """Take a spectrum with a simulated laser, stage and power meter.

    Starts the devices, which speak SCPI over TCP, a name server, and an instrument agent for each device. Refuses a second
    client the laser, finds the beam with the stage, scans the laser over the absorption lines of rubidium while the meter
    is unplugged for a moment, prints a table and a plot, saves both as files, and ends everything again. Takes about 8 s.
    """
    from rich.console import Console

    from agentlab.demo.run import plan, run_demo

    run_demo(output, plan(seed, quick=quick), Console())
