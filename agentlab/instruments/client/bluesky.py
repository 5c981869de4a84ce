"""What bluesky.protocols ask for, without bluesky: any RunEngine scans parameters of instruments as they are.

The names of what is read have underscores for dots (``dmm_voltage``), as the document model of bluesky knows no dots.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from agentlab.errors import AgentLabError
from agentlab.instruments.client.status import Status
from agentlab.instruments.model.parameter import Parameter
from agentlab.instruments.model.reading import Reading

if TYPE_CHECKING:
    from agentlab.instruments.client.handles import ParameterHandle
    from agentlab.instruments.client.proxy import InstrumentProxy
    from agentlab.instruments.client.watch import Watch

_log = logging.getLogger(__name__)
Listener = Callable[[dict[str, dict[str, Any]]], object]
_JOIN = 5.0
_TYPES = {"float": "number", "int": "integer", "bool": "boolean", "str": "string", "array": "array"}
"""A parameter's type -> bluesky's."""


def key(name: str) -> str:
    """Give the name of a value in events."""
    return name.replace(".", "_")


def event(reading: Reading) -> dict[str, Any]:
    """Give a reading as an event has it."""
    found: dict[str, Any] = {"value": reading.value, "timestamp": reading.timestamp}
    if reading.quality != "good":
        found |= {"alarm_severity": 1, "message": reading.quality}
    return found


def data_key(name: str, parameter: Parameter, value: Any = None) -> dict[str, Any]:
    """Give what an event descriptor says of a parameter.

    Args:
        name: With the instrument's.
        parameter: What is known of it.
        value: Of arrays and of what may be anything: what it is now.
    """
    kind = _TYPES.get(parameter.type) or _type_of(value)
    found: dict[str, Any] = {"source": f"agentlab:{name}", "dtype": kind, "shape": _shape(value)}
    if parameter.unit:
        found["units"] = parameter.unit
    if parameter.minimum is not None and parameter.maximum is not None:
        found["limits"] = {"control": {"low": parameter.minimum, "high": parameter.maximum}}
    if parameter.choices and all(isinstance(choice, str) for choice in parameter.choices):
        found["choices"] = list(parameter.choices)
    return found


def _type_of(value: Any) -> str:
    for kind, name in ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string")):
        if isinstance(value, kind):
            return name
    return "array" if hasattr(value, "__len__") else "string"


def _shape(value: Any) -> list[int]:
    if value is None or isinstance(value, (str, bytes)):
        return []
    shape = getattr(value, "shape", None)
    if shape is not None:
        return [int(n) for n in shape]
    if isinstance(value, (list, tuple)):
        return [len(value), *(_shape(value[0]) if value else [])]
    return []


class Readable:
    """Several parameters of one instrument as one device that bluesky reads: ``dmm.readable("voltage", "current")``.

    Attributes:
        name: The instrument's.
        parent: None: it is no part of another device.
    """

    parent: None = None

    def __init__(self, proxy: InstrumentProxy, handles: Sequence[ParameterHandle]) -> None:
        self.proxy = proxy
        self.name: str = proxy._core.name
        self.handles = tuple(handles)

    @property
    def hints(self) -> dict[str, Any]:
        """What a plot shows: all numbers."""
        return {"fields": [one.name for one in self.handles if one.info.type in ("float", "int")]}

    def read(self) -> dict[str, dict[str, Any]]:
        """Ask the device for all of them; they wait for their turns together."""
        futures = [(one, self.proxy.future.get(one.parameter)) for one in self.handles]
        return {one.name: event(future.result()) for one, future in futures}

    def describe(self) -> dict[str, dict[str, Any]]:
        """Give type, shape and unit of each."""
        return {name: row for one in self.handles for name, row in one.describe().items()}

    def trigger(self) -> Status:
        """Give a status that is done: they are measured when they are read."""
        return Status.finished(self)

    def stage(self) -> list[Any]:
        """Nothing is to be prepared."""
        return [self]

    def unstage(self) -> list[Any]:
        """Nothing is to be put back."""
        return [self]

    def stop(self, success: bool = True) -> None:  # noqa: ARG002 - as bluesky calls it
        """End the call that is under way."""
        self.proxy.cancel()

    def __repr__(self) -> str:
        return f"<readable {self.name}: {', '.join(one.parameter for one in self.handles)}>"


class Listeners:
    """Functions that are called for each published reading of one parameter, from one thread. Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._functions: list[Listener] = []
        self._watch: Watch | None = None
        self._thread: threading.Thread | None = None

    def add(self, handle: ParameterHandle, function: Listener) -> None:
        """Call a function from now on; the first one of all hears at once what was published last."""
        with self._lock:
            if self._watch is not None:
                self._functions.append(function)
                return
            watch = self._watch = handle.proxy.watch(handle.parameter)
            self._functions.append(function)
            self._thread = threading.Thread(target=self._run, args=(watch, handle.name), name="agentlab-subscribe", daemon=True)
            self._thread.start()

    def remove(self, function: Listener) -> None:
        """Call a function no more; one that is not called is fine. Returns when the last one's thread has ended."""
        with self._lock:
            with contextlib.suppress(ValueError):
                self._functions.remove(function)
            if self._functions or self._watch is None:
                return
            watch, thread, self._watch, self._thread = self._watch, self._thread, None, None
        watch.stop()
        if thread is not None and thread is not threading.current_thread():
            thread.join(_JOIN)

    def _run(self, watch: Watch, name: str) -> None:
        try:
            with watch:
                for reading in watch:
                    self._tell({name: event(reading)})
        except AgentLabError as error:
            _log.warning("nobody is told of %s any more: %s; subscribe again", name, error)
        finally:
            with self._lock:
                if self._watch is watch:  # it has ended by itself: who subscribes next begins anew
                    self._functions.clear()
                    self._watch = self._thread = None

    def _tell(self, row: dict[str, dict[str, Any]]) -> None:
        for function in list(self._functions):
            try:
                function(row)
            except Exception:  # noqa: BLE001 - a door: the mistake of one subscriber leaves the others theirs
                _log.exception("a subscriber of %s failed", *row)
