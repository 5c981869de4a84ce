"""Options and small things that several verbs share."""

from __future__ import annotations

import json
import math
import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from agentlab.cli.completion import complete_name
from agentlab.errors import AgentLabError, ConfigurationError, LabError
from agentlab.nameserver.places import DEFAULT_PORT
from agentlab.settings import NAMESERVER_VARIABLE

DEFAULT_ADDRESS = f"127.0.0.1:{DEFAULT_PORT}"
LAB_FILE = "lab.yml"

LONGEST = 366 * 86400.0
"""Seconds that no verb waits: beyond some such number the system does not know how to."""


def seconds(least: float = 0.0, most: float = LONGEST) -> Callable[[object], float]:
    """Make what reads an option's seconds; neither ``nan`` nor ``inf`` is any time to wait.

    Args:
        least: The smallest number that is allowed.
        most: The largest.
    """

    def read(given: object) -> float:
        try:
            found = float(str(given))
        except ValueError:
            found = math.nan
        if not least <= found <= most:
            raise typer.BadParameter(f"found {str(given)!r}, allowed are seconds from {least:g} to {most:.0f}")
        return found

    return read


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
File = Annotated[
    Path | None,
    typer.Option("--file", "-f", metavar="FILE", help="Ask the lab that runs for this lab file.", show_default=False),
]
Name = Annotated[
    str,
    typer.Argument(metavar="NAME", help="Of an agent or a service.", show_default=False, autocompletion=complete_name),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Timeout = Annotated[float, typer.Option("--timeout", parser=seconds(), metavar="SECONDS", help="How long to wait.")]
Interval = Annotated[float, typer.Option("--interval", "-i", parser=seconds(0.1), metavar="SECONDS", help="Between two looks.")]
Limit = Annotated[
    float | None,
    typer.Option("--timeout", parser=seconds(), metavar="SECONDS", help="Limit for the answer.", show_default="none"),
]


def nameserver(nsaddr: str | None, file: Path | None = None) -> str:
    """Give the name server's address: the option, else the environment, else the lab of this directory, else the usual port.

    Args:
        nsaddr: The address as an option gives it.
        file: A lab file, as an option gives it: the lab that runs for it.

    Raises:
        ConfigurationError: both are given.
        LabError: that lab does not run, or has no name server; or no lab runs for the lab file of this directory, and nobody
            listens at the usual port either.
    """
    if file is not None:
        if nsaddr is not None:
            raise ConfigurationError("--nsaddr and --file both say whom to ask; give one of them")
        return _of_lab(file)
    given = nsaddr or os.environ.get(NAMESERVER_VARIABLE)
    if given or not Path(LAB_FILE).is_file():
        return given or DEFAULT_ADDRESS
    try:
        return _of_lab(Path(LAB_FILE))
    except AgentLabError as error:
        if _listens(DEFAULT_PORT):
            return DEFAULT_ADDRESS
        raise type(error)(str(error).removesuffix(f" {LAB_FILE}")) from None  # which is what up takes by itself


def _of_lab(file: Path) -> str:
    from agentlab.lab.client import LabClient  # all this is needed for labs alone

    with LabClient(file) as lab:
        known: dict[str, str | None] = lab.info()["nameservers"]
    found = known.get("default") or next(filter(None, known.values()), None)
    if found is None:
        raise LabError(f"no name server of the lab of {file} is up; see agentlab ps")
    return found


def _listens(port: int) -> bool:
    """Tell whether anybody listens at a port of this machine."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=0.5).close()
    except OSError:
        return False
    return True


def as_json(value: Any) -> str:
    """Give a value as JSON, which any program can read.

    NaN, which JSON does not know, is null; what is infinite is the text ``inf`` or ``-inf``; keys are text; an array is a
    list; anything else is its text.
    """
    return _json(value, indent=2)


def as_json_line(value: Any) -> str:
    """Give a value as JSON in one line; see :func:`as_json`."""
    return _json(value, indent=None)


def _json(value: Any, indent: int | None) -> str:
    try:
        try:
            return json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
        except (TypeError, ValueError):  # something that JSON does not know
            return json.dumps(_for_json(value), indent=indent, ensure_ascii=False, allow_nan=False)
    except RecursionError:  # it holds itself
        return json.dumps(str(value), ensure_ascii=False)


def _for_json(value: Any) -> Any:
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None if math.isnan(value) else str(value)
    if isinstance(value, Mapping):
        return {key if isinstance(key, str) else str(key): _for_json(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_for_json(one) for one in value]
    return _for_json(value.tolist()) if callable(getattr(value, "tolist", None)) else str(value)


def value_of(text: str) -> Any:
    """Give what a user wrote as a value: JSON where it is JSON, else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text
