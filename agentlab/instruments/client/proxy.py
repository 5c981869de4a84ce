"""Proxies of instruments: their parameters are attributes with units and limits, their actions are methods."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from agentlab.errors import CommunicationError, OfflineError, UnknownParameterError
from agentlab.instruments.client.owning import Owning
from agentlab.instruments.client.remote import ASK, Channel, RemoteAction, portable
from agentlab.instruments.model.reading import Reading

if TYPE_CHECKING:
    from agentlab.instruments.client.bluesky import Readable
    from agentlab.instruments.client.handles import ParameterHandle
    from agentlab.instruments.client.watch import Watch

ONLINE = frozenset(("online", "busy", "safe"))
"""States in which the device answers."""
_POLL = 0.01
_OF_AGENTS = ("ping", "shutdown")
"""What completion shows of the methods that every agent has."""


class InstrumentProxy(Owning):
    """A remote handle of an instrument. Any number of threads may use it; it may be pickled and sent.

    ``proxy.voltage`` reads a parameter, ``proxy.voltage = 3`` sets it, and ``proxy["voltage"]`` is a handle of it for sweeps;
    actions of the driver are methods. A parameter or action whose name is one of the proxy's own below, or ``shutdown``,
    ``kill``, ``ping``, ``run`` or ``is_running`` as all agents have them, is had by :meth:`get`, :meth:`set` and :meth:`call`.

    The views of :class:`~agentlab.Proxy` work as for any agent: ``proxy.future.get("voltage")``, ``proxy.timeout(2).voltage``.
    The time limit is the call's deadline too: when its turn comes later, it is not executed.

    One proxy with its views is one client: a lock that it holds is its own, and another proxy of the same program is somebody
    else. What is asked may raise, besides what calls of agents raise, the errors of :mod:`agentlab.errors` below
    :class:`~agentlab.errors.InstrumentError`, and what the driver itself raises: as its own type where this program has
    imported that, else as a :class:`~agentlab.RemoteError` that is also the builtin exception which it inherits from.
    """

    @property
    def name(self) -> str:
        """The instrument's name."""
        return self._core.name

    # --- values ---------------------------------------------------------------------------------------------------

    def get(self, name: str) -> Any:
        """Ask the device for a parameter; give a :class:`Reading`.

        Raises:
            UnknownParameterError: there is none of that name; the text names the nearest (an AttributeError).
            OfflineError: the device is not there (a ConnectionError).
        """
        return self._op("get", (name,), finish=Reading.from_dict)

    def set(self, name: str, value: Any, *, tolerance: float | None = None, timeout: float | None = None) -> Any:
        """Set a parameter; blocks until it is set, which a ramp of ``step`` and ``delay`` makes long.

        Args:
            name: The parameter.
            value: A value in the parameter's unit, a text such as ``"5 mV"``, or a quantity of pint.
            tolerance: Wait until the read-back is as near as this, in the parameter's unit; None: do not.
            timeout: Seconds that this may take; None: as long as it takes.

        Raises:
            LimitError: it is out of limits, no choice, or of a wrong type: nothing was sent to the device (a ValueError).
            LockedError: somebody else owns the instrument (a PermissionError).
            LatchedError: its safe state is latched: :meth:`reset` it first (a PermissionError).
            DeviceTimeoutError: the read-back did not come within `timeout` seconds (a TimeoutError).
        """
        self._check_lock()
        waits = {} if tolerance is None and timeout is None else {"tolerance": tolerance, "timeout": timeout}
        return self._op("set", (name, portable(value)), waits)

    def call(self, action: str, /, *args: Any, **kwargs: Any) -> Any:
        """Call an action by its name: for those that are called as something of the proxy's own, such as ``reset``."""
        self._check_lock()
        return self._op("call", (action, *map(portable, args)), {key: portable(value) for key, value in kwargs.items()})

    def snapshot(self, *, refresh: bool = False) -> Any:
        """Give the last :class:`Reading` of every parameter by name, without asking the device; with `refresh` it is asked."""
        return self._op("snapshot", (bool(refresh),), finish=_readings)

    def watch(self, *names: str, timeout: float | None = None) -> Watch:
        """Give the readings that the instrument publishes, as they come; nothing is asked of the device for it.

        The last ones known come at once. It is to be closed, or used in a ``with`` block.

        Args:
            *names: Parameters; none: all that are polled.
            timeout: Seconds without a reading after which the iteration raises MessageTimeoutError; None: it waits for ever.
        """
        from agentlab.instruments.client.watch import Watch  # with the rest of what an agent uses

        for name in names:
            self._parameter(name)
        return Watch(self, names, timeout)

    def history(
        self,
        name: str,
        start: float | None = None,
        stop: float | None = None,
        *,
        limit: int | None = None,
        every: float | None = None,
    ) -> Any:
        """Give the recorded :class:`Reading` objects of a parameter, oldest first.

        Args:
            name: The parameter.
            start: Seconds since 1970; None: from the beginning.
            stop: Seconds since 1970; None: until now.
            limit: At most so many, the newest.
            every: One for each so many seconds at most.

        Raises:
            InstrumentError: the instrument keeps no history, or these are more than 100,000 readings.
        """
        return self._op("history", (name, start, stop, limit, every), finish=lambda rows: [Reading.from_dict(r) for r in rows])

    # --- what it is and does --------------------------------------------------------------------------------------

    def describe(self) -> Any:
        """Give what the instrument has, as plain values: ``kind``, ``doc``, ``parameters``, ``actions``. Asks no device."""
        return self._op("describe")

    def status(self) -> Any:
        """Give what it does, also in the middle of a long call: ``state``, ``action``, ``owner``, ``elapsed``, ``progress``."""
        return self._op("status")

    def wait_online(self, timeout: float = 10.0) -> InstrumentProxy:
        """Wait until the device answers; give the proxy.

        Raises:
            OfflineError: it does not in time; the text says why (a ConnectionError).
        """
        deadline = time.monotonic() + timeout
        while True:
            found = self._ask("status", (), ASK)
            if found["state"] in ONLINE:
                return self
            if time.monotonic() > deadline:
                why = f": {found['reason']}" if found.get("reason") else ""
                raise OfflineError(f"instrument {self._core.name!r} is {found['state']} after {timeout:g} s{why}")
            time.sleep(_POLL)  # nothing announces the state to who is no agent

    def cancel(self) -> Any:
        """End the action or the wait that runs, if it can be ended; whoever called it gets CancelledCallError.

        Returns:
            When it has ended, after a second at the latest: ``cancelled``: what was asked to end, or None; ``runs_on``: why it
            has not, and what would help, or empty; ``queued``: how many calls of this proxy that waited were withdrawn.
        """
        return self._op("cancel")

    # --- safety ---------------------------------------------------------------------------------------------------

    @property
    def safe(self) -> InstrumentProxy:
        """Called, ``proxy.safe()``, it brings the instrument into its safe state; else the view of safe calls."""
        view = self._view(safe=True)
        object.__setattr__(view, "__class__", _SafeView)
        return view

    def estop(self, reason: str = "", *, within: float | None = None) -> Any:
        """Stop it at once, in the middle of a long call too, and latch its safe state.

        Args:
            reason: Why, for other people.
            within: Seconds to wait for the device to be safe, at most; None: not at all.

        Returns:
            ``latched``; ``aborted``: whether the driver was asked to abort a call; ``pending``: what the safe state still
            waits for, or None; ``state``; ``reason``.
        """
        return self._op("estop", (reason, within))

    def reset(self) -> Any:
        """Allow sets again after the safe state. Nothing is set back."""
        return self._op("reset")

    def kick(self) -> Any:
        """Tell the watchdog that all is well."""
        return self._op("kick")

    # --- handles --------------------------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> ParameterHandle:
        from agentlab.instruments.client.handles import ParameterHandle

        return ParameterHandle(self._plain(), self._parameter(name))

    def __contains__(self, name: object) -> bool:
        return self._what(str(name)) == "parameter"

    def __iter__(self) -> Iterator[str]:
        self._learn_all()
        return iter(self._side().parameters)

    def readable(self, *names: str) -> Readable:
        """Give several parameters as one device that bluesky can read; none: all that can be read."""
        from agentlab.instruments.client.bluesky import Readable

        self._learn_all()
        wanted = names or [name for name, one in self._side().parameters.items() if one.get("readable", True)]
        return Readable(self._plain(), [self[name] for name in wanted])

    def _plain(self) -> InstrumentProxy:
        """Give the proxy without any view: same client, same lock."""
        return InstrumentProxy.__new__(InstrumentProxy)._set(self._core, "call", None, None)

    def __dir__(self) -> list[str]:
        """Give what the instrument has and what its proxy adds; most of the agent's own methods would only hide it."""
        own = [name for name in dir(type(self)) if not name.startswith("_")]
        try:
            self._learn()
        except CommunicationError:
            return own
        side = self._side()
        return sorted({*own, *side.own, *_OF_AGENTS, *(name.partition(".")[0] for name in (*side.parameters, *side.actions))})

    # --- attributes -----------------------------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            return super().__getattr__(name)
        what = self._what(name)
        if what == "parameter":
            return self._op("get", (name,), finish=_value)
        if what == "action":
            return RemoteAction(self, name)
        if what == "channel":
            return Channel(self, name)
        return super().__getattr__(name)

    def __setattr__(self, name: str, value: Any) -> None:
        if hasattr(type(self), name) or name in self.__dict__:
            raise AttributeError(
                f"{name!r} of a proxy is the proxy's own, so it cannot be set; a parameter of that name is set by "
                f"set({name!r}, ...) and read by get({name!r})"
            )
        what = self._what(name)
        if what in ("action", "channel"):
            raise UnknownParameterError(
                f"{name!r} of instrument {self._core.name!r} is no parameter but its {what}; it cannot be set"
            )
        if what != "parameter":
            self._caller().call("set_attr", (), {name: value}, safe=self._is_safe(), timeout=self._limit)
            return
        if self._flavor in ("future", "aio"):
            raise AttributeError(f"who would wait for it? write proxy.{self._flavor}.set({name!r}, ...)")
        self.set(name, value)


class _SafeView(InstrumentProxy):
    """What ``proxy.safe`` is: the view of safe calls, which brings the instrument into its safe state when called."""

    def __call__(self, reason: str = "", *, latch: bool = False) -> Any:
        """Bring the instrument into its safe state; blocks until it is there. Whoever owns it: anybody may.

        Args:
            reason: Why, for other people, where it is latched.
            latch: Refuse writes from now on until a reset; it does not wait for the device then, as :meth:`estop`.
        """
        return self._op("make_safe", (reason, latch))


def _value(reading: dict[str, Any]) -> Any:
    return reading["value"]


def _readings(found: dict[str, dict[str, Any]]) -> dict[str, Reading]:
    return {name: Reading.from_dict(values) for name, values in found.items()}
