"""``agentlab ls``: who is registered, and how they are."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from agentlab.cli.looks import Answer, Look, registrations
from agentlab.cli.options import File, Json, NsAddr, as_json, nameserver
from agentlab.cli.tables import count_text, rate_text, show, since_text, table
from agentlab.nameserver.client import Registration

COLUMNS = ("name", "class", "host", "state", "since", "messages/s", "errors")


def ls(nsaddr: NsAddr = None, file: File = None, as_text_for_programs: Json = False) -> None:
    """List the agents and services that a name server knows, and how they are.

    States: running; stopped (its loop does not run); ending; silent (no answer within a second: frozen, or killed a
    moment ago); refused (it does not accept our key); - (an object of another program). Services have further ones, and
    instruments: see agentlab instruments.
    Messages are counted where they are handled: who only publishes has none.
    """
    address = nameserver(nsaddr, file)
    found = registrations(address)
    with Look() as look:
        answers = look.ask(found.values(), "_vitals")
    rows = [_row(registration, answer) for registration, answer in zip(found.values(), answers, strict=True)]
    if as_text_for_programs:
        print(as_json(rows))
    elif not rows:
        print(f"nobody is registered at {address}")
    else:
        show(table(COLUMNS, map(_texts, rows)))


def _row(registration: Registration, answer: Answer) -> dict[str, Any]:
    known, (state, vitals) = registration.metadata, answer
    vitals = vitals or {}
    since = _moment(vitals.get("since", known.get("started")))
    return {
        "name": registration.name,
        "kind": known.get("kind", "agent" if "class" in known else "other"),
        "class": known.get("class"),
        "host": known.get("host"),
        "state": _with_device(str(vitals.get("state", state)), vitals),
        "since": None if since is None else since.isoformat(timespec="seconds"),
        "rate": vitals.get("rate"),
        "errors": vitals.get("errors"),
        "pid": vitals.get("pid", known.get("pid")),
        "tags": known.get("tags", []),
        "uri": registration.uri,
    }


def _moment(since: object) -> datetime | None:
    """Give a time of a registration or an answer; None for what is none: whoever registers may say what it likes."""
    try:
        return datetime.fromtimestamp(since, UTC) if isinstance(since, (int, float)) else None
    except (ValueError, OverflowError, OSError):
        return None


def _with_device(state: str, vitals: dict[str, Any]) -> str:
    """Give the state of an agent; of an instrument the device's, unless all is well."""
    own = (vitals.get("instrument") or {}).get("state")
    return state if state != "running" or own in (None, "online", "busy") else str(own)


def _texts(row: dict[str, Any]) -> list[str]:
    since = None if row["since"] is None else datetime.fromisoformat(row["since"]).timestamp()
    return [
        row["name"],
        str(row["class"] or "-").rpartition(".")[2],
        str(row["host"] or "-"),
        row["state"],
        since_text(since, time.time()),
        rate_text(row["rate"]),
        count_text(row["errors"]),
    ]
