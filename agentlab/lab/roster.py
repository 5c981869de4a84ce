"""Which units there are, what is known of each, and how they belong together. Pure; owned by the keeper."""

from __future__ import annotations

from collections.abc import Iterable

from agentlab.lab.messages import Command, Report
from agentlab.lab.policy import Group, GroupPolicy
from agentlab.lab.record import Record
from agentlab.lab.units import Plan, Unit


class Roster:
    """The units of a plan, and those of earlier plans that have not ended yet.

    Attributes:
        plan: The plan in force.
        records: What is known of its units, by name, in the order of their start.
        gone: Units of earlier plans: they only have to end.
        commands: What is to be done, so far.
    """

    def __init__(self) -> None:
        self.plan = Plan()
        self.records: dict[str, Record] = {}
        self.gone: dict[str, Record] = {}
        self.commands: list[Command] = []
        self._policies: dict[str, GroupPolicy] = {}
        self._dependents: dict[str, set[str]] = {}

    def take(self, plan: Plan, now: float) -> None:
        """Go over to a plan: units that are gone are to end, those that stay keep their state, new ones are stopped."""
        for name in [name for name in self.records if name not in plan.units]:
            record = self.records.pop(name)
            record.goal = False
            if record.is_alive:
                record.halt = True
                self.gone[name] = record
            else:
                self.report(record, "removed")
        records = {}
        for name, unit in plan.units.items():
            record = self.records.get(name) or self.gone.pop(name, None) or Record(unit, now)
            record.unit = unit
            if not unit.here:
                record.leave_it(now)
            elif record.state == "elsewhere":
                record.go("stopped", now)
            records[name] = record
        self.plan, self.records = plan, records
        self._take_groups(plan)
        self._dependents = dependents(record.unit for record in self.all())

    def _take_groups(self, plan: Plan) -> None:
        groups = dict(plan.groups)
        member_of = {member: group.name for group in groups.values() for member in group.members}
        for name, record in self.records.items():
            if name not in member_of:
                groups[name] = Group(name, (name,))
            record.group = member_of.get(name, name)
        earlier, self._policies = self._policies, {}
        for key, group in groups.items():
            self._policies[key] = policy = GroupPolicy(group, {m: plan.units[m].restart for m in group.members})
            if key in earlier:
                policy.take_over(earlier[key])
            policy.leave(member for member in group.members if self.records[member].is_absent)

    def report(self, record: Record, event: str, text: str = "", exitcode: int | None = None) -> None:
        """Have an event told."""
        self.commands.append(Report(record.name, event, text, exitcode))

    def all(self) -> list[Record]:
        """Give everything that is known, also of what is gone."""
        return [*self.records.values(), *self.gone.values()]

    def living(self) -> list[str]:
        """Name the units of which something lives, or may live."""
        return [record.name for record in self.all() if record.is_alive]

    def find(self, name: str | None) -> Record | None:
        """Give what is known of a unit, or None."""
        return self.records.get(name or "") or self.gone.get(name or "")

    def must_end(self, name: str | None) -> bool:
        """Tell whether a unit lives and is to end."""
        record = self.find(name)
        return record is not None and record.must_end

    def children(self, parent: str) -> list[Record]:
        """Give what a daemon hosts."""
        return [record for record in self.all() if record.unit.parent == parent]

    def ends_with_parent(self, record: Record) -> bool:
        """Tell whether it is hosted by a daemon that is to end: then it needs not be stopped by itself."""
        return self.must_end(record.unit.parent)

    def later(self, record: Record) -> set[str]:
        """Name what is to end before a unit does: what depends on it, but for what it hosts, which ends with it."""
        names = self._dependents.get(record.name, set())
        if record.unit.kind != "daemon":
            return names
        return names.difference(child.name for child in self.children(record.name))

    def policy(self, record: Record) -> GroupPolicy:
        """Give the policy that decides for a unit."""
        return self._policies[record.group]

    def group_is_ending(self, record: Record) -> bool:
        """Tell whether others of its group have to end before it may start."""
        group = self.policy(record).group
        return group.is_ordered and any(self.records[member].must_end for member in group.members)


def dependents(units: Iterable[Unit]) -> dict[str, set[str]]:
    """Give for each unit the names of those that need or follow it, directly or through others."""
    direct: dict[str, list[str]] = {}
    for unit in units:
        direct.setdefault(unit.name, [])
        for earlier in (*unit.needs, *unit.follows):
            direct.setdefault(earlier, []).append(unit.name)
    found: dict[str, set[str]] = {}
    for name, nearest in direct.items():
        todo, found[name] = list(nearest), set()
        while todo:
            later = todo.pop()
            if later not in found[name]:
                found[name].add(later)
                todo.extend(direct[later])
    return found
