"""Options and small things that several verbs share."""

from __future__ import annotations

import json
import os
from typing import Annotated, Any

import typer

from agentlab.nameserver.places import DEFAULT_PORT
from agentlab.settings import NAMESERVER_VARIABLE

DEFAULT_ADDRESS = f"127.0.0.1:{DEFAULT_PORT}"

NsAddr = Annotated[
    str | None,
    typer.Option(
        "--nsaddr",
        metavar="HOST:PORT",
        help=f"The name server; without it {NAMESERVER_VARIABLE}, else {DEFAULT_ADDRESS}.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Timeout = Annotated[float, typer.Option("--timeout", min=0.0, metavar="SECONDS", help="How long to wait.")]


def nameserver(nsaddr: str | None) -> str:
    """Give the name server's address: the option, else the environment, else the usual port here."""
    return nsaddr or os.environ.get(NAMESERVER_VARIABLE) or DEFAULT_ADDRESS


def as_json(value: Any) -> str:
    """Give a value as JSON; what JSON does not know is given as its text."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)
