"""``agentlab status``: a running lab in a few lines, or all about one of its units."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from agentlab.cli.labs import DEFAULT, FileOption, age, complete_units, ending, first_line, moment, size
from agentlab.cli.options import Json, as_json
from agentlab.cli.ps import look_at_instruments, usage
from agentlab.lab.client import LabClient

LAST_LINES = 20
GROUP = "group/"


def status(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="A unit or a group, as Laser or agent/Laser.",
            show_default=False,
            autocompletion=complete_units,
        ),
    ] = None,
    file: FileOption = DEFAULT,
    as_text_for_programs: Json = False,
) -> None:
    """Tell how a running lab is; or all about one unit, with the report of its last failure."""
    with LabClient(file) as client:
        if name is None:
            info, rows = client.info(), client.status()
            _show({**info, "units": rows}, _lab_lines(info, rows), as_json_text=as_text_for_programs)
            return
        (unit,) = client.resolve(name)
        if unit.startswith(GROUP):
            rows = [row for row in client.status() if row.get("group") == unit.removeprefix(GROUP)]
            _show({"group": unit, "units": rows}, _group_lines(unit, rows), as_json_text=as_text_for_programs)
            return
        row = next(row for row in client.status() if row["unit"] == unit)
        row, report = {**row, **usage(row.get("pid"))}, client.report(unit)
        look_at_instruments([row])
        _show({**row, "report": report}, _unit_lines(row, report), as_json_text=as_text_for_programs)


def _show(value: dict[str, Any], lines: list[str], *, as_json_text: bool) -> None:
    print(as_json(value) if as_json_text else "\n".join(lines))


def _lab_lines(info: dict[str, Any], rows: list[dict[str, Any]]) -> list[str]:
    states = [str(row["state"]) for row in rows]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states)) or "none"
    facts = {
        "lab": f"{info['name']} ({info['state']}{', simulated' if info.get('simulated') else ''})",
        "file": f"{info['file']}{', changed since it was read: agentlab reload takes that over' if info['changed'] else ''}",
        "supervisor": f"{info['pid']}, since {moment(info['since'])} ({age(info['since'])})",
        "units": counts,
        **{f"name server {name}": address or "not up" for name, address in info["nameservers"].items()},
        **{f"group {name}": f"{g['strategy']}: {', '.join(g['members'])}" for name, g in info["groups"].items()},
        "log": info["logs"],
    }
    bad = [f"{row['unit']} is {row['state']}: {first_line(row['reason'])}" for row in rows if row.get("reason")]
    return [*_facts(facts), *bad]


def _group_lines(group: str, rows: list[dict[str, Any]]) -> list[str]:
    reasons = (f": {first_line(row['reason'])}" if row.get("reason") else "" for row in rows)
    return [group, *(f"  {row['unit']} is {row['state']}{reason}" for row, reason in zip(rows, reasons, strict=True))]


def _unit_lines(row: dict[str, Any], report: dict[str, Any] | None) -> list[str]:
    facts = {
        "unit": row["unit"],
        "state": str(row["state"]) + (f", since {moment(row['since'])} ({age(row['since'])})" if row.get("since") else ""),
        "reason": first_line(row.get("reason")),
        **_instrument_facts(row.get("instrument") or {}),
        "pid": row.get("pid"),
        "restart": row.get("restart"),
        "restarts": row.get("restarts"),
        "group": row.get("group"),
        "host": row.get("host"),
        "address": row.get("address"),
        "uri": row.get("uri"),
        "CPU": None if row["cpu"] is None else f"{row['cpu']:.1f} % of a core since it began",
        "memory": None if row["rss"] is None else f"{size(row['rss'])} MB",
        "last end": ending(row),
    }
    return [*_facts(facts), *(_report_lines(report) if report is not None else [])]


def _instrument_facts(own: dict[str, Any]) -> dict[str, Any]:
    """Give what an instrument says of itself."""
    if not own:
        return {}
    latch, reason = own.get("latch") or {}, first_line(own.get("reason"))
    since = f", since {moment(own['since'])} ({age(own['since'])})" if own.get("since") else ""
    return {
        "instrument": f"{own['state']}{since}{f': {reason}' if reason else ''}",
        "identity": own.get("identity"),
        "owner": own.get("owner"),
        "latched": f"since {moment(latch['since'])} by {latch['by'] or 'somebody'}: {latch['reason']}" if latch else "",
    }


def _report_lines(report: dict[str, Any]) -> list[str]:
    text, end = first_line(report.get("text")), ending(report)
    how = text if end in text else ", ".join(part for part in (text, end) if part)
    lines = ["", f"last failure: {str(report['event']).replace('_', ' ')} at {moment(report.get('time'))}: {how}"]
    log = [text for text in report.get("log", ()) if text != report.get("traceback")][-LAST_LINES:]
    if log:
        lines += ["its last records:", *(f"    {line}" for text in log for line in text.splitlines())]
    if report.get("traceback"):
        lines += ["its last traceback:", *(f"    {line}" for line in report["traceback"].splitlines())]
    return lines


def _facts(facts: dict[str, Any]) -> list[str]:
    width = max(map(len, facts))
    return [f"{key:<{width}}  {value}" for key, value in facts.items() if value not in (None, "")]
