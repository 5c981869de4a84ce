"""What ``start``, ``stop`` and ``restart`` have in common."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from agentlab.cli.door import FAILED, say
from agentlab.cli.labs import complete_units, first_line, log_of
from agentlab.cli.options import as_json
from agentlab.cli.owned import owners, tell
from agentlab.errors import LabDownError, LabError
from agentlab.lab.client import LabClient

Names = Annotated[
    list[str],
    typer.Argument(
        metavar="NAME...", help="Units or groups, as Laser or agent/Laser.", show_default=False, autocompletion=complete_units
    ),
]


def _where(client: LabClient, unit: str, error: str) -> str:
    """Give the unit whose log tells of an error: of a group, or of what a unit needs, the one that the error begins with."""
    rows = {row["unit"]: row for row in client.status()}
    row = rows.get(error.partition(" ")[0]) or rows.get(unit)
    return unit if row is None else log_of(row)


def for_each(
    file: Path,
    names: list[str],
    order: Callable[[LabClient, str], None],
    done: str,
    *,
    as_json_text: bool,
    ends_locks: bool = False,
) -> None:
    """Give an order for units, one after another; nothing is done where one of the names is wrong.

    Args:
        file: The lab file.
        names: Of units or groups.
        order: What is ordered.
        done: What is so of a unit then.
        as_json_text: Whether the outcome is printed for programs.
        ends_locks: Whether an instrument's lock ends by it, which is told.

    Raises:
        UnknownUnitError: there is no such unit.
    """
    outcomes: list[dict[str, Any]] = []
    with LabClient(file) as client:
        units = client.resolve(*names)
        owned = owners(row for row in client.status() if row["unit"] in units) if ends_locks else {}
        for unit in units:
            error = ""
            try:
                order(client, unit)
                tell(unit, owned)
            except LabDownError:
                raise
            except LabError as problem:
                error = str(problem)
            outcomes.append({"unit": unit, "well": not error, "error": error or None})
            if not as_json_text:
                if error:
                    say(f"{first_line(error)}; see agentlab logs {_where(client, unit, error)}")
                else:
                    print(f"{unit} {done}", flush=True)
    if as_json_text:
        print(as_json(outcomes))
    if not all(outcome["well"] for outcome in outcomes):
        raise typer.Exit(FAILED)
