"""What the shell proposes when a user asks for it: names, and what comes after their dot. Silent, and soon, whatever is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from agentlab.nameserver.client import NameServerClient

PATIENCE = 0.5
"""Seconds that a user waits for proposals at most, for each question that has to be asked."""


def complete_name(ctx: typer.Context, incomplete: str) -> list[str]:
    """Give the registered names that begin so."""
    return _propose(ctx, lambda names: _names(names, incomplete))


def complete_instrument(ctx: typer.Context, incomplete: str) -> list[str]:
    """Give the names of instruments that begin so."""
    return _propose(ctx, lambda names: sorted(names.list(prefix=incomplete, meta_all={"kind": "instrument"})))


def complete_attribute(ctx: typer.Context, incomplete: str) -> list[str]:
    """Give ``NAME.attribute`` for what begins so, or the names while there is no dot."""
    return _propose(ctx, lambda names: _members(names, incomplete, "_document", lambda given: given))


def complete_publisher(ctx: typer.Context, incomplete: str) -> list[str]:
    """Give ``NAME.alias`` of sockets that publish, for what begins so."""

    def aliases(rows: list[dict[str, Any]]) -> list[str]:
        return [row["alias"] for row in rows if row["alias"] and row["kind"] in ("PUB", "SYNC_PUB") and row["role"] == "server"]

    return _propose(ctx, lambda names: _members(names, incomplete, "_wiring", aliases))


def _propose(ctx: typer.Context, find: Callable[[NameServerClient], list[str]]) -> list[str]:
    from agentlab.cli.options import nameserver
    from agentlab.nameserver.client import NameServerClient

    try:
        with NameServerClient(nameserver(ctx.params.get("nsaddr"), ctx.params.get("file")), timeout=PATIENCE) as names:
            return find(names)
    except Exception:  # noqa: BLE001 - also what an agent answers that knows no such question: a shell shows no traceback
        return []


def _names(names: NameServerClient, incomplete: str) -> list[str]:
    return sorted(name for name in names.list(prefix=incomplete) if name != "Pyro.NameServer")


def _members(names: NameServerClient, incomplete: str, question: str, read: Callable[[Any], list[str]]) -> list[str]:
    """Ask the one before the dot for what there is behind it."""
    from agentlab.runtime.calling import Caller

    name, dot, begin = incomplete.rpartition(".")
    registration = names.find(name) if dot else None
    if registration is None:
        return [f"{found}." for found in _names(names, incomplete)]
    caller = Caller(name, registration.uri, None)
    try:
        found = read(caller.call(question, (), {}, safe=False, timeout=PATIENCE))
    finally:
        caller.close()
    return sorted(f"{name}.{member}" for member in found if member.startswith(begin))
