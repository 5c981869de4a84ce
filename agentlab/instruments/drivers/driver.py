"""What an instrument agent asks of a driver: one small class that each kind of driver implements."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from agentlab.instruments.model.table import Table


class Driver(ABC):
    """The driver of one device, whatever library it comes from.

    All methods are called in the driver's own thread, one at a time, except :meth:`abort`, :meth:`cancel` and
    :meth:`progress`, which any thread may call while another method runs, and :meth:`table` before :meth:`open`.

    Errors: a device that does not answer raises :class:`~agentlab.errors.DeviceTimeoutError`, one that is gone
    :class:`~agentlab.errors.OfflineError`, a reply that does not fit :class:`~agentlab.errors.BadReplyError`; what the
    user's own class raises comes through unchanged.
    """

    kind: str = "any"

    @abstractmethod
    def table(self) -> Table:
        """Give what is known of parameters and actions, without talking to the device.

        Before :meth:`open` that is what the class says; afterwards what the instance says.
        """

    @abstractmethod
    def open(self) -> None:
        """Build the instance, or connect.

        Raises:
            OfflineError: the device is not there; trying again later may help.
            DriverError: it can never work: a wrong argument, a missing library.
            Exception: whatever the user's class raises; the instrument is then in state ``fault``.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of the device. Calling it twice is fine, and it never raises."""

    @abstractmethod
    def prove(self) -> str:
        """Ask the device who it is.

        Returns:
            Its identity as one text; empty if this driver has no way to ask.

        Raises:
            DeviceTimeoutError: it does not answer.
            BadReplyError: it answers something else.
            OfflineError: it is gone.
        """

    def confirm(self, patience: float) -> str:  # noqa: ARG002 - for drivers that can be told
        """Ask the device who it is after orders that may keep it busy, such as a reset. Result and errors as :meth:`prove`.

        Args:
            patience: Seconds that it has for its answer at least, where the driver can be told.
        """
        return self.prove()

    @abstractmethod
    def recover(self) -> None:
        """Bring the session back into order after a timeout or an error, so that the next reply is the next call's.

        What the device may still send is dropped, the session reopened or the instance rebuilt, and it is proved that the
        same device answers.

        Raises:
            OfflineError: the device is gone.
            BadReplyError: another device answers.
        """

    @abstractmethod
    def get(self, name: str) -> Any:
        """Give a parameter's value as the device says it, unchecked."""

    @abstractmethod
    def set(self, name: str, value: Any) -> None:
        """Set a parameter to a value that has been checked."""

    @abstractmethod
    def call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run an action and give its result."""

    def safe(self) -> bool:
        """Bring the device into the driver's own safe state; False: it has none."""
        return False

    def safe_values(self) -> Mapping[str, Any]:
        """Give what :meth:`safe` sets parameters to, as far as that is known; of the others nobody knows what they are then."""
        return {}

    def abort(self) -> bool:
        """End the call that runs, from any thread; False: this driver cannot."""
        return False

    def cancel(self) -> None:  # noqa: B027 - a driver without it is complete
        """Ask the action that runs to end soon, from any thread. The next action is not touched by it."""

    def progress(self) -> float | None:
        """Give how far the action that runs has come, 0 to 1, from any thread; None: it does not say."""
        return None


def fraction_of(value: object) -> float | None:
    """Give what a driver's object keeps as its progress, as a number from 0 to 1; None where it is no number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:  # noqa: PLR0124 - NaN
        return None
    return float(min(1.0, max(0.0, value)))
