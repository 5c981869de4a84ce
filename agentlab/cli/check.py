"""``agentlab check``: say whether a lab file is well, or all that is wrong with it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from agentlab.cli.door import MISTAKE
from agentlab.cli.labs import Simulated
from agentlab.cli.options import Json, as_json

_NOUNS = {
    "agents": "agent",
    "instruments": "instrument",
    "services": "service",
    "daemons": "daemon",
    "nameservers": "name server",
    "wires": "wire",
    "interlocks": "interlock",
    "groups": "group",
}


def check(
    file: Annotated[Path, typer.Argument(metavar="[FILE]", help="The lab file.")] = Path("lab.yml"),
    no_import: Annotated[
        bool, typer.Option("--no-import", help="Do not import the classes that the file names; say nothing of them.")
    ] = False,
    simulated: Simulated = False,
    strict: Annotated[bool, typer.Option("--strict", help="What is allowed, but perhaps not meant, is wrong too.")] = False,
    as_text_for_programs: Json = False,
) -> None:
    """Check a lab file, with all that it includes and the classes that it names; nothing is started.

    Each problem is one line: file, line, column, key, what was found and what is allowed. The exit code is 2 then.
    """
    from agentlab.lab.file import look_at_lab  # pydantic and PyYAML take a tenth of a second, which others need not wait for

    looked = look_at_lab(file, inspect=not no_import, simulated=simulated)
    counts = {} if looked.lab is None else looked.lab.counts()
    problems, notes = looked.problems, looked.notes
    if strict:
        problems, notes = (*problems, *notes), ()
    if as_text_for_programs:
        plain = {"problems": [asdict(p) for p in problems], "notes": [asdict(p) for p in notes]}
        print(as_json({"file": str(file), "well": not problems, "counts": counts, **plain}))
    else:
        for problem in problems:
            print(problem)
        for note in notes:
            print(f"{note} (a note: allowed, but perhaps not meant)")
        if not problems:
            print(f"{file}: {_summary(counts)}: well")
    if problems:
        raise typer.Exit(MISTAKE)


def _summary(counts: dict[str, int]) -> str:
    said = [f"{number} {_NOUNS[kind]}{'' if number == 1 else 's'}" for kind in _NOUNS if (number := counts[kind])]
    return ", ".join(said)
