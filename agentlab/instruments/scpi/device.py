"""Devices that speak lines of text, described by a table of commands: for scripts, and as the driver of an agent."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from types import TracebackType
from typing import Any, ClassVar, Self

from agentlab.errors import BadReplyError, DriverError, LimitError, UnknownParameterError
from agentlab.instruments.model.device import Device
from agentlab.instruments.scpi.link import Link
from agentlab.instruments.scpi.model import Call, Entry, ScpiTable, arguments_of, extracted, set_commands, understood
from agentlab.instruments.scpi.table import load_table
from agentlab.instruments.visa.door import check_settings
from agentlab.instruments.visa.session import Session

Source = str | os.PathLike[str] | Mapping[str, Any]


class ScpiDevice(Device):
    """A device behind a VISA address, with the parameters and actions of a table.

    In a script: ``with ScpiDevice("TCPIP::…::SOCKET", "psu.yml") as psu: psu.voltage = 3; print(psu.voltage)``. Nothing is sent
    before the first use. Any thread may use it; calls wait for each other. After a timeout or a reply that made no sense the
    session is brought back into step before the next command, so that no reply is ever taken for another's.

    Args:
        address: The VISA address.
        parameters: The table of commands (:mod:`~agentlab.instruments.scpi.table`): path of a YAML file, or a dict; None: the
            class's own, or none.
        visa_library: What PyVISA is to use; None: what the table says, else ``@py``.
        timeout: Seconds for a reply; None: what the table says, else 2.
        read_termination: What ends a reply; None: what the table says, else a newline, or what the bus tells.
        write_termination: What ends a command; None: what the table says, else a newline.
        encoding: Of commands and replies; None: what the table says, else ASCII.
        ping: What asks for the identity; None: what the table says, else ``*IDN?``; empty: nothing.
        **settings: Further arguments of :func:`~agentlab.instruments.visa.door.open_session`, such as ``baud_rate``.

    Raises:
        DriverError: the table is wrong.
    """

    commands: ClassVar[Source | None] = None
    """The table of a subclass."""

    def __init__(
        self,
        address: str,
        parameters: Source | None = None,
        *,
        visa_library: str | None = None,
        timeout: float | None = None,
        read_termination: str | None = None,
        write_termination: str | None = None,
        encoding: str | None = None,
        ping: str | None = None,
        **settings: Any,
    ) -> None:
        table = load_table(self.commands if parameters is None else parameters)
        check_names(table)
        check_settings(table.settings)
        check_settings(settings, known=inspect.signature(ScpiDevice).parameters)
        given = {
            "visa_library": visa_library,
            "timeout": timeout,
            "read_termination": read_termination,
            "write_termination": write_termination,
            "encoding": encoding,
        }
        settings = {**table.settings, **settings, **{key: value for key, value in given.items() if value is not None}}
        asked = next(one for one in (ping, table.ping, "*IDN?") if one is not None)
        check_commands(table, asked, settings.get("encoding", "ascii"))
        self._address, self._table, self._view = address, table, table.table()
        self._link = Link(address, settings, asked)

    @property
    def address(self) -> str:
        """The VISA address."""
        return self._address

    @property
    def table(self) -> ScpiTable:
        """The table of commands."""
        return self._table

    @property
    def session(self) -> Session:
        """The session, opened if need be. Blocks while it connects. Raises OfflineError, DriverError."""
        return self._link.ready()

    # ------------------------------------------------------------------------------------ use

    def get(self, name: str) -> Any:
        """Read a parameter: a plain value of its type, in its unit.

        Raises:
            UnknownParameterError: there is none of that name.
            LimitError: it can only be set.
            BadReplyError: the reply is of another type; the next call recovers.
            DeviceTimeoutError: no reply in time.
            OfflineError: the device is gone.
        """
        entry = self._entry(name)
        with self._link.mutex:
            return self._judged(lambda: entry.parameter.accept(self.ask(name)))

    def ask(self, name: str) -> Any:
        """Read a parameter as the device says it: text, or the value for which its map has that word. Raises as :meth:`get`."""
        entry = self._entry(name)
        if not entry.get:
            raise LimitError(f"{name} cannot be read: its table has no get")
        with self._link.mutex:
            reply = self._link.ready().query(entry.get, timeout=entry.timeout)
            return self._judged(lambda: understood(entry, reply))

    def set(self, name: str, value: Any) -> None:
        """Set a parameter; nothing is sent if the value is out of limits.

        Raises:
            UnknownParameterError: there is none of that name.
            LimitError: it cannot be set, or not to that.
            UnitError: the value's unit does not fit.
            InstrumentError: the device refused it, where the table has it checked.
            BadReplyError: as for :meth:`get`; so are DeviceTimeoutError and OfflineError.
        """
        entry = self._entry(name)
        self.put(name, entry.parameter.check(value))

    def put(self, name: str, value: Any) -> None:
        """Set a parameter to a value that has been checked. Raises as :meth:`set`."""
        entry = self._entry(name)
        if not entry.set:
            raise LimitError(f"{name} cannot be set: it is only read")
        commands = set_commands(entry, value)
        with self._link.mutex:
            self._tell(commands, entry)

    def call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Run an action of the table, or ``query`` or ``write``; give its reply, None for one that asks nothing."""
        if name in {"query", "write"}:
            return getattr(self, name)(*args, **kwargs)
        if name not in self._table.calls:
            raise UnknownParameterError(str(self._unknown("action", name)))
        call = self._table.calls[name]
        commands = [template.fill(arguments_of(call, args, kwargs)) for template in call.write]
        with self._link.mutex:
            if not call.asks:
                self._tell(commands, call)
                return None
            self._tell(commands[:-1], call)
            reply = self._link.ready().query(commands[-1], timeout=call.timeout)
            return self._judged(lambda: call.result.accept(extracted(call.pattern, reply, commands[-1])))

    def query(self, command: str, timeout: float | None = None) -> str:
        """Send a command and give its reply, whatever the table says. Raises as :meth:`get`."""
        with self._link.mutex:
            return self._link.ready().query(command, timeout=timeout).rstrip("\r\n")

    def write(self, command: str) -> None:
        """Send a command that has no reply, whatever the table says. Raises as :meth:`get`."""
        with self._link.mutex:
            self._link.ready().write(command)

    def make_safe(self) -> bool:
        """Send the table's safe state; False: it has none. All of it is sent, whatever goes wrong. Raises as :meth:`set`."""
        self._link.tell_all(self._table.safe, self._table.safe_replies)
        return bool(self._table.safe)

    def end(self) -> bool:
        """Send the table's ``abort``, else its safe state, over a second connection, and end a wait for a reply. Any thread.

        Blocks for at most about two seconds. A serial line has one connection only: there it is sent when the wait has ended.

        Returns:
            Whether the device has got it, as far as can be known: it said who it is afterwards.
        """
        return self._link.end(self._table.abort or self._table.safe)

    def interrupt(self, why: str) -> None:
        """End another thread's wait for a reply, which then raises CancelledCallError; the next call recovers."""
        self._link.interrupt(why)

    # ------------------------------------------------------------------------------------ the session

    def open(self) -> None:
        """Connect, if it is not connected. Blocks. Raises OfflineError, DriverError."""
        self._link.opened()

    def close(self) -> None:
        """Close the connection; the next use opens it again. Twice is fine, and it never raises."""
        self._link.close()

    def prove(self, ping: str | None = None, *, patience: float = 0.0) -> str:
        """Ask the device who it is; empty if there is nothing to ask. It has `patience` seconds at least, or its timeout.

        Raises:
            BadReplyError: another device answers than the first time, or rubbish.
            DeviceTimeoutError: it does not answer.
            OfflineError: it is gone.
        """
        return self._link.prove(ping, patience)

    def recover(self, ping: str | None = None) -> str:
        """Bring the session back into step, and prove that the same device answers. Result and errors as :meth:`prove`."""
        return self._link.recover(ping)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        table = self.__dict__.get("_table")
        if name.startswith("_") or table is None:
            raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")
        if name in table.entries:
            return self.get(name)
        if name in table.calls:
            return lambda *args, **kwargs: self.call(name, *args, **kwargs)
        raise UnknownParameterError(str(self._unknown("parameter", name)))

    def __setattr__(self, name: str, value: Any) -> None:
        table = self.__dict__.get("_table")
        if name.startswith("_") or table is None or hasattr(type(self), name):
            super().__setattr__(name, value)
        elif name in table.entries:
            self.set(name, value)
        elif type(self) is ScpiDevice or name in table.calls:  # a typo would otherwise be kept, and nothing sent
            raise UnknownParameterError(str(self._unknown("parameter", name)))
        else:
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(name for name in self._view.names() if name.isidentifier())]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._address!r})"

    # ------------------------------------------------------------------------------------ inside

    def _entry(self, name: str) -> Entry:
        entry = self._table.entries.get(name)
        if entry is None:
            raise UnknownParameterError(str(self._unknown("parameter", name)))
        return entry

    def _unknown(self, what: str, name: str) -> UnknownParameterError:
        look = self._view.parameter if what == "parameter" else self._view.action
        try:
            look(name)
        except UnknownParameterError as error:
            return error
        return UnknownParameterError(f"there is no {what} {name!r}")

    def _judged(self, judge: Any) -> Any:
        """Give what judges a reply; one that makes no sense may be another query's, so the session is no longer trusted."""
        try:
            return judge()
        except BadReplyError as error:
            self._link.distrust(str(error))
            raise

    def _tell(self, commands: list[str], entry: Entry | Call) -> None:
        self._link.tell(commands, entry.reply, check=entry.check, timeout=entry.timeout)


def check_names(table: ScpiTable) -> None:
    """Refuse names that an attribute of the class would hide."""
    for name in (*table.entries, *table.calls):
        if hasattr(ScpiDevice, name):
            raise DriverError(f"{name!r} in the table is the name of a method of ScpiDevice; give it another")


def check_commands(table: ScpiTable, ping: str, encoding: Any) -> None:
    """Refuse commands that cannot be written in an encoding: an emergency would be the wrong moment to hear of it."""
    for command in (ping, *table.safe, *table.abort, *(entry.get for entry in table.entries.values())):
        try:
            command.encode(encoding)
        except UnicodeError:
            raise DriverError(
                f"the command {command!r} of the table cannot be written in {encoding}; give encoding: latin-1, or utf-8"
            ) from None
        except (LookupError, TypeError, ValueError):
            return  # it is no encoding, which is told when the session is opened


__all__ = ["ScpiDevice"]
