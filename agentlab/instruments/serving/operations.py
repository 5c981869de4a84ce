"""How an instrument agent answers calls: beside its loop, so that a driver that is busy for long keeps nobody else waiting.

A call is one of the instrument's operations, an action of the driver, or one of the questions that every agent is asked
(``_describe``, ``get_attr``...), which must know of parameters and actions too. What is none of these is the agent's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from agentlab.agent import local
from agentlab.agent.beside import NOT_MINE
from agentlab.errors import InstrumentError, LatchedError, UnknownParameterError
from agentlab.instruments.engine.claims import Client
from agentlab.instruments.serving.incoming import FOREVER, NAMELESS, caller_of, one_line, seconds
from agentlab.instruments.serving.promises import After, Elsewhere, IfWanted, Then
from agentlab.instruments.serving.questions import Questions, told_status
from agentlab.instruments.serving.results import told_reading, told_readings, travelling

if TYPE_CHECKING:
    from agentlab.agent.door import Door
    from agentlab.instruments.agent import InstrumentAgent
    from agentlab.instruments.engine.instrument import Instrument

NO_WAIT = 0.0
MOST_ROWS = 100_000
"""Readings of a history in one answer: the process that drives a device is no place for a month of them."""


class Operations:
    """Answers calls of one instrument agent. Any thread; nothing here blocks.

    Args:
        agent: Whose calls they are.
        device: The engine of its driver.
        door: Where calls enter the agent; None: it has no process.
    """

    def __init__(self, agent: InstrumentAgent, device: Instrument, door: Door | None) -> None:
        self._agent = agent
        self._device = device
        self._door = door
        self._operations: dict[str, Callable[..., Any]] = {
            "get": self._get,
            "set": self._set,
            "call": self._call,
            "snapshot": self._snapshot,
            "history": self._history,
            "describe": self._description,
            "status": lambda _who, _limit: told_status(device),
            "cancel": lambda who, _limit: device.cancel(who),
            "acquire": self._acquire,
            "renew": lambda _who, _limit, token: device.renew(token),
            "unlock": lambda _who, _limit, token: device.release(token),
            "lock_info": lambda _who, _limit: device.lock_info(),
            "break_lock": lambda who, _limit, reason: device.break_lock(one_line(reason), who.label),
            "make_safe": self._make_safe,
            "estop": self._estop,
            "reset": self._reset,
            "kick": lambda who, _limit: device.kick(who),
            "_parameter": self._known,
            "_await": self._await,
        }
        self._questions = Questions(agent, device, door, [name for name in self._operations if not name.startswith("_")])

    def __call__(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any], note: Mapping[str, Any] | None) -> Any:
        """Answer a call: the result, a promise of one, or NOT_MINE. As :data:`agentlab.agent.beside.Beside` says."""
        operation = self._operations.get(method)
        if operation is not None:  # also before methods of a user's class: an emergency stop must mean that
            who, limit = self._caller(note)
            return operation(who, limit, *args, **kwargs)
        question = self._questions.all.get(method)
        if question is not None:
            return question(*self._caller(note), *args, **kwargs)
        if method.startswith("_") or hasattr(self._agent, method):
            return NOT_MINE
        table = self._device.table
        if method in table.actions or (method not in table.parameters and not self._device.opened):
            who, limit = self._caller(note)
            return self._call(who, limit, method, *args, **kwargs)  # what is not known yet is known when its turn comes
        if method in table.parameters:
            raise UnknownParameterError(
                f"{method!r} of {self._agent.name!r} is a parameter, which cannot be called; read or set it"
            )
        raise self._questions.unknown(method)

    def _caller(self, note: Mapping[str, Any] | None) -> tuple[Client, float | None]:
        """Give who calls, and for how many seconds that one waits."""
        if note:
            return caller_of(note)
        if self._door is not None and local.current() is self._door:
            return self._agent._client, None
        return NAMELESS, None

    # --- operations -----------------------------------------------------------------------------------------------

    def _get(self, who: Client, limit: float | None, name: str) -> Any:
        return Then(self._device.get(name, who, limit), told_reading)

    def _set(
        self,
        who: Client,
        limit: float | None,
        name: str,
        value: Any,
        tolerance: float | None = None,
        timeout: float | None = None,
    ) -> Any:
        return Then(self._device.set(name, value, who, limit, tolerance, timeout), _nothing)

    def _call(self, who: Client, limit: float | None, action: str, /, *args: Any, **kwargs: Any) -> Any:
        return Then(
            self._device.call(action, args, kwargs, who, limit),
            lambda result: travelling(result, f"{action}() was carried out, and its result"),
        )

    def _snapshot(self, who: Client, limit: float | None, refresh: bool = False) -> Any:
        found = self._device.snapshot(refresh, who, limit)
        return Then(found, told_readings) if refresh else told_readings(found)

    def _history(self, _who: Client, _limit: float | None, *query: Any) -> Any:
        path = self._device.spec.history
        if path is None:
            raise InstrumentError(f"instrument {self._agent.name!r} keeps no history; start it with history=PATH")
        name, *rest = query
        self._device.table.parameter(name)
        return Elsewhere(lambda: read_history(path, self._agent.name, name, *rest))

    def _acquire(
        self,
        who: Client,
        _limit: float | None,
        timeout: float | None = NO_WAIT,
        lease: float | None = None,
        reason: str = "",
        token: str | None = None,
    ) -> Any:
        if who.id == NAMELESS.id:
            raise InstrumentError(f"{NAMELESS.label} cannot lock instrument {self._agent.name!r}; lock it by a proxy of it")
        if token is not None and not isinstance(token, str):
            raise InstrumentError(f"the token of a lock is text, not of type {type(token).__name__}")
        waits = FOREVER if timeout is None else seconds("a wait for a lock", timeout)
        # An agent that stood still finds calls whose callers gave up long ago: none of these is to be the owner.
        return IfWanted(
            lambda: self._device.acquire(who, waits, lease, one_line(reason), token),
            f"{self._agent.name} was not locked: its caller has gone",
        )

    def _make_safe(self, who: Client, _limit: float | None, reason: str = "", latch: bool = False) -> Any:
        """Bring it into its safe state: now and once, or latched, which does not wait for the device."""
        return self._device.make_safe(one_line(reason) or "asked for", who.label) if latch else self._device.safe(who)

    def _estop(self, who: Client, _limit: float | None, reason: str = "", within: float | None = None) -> Any:
        reason = one_line(reason)
        if within is None:
            return self._device.estop(reason, who.label)
        try:
            limit = seconds("a wait for the safe state", within)
        except InstrumentError:
            self._device.estop(reason, who.label)  # whatever else is wrong: first it is stopped
            raise
        return self._device.estop_within(limit, reason, who.label)

    def _await(self, who: Client, limit: float | None, name: str) -> Any:
        return self._questions.await_name(who, limit, name)

    def _reset(self, who: Client, _limit: float | None) -> dict[str, Any]:
        """Let go of the latch, unless an interlock would set it again at once: between the two a set could slip through."""
        why = self._agent._guard.held() if self._device.latched else ""
        if why:
            raise LatchedError(f"{self._agent.name} stays in its safe state while its interlock is violated: {why}")
        return self._device.reset(who)

    def _known(self, who: Client, limit: float | None, name: str) -> Any:
        if name in self._device.table.parameters or self._device.opened:
            return self._device.table.parameter(name).to_dict()
        return After(self._device.when_known(who, limit), lambda: self._device.table.parameter(name).to_dict())

    def _description(self, _who: Client, _limit: float | None) -> dict[str, Any]:
        described: dict[str, Any] = self._device.describe()
        return {**described, "methods": sorted(self._questions.own), "whole": self._device.opened}


def read_history(
    path: str, instrument: str, name: str, start: float | None, stop: float | None, limit: int | None, every: float | None
) -> list[dict[str, Any]]:
    """Give recorded readings as plain values.

    Raises:
        InstrumentError: there are more than :data:`MOST_ROWS`.
    """
    from agentlab.runs.history import History  # loads SQLAlchemy, which only those who keep a history need

    found = History(path).query(instrument, name, start, stop, limit=MOST_ROWS + 1 if limit is None else limit, every=every)
    if len(found) > MOST_ROWS:
        raise InstrumentError(
            f"{instrument}.{name} has more than {MOST_ROWS} readings in that time; narrow it by start= and stop=, take fewer by "
            f"every= or limit=, or read them where they are: agentlab.runs.History({path!r}).query({instrument!r}, {name!r})"
        )
    return [
        {"name": name, "value": r.value, "unit": r.unit, "timestamp": r.timestamp, "quality": r.quality, "sequence": r.sequence}
        for r in found
    ]


def _nothing(_: Any) -> None:
    return None
