"""What is told of units: rows of a table, and why they did not start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agentlab.lab.record import Record
from agentlab.lab.texts import first_line, signal_name


def row(record: Record, *, offset: float, address: str | None, nameserver: str | None) -> dict[str, Any]:
    """Give what there is to say of a unit; see :meth:`~agentlab.lab.supervisor.Supervisor.status`.

    Args:
        record: What the keeper knows.
        offset: What is to be added to its times to make them seconds since 1970.
        address: Where it is, if it is a name server.
        nameserver: The name of the one that knows it.
    """
    unit, info = record.unit, record.info if record.is_alive else {}
    return {
        "unit": unit.name,
        "kind": unit.kind,
        "name": unit.bare,
        "state": record.state,
        "pid": info.get("pid"),
        "since": None if record.never_began else record.since + offset,
        "reason": record.reason,
        "cause": record.cause,
        "exitcode": record.exitcode,
        "signal": signal_name(record.exitcode),
        "restarts": record.restarts,
        "group": unit.group,
        "daemon": unit.parent,
        "restart": unit.restart,
        "host": unit.host,
        "uri": info.get("uri"),
        "address": address,
        "nameserver": nameserver,
    }


def why_failed(failed: Sequence[Record], whole_text: str) -> str:
    """Give why units did not start: those that failed by themselves, not those that wait for them.

    Args:
        failed: At least one unit that is not up.
        whole_text: All that was said of the first one; its traceback belongs to it.
    """
    own = [record for record in failed if record.state == "failed"] or list(failed)
    if len(own) == 1:
        return f"{own[0].name} did not start: {whole_text or own[0].reason}"
    return f"{len(own)} units did not start: " + "; ".join(f"{each.name}: {first_line(each.reason)}" for each in own)


def first_to_blame(failed: Sequence[Record]) -> Record:
    """Give the unit whose text tells most."""
    return next((record for record in failed if record.state == "failed"), failed[0])


def why_not_up(name: str, record: Record | None, whole_text: str) -> str:
    """Give why a unit that was to be up is not."""
    if record is None:
        return f"{name} is not in the lab any more"
    if record.state == "elsewhere":
        return f"{name} belongs to host {record.unit.host!r}, which is not this machine; start it there"
    if record.reason:
        return why_failed([record], whole_text if record.state == "failed" else "")
    return f"{name} is {record.state}: it was stopped meanwhile, or has ended by itself"
