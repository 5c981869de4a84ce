"""Every exception that agentlab raises on purpose.

The tree (the builtin in brackets is a base too, so that ``except TimeoutError`` and its like work)::

    AgentLabError
    ├── ConfigurationError [ValueError]      a setting, an option or a file says something that cannot be
    │   └── ProblemsError                    all that is wrong with a YAML file, with places (agentlab.yamlfile.problems)
    ├── WrongAddressError [ValueError]       an address, kind, transport or serializer that does not exist or does not fit
    ├── AliasError [LookupError]             no socket of that alias, or the alias is taken
    ├── SerializationError [ValueError]      a value that cannot be turned into bytes, or bytes into a value
    ├── MessageTimeoutError [TimeoutError]   a send, receive or wait that did not end in time
    ├── HandlerError [TypeError]             a handler that cannot be called as its socket needs
    ├── AgentStartError [RuntimeError]       an agent or server process that failed, died or hung while starting
    ├── NameServerError [RuntimeError]
    │   ├── NameServerUnavailableError [TimeoutError]  nobody answers at that address
    │   ├── NameTakenError [ValueError]      a live holder has that name
    │   └── UnknownNameError [LookupError]   nobody has that name
    ├── CommunicationError [RuntimeError]
    │   ├── ConnectError [ConnectionError]   nothing was sent: the call has certainly not run
    │   ├── ConnectionLostError [ConnectionError]  the other side went away: the call may have run
    │   ├── CallTimeoutError [TimeoutError]  no answer in time: the call may have run, or may run yet
    │   └── DeadlockError                    agents wait for each other in a circle
    ├── LabError [RuntimeError]              what a lab's supervisor was asked could not be done
    │   ├── AlreadyUpError                   another supervisor, or another program, runs that lab
    │   ├── LabStartError                    a part of the lab did not start, so nothing of it runs
    │   ├── LabDownError [ConnectionError]   nobody runs that lab
    │   └── UnknownUnitError [LookupError]   the lab has no agent, service, daemon or name server of that name
    ├── InstrumentError [RuntimeError]
    │   ├── OfflineError [ConnectionError]   the device is not there
    │   ├── DeviceTimeoutError [TimeoutError]  it did not answer in time
    │   ├── BadReplyError [ValueError]       it answered something that does not fit
    │   ├── LimitError [ValueError]          a value out of limits: nothing was sent to the device
    │   ├── UnitError [ValueError]           a unit that is none, or of another kind
    │   ├── UnknownParameterError [AttributeError]  no parameter or action of that name
    │   ├── LockedError [PermissionError]    somebody else owns the instrument
    │   ├── LatchedError [PermissionError]   it stays in its safe state until it is reset
    │   ├── ExpiredError [TimeoutError]      the call's time was over before its turn came: it was not executed
    │   ├── CancelledCallError               the call was cancelled
    │   └── DriverError                      a driver that cannot be loaded or built (a ConfigurationError too)
    ├── RunError [RuntimeError]              a run, or the store of runs, that cannot be read or written
    ├── RefusedError [PermissionError]       the other side has not proved the lab's key, or security forbids it
    ├── AgentStoppedError [RuntimeError]     the agent's loop does not run, so nobody would execute a safe call
    └── RemoteError [RuntimeError]           an error of another process whose own type cannot be rebuilt here

All of them survive pickling: an exception is built from its arguments alone.
"""

from __future__ import annotations

import difflib
from collections.abc import Container, Iterable

REMOTE_NOTE = "\nin the other process:\n"
"""How the note begins that carries the traceback of another process."""
_NOT_THE_USERS = ("agentlab.", "IPython.")


class AgentLabError(Exception):
    """Base of every exception of agentlab.

    IPython and notebooks show it short: the lines of the user's own code that led there, and what is wrong. What is left out
    is in ``remote_traceback``, where another process raised it, and in :func:`traceback.print_exception`.
    """

    def _render_traceback_(self) -> list[str]:
        """Give the lines that IPython shows; it asks every exception for them."""
        return _brief_traceback(self)


class ConfigurationError(AgentLabError, ValueError):
    """A setting, an option or a file says something that cannot be."""


class WrongAddressError(AgentLabError, ValueError):
    """An address, kind, transport or serializer that does not exist, or does not fit."""


class AliasError(AgentLabError, LookupError):
    """No socket has that alias, or the alias is taken."""


class SerializationError(AgentLabError, ValueError):
    """A value that cannot be turned into bytes, or bytes that cannot be turned into a value."""


class MessageTimeoutError(AgentLabError, TimeoutError):
    """A send, a receive or a wait did not end in time."""


class HandlerError(AgentLabError, TypeError):
    """A handler that cannot be called in the way its socket needs."""


class AgentStartError(AgentLabError, RuntimeError):
    """A process failed, died or hung while it was started."""


class NameServerError(AgentLabError, RuntimeError):
    """Base of the errors of name servers."""


class NameServerUnavailableError(NameServerError, TimeoutError):
    """Nobody answers as a name server at that address."""


class NameTakenError(NameServerError, ValueError):
    """A live holder has that name already."""


class UnknownNameError(NameServerError, LookupError):
    """Nobody is registered under that name."""


class CommunicationError(AgentLabError, RuntimeError):
    """Base of the errors between a caller and the process it calls."""


class ConnectError(CommunicationError, ConnectionError):
    """No connection came about: the call has certainly not run."""


class ConnectionLostError(CommunicationError, ConnectionError):
    """The connection broke while a call was under way: the call may have run."""


class CallTimeoutError(CommunicationError, TimeoutError):
    """No answer came in time: the call may have run, or may run yet."""


class DeadlockError(CommunicationError):
    """Agents wait for each other in a circle; nobody could ever answer."""


class LabError(AgentLabError, RuntimeError):
    """What a lab, or its supervisor, was asked could not be done."""


class AlreadyUpError(LabError):
    """Another supervisor, or another program, runs this lab."""


class LabStartError(LabError):
    """A part of the lab did not start; nothing of the lab runs."""


class LabDownError(LabError, ConnectionError):
    """Nobody runs that lab: no supervisor answers for its file."""


class UnknownUnitError(LabError, LookupError):
    """The lab has no agent, service, daemon or name server of that name."""


class InstrumentError(AgentLabError, RuntimeError):
    """Base of the errors of instruments, their drivers and devices."""


class OfflineError(InstrumentError, ConnectionError):
    """The device is not there: unplugged, switched off, or never found."""


class DeviceTimeoutError(InstrumentError, TimeoutError):
    """The device did not answer in time."""


class BadReplyError(InstrumentError, ValueError):
    """The device answered something that does not fit what was asked."""


class LimitError(InstrumentError, ValueError):
    """A value out of limits, no choice of its parameter, or of a wrong type: nothing was sent to the device."""


class UnitError(InstrumentError, ValueError):
    """A unit that is none, or that cannot be converted into the parameter's."""


class UnknownParameterError(InstrumentError, AttributeError):
    """The instrument has no parameter or action of that name."""


class LockedError(InstrumentError, PermissionError):
    """Somebody else owns the instrument.

    Args:
        message: One line: who owns it, since when, why.
        owner: Who: an agent's name, or user@host:pid.
        since: Since when, seconds since 1970.
        reason: What the owner said.
    """

    def __init__(self, message: str = "", owner: str = "", since: float = 0.0, reason: str = "") -> None:
        super().__init__(message, owner, since, reason)
        self.owner, self.since, self.reason = owner, since, reason

    def __str__(self) -> str:
        return str(self.args[0])


class LatchedError(InstrumentError, PermissionError):
    """The instrument was brought into its safe state and stays there until it is reset."""


class ExpiredError(InstrumentError, TimeoutError):
    """The call's time was over before its turn came: it was not executed."""


class CancelledCallError(InstrumentError):
    """The call was cancelled."""


class DriverError(InstrumentError, ConfigurationError):
    """A driver that cannot be loaded or built: a wrong class, argument or table, or a library that is missing."""


class RunError(AgentLabError, RuntimeError):
    """A run, or the store that keeps it, cannot be read or written."""


class RefusedError(AgentLabError, PermissionError):
    """A peer has not proved the lab's key, or the security in force forbids what was asked."""


class AgentStoppedError(AgentLabError, RuntimeError):
    """The agent's loop does not run, so nobody would execute the call."""


class RemoteError(AgentLabError, RuntimeError):
    """An error raised in another process whose own type cannot be rebuilt here.

    Args:
        message: One line: what was raised there.
        type_name: Dotted name of the exception's type in the other process.
        remote_traceback: The traceback as text, as the other process saw it.
    """

    def __init__(self, message: str = "", type_name: str = "", remote_traceback: str = "") -> None:
        super().__init__(message, type_name, remote_traceback)
        self.type_name = type_name
        self.remote_traceback = remote_traceback

    def __str__(self) -> str:
        message, type_name, _ = self.args
        return f"{type_name}: {message}" if type_name else str(message)


def _brief_traceback(error: AgentLabError) -> list[str]:
    """Give an error as lines of text, without our own frames and without those of other processes."""
    import traceback  # most programs print none

    frames = traceback.walk_tb(error.__traceback__)
    own = ((frame, line) for frame, line in frames if not str(frame.f_globals.get("__name__", "")).startswith(_NOT_THE_USERS))
    shown = traceback.StackSummary.extract(own).format()
    lines = ["Traceback (most recent call last):\n", *shown] if shown else []
    notes = [str(note) for note in getattr(error, "__notes__", ())]
    if any(note.startswith(REMOTE_NOTE) for note in notes):
        lines.append("  (where the other process raised it: import sys; print(sys.last_value.remote_traceback))")
    lines.append(f"{type(error).__name__}: {error}")
    lines += [note for note in notes if not note.startswith(REMOTE_NOTE)]
    return [line.rstrip("\n") for line in lines]


def nearest(name: str, known: Iterable[str], *, limit: int = 8, last: Container[str] = ()) -> str:
    """Give the tail of an error message that helps with a misspelt name.

    Args:
        name: What was asked for.
        known: What there is.
        limit: How many known names to list at most.
        last: Those of them that are listed after the others, such as what every agent has.

    Returns:
        Text such as ``; did you mean 'Alice'? known names: 'Alice', 'Bob'``, or ``; none is known``.
    """
    names = sorted(known, key=lambda one: (one in last, one))
    if not names:
        return "; none is known"
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ";"
    listed = ", ".join(repr(n) for n in names[:limit])
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return f"{hint} known names: {listed}{more}"
