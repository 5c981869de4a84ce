"""How ``agentlab describe`` shows an instrument: its driver, its parameters with units and limits, its actions."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from agentlab.agent.describe import bare, signature_text
from agentlab.instruments.model.parameter import Parameter
from agentlab.instruments.model.table import Action

if TYPE_CHECKING:
    from rich.table import Table

_ARGUMENTS = re.compile(r"^\s*Args:\s*$", re.MULTILINE)
COLUMNS = ("parameter", "type", "unit", "limits", "poll", "about")
ACCESS = {(True, True): "", (True, False): "read only", (False, True): "set only", (False, False): "hidden"}


def without_inherited(found: dict[str, Any]) -> dict[str, Any]:
    """Give a portrait without what every instrument agent has."""
    from agentlab.instruments.agent import InstrumentAgent  # with the engine: it takes 30 ms, which other verbs need not wait for

    kept = {one["name"] for part in ("parameters", "actions") for one in found["driver"][part]}
    common = {*dir(InstrumentAgent), *InstrumentAgent.__annotations__} - kept
    ours = found["class"].startswith("agentlab.instruments.")
    parts = {part: [one for one in found[part] if one["name"] not in common] for part in ("methods", "attributes")}
    return {**found, **parts, "doc": "" if ours else found["doc"]}


def without_arguments(doc: str) -> str:
    """Give a driver's documentation without what its constructor takes: whoever uses the instrument did not build it."""
    return _ARGUMENTS.split(doc, maxsplit=1)[0].rstrip()


def facts(driver: dict[str, Any]) -> list[str]:
    """Give what there is to say of an instrument as a whole, a line each."""
    watchdog = driver.get("watchdog")
    said = {
        "address": driver.get("address"),
        "identity": driver.get("identity"),
        "state": driver.get("state"),
        "safe state": "yes" if driver.get("safe") else "none",
        "owner": "needed to set" if driver.get("owner_required") else "",
        "watchdog": f"{watchdog:g} s" if watchdog else "",
    }
    lines = [f"{key}: {text}" for key, text in said.items() if text]
    return lines + [f"interlock: {rule}" for rule in driver.get("interlocks", ())]


def parameter_table(driver: dict[str, Any]) -> Table | None:
    """Give the table of an instrument's parameters; None: it has none, or they are not known yet."""
    from agentlab.cli.tables import table

    rows = [_row(one, driver.get("polls", {})) for one in driver.get("parameters", ())]
    shown = [index for index in range(len(COLUMNS)) if index < 2 or any(row[index] for row in rows)]
    if not rows:
        return None
    return table([COLUMNS[index] for index in shown], ([row[index] for index in shown] for row in rows))


def _row(plain: dict[str, Any], polls: dict[str, float]) -> list[str]:
    parameter = Parameter.from_dict({**plain, "choices": _tuple(plain.get("choices"))})
    access = ACCESS[parameter.readable, parameter.writable]
    ramp = f"in steps of {parameter.step:g}" if parameter.step else ""
    limits = parameter.limits_text() if parameter.writable else ""
    poll = polls.get(parameter.name) or parameter.poll
    about = "; ".join(text for text in (access, ramp, _first_line(parameter.doc)) if text)
    unit = f" {parameter.unit}"
    return [
        parameter.name,
        parameter.type,
        parameter.unit,
        limits.removesuffix(unit) if parameter.unit else limits,
        f"{poll:g} s" if poll else "",
        about,
    ]


def _tuple(choices: Any) -> tuple[Any, ...] | None:
    return None if choices is None else tuple(choices)


def actions(driver: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Give signature and first line of documentation of each action."""
    kinds = list(inspect._ParameterKind)
    for action in driver.get("actions", ()):
        try:
            made = [
                inspect.Parameter(name, kinds[kind], default=inspect.Parameter.empty if default is None else bare(default))
                for name, kind, default in action["parameters"]
            ]
            text = signature_text(inspect.Signature(made))
        except ValueError:  # a vendor's own idea of a signature
            text = "(...)"
        about = (_first_line(action["doc"]), Action.from_dict(action).limits_text())
        yield f"{action['name']}{text}", "; ".join(one for one in about if one)


def _first_line(doc: str) -> str:
    """Give the first line of a documentation as a terminal shows it, without the marks of code."""
    return doc.strip().partition("\n")[0].replace("``", "")
