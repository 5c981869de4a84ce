"""``agentlab nameserver``: a name server in the foreground."""

from __future__ import annotations

import signal
from typing import Annotated

import typer

from agentlab.cli.options import DEFAULT_ADDRESS
from agentlab.nameserver.places import nameserver_address
from agentlab.nameserver.server import NameServer
from agentlab.settings import NAMESERVER_VARIABLE


def nameserver(
    address: Annotated[
        str, typer.Argument(metavar="[HOST:PORT]", help="Where it listens; port 0: any free one.", show_default=True)
    ] = DEFAULT_ADDRESS,
) -> None:
    """Serve names until Ctrl-C or SIGTERM, which are its normal end (exit code 0); agents live on without it."""
    place = nameserver_address(address)
    server = NameServer(place.host, place.port)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: server.stop())
    server.run(on_ready=_ready)
    print("name server has ended", flush=True)


def _ready(address: str) -> None:
    print(f"name server at {address}; for other programs: export {NAMESERVER_VARIABLE}={address}", flush=True)
