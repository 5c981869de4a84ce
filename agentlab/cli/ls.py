"""``agentlab ls``: who is registered, and whether they answer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from agentlab.cli.options import Json, NsAddr, as_json, nameserver
from agentlab.errors import AgentLabError
from agentlab.nameserver.client import Registration
from agentlab.runtime.calling import Caller
from agentlab.runtime.nsproxy import NSProxy

AT_ONCE = 32
PATIENCE = 1.0
"""Seconds that an agent has to say how it is."""
COLUMNS = ("name", "class", "host", "pid", "state", "started (UTC)", "tags")


def ls(nsaddr: NsAddr = None, as_text_for_programs: Json = False) -> None:
    """List the agents that a name server knows, and their state.

    States: running; stopped (its loop does not run); silent (no answer within a second: frozen, killed a moment ago, or
    no agent at all).
    """
    address = nameserver(nsaddr)
    with NSProxy(address) as ns:
        registrations = ns.registrations()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        rows = [row for _, row in sorted(zip(registrations, pool.map(_row, registrations.values()), strict=True))]
    if as_text_for_programs:
        print(as_json(rows))
    elif not rows:
        print(f"no agents are registered at {address}")
    else:
        _print_table(rows)


def _row(registration: Registration) -> dict[str, Any]:
    known = registration.metadata
    started = known.get("started")
    return {
        "name": registration.name,
        "class": known.get("class"),
        "host": known.get("host"),
        "pid": known.get("pid"),
        "state": _state(registration),
        "started": datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds") if isinstance(started, float) else None,
        "tags": known.get("tags", []),
        "uri": registration.uri,
    }


def _state(registration: Registration) -> str:
    caller = Caller(registration.name, registration.uri, None)
    try:
        return "running" if caller.call("is_running", (), {}, safe=False, timeout=PATIENCE) else "stopped"
    except AgentLabError:
        return "silent"
    finally:
        caller.close()


def _print_table(rows: list[dict[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in COLUMNS:
        table.add_column(heading, justify="right" if heading == "pid" else "left", overflow="fold")
    for row in rows:
        short = str(row["class"] or "").rpartition(".")[2]
        started = str(row["started"] or "").replace("T", " ").partition("+")[0]
        table.add_row(
            row["name"], short, *(str(row[key] or "") for key in ("host", "pid", "state")), started, ", ".join(row["tags"])
        )
    Console(highlight=False, markup=False).print(table)
