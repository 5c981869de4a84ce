"""One instrument: a driver in its own thread, and everything that makes it a good citizen. No network here.

Every call is answered later, by an :class:`~agentlab.instruments.engine.answers.Answer`, and none waits for the device. What can
be refused is refused at once, in the caller's thread: an unknown name, a value out of limits, an instrument that somebody
else owns, that is latched or offline.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from agentlab.instruments.drivers.driver import Driver
from agentlab.instruments.engine.answers import Answer
from agentlab.instruments.engine.board import Board
from agentlab.instruments.engine.calls import Calls
from agentlab.instruments.engine.cancelling import cancel
from agentlab.instruments.engine.claims import Client
from agentlab.instruments.engine.emergency import Emergency
from agentlab.instruments.engine.ending import shut_down, wait_for_end
from agentlab.instruments.engine.interlocks import Rule
from agentlab.instruments.engine.latch_file import LatchFile
from agentlab.instruments.engine.owners import Owners
from agentlab.instruments.engine.queue import NOBODY
from agentlab.instruments.engine.safety import Safety
from agentlab.instruments.engine.states import GONE
from agentlab.instruments.engine.telling import described, status_of
from agentlab.instruments.engine.watching import Watcher
from agentlab.instruments.engine.worker import Worker
from agentlab.instruments.model.reading import Reading
from agentlab.instruments.model.spec import InstrumentSpec
from agentlab.instruments.model.table import Table


def _load(spec: InstrumentSpec) -> Driver:
    from agentlab.instruments.drivers.loading import load_driver  # an instrument whose driver is given never needs it

    return load_driver(spec)


class Instrument:
    """One instrument. Any thread may call every method; no method waits for the device, except :meth:`close`.

    Two threads belong to it: the driver's, in which the driver is built, called and closed, and a small one that watches
    deadlines and leases while the driver is in a long call.

    Args:
        spec: What describes it.
        on_reading: Is given each reading that is published: polls, and what has grown stale. It must not block.
        on_change: Is given :meth:`status` whenever state, owner, latch or what is under way has changed. It must not block.
        load: Gives the driver of a spec; called in the driver's thread.
        busy: Gives a context manager that is entered while the driver runs.
        log: Where changes and errors are told.
        latch_file: Where its latch outlives the process; None: it does not.
    """

    def __init__(
        self,
        spec: InstrumentSpec,
        *,
        on_reading: Callable[[Reading], object] = lambda _reading: None,
        on_change: Callable[[dict[str, Any]], object] = lambda _status: None,
        load: Callable[[InstrumentSpec], Driver] = _load,
        busy: Callable[[], AbstractContextManager[Any]] = nullcontext,
        log: logging.Logger | None = None,
        latch_file: LatchFile | None = None,
    ) -> None:
        self._log = log or logging.getLogger(__name__)
        self._board = board = Board(spec, latch_file=latch_file)
        self._on_reading, self._on_change = on_reading, on_change
        self._publishing = threading.RLock()
        self._telling = threading.RLock()  # whoever is told of a change may cause another
        self._emergency = Emergency(board, self._tell, self._log)
        self._watcher = Watcher(
            board, self._emergency, happened=self._happened, publish=self._publish, tell=self._tell, log=self._log
        )
        self._owners = Owners(board, lost=self._owner_lost, tell=self._tell, by=self._watcher.by, log=self._log)
        self._calls = Calls(board, self._watcher.by)
        self._safety = Safety(board, self._emergency, self._watcher, self._calls, self._tell, self._log)
        self._worker = Worker(
            board, load=load, publish=self._publish, tell=self._tell, busy=busy, late=self._watcher.alarm, by=self._watcher.by,
            log=self._log,
        )  # fmt: skip
        self._threads: list[threading.Thread] = []
        self._deaf: set[str] = set()

    @property
    def spec(self) -> InstrumentSpec:
        """What describes it."""
        return self._board.spec

    @property
    def table(self) -> Table:
        """Parameters and actions as they are known now: by the driver's class at first, by the driver once it was online."""
        return self._board.table

    @property
    def latched(self) -> bool:
        """Whether the safe state is latched, so that writes are refused."""
        return bool(self._board.latch)

    @property
    def fault(self) -> BaseException | None:
        """What the driver raised that brought the instrument into state ``fault``; None: it is not."""
        return self._board.fault

    @property
    def opened(self) -> bool:
        """Whether it was ever online; some drivers tell only then which parameters they have."""
        return self._board.states.opened

    @property
    def link(self) -> str:
        """How the device can be reached: ``connecting``, ``online``, ``offline`` (also once it is closed) or ``fault``."""
        return "offline" if self._board.closing else self._board.states.link

    # ---------------------------------------------------------------- life

    def start(self) -> None:
        """Start its threads; the driver is loaded and the device looked for in the background. Only once."""
        name = self.spec.name
        if (error := self._board.latch.refusal()) is not None:
            self._log.warning("%s is still latched, as before its agent was started again: %s", name, error)
        for run, what in ((self._worker.run, "driver"), (self._watcher.run, "watch")):
            thread = threading.Thread(target=run, name=f"{name}-{what}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def close(self, timeout: float = 5.0) -> bool:
        """Bring the device into its safe state if it has one and was online, close the driver, end the threads. Twice is fine.

        Calls that wait are refused; one that runs is asked to end, and aborted where the driver can.

        Args:
            timeout: Seconds to wait for the driver.

        Returns:
            False when the driver's thread is stuck in a call and was left behind; it ends with the process.
        """
        shut_down(self._board, self._emergency, self._log)
        self._watcher.close()
        return wait_for_end(self._board, self._threads, timeout, self._log)

    def later(self, seconds: float, action: Callable[[], object]) -> None:
        """Have something called after so many seconds, in the watching thread, whatever the driver does. It must not block."""
        self._watcher.alarm(self._board.clock() + seconds, action)

    # ---------------------------------------------------------------- calls to the device

    def get(self, name: str, client: Client = NOBODY, limit: float | None = None) -> Answer:
        """Read a parameter; the answer is a :class:`~agentlab.instruments.model.reading.Reading`. Arguments as of :meth:`set`."""
        return self._calls.get(name, client, limit)

    def set(
        self,
        name: str,
        value: Any,
        client: Client = NOBODY,
        limit: float | None = None,
        tolerance: float | None = None,
        timeout: float | None = None,
    ) -> Answer:
        """Set a parameter, in steps if it has a ``step``; the answer is a reading.

        A client that sets a parameter anew ends its own ramp of it; another client's set waits for the end of that ramp.

        Args:
            name: Which.
            value: In its unit, or a text with a unit.
            client: Who asks.
            limit: Seconds until it must have begun; None: whenever.
            tolerance: Wait until it reads that near, in its unit; None: do not wait.
            timeout: Seconds for that wait; None: as long as it takes.
        """
        return self._calls.set(name, value, client, limit, tolerance, timeout)

    def call(
        self, action: str, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None, client: Client = NOBODY,
        limit: float | None = None,
    ) -> Answer:  # fmt: skip
        """Run an action; the answer is its result. ``safe`` is :meth:`safe`."""
        if action == "safe" and action not in self._board.table.actions:
            return self.safe(client)
        return self._calls.call(action, tuple(args), dict(kwargs or {}), client, limit)

    def snapshot(self, refresh: bool = False, client: Client = NOBODY, limit: float | None = None) -> Any:
        """Give the last reading of each parameter, as a dict, without asking the device; `refresh`: an answer that asks it."""
        if refresh:
            return self._calls.refresh(client, limit)
        board = self._board
        with board.lock:
            online = board.states.link == "online"
        return board.book.snapshot(board.clock(), board.polls, online=online)

    def when_known(self, client: Client = NOBODY, limit: float | None = None) -> Answer:
        """Answer when the device was online, so that all parameters are known; as any call it waits for that 5 s at most."""
        return self._calls.when_known(client, limit)

    def cancel(self, client: Client = NOBODY, queued: bool = True) -> Answer:
        """End what runs, and what this client has in the queue. What others wait for stays.

        A ramp, or a wait for a read-back, ends at once; an action is asked to, by its ``cancelled``, and may run on.

        Returns and raises what :func:`agentlab.instruments.engine.cancelling.cancel` says.
        """
        done = cancel(self._board, self._emergency, client, self._watcher.alarm, queued=queued)
        self._watcher.by(self._board.clock())  # it asks again what does not end
        return done

    # ---------------------------------------------------------------- telling

    def status(self) -> dict[str, Any]:
        """Give how it is, at once: see :func:`~agentlab.instruments.engine.telling.status_of`."""
        return status_of(self._board)

    def describe(self) -> dict[str, Any]:
        """Give what it is and can do: see :func:`~agentlab.instruments.engine.telling.described`."""
        return described(self._board)

    # ---------------------------------------------------------------- the safe state

    def safe(self, client: Client = NOBODY) -> Answer:
        """Bring it into its safe state, without latching; anybody may. The answer comes when that is done."""
        return self._safety.safe(client)

    def make_safe(self, reason: str, by: str = "", *, latch: bool = True) -> dict[str, Any]:
        """Order the safe state, and latch it; give at once what :meth:`estop` gives."""
        return self._emergency.order(reason, by, latch=latch)

    def estop(self, reason: str = "", by: str = "") -> dict[str, Any]:
        """Stop in an emergency: latch, end the call that runs, make safe. Give at once how far that has come.

        Returns:
            ``latched``; ``aborted``: whether the driver was asked to abort a call; ``pending``: why the safe state is not
            reached yet, or None; ``state``; ``reason``.
        """
        return self._emergency.order(reason or "emergency stop", by, latch=True)

    def estop_within(self, seconds: float, reason: str = "", by: str = "") -> Answer:
        """Stop as :meth:`estop`; the answer is the same, given when the device is safe, or after so many seconds."""
        return self._safety.estop_within(seconds, reason or "emergency stop", by)

    def enforce(self, rule: Rule, reason: str) -> dict[str, Any] | Answer:
        """Carry out an interlock's rule, whoever owns the instrument: a safe state, which latches, a set or an action."""
        return self._safety.enforce(rule, reason)

    def reset(self, client: Client = NOBODY) -> dict[str, Any]:
        """Let go of the latch; anybody may. A safe state that is still pending is reached all the same.

        Returns:
            ``reset``: whether it was latched; ``reason`` and ``by``: why it was.
        """
        return self._safety.reset(client)

    def kick(self, client: Client = NOBODY) -> float:
        """Tell the watchdog that all is well; give the seconds until it wants to hear that again.

        It runs from the first kick, or the first write. A kick resets nothing: an instrument that the watchdog has latched
        stays latched.

        Raises:
            InstrumentError: it has no watchdog.
            LockedError: somebody else owns it, whose kicks alone count.
        """
        return self._safety.kick(client)

    # ---------------------------------------------------------------- ownership

    def acquire(
        self, client: Client, timeout: float = 0.0, lease: float | None = None, reason: str = "", token: str | None = None
    ) -> Answer:
        """Become owner; the answer is ``token``, ``lease`` and ``again``, or LockedError after `timeout` seconds."""
        return self._owners.acquire(client, timeout, lease, reason, token)

    def renew(self, token: str) -> dict[str, Any]:
        """Keep ownership for another lease. Raises LockedError when it is over."""
        return self._owners.renew(token)

    def release(self, token: str) -> bool:
        """Give ownership back. Raises LockedError when it is over."""
        return self._owners.release(token)

    def break_lock(self, reason: str = "", by: str = "") -> dict[str, Any]:
        """End somebody's ownership, which is logged with who and why; nothing is made safe by it, for a person decided."""
        return self._owners.break_lock(reason, by)

    def lock_info(self) -> dict[str, Any]:
        """Give the owner, since when, until when, why, and who waits."""
        return self._board.ownership.info(self._board.clock())

    # ---------------------------------------------------------------- inside

    def _happened(self) -> None:
        self._owners.happened()

    def _owner_lost(self, label: str) -> None:
        self._emergency.order(f"its owner {label} is lost", "the lease", latch=False)

    def _publish(self, reading: Reading) -> None:
        with self._publishing:  # two threads publish, and the numbers are to come in order
            numbered = self._board.book.publish(reading, gone=self.link in GONE)
            self._say("a reading", self._on_reading, numbered)

    def _tell(self) -> None:
        with self._telling:  # whoever is told last is told the latest
            self._say("a change", self._on_change, self.status())
        self._watcher.by(self._board.clock())

    def _say(self, what: str, listener: Callable[[Any], object], value: Any) -> None:
        """Tell who listens. What that raises is no error of the driver's, and must not end what its threads are doing."""
        try:
            listener(value)
        except Exception:  # noqa: BLE001 - a door: foreign code
            if what not in self._deaf:  # told once: readings come ten times a second
                self._deaf.add(what)
                self._log.exception("%s could not tell of %s", self.spec.name, what)
        else:
            self._deaf.discard(what)
