"""Seeing to it that nothing waits when a command is sent: it would be taken for the command's reply."""

from __future__ import annotations

import time

from agentlab.errors import BadReplyError
from agentlab.instruments.model.values import shown
from agentlab.instruments.visa.exchange import QUIET, Exchange

MOST_KINDS = 1000
"""Kinds of commands of which it is remembered that the device does not answer them; of more, it is not looked for."""


class Silence:
    """What the device may still say, as far as that can be known from what it was sent.

    A command that has no reply may be answered all the same, a moment later. So when a kind of command (its first word,
    without a number) was sent for the first time, the next query is held back for a moment.

    Args:
        exchange: The line.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._last = ""
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
            extra = self._exchange.listen(self._until - time.monotonic())
            if not extra:
                self._silent |= self._new
            self._new.clear()
        else:
            extra = self._exchange.waiting()
        if extra:
            raise BadReplyError(
                f"{self._exchange.name} sent {shown(extra)} that nobody asked for{self._last}; {command!r} was not sent, "
                "for its reply could not be told from that"
            )

    def told(self, command: str, *, checked: bool) -> None:
        """Note a command that has no reply; `checked`: what is asked next would tell by its reply alone."""
        self._last = f" after {command!r} was sent"
        kind = _kind(command)
        if checked or kind in self._silent or "?" in command or self._exchange.frames():
            return
        if len(self._new) + len(self._silent) < MOST_KINDS:
            self._new.add(kind)
            self._until = time.monotonic() + QUIET

    def answered(self, command: str) -> None:
        """Note a reply that was taken for a command's."""
        self._last = f" after the reply to {command!r}, which may have been another's"

    def awaited(self) -> None:
        """Note that what comes now was asked for."""
        self._new.clear()

    def restored(self) -> None:
        """Note that the session is in step, whatever was before."""
        self._last = ""
        self._new.clear()


def _kind(command: str) -> str:
    """Give what commands have in common that differ in their values alone: ``VOLT`` of ``VOLT 3``, ``SP`` of ``SP100``."""
    return (command.split(None, 1) or [""])[0].rstrip("0123456789.+-")


__all__ = ["MOST_KINDS", "Silence"]
