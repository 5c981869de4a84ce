"""Devices of ophyd-async: signals as parameters, bluesky's verbs as actions, in an asyncio loop of their own.

ophyd-async is not imported here; its class comes with the instrument's description.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from agentlab.errors import DeviceTimeoutError, InstrumentError, OfflineError, UnknownParameterError
from agentlab.instruments.drivers.driver import Driver
from agentlab.instruments.drivers.loading import missing_library
from agentlab.instruments.drivers.members import doc_of, function_of, needs_nothing, stored, told_of
from agentlab.instruments.drivers.ophyd_loop import STOPPING, DeviceLoop
from agentlab.instruments.drivers.ophyd_table import Call, Entry, class_entries, entries, is_signal, walk
from agentlab.instruments.model.spec import InstrumentSpec
from agentlab.instruments.model.table import Table
from agentlab.instruments.visa.translation import translated

CONNECTING = 5.0
"""Seconds that a device has to connect, where the description gives no timeout."""


class OphydDriver(Driver):
    """Serves a device of ophyd-async; a child's signals are called ``x.velocity``, a movable one has ``x.position`` too.

    The device is built, connected, asked and closed in one thread with an asyncio loop, which goes on between calls as
    monitors and motions need it; the driver's own thread waits for it. :meth:`abort` stops every part that can stop, while
    the call that moves it is still running.

    Args:
        spec: What the instrument is; the device gets its name unless the arguments give one.
        cls: The class, which descends from ophyd-async's Device.
    """

    kind = "ophyd"

    def __init__(self, spec: InstrumentSpec, cls: type) -> None:
        self._spec, self._cls = spec, cls
        self._loop: DeviceLoop | None = None
        self._device: Any = None
        self._keys: dict[int, dict[str, Any]] = {}
        self._progress: float | None = None
        self._look()

    @property
    def instance(self) -> Any:
        """The device; None while there is none. It belongs to the loop's thread."""
        return self._device

    def table(self) -> Table:
        """Give what the class declares, and once it is connected what ``describe()`` said then."""
        return self._table

    def open(self) -> None:
        """Build the device in its loop and connect it. Raises OfflineError where it does not connect."""
        self.close()
        self._loop = DeviceLoop(self._spec.name)
        try:
            self._device = self._loop.run(self._build)
            self._connect(force=False)
            self._look()
        except BaseException as error:
            self.close()
            if isinstance(error, ModuleNotFoundError):
                raise missing_library(error, str(self._spec.driver)) from error
            raise

    def close(self) -> None:
        """End the loop, all that runs in it, and forget the device."""
        loop, self._loop = self._loop, None
        self._device = None
        if loop is not None:
            loop.close()

    def prove(self) -> str:
        """Give an empty text: ophyd-async has no identity to ask for. A reading shows whether the device answers."""
        signal = self._a_signal()
        if signal is not None:
            with self._errors():
                self._live().run(lambda: signal.get_value(cached=False), self._spec.timeout)
        return ""

    def recover(self) -> None:
        """Connect again: signals keep their addresses, so it is the same device that answers."""
        if self._device is None:
            self.open()
            return
        self._connect(force=True)
        self._look()
        try:
            self.prove()
        except DeviceTimeoutError as error:
            raise OfflineError(f"the device does not answer after it was connected again: {error}") from error

    def get(self, name: str) -> Any:
        """Read the signal from the device, or where a movable part is."""
        source = self._source(name)
        if is_signal(type(source)):
            return self._run(lambda: source.get_value(cached=False), limited=True)
        return self._run(source.locate, limited=True, pick="readback")

    def set(self, name: str, value: Any) -> None:
        """Set the signal and wait until it is done; a movable part until it is there."""
        source = self._source(name)
        self._run(lambda: source.set(value), limited=is_signal(type(source)))

    def call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a verb, command or method to its end, coroutines and statuses too."""
        found = self._calls.get(name)
        if found is None:
            raise self._unknown(name)
        self._live()
        found = self._calls[name]  # the class's entry had no device yet
        return self._run(lambda: getattr(found.source, found.attribute)(*args, **kwargs))

    def safe(self) -> bool:
        """Call the class's ``safe()``, else stop every part that can stop."""
        self._live()
        if self._has("safe"):
            self._run(self._device.safe)
            return True
        stoppable = self._stoppable()
        if stoppable:
            self._run(lambda: _stop_all(stoppable))
        return bool(stoppable)

    def abort(self) -> bool:
        """Stop every part that can stop, from any thread, beside the call that runs."""
        loop, stoppable = self._loop, self._stoppable()
        if loop is None or not stoppable:
            return False
        try:
            loop.end(lambda: _stop_all(stoppable), STOPPING)
        except (TimeoutError, InstrumentError):  # a method that blocks the loop lets nothing pass
            return False
        return True

    def cancel(self) -> None:
        """Stop what the running action moves, and cancel its task. Any thread."""
        loop, stoppable = self._loop, self._stoppable()
        if loop is not None:
            # a cancelled task would leave a real motor moving, so it is told to stop first
            loop.cancel((lambda: _stop_all(stoppable)) if stoppable else None)

    def progress(self) -> float | None:
        """Give how far a motion has come, from any thread, where its status can be watched."""
        return self._progress

    # ------------------------------------------------------------------------------------ inside

    def _build(self) -> Any:
        device = self._cls(*self._spec.positional(), **self._spec.kwargs)
        if not device.name:
            device.set_name(self._spec.name)
        return device

    def _connect(self, *, force: bool) -> None:
        limit = self._spec.timeout or CONNECTING
        device = self._device
        try:
            self._live().run(lambda: device.connect(timeout=limit, force_reconnect=force), limit + 1.0)
            self._keys = self._live().run(lambda: _describe(device), limit)
        except Exception as error:
            ours = translated(error)
            # NotConnectedError of ophyd-async is told by its name, as the library is not imported here
            if isinstance(ours, (DeviceTimeoutError, OfflineError)) or type(error).__name__ == "NotConnectedError":
                raise OfflineError(f"{self._spec.name} does not connect: {' '.join(str(error).split())}") from error
            if ours is error:
                raise
            raise ours from error

    def _look(self) -> None:
        found = list(class_entries(self._cls) if self._device is None else entries(self._device, self._keys))
        self._entries = {one.parameter.name: one for one in found if isinstance(one, Entry)}
        self._calls = {one.action.name: one for one in found if isinstance(one, Call)}
        can_stop = bool(self._stoppable()) if self._device is not None else self._has("stop")
        self._table = Table.of(
            self.kind,
            (one.parameter for one in self._entries.values()),
            (one.action for one in self._calls.values()),
            doc_of(self._cls),
            has_safe=self._has("safe") or can_stop,
            has_abort=can_stop,
        )

    def _live(self) -> DeviceLoop:
        if self._loop is None:
            self.open()
        assert self._loop is not None
        return self._loop

    def _source(self, name: str) -> Any:
        self._live()
        found = self._entries.get(name)
        if found is None:
            raise self._unknown(name)
        return found.source

    def _run(self, function: Any, *, limited: bool = False, pick: str = "") -> Any:
        self._progress = None
        loop = self._live()
        with self._errors():
            found = loop.run(lambda: self._watched(function(), pick), self._spec.timeout if limited else None)
        return told_of(found)

    async def _watched(self, result: Any, pick: str) -> Any:
        watch = getattr(result, "watch", None)
        if callable(watch):
            watch(self._note)
        if isinstance(result, Awaitable):
            result = await result
        return result[pick] if pick else result

    def _note(self, **update: Any) -> None:
        """Keep how far a motion is, as a status tells its watchers."""
        initial, current, target = (update.get(key) for key in ("initial", "current", "target"))
        with suppress(TypeError, ZeroDivisionError):  # not every motion has numbers, nor a way to go
            self._progress = min(1.0, max(0.0, abs(current - initial) / abs(target - initial)))  # type: ignore[operator]

    def _has(self, name: str) -> bool:
        return needs_nothing(function_of(stored(self._cls, name)))

    def _stoppable(self) -> list[Any]:
        if self._device is None:
            return []
        return [one for _, one in walk(self._device) if function_of(stored(type(one), "stop")) is not None]

    def _a_signal(self) -> Any:
        """Give a signal that can be read, the same each time; None: there is none."""
        found = [e.source for e in self._entries.values() if e.source is not None and e.parameter.readable]
        return next((one for one in found if is_signal(type(one))), None)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            ours = translated(error)
            if type(error).__name__ == "NotConnectedError":
                ours = OfflineError(f"{self._spec.name} is not connected: {' '.join(str(error).split())}")
            if ours is error:
                raise
            raise ours from error

    def _unknown(self, name: str) -> UnknownParameterError:
        try:
            self._table.parameter(name)
            self._table.action(name)
        except UnknownParameterError as error:
            return error
        return UnknownParameterError(f"{name!r} is not there")  # pragma: no cover - one of the two raised


async def _describe(device: Any) -> dict[int, dict[str, Any]]:
    """Give what all signals below a device say of themselves, by their id()."""
    signals = [one for _, one in walk(device) if is_signal(type(one)) and function_of(stored(type(one), "describe"))]
    told = await asyncio.gather(*(one.describe() for one in signals))
    return {id(one): dict(next(iter(keys.values()), {})) for one, keys in zip(signals, told, strict=True)}


async def _stop_all(devices: list[Any]) -> None:
    """Stop all at once, and raise what the first said that could not."""
    results = await asyncio.gather(*(_stopped(one) for one in devices), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result


async def _stopped(device: Any) -> None:
    result = device.stop()
    if isinstance(result, Awaitable):
        await result
