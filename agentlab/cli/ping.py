"""``agentlab ping``: does an agent answer?"""

from __future__ import annotations

import time
from typing import Annotated

import typer

from agentlab.cli.options import NsAddr, Timeout, nameserver
from agentlab.nameserver.client import NameServerClient
from agentlab.runtime.calling import Caller


def ping(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The agent's name.", show_default=False)],
    nsaddr: NsAddr = None,
    timeout: Timeout = 3.0,
) -> None:
    """Ask an agent for a sign of life; it answers while its loop is busy, too."""
    with NameServerClient(nameserver(nsaddr)) as names:
        uri = names.lookup(name).uri
    caller = Caller(name, uri, None)
    try:
        began = time.perf_counter()
        caller.call("ping", (), {}, safe=False, timeout=timeout)
        print(f"{name} answers after {(time.perf_counter() - began) * 1000:.1f} ms")
    finally:
        caller.close()
