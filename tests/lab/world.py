"""Processes that are none, in a time that only a test moves: they do what the keeper says, and answer when the test wants."""

from __future__ import annotations

from dataclasses import dataclass

from agentlab.lab.keeper import Keeper
from agentlab.lab.messages import (
    Exited,
    Kill,
    Pulse,
    Report,
    RestartUnits,
    Shutdown,
    Start,
    Started,
    StartFailed,
    StartUnits,
    Stop,
    StopUnits,
)
from agentlab.lab.units import Plan, Unit, sorted_units


def plan(*units, groups=()):
    """A plan of units (a text is an agent's bare name), in the order of their needs."""
    made = [unit if isinstance(unit, Unit) else agent(unit) for unit in units]
    return Plan(sorted_units(made), {group.name: group for group in groups})


def agent(name, *needs, **options):
    return Unit(f"agent/{name}", "agent", tuple(need if "/" in need else f"agent/{need}" for need in needs), **options)


@dataclass
class Life:
    unit: str
    incarnation: int
    state: str = "starting"
    asked: bool = False
    killed: bool = False


class World:
    """Fake processes under one keeper.

    Args:
        quick: Whether every Start and Stop is obeyed at once; else the test says when, by :meth:`up`, :meth:`fail`, :meth:`end`.
    """

    def __init__(self, the_plan, *, quick=True, most_starting=16):
        self.keeper = Keeper(the_plan, most_starting=most_starting)
        self.now = 1000.0
        self.quick = quick
        self.lives: list[Life] = []
        self.log: list[str] = []
        self.reports: list[Report] = []
        self.refuses: set[str] = set()
        self.ignores_stop: set[str] = set()

    # --- commands -------------------------------------------------------------------------------------------------

    def tell(self, event):
        todo = [*self.keeper.handle(event, self.now)]
        while todo:
            todo += self._do(todo.pop(0))

    def _do(self, command):
        if isinstance(command, Report):
            self.reports.append(command)
            return []
        short = command.unit.partition("/")[2]
        self.log.append(f"{type(command).__name__.lower()} {short}")
        if isinstance(command, Start):
            assert not [life for life in self.lives if life.unit == command.unit], f"a second incarnation of {command.unit}"
            self.lives.append(Life(command.unit, command.incarnation))
            if self.quick:
                return self._answer(self.lives[-1], short not in self.refuses)
            return []
        life = self._life(command.unit, command.incarnation)
        if life is None:
            return []
        if isinstance(command, Kill):
            life.killed = True
            return self._finish(life, -9)
        assert isinstance(command, Stop)
        life.asked = True
        if self.quick and short not in self.ignores_stop:
            return self._finish(life, 0)
        return []

    def _answer(self, life, ok):
        if ok:
            life.state = "up"
            return self.keeper.handle(Started(life.unit, life.incarnation, {"pid": 1}), self.now)
        self.lives.remove(life)
        return self.keeper.handle(StartFailed(life.unit, life.incarnation, "it refused"), self.now)

    def _finish(self, life, exitcode):
        if life.state == "starting":
            return self._answer(life, ok=False)
        self.lives.remove(life)
        self.lives = [other for other in self.lives if self.parent(other.unit) != life.unit]
        return self.keeper.handle(Exited(life.unit, life.incarnation, exitcode), self.now)

    def parent(self, name):
        unit = self.keeper.plan.units.get(name)
        return unit.parent if unit else None

    def _life(self, unit, incarnation=None):
        name = unit if "/" in unit else self.keeper.plan.resolve(unit)
        for life in self.lives:
            if life.unit == name and incarnation in (None, life.incarnation):
                return life
        return None

    def _run(self, commands):
        todo = list(commands)
        while todo:
            todo += self._do(todo.pop(0))

    # --- what a test makes happen ----------------------------------------------------------------------------------

    def start(self, *names):
        self.tell(StartUnits(tuple(map(self.keeper.plan.resolve, names)) or tuple(self.keeper.plan.units)))

    def stop(self, *names):
        self.tell(StopUnits(tuple(map(self.keeper.plan.resolve, names))))

    def restart(self, *names):
        self.tell(RestartUnits(tuple(map(self.keeper.plan.resolve, names))))

    def shutdown(self, seconds=10.0):
        self.tell(Shutdown(self.now + seconds))

    def up(self, name):
        self._run(self._answer(self._life(name), ok=True))

    def fail(self, name):
        self._run(self._answer(self._life(name), ok=False))

    def end(self, name, exitcode=0):
        self._run(self._finish(self._life(name), exitcode))

    def crash(self, name, exitcode=-9):
        self.end(name, exitcode)

    def pulse(self, name, turned, **more):
        life = self._life(name)
        self.tell(Pulse(life.unit, life.incarnation, turned, **more))

    def pass_time(self, seconds):
        """Let time go by, from one due moment to the next."""
        end = self.now + seconds
        while (due := self.keeper.next_time()) is not None and due <= end:
            self.now = max(self.now, due)
            before = self.keeper.next_time()
            self._run(self.keeper.tick(self.now))
            assert self.keeper.next_time() != before or before is None or before > self.now, "it would turn round and round"
        self.now = end
        self._run(self.keeper.tick(self.now))

    # --- what a test sees -----------------------------------------------------------------------------------------

    def state(self, name):
        return self.keeper.records[self.keeper.plan.resolve(name)].state

    def states(self):
        return {name.partition("/")[2]: record.state for name, record in self.keeper.records.items()}

    def reason(self, name):
        return self.keeper.records[self.keeper.plan.resolve(name)].reason

    def take_log(self):
        taken, self.log = self.log, []
        return taken

    def events(self, name):
        full = self.keeper.plan.resolve(name)
        return [report.event for report in self.reports if report.unit == full]

    @property
    def living(self):
        return {life.unit.partition("/")[2] for life in self.lives}
