"""``agentlab down``: stop a lab and its supervisor."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, Any

import psutil
import typer
from rich.console import Console

from agentlab.cli.door import FAILED, say
from agentlab.cli.following import Following
from agentlab.cli.labs import DEFAULT, FileArgument
from agentlab.cli.options import Json, as_json, seconds
from agentlab.errors import LabDownError
from agentlab.lab.client import LabClient, wait_for_end
from agentlab.lab.holding import run_by_program

GRACE = 5.0
"""Seconds that a supervisor has to end after its units had their time."""
ASK_AGAIN = 2.0


def down(
    file: FileArgument = DEFAULT,
    timeout: Annotated[
        float,
        typer.Option("--timeout", parser=seconds(), metavar="SECONDS", help="For all units together; then they are killed."),
    ] = 10.0,
    as_text_for_programs: Json = False,
) -> None:
    """Stop a lab: units in reverse order of their start, then its supervisor. Returns when nothing of it is left.

    A lab that is not up is fine: that is said, and the exit code is 0. It is 1 where the supervisor does not end, and 2
    where there is neither lab nor lab file.
    """
    with LabClient(file) as client:
        asked = _ask(client, timeout)
        if asked is None:
            print(as_json({"file": str(file), "was_up": False}) if as_text_for_programs else f"{file} is not up")
            return
        process, info, units = asked
        with Following(Console(), quiet=as_text_for_programs) as show:
            _follow(client, show, int(info["fresh"]), timeout + GRACE, quiet=as_text_for_programs)
    if not wait_for_end(process, GRACE):
        say(f"supervisor {process.pid} does not end; kill -9 {process.pid} ends it and all of its units")
        raise typer.Exit(FAILED)
    print(as_json({"file": str(file), "was_up": True, "units": units}) if as_text_for_programs else f"{file} is down")


def _ask(client: LabClient, timeout: float) -> tuple[psutil.Process, dict[str, Any], list[str]] | None:
    """Have the supervisor stop; give its process, what it says of itself and its units. None: nobody runs the lab.

    One that is just starting or ending holds the lab's lock, and cannot be asked yet, or no more.

    Raises:
        LabDownError: there is no lab file, or who holds the lock cannot be asked.
    """
    deadline = time.monotonic() + GRACE
    while True:
        try:
            info = client.info()
            process = psutil.Process(int(info["pid"]))  # asked while it answers, so the number is its own
            units = [str(row["unit"]) for row in client.status()]
            client.down(timeout)
        except (LabDownError, psutil.NoSuchProcess):
            if client.holder() is None and client.places.file.exists():
                return None
            if client.holder() is None or run_by_program(client.places) or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return process, info, units


def _follow(client: LabClient, show: Callable[[dict[str, Any]], None], fresh: int, limit: float, *, quiet: bool) -> None:
    """Show how the units stop, and now and then for which one everybody waits, until the supervisor is gone."""
    deadline = time.monotonic() + limit
    said = time.monotonic()
    try:
        while time.monotonic() < deadline:
            fresh, events = client.events(fresh, 0.5)
            for event in events:
                show(event)
            if not events and not quiet and time.monotonic() - said > ASK_AGAIN:
                said = time.monotonic()
                left = [str(row["unit"]) for row in client.status() if row["state"] == "stopping"]
                print(f"waiting for {', '.join(left)}" if left else "waiting for the supervisor", flush=True)
            elif not events:
                time.sleep(0.02)  # its feed is closed: it is about to end
    except LabDownError:
        return
