"""``agentlab rename``: give something in a lab file another name, wherever it stands."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from agentlab.cli.options import Json, as_json


def rename(
    old: Annotated[
        str,
        typer.Argument(
            metavar="OLD",
            help="An agent, instrument, service, daemon, name server or group; service/NAME where the bare name is ambiguous.",
            show_default=False,
        ),
    ],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Its new name.", show_default=False)],
    file: Annotated[Path, typer.Argument(metavar="[FILE]", help="The lab file.")] = Path("lab.yml"),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the changes and write nothing.")] = False,
    as_text_for_programs: Json = False,
) -> None:
    """Rename something in a lab file and in the files that it includes: the name itself and all that refers to it.

    Comments and layout stay. Nothing is written where the name is taken or the file would not be well.
    """
    from agentlab.lab.rename import plan_renaming  # pydantic and PyYAML take their time

    plan = plan_renaming(file, old, new)
    if not dry_run:
        plan.write()
    if as_text_for_programs:
        plain = {"changes": [asdict(c) for c in plan.changes], "mentions": [asdict(c) for c in plan.mentions]}
        print(as_json({"unit": plan.unit, "new": plan.new, "written": not dry_run, **plain}))
        return
    for change in plan.changes:
        print(f"{change.file}:{change.line}:")
        print(f"  was: {change.before.strip()}")
        print(f"  now: {change.after.strip()}")
    for mention in plan.mentions:
        print(f"{mention.file}:{mention.line}: still says so: {mention.before.strip()}")
    done = "would be" if dry_run else "is now"
    print(f"{plan.unit} {done} {plan.new}; {len(plan.changes)} line{'' if len(plan.changes) == 1 else 's'} changed")
