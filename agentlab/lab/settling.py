"""What may be done now: who is asked to end, who is killed, who is started. Pure; the keeper calls it after every event."""

from __future__ import annotations

from agentlab.lab.messages import Kill, Start, Stop
from agentlab.lab.record import Record
from agentlab.lab.roster import Roster

LAST_SHARE, LAST_SECONDS = 0.2, 1.0
"""The end of a shutdown's time in which what is left is killed: this share of it, and not more than so many seconds."""


class Shutdown:
    """The one deadline that all units share.

    Args:
        deadline: When it ends.
        now: When it begins.
    """

    def __init__(self, deadline: float, now: float) -> None:
        self._deadline = deadline
        self._kill_at = deadline - min(LAST_SECONDS, LAST_SHARE * max(0.0, deadline - now))

    def last_moment(self, record: Record) -> float:
        """Give when a unit is killed, whatever it waits for. Name servers have a little longer, as they go last."""
        return (self._kill_at + self._deadline) / 2 if record.unit.kind == "nameserver" else self._kill_at


class Settler:
    """Compares the goals of all units with their states.

    Args:
        roster: The units.
        most_starting: Units that may start at the same time.
    """

    def __init__(self, roster: Roster, most_starting: int) -> None:
        self._roster = roster
        self._most_starting = most_starting
        self.shutdown: Shutdown | None = None

    def settle(self, now: float) -> None:
        """Add the commands that may be carried out now."""
        self._ask_to_end(now)
        self._kill_late(now)
        self._start_ready(now)

    def next_time(self) -> float | None:
        """Give when something is due next; None: only after the next event."""
        times = [r.not_before for r in self._roster.records.values() if r.state == "backoff"]
        for record in self._roster.all():
            if record.is_alive and record.kill_at is not None:
                times.append(record.kill_at)
            if self.shutdown is not None and self._may_be_killed(record):
                times.append(self.shutdown.last_moment(record))
        return min(times, default=None)

    # --- ending ---------------------------------------------------------------------------------------------------

    def _ask_to_end(self, now: float) -> None:
        roster = self._roster
        for record in roster.all():
            if not record.must_end or record.asked:
                continue
            if roster.ends_with_parent(record):
                record.asked = True
                record.go("stopping", now, record.why)
            elif not any(map(roster.must_end, roster.later(record))):
                record.asked = True
                record.kill_at = now + record.unit.stop_timeout
                record.go("stopping", now, record.why)
                roster.report(record, "stopping", record.why)
                roster.commands.append(Stop(record.name, record.incarnation))

    def _kill_late(self, now: float) -> None:
        roster = self._roster
        for record in roster.all():
            if not self._may_be_killed(record):
                continue
            over = self.shutdown is not None and now >= self.shutdown.last_moment(record)
            if over or (record.kill_at is not None and record.kill_at <= now):
                record.killed, record.asked, record.kill_at = True, True, None
                text = "the time to stop is over" if over else f"it did not stop within {record.unit.stop_timeout:g} s"
                record.why = record.why or f"killed: {text}"
                record.go("stopping", now, record.why)
                roster.report(record, "killed", text)
                roster.commands.append(Kill(record.name, record.incarnation))
        if self.shutdown is not None and not roster.living():
            self.shutdown = None

    def _may_be_killed(self, record: Record) -> bool:
        return record.must_end and not record.killed and not self._roster.ends_with_parent(record)

    # --- starting -------------------------------------------------------------------------------------------------

    def _start_ready(self, now: float) -> None:
        records = self._roster.records
        starting = sum(1 for record in records.values() if record.state == "starting")
        for record in records.values():  # in the order of their needs, so what is blocked is known of each before it is asked
            if record.is_alive or not record.goal:
                record.blocked = ""
                continue
            wait, record.blocked = self._obstacle(record)
            if record.not_before > now:
                continue
            if wait:
                parent = records.get(record.unit.parent or "")
                record.go("stopped" if parent is not None and parent.state == "stopped" else "waiting", now, wait)
            elif starting < self._most_starting and not self._roster.group_is_ending(record):
                starting += 1
                self._start(record, now)
            elif record.state != "waiting":
                record.go("waiting", now, record.reason)

    def _start(self, record: Record, now: float) -> None:
        record.begin(now)
        children = tuple(child.name for child in self._roster.children(record.name) if child.goal)
        self._roster.report(record, "starting")
        self._roster.commands.append(Start(record.name, record.incarnation, children))

    def _obstacle(self, record: Record) -> tuple[str, str]:
        """Give what a unit has to wait for, as text, and the unit without which it can never start; empty: nothing."""
        records, wait = self._roster.records, ""
        for name in record.unit.needs:
            need = records.get(name)
            if need is None or need.is_up:
                continue
            if need.goal and not need.blocked:
                wait = wait or f"waits for {name}"
            elif record.fresh or name == record.unit.parent:
                return f"needs {name}, which {'failed' if need.state == 'failed' else 'is not up'}", need.blocked or name
        for name in record.unit.follows:
            earlier = records.get(name)
            if not wait and earlier is not None and earlier.goal and not earlier.is_up and not earlier.blocked:
                wait = f"waits for {name}"
        return wait, ""
