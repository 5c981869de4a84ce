"""What the adapters of PyMeasure and QCoDeS have in common: building, proving, recovering, and the emergency's second session."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from agentlab.errors import (
    BadReplyError,
    CancelledCallError,
    DeviceTimeoutError,
    DriverError,
    InstrumentError,
    LimitError,
    OfflineError,
    UnknownParameterError,
)
from agentlab.instruments.drivers.driver import Driver, fraction_of
from agentlab.instruments.drivers.held import Held
from agentlab.instruments.drivers.loading import let_go, missing_library
from agentlab.instruments.drivers.members import doc_of, function_of, needs_nothing, stored
from agentlab.instruments.model.spec import InstrumentSpec
from agentlab.instruments.model.table import Table
from agentlab.instruments.model.values import shown
from agentlab.instruments.visa.exchange import QUIET
from agentlab.instruments.visa.proving import LATE
from agentlab.instruments.visa.translation import said_by, translated


class ForeignDriver(Driver):
    """Serves an instance of a vendor library's class. Threads as :class:`~agentlab.instruments.drivers.driver.Driver` says.

    Before every call the instance's TCP connection or serial line is looked at: a device that is gone is told at once, and
    bytes that nobody asked for are an error before they can pass for a reply. After the first set of each parameter, and the
    first call of each method, the next call is held back for 50 ms, as the device may have answered it.

    Args:
        spec: What the instrument is.
        cls: The library's class, or the user's own one that descends from it.
    """

    def __init__(self, spec: InstrumentSpec, cls: type) -> None:
        self._spec, self._cls = spec, cls
        self._instance: Any = None
        self._held: Held | None = None
        self._identity = ""
        self._running = False  # a call is on its way
        self._ended = False  # it was ended by an emergency, and its session with it
        self._in_doubt = False  # the last recovery failed
        self._table = self._look()

    @property
    def instance(self) -> Any:
        """The object of the class; None while there is none. It belongs to the driver's thread."""
        return self._instance

    # ------------------------------------------------------------------------------------ what a library does its own way

    @abstractmethod
    def _look(self) -> Table:
        """Give the table of the class, or of the instance if there is one. No property is run, no device talked to."""

    @abstractmethod
    def _build(self) -> Any:
        """Give a new instance."""

    @abstractmethod
    def _hold(self, instance: Any) -> Held | None:
        """Put a junction in place of the instance's VISA resource; None: it has none."""

    @abstractmethod
    def _end(self, instance: Any) -> None:
        """Close an instance."""

    @abstractmethod
    def _ask(self, instance: Any) -> str:
        """Ask the instance for the device's identity; empty if it has no way to."""

    def _refresh(self) -> None:
        """Forget what the instance believes of a device that was away."""

    def _safe_method(self) -> str:
        """Give the name of the method that is the safe state; empty: there is none."""
        return "safe" if self._has("safe") else ""

    # ------------------------------------------------------------------------------------ the driver

    def table(self) -> Table:
        """Give what the class says, and once there is an instance what that says."""
        return self._table

    def open(self) -> None:
        """Build the instance. Its constructor may talk to the device; what it says of a silent one is OfflineError."""
        self.close()
        try:
            self._instance = self._build()
            self._held = self._hold(self._instance)
            self._table = self._look()
        except Exception as error:
            ours = self._not_built(error)
            let_go(error)
            self.close()
            if ours is error:
                raise
            raise ours from error
        except BaseException as error:
            let_go(error)
            self.close()
            raise

    def close(self) -> None:
        """Close the instance and forget it; what its closing raises is passed over, as the device may be gone."""
        instance, self._instance = self._instance, None
        held, self._held = self._held, None
        if instance is not None:
            with suppress(Exception):  # the vendor's code, on the way out: nobody is left who could do better
                self._end(instance)
        if held is not None:
            held.close()

    def prove(self) -> str:
        """Ask the device who it is: by the description's ``ping``, else in the library's own way."""
        with self._errors():
            found = self._asked_identity()
            if not self._identity and found and self._held is not None:
                # one answer alone may be a greeting or a late reply, and all that follow would be one too late
                again = self._asked_identity()
                if again != found:
                    raise BadReplyError(f"the device does not say twice alike who it is: {shown(found)}, then {shown(again)}")
        self._identity = self._identity or found
        return found

    def confirm(self, patience: float) -> str:
        """As :meth:`prove`, with more time for the answer."""
        if self._held is None:
            return self.prove()
        with self._held.patient(patience):
            return self.prove()

    def recover(self) -> None:
        """Reopen the instance's VISA resource with its settings, or build the instance anew; then the same device must answer."""
        known, self._ended = self._identity, False
        was_in_doubt, self._in_doubt = self._in_doubt, True
        if self._held is not None and self._instance is not None:
            self._held.recover()
            self._refresh()
        else:
            self.open()
        try:
            found = self.prove()
        except DeviceTimeoutError as error:
            raise OfflineError(f"the device does not answer after its connection was renewed: {error}") from error
        if known and found and found != known:
            raise BadReplyError(f"another device answers: {shown(found)}, and it was {shown(known)} before")
        if self._held is not None:
            self._held.settle(LATE if was_in_doubt else QUIET)  # on a serial line earlier questions may be answered only now
        self._in_doubt = False

    def safe(self) -> bool:
        """Call the class's own way into a safe state, if it has one."""
        name = self._safe_method()
        if not name:
            return False
        instance = self._live()
        self._mend()
        self._mark_cancelled(False)  # it may sleep, and what was cancelled is over
        with self._errors():
            getattr(instance, name)()
        if self._held is not None:
            self._held.silence.told(name)
        return True

    def abort(self) -> bool:
        """Call the class's ``abort()`` or ``stop()``, else its safe state, over a second VISA session to the device.

        Any thread. The call that runs keeps the first session, so that replies cannot be mixed up; then that is hung up where
        it is a socket, so that the call ends with :class:`~agentlab.errors.CancelledCallError` and sends nothing any more.
        False where the class has none of them, the instance speaks no VISA, or the device takes no second session.
        """
        instance, held, name = self._instance, self._held, self._abort_method()
        if instance is None or held is None or not name:
            return False
        try:
            with held.aside():
                getattr(instance, name)()
        except OfflineError:
            return False
        except Exception as error:
            ours = translated(error)
            if ours is error:
                raise
            if isinstance(ours, (OfflineError, DeviceTimeoutError)):
                return False
            raise ours from error
        if self._running and held.fresh:
            self._ended = True
            held.hang_up()
        return True

    def cancel(self) -> None:
        """Set the instance's ``cancelled``, if it takes attributes."""
        self._mark_cancelled(True)

    def progress(self) -> float | None:
        """Give the instance's ``progress`` where that is a plain attribute: a property might ask the device."""
        instance = self._instance
        return None if instance is None else fraction_of(vars(instance).get("progress"))

    # ------------------------------------------------------------------------------------ for subclasses

    def _live(self) -> Any:
        if self._instance is None:
            self.open()
        return self._instance

    @contextmanager
    def _asking(self, name: str, *, reads: bool = False) -> Iterator[Any]:
        """Give the instance for one call: the line is checked before, and errors of other libraries are made ours."""
        instance = self._live()
        self._mend()
        held = self._held
        if held is not None:
            held.silence.expect(name, asks=True)
        self._running = True
        try:
            with self._errors():
                yield instance
                if reads and held is not None and (more := held.waiting()):
                    raise BadReplyError(f"{held.name} answered more than one reply to {name!r}: {shown(more)} came, too")
        finally:
            self._running = False
            if held is not None:
                (held.silence.answered if reads else held.silence.told)(name)

    def _asked_identity(self) -> str:
        instance = self._live()
        if self._held is not None:
            self._held.silence.expect("identity", asks=True)
        return " ".join(self._ask(instance).split())

    def _mend(self) -> None:
        """Have a session again where an emergency has hung up the last one."""
        if self._ended and self._held is not None:
            self._ended = False
            self._held.recover()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            ours = translated(error)
            if self._ended and ours is not error:
                ours = CancelledCallError("the call was ended by an emergency while it ran; what it had done stays done")
            elif isinstance(ours, DeviceTimeoutError) and self._held is not None:
                try:
                    self._held.waiting()  # pyvisa-py reads the end of a stream as silence
                except OfflineError as gone:
                    ours = gone
            if ours is error:
                raise
            raise ours from error

    def _check_text(self, name: str, value: Any) -> None:
        """Refuse a text that would be more than one command of the device. Raises LimitError."""
        if self._held is not None and isinstance(value, str) and ("\n" in value or "\r" in value):
            raise LimitError(f"{name} = {shown(value)} holds a line end, which would make two commands of it; nothing was sent")

    def _run(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self._mark_cancelled(False)
        return function(*args, **kwargs)

    def _has(self, name: str) -> bool:
        """Tell whether the class has a method that can be called without arguments."""
        return needs_nothing(function_of(stored(self._cls, name)))

    def _abort_method(self) -> str:
        return next((name for name in ("abort", "stop") if self._has(name)), "") or self._safe_method()

    def _new_table(self, kind: str, parameters: Any, actions: Any) -> Table:
        can_abort = bool(self._abort_method()) and (self._instance is None or self._held is not None)
        return Table.of(kind, parameters, actions, doc_of(self._cls), has_safe=bool(self._safe_method()), has_abort=can_abort)

    def _unknown(self, name: str) -> UnknownParameterError:
        """Give the error for a name that the table does not have."""
        try:
            self._table.parameter(name)
            self._table.action(name)
        except UnknownParameterError as error:
            return error
        return UnknownParameterError(f"{name!r} is not there")  # pragma: no cover - one of the two raised

    def _mark_cancelled(self, value: bool) -> None:
        if self._instance is not None and (value or "cancelled" in vars(self._instance)):
            with suppress(AttributeError, TypeError, NameError):  # it takes no attributes: it cannot be told
                self._instance.cancelled = value

    def _not_built(self, error: Exception) -> BaseException:
        """Give the error to raise where the instance could not be built."""
        if isinstance(error, ModuleNotFoundError):
            return missing_library(error, str(self._spec.driver))
        ours = translated(error)
        if isinstance(ours, DeviceTimeoutError):  # it talked to a device that is off
            return OfflineError(f"the device did not answer while {self._cls.__name__} was built: {said_by(error)}")
        if isinstance(ours, InstrumentError):
            return ours
        if isinstance(error, TypeError) and "__init__() " in str(error):  # Python's own text about wrong arguments
            names = ", ".join(list(inspect.signature(stored(self._cls, "__init__")).parameters)[1:])
            return DriverError(f"{self._cls.__name__} cannot be built: {error}; it takes ({names})")
        return error
