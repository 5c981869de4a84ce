"""Seeing to it that nothing waits when a command is sent: it would be taken for the command's reply."""

from __future__ import annotations

import time
from typing import Protocol

from agentlab.errors import BadReplyError
from agentlab.instruments.model.values import shown
from agentlab.instruments.visa.exchange import QUIET

MOST_KINDS = 1000
"""Kinds of commands of which it is remembered that the device does not answer them; of more, it is not looked for."""
_WITHOUT_NUMBERS = dict.fromkeys(map(ord, "0123456789.+-"))


class Heard(Protocol):
    """What is known of the bytes that a device has sent."""

    name: str

    def frames(self) -> bool:
        """Tell whether the line tells where a message ends."""

    def waiting(self) -> bytes:
        """Give what came and was not read, without waiting. Raises OfflineError if the device is gone."""

    def listen(self, seconds: float) -> bytes:
        """Give what came and was not read; if there is nothing, what comes within so many seconds. It stays."""


class Silence:
    """What the device may still say, as far as that can be known from what it was sent.

    A command that has no reply may be answered all the same, a moment later. So when a kind of command (its first word,
    without numbers) was sent for the first time, the next query is held back for a moment.

    Args:
        heard: The line.
    """

    def __init__(self, heard: Heard) -> None:
        self._heard = heard
        self._told = self._answered = ""  # the last command, by whether it had a reply
        self._new: set[str] = set()  # kinds of commands that the device may answer yet,
        self._until = 0.0  # until then,
        self._silent: set[str] = set()  # and those that it does not answer

    def expect(self, command: str, *, asks: bool = False) -> None:
        """See that nothing waits before a command is sent; one that asks is held back where a reply may be on its way.

        Raises:
            BadReplyError: something waits.
            OfflineError: the device is gone.
        """
        if asks and self._new:
            extra = self._heard.listen(self._until - time.monotonic())
            if not extra:
                self._silent |= self._new - {"?"}  # a query that was written may be answered the next time
            self._new.clear()
        else:
            extra = self._heard.waiting()
        if extra:
            raise BadReplyError(
                f"{self._heard.name} sent {shown(extra)} that nobody asked for{self._origin()}; {command!r} was not sent, "
                "for its reply could not be told from that"
            )

    def told(self, command: str) -> None:
        """Note a command that has no reply, or whose reply is not read yet."""
        self._told, self._answered = command, ""
        kind = "?" if "?" in command else (command.split(None, 1) or [""])[0].translate(_WITHOUT_NUMBERS)
        if kind not in self._silent and not self._heard.frames() and len(self._new) + len(self._silent) < MOST_KINDS:
            self._new.add(kind)
            self._until = time.monotonic() + QUIET

    def answered(self, command: str) -> None:
        """Note a reply that was taken for a command's."""
        self._told, self._answered = "", command

    def awaited(self) -> None:
        """Note that what comes now was asked for."""
        self._new.clear()

    def restored(self) -> None:
        """Note that the session is in step, whatever was before."""
        self._told = self._answered = ""
        self._new.clear()

    def _origin(self) -> str:
        if self._told:
            return f" after {self._told!r} was sent"
        return f" after the reply to {self._answered!r}, which may have been another's" if self._answered else ""


__all__ = ["MOST_KINDS", "Heard", "Silence"]
