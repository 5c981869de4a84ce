"""``agentlab demo``: three simulated agents take a spectrum."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Directory for spectrum.csv and spectrum.png.")
    ] = Path("agentlab-demo"),
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Seed of the noise: the same gives the same spectrum.")] = 1,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer points and shorter measurements.")] = False,
) -> None:
    """Take a spectrum with a simulated laser and power meter.

    Starts a name server and three agents, each in a process of its own, scans the laser over the absorption lines of
    rubidium, prints a table and a plot, saves both as files, and ends everything again. Takes about 6 seconds.
    """
    from rich.console import Console

    from agentlab.demo.run import plan, run_demo

    run_demo(output, plan(seed, quick=quick), Console())
