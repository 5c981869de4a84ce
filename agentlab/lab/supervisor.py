"""The supervisor of one machine's part of a lab: starts its units, watches them, starts them again, stops them."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from agentlab.errors import AgentLabError, LabError, LabStartError
from agentlab.lab.backend import Backend
from agentlab.lab.engine import Engine
from agentlab.lab.file import LabFile
from agentlab.lab.hosts import is_here
from agentlab.lab.messages import Replace, RestartUnits, Shutdown, Started, StartUnits, StopUnits
from agentlab.lab.plan import make_plan
from agentlab.lab.processes import ProcessBackend
from agentlab.lab.record import Record
from agentlab.lab.rows import first_to_blame, row, why_failed, why_not_up
from agentlab.lab.surrounding import Surrounding
from agentlab.lab.telling import Book, Teller

REPORTS_KEPT = 100
STOP_TIMEOUT = 10.0
_TELLING = 0.5  # seconds that whoever is told of events may take before nobody waits for it
_LAST_GRACE = 2.0  # seconds after a deadline for the system to end what was killed

OnEvent = Callable[[dict[str, Any]], None]


class Supervisor:
    """Runs the units of a lab that belong to this machine, as children of this process. Any thread may use it.

    One thread of its own owns the state and decides; starts, users' functions and clean-ups run beside it, so that
    nothing keeps it from noticing the next end. Ends are seen within milliseconds. When this process is killed, so are the
    units, by their fork server or the kernel.

    While units run, this process has the lab's settings, its folder on ``sys.path``, and its first name server's address in
    ``AGENTLAB_NAMESERVER_ADDRESS``; :meth:`stop` puts all of it back.

    Args:
        lab: What to run.
        backend: What carries out its commands; None: real processes.
        logbook: Takes the units' output and gives their last lines for reports; None: their output goes where this process's
            goes.
        on_event: Called with each event, in a thread of the supervisor's, one at a time. An event is a dict: ``time``
            (seconds since 1970), ``unit``, ``event`` (see :class:`~agentlab.lab.messages.Report`), ``text``, ``exitcode``,
            ``signal`` (its name), ``log`` (for failures: last lines).

    Raises:
        ConfigurationError: units of the lab need each other in a circle.
    """

    def __init__(
        self, lab: LabFile, *, backend: Backend | None = None, logbook: Book | None = None, on_event: OnEvent | None = None
    ) -> None:
        self.lab = lab
        self._backend = backend if backend is not None else ProcessBackend(lab, logbook)
        self._surrounding = Surrounding()
        self._reports: deque[dict[str, Any]] = deque(maxlen=REPORTS_KEPT)
        self._teller = Teller(logbook, on_event, self._reports)
        self._engine = Engine(make_plan(lab, is_here), self._backend, self._teller.tell, self._note_nameserver)
        self._keeper = self._engine.keeper
        self._reloading = threading.Lock()
        self._is_up = False

    # --- what users ask -------------------------------------------------------------------------------------------

    def start(self, *, keep_going: bool = False, timeout: float | None = None) -> None:
        """Start what belongs to the lab, in the order of its needs, and wait until it is up.

        Args:
            keep_going: Whether to go on without what does not start; else everything is stopped again.
            timeout: Seconds for all of it; None: as long as the units may take. With `keep_going`, what is not up by then
                goes on starting.

        Raises:
            LabStartError: a unit did not start, and why; nothing runs any more.
        """
        wanted = tuple(unit.name for unit in self._keeper.plan.units.values() if unit.wanted and unit.here)
        try:
            self._engine.ask(StartUnits(wanted), self._enter)
            in_time = self._engine.wait(lambda: self._keeper.is_settled() or (not keep_going and self._failures(wanted)), timeout)
        except AgentLabError:
            if self._is_up:  # else nothing was taken in, and whatever somebody else does goes on
                self.stop()
            raise
        except BaseException:  # Ctrl-C too: half a lab is worse than none
            self.stop()
            raise
        failed = self._failures(wanted)
        if not self._is_up:
            raise LabStartError("the lab was stopped while it was starting")
        if not keep_going and (failed or not in_time):
            text = self._why(failed) if failed else self._what_is_missing(wanted, timeout)
            self.stop()
            raise LabStartError(text)
        self._catch_up()

    def stop(self, timeout: float = STOP_TIMEOUT) -> None:
        """Stop everything, in reverse order, and wait for it; what is left shortly before the time is over is killed.

        Nothing happens where nothing runs. :meth:`start` may follow.

        Args:
            timeout: Seconds for all units together.

        Raises:
            LabError: something lives yet, stuck in the kernel.
        """
        if not self._engine.is_running:
            return
        self._is_up = False
        self._engine.ask(Shutdown(time.monotonic() + timeout))
        gone = self._engine.wait(lambda: not self._keeper.living(), timeout + _LAST_GRACE)
        with self._engine.changed:
            left = self._keeper.living()
        self._surrounding.leave()
        self._catch_up()
        if not gone and left:
            raise LabError(f"these units were killed and have not ended yet: {', '.join(left)}; see what keeps their processes")

    def status(self) -> list[dict[str, Any]]:
        """Give a row for each unit, in the order of their start.

        Returns:
            Dicts with ``unit`` (full name), ``kind``, ``name``, ``state``, ``pid``, ``since`` (seconds since 1970; None: it was
            never started), ``reason``, ``cause`` (its last end that nobody asked for, in a few words), ``exitcode`` and
            ``signal`` (of its last end), ``restarts``, ``group``, ``daemon`` (that hosts it: services), ``restart``, ``host``,
            ``uri``, ``address`` (name servers), ``nameserver`` (the name of the one that knows it).
        """
        offset = time.time() - time.monotonic()
        with self._engine.changed:
            return [self._row(record, offset) for record in self._keeper.records.values()]

    @property
    def is_up(self) -> bool:
        """Whether it was started and not stopped."""
        return self._is_up

    def crashes(self) -> list[dict[str, Any]]:
        """Give the last hundred reports of failures, oldest first: events ``crashed``, ``hung``, ``failed``, ``given_up``."""
        return list(self._reports)

    def start_unit(self, name: str) -> None:
        """Start a unit, or all of a group, and what it needs, and wait until it is up.

        Args:
            name: Its full name, or the bare one where that is unique; or a group's, as ``group/pipeline`` or, where no unit
                is called so, ``pipeline``. Also below.

        Raises:
            UnknownUnitError: there is none of that name.
            LabError: it did not start, and why.
        """
        names = self._resolve(name)
        self._engine.ask(StartUnits(names), self._enter)
        self._wait_up(names)

    def stop_unit(self, name: str) -> None:
        """Stop a unit, or all of a group, and wait for its end; it stays stopped until somebody starts it.

        What needs it goes on.

        Raises:
            UnknownUnitError: there is none of that name.
        """
        names = self._resolve(name)
        self._engine.ask(StopUnits(names))
        self._engine.wait(lambda: not any(self._lives(each) for each in names))

    def restart_unit(self, name: str) -> None:
        """Stop a unit, or all of a group, if it is up, start it, and wait until it is up. Raises as :meth:`start_unit`."""
        names = self._resolve(name)
        self._engine.ask(RestartUnits(names), self._enter)
        self._wait_up(names)

    def reload(self, new: LabFile) -> dict[str, list[str]]:
        """Go over to another lab: stop what is gone, start again what has changed, start what is new; the rest goes on.

        Returns:
            ``added``, ``removed``, ``changed`` and ``unchanged``: full names.

        Raises:
            ConfigurationError: the new lab cannot be; nothing has changed.
            LabError: the new lab is in force, but some of what was to start did not, and why.
        """
        with self._reloading:
            return self._reload(new)

    def address(self, nameserver: str = "default") -> str | None:
        """Give the address of one of the lab's name servers, by its name in the file; None: it has not been up."""
        return self._backend.address(nameserver)

    def close(self) -> None:
        """Stop everything and end the threads; twice is fine."""
        try:
            self.stop()
        finally:
            self._engine.close(STOP_TIMEOUT)
            self._teller.close(STOP_TIMEOUT)

    # --- inside ---------------------------------------------------------------------------------------------------

    def _resolve(self, name: str) -> tuple[str, ...]:
        with self._engine.changed:
            return self._keeper.plan.resolve_all(name)

    def _wait_up(self, names: tuple[str, ...]) -> None:
        self._engine.wait(lambda: all(map(self._is_at_rest, names)))
        for name in names:
            self._check_up(name)

    def _catch_up(self) -> None:
        """Have told what has happened: who hears of it hears it before what the caller says next."""
        self._engine.catch_up(_TELLING)
        self._teller.flush(_TELLING)

    def _reload(self, new: LabFile) -> dict[str, list[str]]:
        plan = make_plan(new, is_here)
        old = self._keeper.plan.units
        both = [name for name in plan.units if name in old]
        changed = [name for name in both if plan.units[name].fingerprint != old[name].fingerprint]
        added = [name for name in plan.units if name not in old]
        removed = [name for name in old if name not in plan.units]
        again = [name for name in both if plan.units[name].wanted and not old[name].wanted]
        start = tuple(name for name in (*added, *again) if plan.units[name].wanted)
        request = Replace(plan, frozenset(changed), start) if self._is_up else Replace(plan)
        self._engine.ask(request, lambda: self._use(new))
        touched = [*added, *changed, *again]
        self._engine.wait(lambda: all(map(self._is_at_rest, touched)) and not set(removed) & set(self._keeper.living()))
        if failed := self._failures(touched):
            raise LabError(f"the new lab is in force, but not all of it runs: {self._why(failed)}")
        unchanged = [name for name in both if name not in changed]
        return {"added": added, "removed": removed, "changed": changed, "unchanged": unchanged}

    def _enter(self) -> None:
        if self._keeper.is_shutting_down:  # asked a moment too late: what starts now would outlast the shutdown
            raise LabError("the lab is just stopping, so nothing of it is started; wait until it is down")
        self._surrounding.enter(self.lab.settings, self.lab.directory)
        self._is_up = True

    def _use(self, new: LabFile) -> None:
        if self._is_up:
            self._surrounding.enter(new.settings, new.directory)
        self.lab = new
        self._backend.use(new)

    def _lives(self, name: str) -> bool:
        record = self._keeper.records.get(name)
        return record is not None and record.is_alive

    def _is_at_rest(self, name: str) -> bool:
        """Tell whether a unit is where it was to go, or will not get there."""
        record = self._keeper.records.get(name)
        if record is None or record.must_end:
            return record is None
        return record.is_up or not record.goal or record.blocked != ""

    def _failures(self, names: Iterable[str]) -> list[Record]:
        records = [self._keeper.records[name] for name in names if name in self._keeper.records]
        return [record for record in records if record.state == "failed" or (record.goal and record.blocked)]

    def _check_up(self, name: str) -> None:
        with self._engine.changed:
            record = self._keeper.records.get(name)
            if record is None or not record.is_up or record.state == "elsewhere":
                raise LabError(why_not_up(name, record, self._teller.failure_of(name)))

    def _why(self, failed: list[Record]) -> str:
        return why_failed(failed, self._teller.failure_of(first_to_blame(failed).name))

    def _what_is_missing(self, names: Iterable[str], timeout: float | None) -> str:
        with self._engine.changed:
            missing = [name for name in names if not self._keeper.records[name].is_up]
        return f"not up within {timeout or 0:g} s: {', '.join(missing)}; give the lab more time, or see why they take so long"

    def _row(self, record: Record, offset: float) -> dict[str, Any]:
        unit = record.unit
        nameserver = None
        if unit.kind == "service":
            model = self.lab.services.get(unit.bare)
            nameserver = model.nameservers[0] if model is not None and model.nameservers else None
        elif unit.kind != "nameserver":
            nameserver = next((need.partition("/")[2] for need in unit.needs if need.startswith("nameserver/")), None)
        address = self._backend.address(unit.bare) if unit.kind == "nameserver" else None
        return row(record, offset=offset, address=address, nameserver=nameserver)

    def _note_nameserver(self, event: Started) -> None:
        """Note the first name server's address in the environment, before anything starts that looks there."""
        if not event.unit.startswith("nameserver/"):
            return
        names = [unit.bare for unit in self._keeper.plan.units.values() if unit.kind == "nameserver"]
        first = "default" if "default" in names else names[0] if names else ""
        if event.unit == f"nameserver/{first}":
            self._surrounding.tell_nameserver(str(event.info.get("address")))


__all__ = ["Supervisor"]
