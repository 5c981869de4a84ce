"""The driver as its thread's jobs touch it: replies are checked, and every error leaves a doubt behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agentlab.errors import (
    AgentLabError,
    BadReplyError,
    DeviceTimeoutError,
    LatchedError,
    LimitError,
    LockedError,
    OfflineError,
    UnitError,
    UnknownParameterError,
)
from agentlab.instruments.drivers.driver import Driver
from agentlab.instruments.model.parameter import Parameter
from agentlab.instruments.visa.translation import translated

LONGEST_TEXT = 1000
"""Characters of an error in logs and in the status; some drivers put all that a device has sent into it."""
_HARMLESS = (LimitError, UnitError, UnknownParameterError, LockedError, LatchedError)
"""Raised before a byte is sent: the session is in order. After a cancelled call it need not be, so it is proved."""


class Hand:
    """Calls one driver, in its thread.

    Args:
        driver: Open, or to be opened.

    Attributes:
        doubt: What the last failure was, if it may have left the session out of step; None: replies can be believed.
    """

    __slots__ = ("doubt", "driver")

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.doubt: BaseException | None = None

    def read(self, parameter: Parameter) -> Any:
        """Give a parameter's value, of its type.

        Raises:
            BadReplyError: what the device said does not fit.
        """
        raw = self._do(self.driver.get, parameter.name)
        try:
            return parameter.accept(raw)
        except BadReplyError as error:
            self.doubt = error
            raise

    def write(self, name: str, value: Any) -> None:
        """Set a parameter."""
        self._do(self.driver.set, name, value)

    def call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run an action."""
        return self._do(self.driver.call, name, args, kwargs)

    def safe(self) -> bool:
        """Run the driver's own safe state; False: it has none."""
        return bool(self._do(self.driver.safe))

    def confirm(self, patience: float) -> str:
        """Have the device answer who it is, within `patience` seconds or its timeout; empty: its driver has no way to ask."""
        return str(self._do(self.driver.confirm, patience))

    def _do(self, function: Callable[..., Any], *args: Any) -> Any:
        try:
            return function(*args)
        except _HARMLESS:
            raise
        except BaseException as error:
            known = translated(error)
            self.doubt = known
            if known is error:
                raise
            raise known from error

    def settled(self) -> BaseException | None:
        """Give the doubt and forget it."""
        found, self.doubt = self.doubt, None
        return found


def is_out_of_step(doubt: BaseException) -> bool:
    """Tell whether an error means that a reply may still come, or came for another call."""
    return isinstance(doubt, (DeviceTimeoutError, BadReplyError))


def is_gone(doubt: BaseException) -> bool:
    """Tell whether an error means that the device is not there."""
    return isinstance(doubt, OfflineError)


def told(error: BaseException) -> str:
    """Give an error in one line, with its type where the text does not tell enough."""
    try:
        text = str(error).strip().split("\n", maxsplit=1)[0]
        text = text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"
    except BaseException:  # noqa: BLE001 - a door: an error of somebody's class that cannot even be told
        text = ""
    if isinstance(error, AgentLabError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
