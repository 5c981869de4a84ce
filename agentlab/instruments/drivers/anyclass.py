"""The driver for any class: its properties, annotations and plain attributes are parameters, its public methods actions."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import inspect
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from agentlab.errors import BadReplyError, CancelledCallError, DriverError, InstrumentError
from agentlab.instruments.drivers.driver import Driver, fraction_of
from agentlab.instruments.drivers.introspection import (
    Found,
    attributes_of,
    doc_of,
    is_method,
    look_at_class,
    look_at_instance,
    needs_arguments,
)
from agentlab.instruments.drivers.loading import build, let_go
from agentlab.instruments.model.device import Device
from agentlab.instruments.model.spec import InstrumentSpec
from agentlab.instruments.model.table import Table
from agentlab.instruments.model.values import shown
from agentlab.instruments.visa.translation import translated

_log = logging.getLogger(__name__)
_CLOSERS = ("close", "disconnect", "shutdown")
_IDENTITIES = ("idn", "identity", "identify", "get_idn")


class AnyClassDriver(Driver):
    """Serves an object of any class.

    The class is built in :meth:`open`; a method ``connect()`` without arguments is then called, unless an attribute
    ``connected`` or ``is_connected`` says that it has been. ``close()``, ``disconnect()`` or ``shutdown()`` ends it.
    Recovery calls ``reconnect()``, or closes and calls ``connect()``; a class with neither is built anew. ``safe()`` is the
    safe state, ``abort()`` ends a running call and must stand being called from another thread. Coroutine methods are run
    to their end in the driver's thread.

    Args:
        spec: What the instrument is.
        cls: The class.
    """

    kind = "any"

    def __init__(self, spec: InstrumentSpec, cls: type) -> None:
        self._spec, self._cls = spec, cls
        self._found: Found = look_at_class(cls)
        self._instance: Any = None
        self._was_cancelled = False
        self._identity = ""
        self._runner: asyncio.Runner | None = None
        self._task: asyncio.Task[Any] | None = None
        # a coroutine belongs to the loop of the driver's thread, and cannot be run in another while that is busy
        self._aborts = _has_method(cls, "abort") and not inspect.iscoroutinefunction(inspect.getattr_static(cls, "abort"))
        self._safe = _has_method(cls, "safe")
        self._closer = next((name for name in _CLOSERS if _has_method(cls, name)), None)
        if self._closer is not None:
            self._found.actions.pop(self._closer, None)  # the agent calls it, and nobody else

    @property
    def instance(self) -> Any:
        """The object of the class; None while there is none. It belongs to the driver's thread."""
        return self._instance

    def table(self) -> Table:
        """Give what the class says, and the built instance's plain attributes."""
        return Table(
            self.kind,
            dict(self._found.parameters),
            dict(self._found.actions),
            doc_of(self._cls),
            has_safe=self._safe,
            has_abort=self._aborts,
        )

    def open(self) -> None:
        """Build the instance and connect it. Raises what the class raises, dead connections as OfflineError."""
        with_errors(self._open)

    def close(self) -> None:
        """Close the instance and forget it; what its closing raises is passed over, as the device may be gone."""
        instance, self._instance = self._instance, None
        if instance is not None:
            self._end(instance)
        runner, self._runner = self._runner, None
        if runner is not None:
            runner.close()

    def prove(self) -> str:
        """Give the identity by the description's ``ping``, else by a member ``idn``, ``identity`` or the like, if it is text."""
        return str(with_errors(self._ask_identity))

    def recover(self) -> None:
        """Reconnect, or build the instance anew; see the class. The device must be the one that answered first."""
        with_errors(self._recover)

    def get(self, name: str) -> Any:
        """Give the attribute's value, an enumeration's member as its value."""
        self._forget_cancel()
        return with_errors(lambda: self._finished(getattr(self._live(), name)))

    def set(self, name: str, value: Any) -> None:
        """Set the attribute."""
        members = self._found.enums.get(name)
        if members is not None and not isinstance(value, members):
            value = _member(members, value)
        if name in self._found.numbers and isinstance(value, float) and value.is_integer():
            value = int(value)  # as it was: it may be a count for range()
        self._forget_cancel()
        with_errors(lambda: setattr(self._live(), name, value))

    def call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call the method."""
        function = inspect.getattr_static(self._cls, name, None)
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise _one_by_one(name)
        self._mark_cancelled(False)
        result = with_errors(lambda: self._finished(getattr(self._live(), name)(*args, **kwargs)))
        if inspect.isgenerator(result) or inspect.isasyncgen(result):
            raise _one_by_one(name)
        return None if result is self._instance else result  # `return self`, for chaining; it cannot travel

    def safe(self) -> bool:
        """Call the class's ``safe()``, if it has one."""
        if not self._safe:
            return False
        self._mark_cancelled(False)  # it may sleep, and what was cancelled is over
        return with_errors(lambda: self._finished(self._live().safe())) is not False

    def abort(self) -> bool:
        """Call the class's ``abort()``, if it has one, in the calling thread."""
        instance = self._instance
        if instance is None or not self._aborts:
            return False
        return with_errors(instance.abort) is not False

    def cancel(self) -> None:
        """Set the instance's ``cancelled``, if it takes attributes, and cancel a coroutine that runs."""
        self._mark_cancelled(True)
        self._was_cancelled = True  # after it: a call that begins in between is not to leave the mark behind
        task = self._task
        if task is not None:
            with contextlib.suppress(RuntimeError):  # its loop was closed just now
                task.get_loop().call_soon_threadsafe(task.cancel)

    def progress(self) -> float | None:
        """Give the instance's ``progress``, where that is a plain attribute: a property of the user's might ask the device."""
        instance = self._instance
        value = instance.progress if issubclass(type(instance), Device) else attributes_of(instance).get("progress")
        return fraction_of(value)

    def _open(self) -> None:
        if self._instance is not None:
            self.close()
        try:
            self._instance = build(self._spec, self._cls)
            if _has_method(self._cls, "connect") and not self._is_connected():
                self._finished(self._instance.connect())
        except BaseException as error:
            self.close()
            let_go(error)
            raise
        look_at_instance(self._instance, self._found)

    def _end(self, instance: Any) -> None:
        try:
            if self._closer is not None:
                self._finished(getattr(instance, self._closer)())
        except Exception:  # noqa: BLE001 - the user's code: the device may be gone, and what is broken cannot always be closed
            _log.debug("closing %s failed", self._cls.__name__, exc_info=True)

    def _is_connected(self) -> bool:
        """Tell whether the instance says that it is connected, in a plain attribute or a property."""
        for name in ("connected", "is_connected"):
            try:
                if getattr(self._instance, name, False) is True:
                    return True
            except Exception:  # noqa: BLE001 - a property that asks a device to which nothing is connected yet
                _log.debug("%s cannot tell whether it is connected", self._cls.__name__, exc_info=True)
        return False

    def _recover(self) -> None:
        instance = self._instance
        if instance is not None and _has_method(self._cls, "reconnect"):
            self._finished(instance.reconnect())
        elif instance is not None and _has_method(self._cls, "connect"):
            self._end(instance)
            self._finished(instance.connect())
        else:
            self._open()
        self._ask_identity()

    def _ask_identity(self) -> str:
        name = self._spec.ping
        if name is None:
            name = next((one for one in _IDENTITIES if _tells(self._cls, one)), "")
        if not name:
            return ""
        try:
            found = getattr(self._live(), name)
        except AttributeError as error:
            text = f"ping is {shown(name)}, which {self._cls.__name__} does not have; of a class it names a method or a property"
            raise DriverError(text) from error
        found = self._finished(found() if callable(found) else found)
        if not isinstance(found, str):
            return ""  # a number may change from one call to the next
        if self._identity and found != self._identity:
            raise BadReplyError(f"another device answers: {shown(found)}, and it was {shown(self._identity)} before")
        self._identity = found
        return found

    def _live(self) -> Any:
        if self._instance is None:
            self._open()
        return self._instance

    def _finished(self, result: Any) -> Any:
        """Give a result, that of a coroutine once it has run to its end."""
        if not inspect.iscoroutine(result):
            return result
        if self._runner is None:
            self._runner = asyncio.Runner()
        try:
            return self._runner.run(self._tracked(result))
        except asyncio.CancelledError:
            raise CancelledCallError("the action was cancelled while it ran; what it had done stays done") from None
        finally:
            self._task = None

    async def _tracked(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        self._task = asyncio.current_task()
        return await coroutine

    def _forget_cancel(self) -> None:
        """Take back a cancel of an earlier call: a property may sleep, too. Without one the instance is not touched."""
        if self._was_cancelled:
            self._was_cancelled = False
            self._mark_cancelled(False)

    def _mark_cancelled(self, value: bool) -> None:
        try:
            if self._instance is not None:
                self._instance.cancelled = value
        except Exception:  # noqa: BLE001 - it has slots, is frozen, or has a __setattr__ of its own: it cannot be told
            return


def with_errors(function: Callable[[], Any]) -> Any:
    """Run a function of the user's; dead connections and timeouts come as our errors, all else as it is."""
    try:
        return function()
    except Exception as error:
        ours = translated(error)
        if ours is error:
            raise
        raise ours from error


def _has_method(cls: type, name: str) -> bool:
    """Tell whether a class has a method that can be called without arguments."""
    static = inspect.getattr_static(cls, name, None)
    return static is not None and is_method(static) and not needs_arguments(static)


def _tells(cls: type, name: str) -> bool:
    """Tell whether a class has a member that can be had, or called, without arguments."""
    static = inspect.getattr_static(cls, name, None)
    return static is not None and not (is_method(static) and needs_arguments(static))


def _one_by_one(name: str) -> InstrumentError:
    return InstrumentError(f"{name}() gives its values one by one, which cannot travel; have it give a list")


def _member(members: type[enum.Enum], value: Any) -> Any:
    """Give the member of an enumeration with a value or a name."""
    if isinstance(value, str) and value in members.__members__:
        return members.__members__[value]
    return members(value)
