"""Devices described by a table of commands, as the driver of an agent."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Mapping
from typing import Any

from agentlab.errors import DriverError, InstrumentError
from agentlab.instruments.drivers.driver import Driver
from agentlab.instruments.model.spec import InstrumentSpec
from agentlab.instruments.model.table import Action, Table
from agentlab.instruments.scpi.device import ScpiDevice, check_names
from agentlab.instruments.scpi.model import ScpiTable
from agentlab.instruments.scpi.table import load_table
from agentlab.instruments.visa.door import wrong_address
from agentlab.instruments.visa.translation import translating

_RAW = (
    Action("query", "Send a command and give its reply as text.", [("command", 1, None), ("timeout", 1, "None")]),
    Action("write", "Send a command that has no reply.", [("command", 1, None)]),
)


class ScpiDriver(Driver):
    """Serves a :class:`ScpiDevice`, one of its subclasses with the methods and properties that it adds, or a resource of PyVISA.

    Args:
        spec: What the instrument is.
        cls: ScpiDevice, a subclass of it, or a class of PyVISA's resources, in whose place a ScpiDevice is used.
    """

    kind = "scpi"

    def __init__(self, spec: InstrumentSpec, cls: type = ScpiDevice) -> None:
        self._spec = spec
        self._cls: type[ScpiDevice] = cls if issubclass(cls, ScpiDevice) else ScpiDevice
        self._device: ScpiDevice | None = None
        self._own = _own_members(self._cls)
        self._plan: ScpiTable | None = None

    @property
    def device(self) -> ScpiDevice:
        """The device; built when it is first asked for. Raises DriverError."""
        if self._device is None:
            kwargs = dict(self._spec.kwargs)
            if self._spec.timeout is not None:
                kwargs.setdefault("timeout", self._spec.timeout)
            if self._spec.ping is not None:
                kwargs.setdefault("ping", self._spec.ping)
            try:
                self._device = self._cls(*self._spec.positional(), **kwargs)
            except TypeError as error:
                raise DriverError(f"{self._cls.__name__} of {self._spec.name!r} cannot be built: {error}") from error
        return self._device

    def table(self) -> Table:
        """Give the table of commands with raw ``query`` and ``write``, and what a subclass adds. Reads the YAML file once."""
        found = self._commands().table()
        parameters, actions = dict(found.parameters), dict(found.actions)
        for action in _RAW:
            actions.setdefault(action.name, action)
        if self._own is not None:
            parameters |= self._own.parameters
            actions |= self._own.actions
        doc = found.doc or (inspect.cleandoc(self._cls.__doc__ or "") if self._cls is not ScpiDevice else "")
        has_safe = found.has_safe or hasattr(self._cls, "safe")
        return Table("scpi", parameters, actions, doc, has_safe=has_safe, has_abort=True)

    def address_problem(self) -> str:
        """Give why no device can be at its address; empty: one may be. Nothing is built or opened. Raises DriverError."""
        if self._cls.__init__ is not ScpiDevice.__init__:  # what a subclass makes of its arguments nobody knows
            return ""
        try:
            given = inspect.signature(ScpiDevice).bind_partial(*self._spec.positional(), **self._spec.kwargs).arguments
        except TypeError:  # told when it is built
            return ""
        address, library = given.get("address"), given.get("visa_library") or self._commands().settings.get("visa_library", "@py")
        return wrong_address(address, library) if isinstance(address, str) and isinstance(library, str) else ""

    def open(self) -> None:
        """Connect. Raises OfflineError, DriverError."""
        with translating():
            self.device.open()

    def close(self) -> None:
        """Close the connection."""
        if self._device is not None:
            self._device.close()

    def prove(self) -> str:
        """Ask for the identity, as :meth:`ScpiDevice.prove`."""
        return self.device.prove()

    def confirm(self, patience: float) -> str:
        """As :meth:`prove`, with more time for the answer."""
        return self.device.prove(patience=patience)

    def recover(self) -> None:
        """Bring the session back into step, as :meth:`ScpiDevice.recover`."""
        self.device.recover()

    def get(self, name: str) -> Any:
        """Read a parameter, unchecked: text, or a value of its map."""
        if name in self.device.table.entries:
            return self.device.ask(name)
        self._forget_cancel()
        with translating():
            return getattr(self.device, name)

    def set(self, name: str, value: Any) -> None:
        """Set a parameter to a value that has been checked."""
        if name in self.device.table.entries:
            self.device.put(name, value)
            return
        self._forget_cancel()
        with translating():
            setattr(self.device, name, value)

    def call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run an action."""
        device = self.device
        self._forget_cancel()
        if name in device.table.calls:
            return device.call(name, *args, **kwargs)
        with translating():
            return getattr(device, name)(*args, **kwargs)

    def safe(self) -> bool:
        """Send the table's safe state; a subclass may have a method ``safe()`` instead."""
        own = getattr(self._cls, "safe", None)
        self._forget_cancel()
        if own is None:
            return self.device.make_safe()
        with translating():
            own(self.device)
        return True

    def safe_values(self) -> Mapping[str, Any]:
        """Give the table's ``safe`` where it is one of values."""
        return {} if getattr(self._cls, "safe", None) is not None else self.device.table.safe_values

    def abort(self) -> bool:
        """End the running call, from any thread, as :meth:`ScpiDevice.end`; a subclass may have a method ``abort()`` instead."""
        if self._device is None:
            return False
        self._device.cancelled = True
        own = getattr(self._cls, "abort", None)
        if own is None:
            return self._device.end()
        with contextlib.suppress(InstrumentError):
            own(self._device)
            return True
        return False

    def cancel(self) -> None:
        """Set ``cancelled``, and end the wait for a reply: of an action, of a set that waits for its end, of a long reading."""
        if self._device is not None:
            self._device.cancelled = True
            self._device.interrupt("cancelled")

    def progress(self) -> float | None:
        """Give what a subclass's action says of its progress."""
        return None if self._device is None else self._device.progress

    def _forget_cancel(self) -> None:
        """Take back a cancel of an earlier call: what a subclass adds may sleep, its safe state and its properties, too."""
        self.device.cancelled = False

    def _commands(self) -> ScpiTable:
        if self._device is not None:
            return self._device.table
        if self._plan is None:
            # a subclass's __init__ may talk, so before open() only its table is read
            try:
                bound = inspect.signature(self._cls).bind_partial(*self._spec.positional(), **self._spec.kwargs)
                source = bound.arguments.get("parameters")
            except TypeError:
                source = self._spec.kwargs.get("parameters")
            self._plan = load_table(self._cls.commands if source is None else source)
            check_names(self._plan)
        return self._plan


def _own_members(cls: type) -> Any:
    """Give the parameters and actions that a subclass of ScpiDevice adds; None: it adds none."""
    if cls is ScpiDevice:
        return None
    from agentlab.instruments.drivers.introspection import look_at_class

    found = look_at_class(cls)
    for name in dir(ScpiDevice):
        found.parameters.pop(name, None)
        found.actions.pop(name, None)
    found.parameters.pop("commands", None)
    return found


__all__ = ["ScpiDriver"]
