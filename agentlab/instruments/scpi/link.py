"""The connection of a :class:`~agentlab.instruments.scpi.device.ScpiDevice`: opened when needed, in step, doubled in need."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from agentlab.errors import InstrumentError, OfflineError
from agentlab.instruments.model.values import shown
from agentlab.instruments.visa.door import open_session
from agentlab.instruments.visa.session import Session

MOST_ERRORS = 20
"""Entries of a device's error queue that are read after a set."""
_BRIEF = 1.0  # seconds that a device has for each step of an emergency


class Link:
    """Opens a session when it is first needed, and brings it back into step before it is used again.

    Any thread; calls wait for each other, except :meth:`interrupt`, :meth:`end` and :meth:`close`.

    Args:
        address: The VISA address.
        settings: Arguments of :func:`~agentlab.instruments.visa.door.open_session`.
        ping: What asks for the identity; empty: nothing.

    Attributes:
        mutex: Held by whoever sends several commands that belong together.
    """

    def __init__(self, address: str, settings: Mapping[str, Any], ping: str) -> None:
        self._address, self._settings, self._ping = address, dict(settings), ping
        self._session: Session | None = None
        self._identity = ""
        self.mutex = threading.RLock()

    # ------------------------------------------------------------------------------------ the session

    def ready(self) -> Session:
        """Give the session, open and in step. Blocks. Raises OfflineError, DriverError, and what :meth:`prove` raises."""
        with self.mutex:
            session = self._session
            if session is None:
                return self.opened()
            if session.closed or session.doubt:
                self.recover()  # not only opened: it is to be the device of before
            return session

    def opened(self) -> Session:
        """Give the session, open, whatever is to be said of it. Blocks. Raises OfflineError, DriverError."""
        with self.mutex:
            if self._session is None:
                self._session = open_session(self._address, **self._settings)
            elif self._session.closed:
                self._session.reopen()
            return self._session

    def close(self) -> None:
        """Close the session; the next use opens it again. Twice is fine, and it never raises."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def prove(self, ping: str | None = None, patience: float = 0.0) -> str:
        """Ask the device who it is; empty if there is nothing to ask. It has `patience` seconds at least, or its timeout.

        Raises:
            BadReplyError: another device answers than the first time, or rubbish.
            DeviceTimeoutError: it does not answer.
            OfflineError: it is gone.
        """
        with self.mutex:
            session = self.opened()
            if session.doubt:
                return self.recover(ping)
            limit = max(patience, session.timeout)
            self._identity = session.prove(self._ping if ping is None else ping, self._identity, timeout=limit)
            return self._identity

    def recover(self, ping: str | None = None) -> str:
        """Bring the session back into step, and prove that the same device answers. Result and errors as :meth:`prove`."""
        with self.mutex:
            ping, session = self._ping if ping is None else ping, self._session
            if session is None:
                self._identity = self.opened().prove(ping, self._identity)
            else:
                self._identity = session.recover(ping, self._identity)
            return self._identity

    def distrust(self, why: str) -> None:
        """Have nothing sent until the session is brought into step: a reply that came makes no sense."""
        if self._session is not None:
            self._session.distrust(why)

    def interrupt(self, why: str) -> None:
        """End another thread's wait for a reply, which then raises CancelledCallError; the next use recovers."""
        session = self._session
        if session is not None:
            session.interrupt(why)

    # ------------------------------------------------------------------------------------ commands

    def tell(self, commands: Sequence[str], reply: str | bool = False, *, check: str = "", timeout: float | None = None) -> None:
        """Send commands, take what the device answers to them, and have it checked.

        Args:
            commands: In order.
            reply: What the device answers to each; True: anything; False: nothing.
            check: Asked at last; the reply is to begin with 0. Empty: nothing is asked.
            timeout: Seconds for each reply; None: the session's.

        Raises:
            InstrumentError: the device answered something else, or refused it.
        """
        for command in commands:
            if reply is False:
                self.ready().write(command)
                continue
            said = self.ready().query(command, timeout=timeout).strip()
            if reply is not True and said != reply:
                raise InstrumentError(f"the device answered {shown(said)} to {command!r}, not {reply!r}")
        if check and commands:
            self._check_errors(check, commands[-1])

    def _check_errors(self, check: str, command: str) -> None:
        """Empty the device's error queue; its first entry is raised."""
        found: list[str] = []
        for _ in range(MOST_ERRORS):
            reply = self.ready().query(check).strip()
            if reply.lstrip("+-").partition(",")[0].strip("0") == "":
                break
            found.append(reply)
        if found:
            raise InstrumentError(f"the device refused {command!r}: {'; '.join(found[:3])}")

    # ------------------------------------------------------------------------------------ in need

    def tell_all(self, commands: Sequence[str], replies: Mapping[str, str | bool]) -> None:
        """Send the commands of a safe state: all of them, whatever the device says to one, and in whatever state the session is.

        Where it is out of step they are sent at once, and again when it is in step: bringing it there takes seconds, or fails.

        Args:
            commands: In order.
            replies: What the device answers to a command that it answers, as for :meth:`tell`.

        Raises:
            InstrumentError: the first thing that went wrong.
        """
        with self.mutex:
            first: InstrumentError | None = None
            self._force_if_in_doubt(commands)
            for number, command in enumerate(commands):
                try:
                    self.tell([command], replies.get(command, False))
                except OfflineError:
                    raise
                except InstrumentError as error:
                    first = first or error
                    if self._force_if_in_doubt(commands[number:]):
                        break
            if first is not None:
                raise first

    def end(self, commands: Sequence[str]) -> bool:
        """Send commands while another thread waits for a reply, over a second connection, and end that wait. Any thread.

        Blocks for at most about two seconds. A serial line has one connection only: there they are sent when the wait has ended.

        Returns:
            Whether the device has got them, as far as can be known: it said who it is afterwards.
        """
        if self._address.upper().startswith("ASRL"):
            self.interrupt("aborted")
            session = self._session
            if session is not None and commands:
                with contextlib.suppress(InstrumentError):
                    session.force(commands, timeout=_BRIEF)
            return False
        try:
            if not commands:
                return False
            settings = {**self._settings, "timeout": min(_BRIEF, self._settings.get("timeout", _BRIEF))}
            with contextlib.closing(open_session(self._address, **settings)) as second:
                second.force(commands)  # what it answers to them is passed over when it has to say who it is
                self.interrupt("aborted")
                second.prove(self._ping, self._identity)
        except InstrumentError:
            return False
        finally:
            self.interrupt("aborted")
        return True

    def _force_if_in_doubt(self, commands: Sequence[str]) -> bool:
        session = self._session
        if session is None or session.closed or not session.doubt:
            return False
        with contextlib.suppress(InstrumentError):  # what can be known of it is known when it is in step again
            session.force(commands)
        return True


__all__ = ["Link"]
