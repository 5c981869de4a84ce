"""The supervisor's state machine: what happened goes in, what is to be done comes out. Pure: no clock, thread or process.

Every unit has a *goal*, up or down, and a state. After every event the keeper compares them and does what may be done now:

- a unit starts when all that it needs is up, several at once; it does not end when something that it needs ends, as names heal
  themselves;
- a unit that has to end is asked when all that depend on it, and have to end too, have ended; it is killed when it takes longer
  than its ``stop_timeout``; in a shutdown everything that is left shortly before the one deadline of all is killed;
- an end that nobody asked for goes to the policy of the unit's group, which says who is stopped and started again, and when.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agentlab.lab.hang import limits
from agentlab.lab.messages import (
    Command,
    Event,
    Exited,
    Kill,
    NeedsParent,
    Pulse,
    Replace,
    Request,
    RestartUnits,
    Shutdown,
    Started,
    StartFailed,
    StartUnits,
    StopUnits,
)
from agentlab.lab.policy import Decision, is_abnormal
from agentlab.lab.record import Record
from agentlab.lab.roster import Roster
from agentlab.lab.settling import Settler
from agentlab.lab.settling import Shutdown as Deadline
from agentlab.lab.texts import first_line, how_it_ended, short_end
from agentlab.lab.units import Plan

MOST_STARTING = 16
"""Units that start at the same time."""


class Keeper:
    """The state of all units. Owned by one thread.

    Args:
        plan: The units; none of them is started.
        most_starting: Units that may start at the same time.
    """

    def __init__(self, plan: Plan, *, most_starting: int = MOST_STARTING) -> None:
        self._roster = Roster()
        self._settler = Settler(self._roster, most_starting)
        self._roster.take(plan, 0.0)
        self._handlers: dict[type[Any], Callable[[Any, float], None]] = {
            Started: self._on_started,
            StartFailed: self._on_start_failed,
            NeedsParent: self._on_needs_parent,
            Exited: self._on_exited,
            Pulse: self._on_pulse,
            StartUnits: self._on_start_units,
            StopUnits: self._on_stop_units,
            RestartUnits: self._on_restart_units,
            Shutdown: self._on_shutdown,
            Replace: self._on_replace,
        }

    # --- in and out -----------------------------------------------------------------------------------------------

    def handle(self, event: Event | Request, now: float) -> list[Command]:
        """Take in what happened or what somebody wants; give what is to be done, in this order."""
        self._handlers[type(event)](event, now)
        if isinstance(event, Pulse):  # it changes nothing for others, and there are many of them
            return self._taken()
        return self.tick(now)

    def tick(self, now: float) -> list[Command]:
        """Do what has become due."""
        self._settler.settle(now)
        return self._taken()

    def _taken(self) -> list[Command]:
        commands, self._roster.commands = self._roster.commands, []
        return commands

    def next_time(self) -> float | None:
        """Give when :meth:`tick` is due next; None: only after the next event."""
        return self._settler.next_time()

    @property
    def plan(self) -> Plan:
        """The plan in force."""
        return self._roster.plan

    @property
    def records(self) -> dict[str, Record]:
        """What is known of its units, by name, in the order of their start."""
        return self._roster.records

    def living(self) -> list[str]:
        """Name the units of which something lives, or may live; also units that the plan has no more."""
        return self._roster.living()

    def is_settled(self) -> bool:
        """Tell whether nothing is under way: nothing starts, stops or waits, except for what needs a unit that failed."""
        if any(r.state in ("starting", "stopping") or r.must_end for r in self._roster.all()):
            return False
        return not any(r.goal and not r.is_alive and not r.blocked for r in self.records.values())

    @property
    def is_shutting_down(self) -> bool:
        """Whether a shutdown is under way."""
        return self._settler.shutdown is not None

    # --- requests -------------------------------------------------------------------------------------------------

    def _on_start_units(self, request: StartUnits, now: float) -> None:
        hosts = [name for name in request.names if not self.records[name].goal]
        for name in self.plan.closure(request.names):
            self._want(self.records[name], now)
        for child in [child for host in hosts for child in self._roster.children(host)]:
            if child.unit.wanted:
                self._want(child, now)

    def _want(self, record: Record, now: float) -> None:
        if not record.unit.here or (record.goal and record.state != "backoff"):
            return
        self._roster.policy(record).admit(record.name)
        record.goal, record.fresh, record.not_before, record.cause = True, True, now, ""
        if not record.is_alive:
            record.go("waiting", now)

    def _on_stop_units(self, request: StopUnits, now: float) -> None:
        for name in request.names:
            record = self.records[name]
            self._roster.policy(record).leave([name])
            self._unwant(record, now)
            if record.state in ("failed", "done"):
                record.go("stopped", now)

    def _unwant(self, record: Record, now: float, reason: str = "") -> None:
        record.goal, record.cause = False, ""
        if record.is_alive:
            record.halt = True
            record.why = reason
        elif record.state in ("waiting", "backoff"):
            began = record.state == "backoff" or not record.fresh
            record.go("stopped", now, reason)
            if began:  # nobody has to hear of the end of what never began
                self._roster.report(record, "stopped", reason)

    def _on_restart_units(self, request: RestartUnits, now: float) -> None:
        for name in request.names:
            record = self.records[name]
            if record.is_alive:
                record.halt = record.fresh = True
                record.goal, record.not_before, record.cause = True, now, ""
                self._roster.policy(record).admit(name)
        self._on_start_units(StartUnits(request.names), now)

    def _on_shutdown(self, request: Shutdown, now: float) -> None:
        self._settler.shutdown = Deadline(request.deadline, now)
        for record in self._roster.all():
            self._unwant(record, now)

    def _on_replace(self, request: Replace, now: float) -> None:
        self._roster.take(request.plan, now)
        again = list(request.start)
        for name in request.changed:
            record = self.records[name]
            if record.state == "failed":
                again.append(name)  # the change may be its cure
            if record.is_alive:
                record.halt = record.fresh = True
            if record.goal:
                record.not_before = now
                self._roster.policy(record).admit(name)
        self._on_start_units(StartUnits(tuple(again)), now)

    # --- events ---------------------------------------------------------------------------------------------------

    def _current(self, event: Event) -> Record | None:
        """Give the record that an event is about; None when it comes from an incarnation that is over."""
        record = self._roster.find(event.unit)
        return record if record is not None and record.is_alive and record.incarnation == event.incarnation else None

    def _on_started(self, event: Started, now: float) -> None:
        record = self._current(event)
        if record is None or record.started:
            return
        record.started, record.info = True, dict(event.info)
        if record.state == "starting":
            record.fresh = False
            record.go("running", now)
            self._roster.report(record, "ready")

    def _not_up(self, event: StartFailed | NeedsParent, now: float) -> Record | None:
        """Give the record of a unit that has not come up though it should; None when nobody wants it up any more."""
        record = self._current(event)
        if record is None or record.started:
            return None
        if record.halt or not record.goal:
            self._ended_as_asked(record, None, now)
            return None
        return record

    def _on_start_failed(self, event: StartFailed, now: float) -> None:
        record = self._not_up(event, now)
        if record is None:
            return
        self._roster.report(record, "failed", event.reason)
        if record.fresh:
            record.ended(now)
            record.goal = False
            record.go("failed", now, first_line(event.reason))
            return
        self._apply(record, None, event.reason, now)

    def _on_needs_parent(self, event: NeedsParent, now: float) -> None:
        record = self._not_up(event, now)
        if record is None:
            return
        record.ended(now)
        record.go("waiting", now, f"starts with {record.unit.parent}")
        parent = self._roster.find(record.unit.parent)
        if parent is not None and parent.is_alive and not parent.halt:
            parent.halt, parent.why = True, f"restarted for {record.name}"

    def _on_exited(self, event: Exited, now: float) -> None:
        record = self._current(event)
        if record is None:
            return
        if not record.started:
            self._on_start_failed(StartFailed(event.unit, event.incarnation, how_it_ended(event.exitcode)), now)
            return
        record.exitcode = event.exitcode
        if record.halt or not record.goal:
            self._ended_as_asked(record, event.exitcode, now)
            return
        reason = record.why or how_it_ended(event.exitcode)
        abnormal = is_abnormal(event.exitcode) or record.hung
        self._roster.report(record, "crashed" if abnormal else "ended", reason, event.exitcode)
        self._apply(record, event.exitcode, reason, now)

    def _on_pulse(self, event: Pulse, now: float) -> None:
        record = self._current(event)
        if record is None or not record.is_watched:
            return
        assert record.unit.hang_timeout is not None
        suspect_after, limit = limits(record.unit.hang_timeout)
        seconds = record.silence.look(event.turned, excused=event.busy or not event.running, now=now)
        if seconds > limit and record.unit.restart != "temporary":  # whose policy brings nothing back is left as it is
            record.hung = True
            record.why = f"it hung: its loop has not turned for {seconds:.1f} s"
            self._roster.report(record, "hung", record.why)
            self._roster.commands.append(Kill(record.name, record.incarnation))
        elif seconds > suspect_after and record.state == "running":
            record.go("suspected", now, f"its loop has not turned for {seconds:.1f} s")
            self._roster.report(record, "suspected", record.reason)
        elif seconds <= suspect_after and record.state == "suspected":
            record.go("running", now)
            self._roster.report(record, "recovered")

    def _ended_as_asked(self, record: Record, exitcode: int | None, now: float) -> None:
        reason = record.why
        record.ended(now)
        record.exitcode = exitcode
        self._roster.report(record, "stopped", reason, exitcode)
        if self._roster.gone.get(record.name) is record:
            del self._roster.gone[record.name]
            self._roster.report(record, "removed")
        elif not record.unit.here:
            record.go("elsewhere", now)
        elif record.goal:
            record.go("backoff" if record.not_before > now else "waiting", now, reason)
        else:
            record.go("stopped", now, reason)
        self._children_ended(record, now, crashed=False)

    def _children_ended(self, parent: Record, now: float, *, crashed: bool) -> None:
        """Note that what a daemon hosts has ended with it, in whatever way."""
        reason = f"{parent.name} ended"
        for record in self._roster.children(parent.name):
            if not record.is_alive:
                continue
            if record.halt or not record.goal or not crashed:
                self._ended_as_asked(record, None, now)
                continue
            self._roster.report(record, "crashed", reason)
            record.cause = reason
            if record.unit.group:
                self._apply(record, None, reason, now)
            else:  # it comes back with its daemon, whose failure this was
                record.ended(now)
                record.restarts += 1
                record.go("waiting", now, reason)

    def _apply(self, record: Record, exitcode: int | None, reason: str, now: float) -> None:
        """Have the policy decide what follows from an end that nobody asked for."""
        abnormal = is_abnormal(exitcode) or record.hung
        cause = "hung" if record.hung else short_end(exitcode) or first_line(reason)
        record.ended(now)
        record.exitcode, record.cause = exitcode, cause
        decision = self._roster.policy(record).ended(record.name, abnormal=abnormal, now=now)
        if decision.gave_up:
            self._give_up(record, decision, reason, now)
        elif record.name in decision.start:
            self._restart(record, decision, reason, now)
        else:
            record.goal = False
            record.go("failed" if abnormal else "done", now, first_line(reason))
        self._children_ended(record, now, crashed=True)

    def _give_up(self, record: Record, decision: Decision, reason: str, now: float) -> None:
        shared = record.group in self.plan.groups
        cure = f"; agentlab start group/{record.group} brings all of its group back" if shared else ""
        why = f"{first_line(reason)}; given up: {decision.gave_up}{cure}"
        record.goal = False
        record.go("failed", now, why)
        self._roster.report(record, "given_up", why, record.exitcode)
        for name in decision.stop:
            self._unwant(self.records[name], now, f"given up with {record.name}{cure}")

    def _restart(self, record: Record, decision: Decision, reason: str, now: float) -> None:
        due, why = now + decision.delay, first_line(reason)
        for name in decision.stop:
            other = self.records[name]
            if other.is_alive:
                other.goal = name in decision.start
                other.halt, other.why = True, f"{'restarted' if other.goal else 'stopped'} with {record.name}"
        for name in decision.start:
            other = self.records[name]
            if not other.unit.here:
                continue
            other.goal, other.fresh, other.not_before = True, False, due
            other.restarts += 1
            if not other.is_alive:
                other.go("backoff" if decision.delay > 0 else "waiting", now, why if other is record else f"with {record.name}")
        wait = f" in {decision.delay:.3g} s" if decision.delay > 0 else ""
        self._roster.report(record, "restarting", f"{why}; started again{wait}")
