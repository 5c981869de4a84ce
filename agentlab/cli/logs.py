"""``agentlab logs``: what the units of a lab wrote and what happened to them, up or down."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from agentlab.cli.labs import DEFAULT, complete_units
from agentlab.errors import LabError
from agentlab.lab.client import LabClient
from agentlab.lab.loglines import LogRecord
from agentlab.lab.logread import LogReader, Query, level_number, logged_units

STYLES = {"ERROR": "red", "CRITICAL": "red", "WARNING": "yellow", "DEBUG": "dim"}


def logs(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...",
            help="Units, as Laser or agent/Laser; none: all.",
            show_default=False,
            autocompletion=complete_units,
        ),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")] = False,
    level: Annotated[
        str, typer.Option("--level", metavar="LEVEL", help="The lowest level: DEBUG, INFO, WARNING or ERROR.")
    ] = "DEBUG",
    number: Annotated[int, typer.Option("-n", metavar="N", help="How many records from the end; -1: all.")] = 100,
    file: Annotated[Path, typer.Option("--file", metavar="FILE", help="The lab file.")] = DEFAULT,  # -f is to follow
    as_json_lines: Annotated[bool, typer.Option("--json", help="Print records as they are stored: a line of JSON each.")] = False,
) -> None:
    """Show the log of a lab, of all its units in order of time. The lab need not be up.

    OUTPUT is what a unit printed, ERROR also what it wrote to stderr; a traceback is one record. "lab" is the supervisor.
    """
    query = Query(tuple(names or ()), level_number(level))
    with LabClient(file) as client:
        directory = client.places.logs
        known = {"lab", *logged_units(directory)}
        try:
            known.update(str(row["unit"]) for row in client.status())
        except LabError as error:
            if not directory.exists():  # it was never up
                raise error from None
    query.check(known)
    show = _json if as_json_lines else _shower()
    with LogReader(directory, query) as reader:
        for record in reader.last(None if number < 0 else number):
            show(record)
        try:
            for record in reader.follow() if follow else ():
                show(record)
                sys.stdout.flush()
        except KeyboardInterrupt:
            return  # its normal end


def _json(record: LogRecord) -> None:
    print(json.dumps(asdict(record), ensure_ascii=False))


def _shower() -> Callable[[LogRecord], None]:
    console = Console(highlight=False, markup=False, soft_wrap=True)

    def show(record: LogRecord) -> None:
        line = format_record(record)
        if console.is_terminal:
            console.print(Text(line, STYLES.get(record.level, "")))
        else:
            print(line)

    return show


def format_record(record: LogRecord) -> str:
    """Give a record as people read it: time, level, unit, text; the further lines of a traceback stand below, indented."""
    when = datetime.fromtimestamp(record.time).astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    first, *more = record.text.split("\n")
    return "\n".join([f"{when} {record.level:<7} {record.unit}: {first}", *(f"    {line}" for line in more)])
