"""What describes an instrument: which driver, with which arguments, and how it is to be treated. Plain values that travel."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agentlab.errors import DriverError, nearest
from agentlab.instruments.model.values import shown

_FOREVER = 1e9
"""Seconds, some 30 years: no operating system waits for longer, and none is asked to."""
_LIST, _NAMED = (list, tuple), (Mapping, type(None))
_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "address": ((str, type(None)), "a text, as 'TCPIP::192.0.2.7::5025::SOCKET'"),
    "args": (_LIST, "a list"),
    "kwargs": (_NAMED, "arguments by name"),
    "parameters": (_NAMED, "overrides by name"),
    "poll": ((Mapping, int, float, str, type(None)), "seconds by parameter, or a number of seconds"),
    "safe": ((Mapping, list, tuple, str, bool, type(None)), "values by parameter, or the names of actions"),
    "owner_required": ((bool,), "true or false"),
    "interlocks": (_LIST, "a list of rules"),
    "history": ((str, type(None)), "the path of a file"),
    "latch_file": ((str, type(None)), "the path of a file"),
    "ping": ((str, type(None)), "a text, as '*IDN?'"),
}
"""What the values may be, and what to write instead of another."""

OWNER_LOST = ("keep", "safe")


@dataclass(slots=True)
class InstrumentSpec:
    """All that an instrument's process needs to know. The driver's class is named, never sent as an object of a library.

    Args:
        name: The instrument's name, for messages.
        driver: ``package.module:Class``; a class itself works where it can be sent by value.
        address: The driver's first positional argument, such as a VISA address; None: it has none.
        args: Its further positional arguments.
        kwargs: Its arguments by name.
        parameters: What is said over the driver's parameters, by name; see
            :func:`~agentlab.instruments.model.overrides.apply_overrides`.
        poll: Seconds between two published readings, by parameter; one number: of all that are readable; None: no polling.
        safe: The safe state instead of the driver's own: ``{parameter: value}`` set in order, or the name of an action or a
            list of them; False: none, the driver's own neither; None: the driver's own.
        owner_required: Whether writing needs ownership even when nobody has it.
        owner_lease: Seconds that an owner keeps it without a sign of life.
        on_owner_lost: ``keep`` everything as it is, or bring it ``safe``.
        interlocks: Rules such as ``stage.temperature > 320 K -> heater.safe()`` that this instrument carries out.
        history: Path of the SQLite file that keeps what is polled; None: no history.
        history_days: Days that it is kept; None: for good.
        watchdog: Seconds after which it is made safe unless somebody kicks it; None: no watchdog.
        timeout: Seconds that the device has for a reply, for drivers that can be told; None: the driver's own.
        reconnect_first: Seconds until the first attempt to reach a device that is gone.
        reconnect_most: Seconds between two attempts, at most; they double up to it.
        ping: What is sent to prove who answers, instead of the driver's own, such as ``*IDN?``; None: the driver's own.
        latch_file: Path of a file in which a latched safe state outlives the agent; None: it ends with it.

    Raises:
        DriverError: one of them cannot be.
    """

    name: str
    driver: Any
    address: str | None = None
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    poll: dict[str, float] | float | None = None
    safe: dict[str, Any] | list[str] | str | bool | None = None
    owner_required: bool = False
    owner_lease: float = 10.0
    on_owner_lost: str = "keep"
    interlocks: list[str] = field(default_factory=list)
    history: str | None = None
    history_days: float | None = None
    watchdog: float | None = None
    timeout: float | None = None
    reconnect_first: float = 0.1
    reconnect_most: float = 1.0
    ping: str | None = None
    latch_file: str | None = None

    def __post_init__(self) -> None:
        self._check_kinds()
        self.args, self.kwargs, self.interlocks = tuple(self.args), dict(self.kwargs or {}), list(self.interlocks)
        self.parameters = dict(self.parameters or {})
        if not isinstance(self.driver, (str, type)):
            raise DriverError(f"the driver of {self.name!r} is {self.driver!r}; write 'package.module:Class'")
        if self.on_owner_lost not in OWNER_LOST:
            raise DriverError(
                f"on_owner_lost of {self.name!r} is {self.on_owner_lost!r}{nearest(str(self.on_owner_lost), OWNER_LOST)}"
            )
        if self.safe is True:
            raise DriverError(f"safe of {self.name!r} is true; name its sets or actions, false for none, or leave it out")
        for key in ("owner_lease", "reconnect_first", "reconnect_most"):
            self._positive(key, getattr(self, key))
        for key in ("watchdog", "timeout"):
            if getattr(self, key) is not None:
                self._positive(key, getattr(self, key))
        if self.history_days is not None:
            self._positive("history_days", self.history_days, "days")
        polls = self.poll if isinstance(self.poll, dict) else {} if self.poll is None else {"poll": self.poll}
        for key, period in polls.items():
            self._positive(f"poll of {key!r}" if isinstance(self.poll, dict) else key, period)

    def _positive(self, key: str, value: object, unit: str = "seconds") -> None:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < _FOREVER:
            raise DriverError(f"{key} of {self.name!r} is {shown(value)}; give {unit} above 0 and below {_FOREVER:g}")

    def _check_kinds(self) -> None:
        """Refuse what is of another kind than it says: a text for a list would be taken letter by letter."""
        name: Any = self.name
        if not isinstance(name, str) or not name:
            raise DriverError(f"the name of an instrument is {shown(self.name)}; give a text")
        if self.driver == "":
            raise DriverError(f"the driver of {self.name!r} is empty; write 'package.module:Class'")
        for key, (kinds, cure) in _KINDS.items():
            value = getattr(self, key)
            if not isinstance(value, kinds):
                raise DriverError(f"{key} of {self.name!r} is {shown(value)}; give {cure}")
        values: Any
        for key, values in (("kwargs", self.kwargs), ("parameters", self.parameters), ("poll", self.poll), ("safe", self.safe)):
            strange = [one for one in values if not isinstance(one, str)] if isinstance(values, Mapping) else []
            if strange:
                raise DriverError(f"{key} of {self.name!r} has the name {shown(strange[0])}; names are text")
        several: Any
        for key, several in (("interlocks", self.interlocks), ("safe", self.safe)):
            strange = [one for one in several if not isinstance(one, str)] if isinstance(several, (list, tuple)) else []
            if strange:
                raise DriverError(f"{key} of {self.name!r} has {shown(strange[0])} in it; give a list of texts")

    def positional(self) -> tuple[Any, ...]:
        """Give the driver's positional arguments, the address first if there is one."""
        return self.args if self.address is None else (self.address, *self.args)

    def to_dict(self) -> dict[str, Any]:
        """Give it as a dict of plain values, if the arguments are plain; defaults are left out."""
        found: dict[str, Any] = {"name": self.name, "driver": self.driver}
        for one in dataclasses.fields(self):
            value = getattr(self, one.name)
            default = one.default_factory() if one.default_factory is not dataclasses.MISSING else one.default
            if value != default:
                found[one.name] = value
        found["args"] = list(self.args)  # msgpack knows no tuples
        return found

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> InstrumentSpec:
        """Give the spec that :meth:`to_dict` described.

        Raises:
            DriverError: a key that there is not, or a value that cannot be.
        """
        known = [one.name for one in dataclasses.fields(cls)]
        for key in values:
            if key not in known:
                raise DriverError(f"instrument {values.get('name', '')!r} is described with {key!r}{nearest(str(key), known)}")
        if "name" not in values or "driver" not in values:
            raise DriverError("an instrument is described by its name and its driver at least")
        return cls(**values)
