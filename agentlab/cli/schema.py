"""``agentlab schema``: the JSON schema of lab files, for editors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from agentlab.cli.options import Json, as_json


def schema(
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write it there instead of printing it.", show_default=False),
    ] = None,
    as_text_for_programs: Json = False,
) -> None:
    """Print the JSON schema of lab files (draft 2020-12), by which editors complete and check while you type.

    For editors with yaml-language-server: agentlab schema -o lab.schema.json, and as the first line of lab.yml
    # yaml-language-server: $schema=lab.schema.json
    """
    from agentlab.lab.schema import lab_schema  # pydantic takes its time

    text = json.dumps(lab_schema(), indent=2, ensure_ascii=False)
    if output is None:
        print(text)
        return
    output.write_text(text + "\n", "utf-8")
    if as_text_for_programs:
        print(as_json({"file": str(output)}))
        return
    print(f"{output}: the schema of lab files; first line of a lab file: # yaml-language-server: $schema={output.name}")
