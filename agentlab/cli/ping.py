"""``agentlab ping``: does an agent answer?"""

from __future__ import annotations

import time

from agentlab.cli.options import File, Json, Name, NsAddr, Timeout, as_json
from agentlab.cli.peers import peer


def ping(
    name: Name, nsaddr: NsAddr = None, file: File = None, timeout: Timeout = 3.0, as_text_for_programs: Json = False
) -> None:
    """Ask an agent or a service for a sign of life; it answers while it is busy, too."""
    with peer(name, nsaddr, file) as whom:
        began = time.perf_counter()
        whom.ask("ping", timeout=timeout)
        took = time.perf_counter() - began
    if as_text_for_programs:
        print(as_json({"name": name, "seconds": took}))
    else:
        print(f"{name} answers after {took * 1000:.1f} ms")
