"""Options and small things that several verbs share."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from agentlab.cli.completion import complete_name
from agentlab.nameserver.places import DEFAULT_PORT
from agentlab.settings import NAMESERVER_VARIABLE

DEFAULT_ADDRESS = f"127.0.0.1:{DEFAULT_PORT}"
LAB_FILE = "lab.yml"

NsAddr = Annotated[
    str | None,
    typer.Option(
        "--nsaddr",
        metavar="HOST:PORT",
        help=f"The name server; without it {NAMESERVER_VARIABLE}, else that of the lab that runs for ./{LAB_FILE}, "
        f"else {DEFAULT_ADDRESS}.",
        show_default=False,
    ),
]
Name = Annotated[
    str,
    typer.Argument(metavar="NAME", help="Of an agent or a service.", show_default=False, autocompletion=complete_name),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Timeout = Annotated[float, typer.Option("--timeout", min=0.0, metavar="SECONDS", help="How long to wait.")]
Limit = Annotated[
    float | None, typer.Option("--timeout", min=0.0, metavar="SECONDS", help="Limit for the answer.", show_default="none")
]


def nameserver(nsaddr: str | None) -> str:
    """Give the name server's address: the option, else the environment, else the lab of this directory, else the usual port."""
    return nsaddr or os.environ.get(NAMESERVER_VARIABLE) or _of_the_lab() or DEFAULT_ADDRESS


def _of_the_lab() -> str | None:
    """Give the name server of the lab that runs for the lab file of this directory; None: there is none."""
    if not Path(LAB_FILE).is_file():
        return None
    from agentlab.errors import AgentLabError  # all this is needed in a lab's directory alone
    from agentlab.lab.client import LabClient

    try:
        with LabClient(LAB_FILE) as lab:
            known: dict[str, str] = lab.info()["nameservers"]
    except AgentLabError:  # the lab does not run
        return None
    return known.get("default") or next(iter(known.values()), None)


def as_json(value: Any) -> str:
    """Give a value as JSON; what JSON does not know is given as its text."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def as_json_line(value: Any) -> str:
    """Give a value as JSON in one line."""
    return json.dumps(value, ensure_ascii=False, default=str)


def value_of(text: str) -> Any:
    """Give what a user wrote as a value: JSON where it is JSON, else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text
