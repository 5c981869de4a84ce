"""The program ``agentlab``, and what it says about itself. Its verbs stand in :mod:`agentlab.cli.verbs`."""

from __future__ import annotations

from typing import Annotated

import typer

import agentlab
from agentlab.cli.door import Door

app = typer.Typer(
    name="agentlab",
    cls=Door,
    pretty_exceptions_enable=False,
    help="Run a laboratory, or any system of co-operating processes, as agents.",
    epilog="Exit codes: 0 well; 1 it failed; 2 a wrong option, no such agent, no name server; 130 interrupted.",
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"agentlab {agentlab.__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def main(
    ctx: typer.Context,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,  # noqa: ARG001 - its callback did it
) -> None:
    """Run a laboratory, or any system of co-operating processes, as agents."""
    if ctx.invoked_subcommand is None:
        print(ctx.get_help())
