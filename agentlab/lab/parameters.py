"""What a lab file says of an instrument's parameters, compared with what its driver has of them. No device is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from agentlab.errors import AgentLabError, UnitError, UnknownParameterError, nearest
from agentlab.instruments.model.overrides import apply_overrides, apply_poll
from agentlab.instruments.model.parameter import Parameter
from agentlab.instruments.model.table import Action, Table
from agentlab.instruments.model.units import check_unit, parse_quantity
from agentlab.lab.facts import Facts
from agentlab.lab.instrument_model import InstrumentModel

_UNSENT = "; nothing was sent"
Told = tuple[tuple[Any, ...], str]
"""Where in the instrument, and what to say of it."""


class Settings:
    """What is said of the parameters of one instrument: overrides, polling, the safe state.

    Args:
        model: The instrument, as it is run.
        facts: What is known of its driver; None: nothing.
        stand_in: Whether the driver is a stand-in; what such a one does not have is left out, and no problem.

    Attributes:
        table: What the driver's class tells, with the overrides that can be; None: nobody knows.
        problems: What cannot be.
        notes: What the class does not know, though an instance may.
        missing: What a stand-in does not have.
    """

    def __init__(self, model: InstrumentModel, facts: Facts | None, *, stand_in: bool = False) -> None:
        self.table = driver_table(facts)
        self.problems: list[Told] = []
        self.notes: list[Told] = []
        self._model = model
        self._whole = facts is not None and facts.whole
        self._missing = facts.missing if facts is not None and stand_in else ()
        self.missing: list[Told] = []
        self._override()
        if self.table is not None:
            self._poll(self.table)
            self._safe(self.table)

    def _override(self) -> None:
        for name, says in self._model.overrides.items():
            key, known = ("parameters", name), self.table
            if known is not None and name not in known.names():
                self._unknown(key, name, known.names())
                known = None
                if self._whole or name in self._missing:
                    continue
            try:
                if known is None:  # what contradicts itself is wrong whatever the driver is
                    apply_overrides(Table.of("any", [_imagined(name, says)], []), {name: says})
                else:
                    self.table = apply_overrides(known, {name: says})
            except AgentLabError as error:
                self.problems.append((key, str(error)))

    def _poll(self, table: Table) -> None:
        for name, period in (self._model.poll if isinstance(self._model.poll, dict) else {}).items():
            if name not in table.names():
                self._unknown(("poll", name), name, table.parameters)
                continue
            try:
                apply_poll(table, {name: period})
            except AgentLabError as error:
                self.problems.append((("poll", name), str(error)))

    def _safe(self, table: Table) -> None:
        safe = self._model.safe
        if isinstance(safe, dict):
            for name, value in safe.items():
                self._try(("safe", name), name, table, partial(_set, table, name, value))
        elif isinstance(safe, (str, list)):
            for number, text in enumerate([safe] if isinstance(safe, str) else safe):
                name = text.removesuffix("()")
                if name != "safe":  # which is the driver's own, and no action
                    key = ("safe",) if isinstance(safe, str) else ("safe", number)
                    self._try(key, name, table, partial(table.action, name))

    def _try(self, key: tuple[Any, ...], name: str, table: Table, deed: Callable[[], object]) -> None:
        try:
            deed()
        except UnknownParameterError as error:
            if name in table.names():  # an action that is set, a parameter that is called
                self.problems.append((key, str(error)))
            else:
                self._unknown(key, name, table.names())
        except AgentLabError as error:
            self.problems.append((key, str(error).removesuffix(_UNSENT)))

    def _unknown(self, key: tuple[Any, ...], name: str, known: Iterable[str]) -> None:
        driver = self._model.driver
        if name in self._missing:
            text = f"the stand-in {driver} has no {name!r}, so this is left out while the lab is simulated"
            self.missing.append((key, f"{text}{nearest(name, known)}"))
        elif self._whole:
            self.problems.append((key, f"{driver} has no {name!r}{nearest(name, known)}"))
        else:
            self.notes.append((key, f"the class of {driver} tells of no {name!r}, though an instance may{nearest(name, known)}"))


def _set(table: Table, name: str, value: Any) -> None:
    table.parameter(name).check(value)


def driver_table(facts: Facts | None) -> Table | None:
    """Give what is known of a driver as a table; None: nothing."""
    if facts is None or facts.parameters is None:
        return None
    parameters = (Parameter.from_dict(plain) for plain in facts.parameters.values())
    return Table.of("any", parameters, map(Action, facts.actions))


def _imagined(name: str, says: dict[str, Any]) -> Parameter:
    """Give a parameter that nobody knows, with a unit in which what is said of it can be."""
    unit = says.get("unit") or ""
    for text in (says.get(key) for key in ("min", "max", "step")):
        if isinstance(text, str) and not unit:
            try:
                unit = check_unit(parse_quantity(text)[1])
            except UnitError:
                continue
    return Parameter(name, "any", unit)


__all__ = ["Settings", "driver_table"]
