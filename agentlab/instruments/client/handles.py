"""Handles of single parameters: what a sweep moves and reads, and what bluesky's RunEngine takes for a device."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from agentlab.instruments.client import bluesky
from agentlab.instruments.client.status import Status
from agentlab.instruments.model.parameter import Parameter
from agentlab.instruments.model.reading import Reading

if TYPE_CHECKING:
    from agentlab.instruments.client.proxy import InstrumentProxy


class ParameterHandle:
    """One parameter of an instrument: ``dmm["voltage"]``. Any thread; it may be pickled and sent.

    It has what bluesky.protocols ask of a device that can be read, moved, stopped, staged, located, checked and
    subscribed to, so plans run on it as it is: ``bp.scan([meter["power"]], stage["position"], 0, 10, 11)``.

    Args:
        proxy: The instrument.
        described: The parameter, as the instrument describes it.

    Attributes:
        path: ``dmm.voltage``.
        name: ``dmm_voltage``: bluesky's documents allow no dots in names.
        parent: None: it is no part of another device.
    """

    parent: None = None

    def __init__(self, proxy: InstrumentProxy, described: dict[str, Any]) -> None:
        self.proxy = proxy
        self.instrument: str = proxy._core.name
        self._parameter = Parameter.from_dict(described)
        self.path = f"{self.instrument}.{self._parameter.name}"
        self.name = bluesky.key(self.path)
        self._listeners = bluesky.Listeners()

    @property
    def parameter(self) -> str:
        """Its name without the instrument's."""
        return self._parameter.name

    @property
    def unit(self) -> str:
        """Its unit; empty: none."""
        return self._parameter.unit

    @property
    def info(self) -> Parameter:
        """What is known of it: type, unit, limits."""
        return self._parameter

    # --- values -----------------------------------------------------------------------------------------------------

    def get(self) -> Reading:
        """Ask the device. Raises: as :meth:`InstrumentProxy.get`."""
        return self.proxy.get(self.parameter)  # type: ignore[no-any-return]

    def put(self, value: Any, timeout: float | None = None, *, tolerance: float | None = None) -> None:
        """Set it and wait until it is set. Args and Raises: as :meth:`InstrumentProxy.set`."""
        self.proxy.set(self.parameter, value, tolerance=tolerance, timeout=timeout)

    @property
    def value(self) -> Any:
        """What the device says; to be set, too."""
        return self.get().value

    @value.setter
    def value(self, value: Any) -> None:
        self.put(value)

    # --- bluesky.protocols ------------------------------------------------------------------------------------------

    @property
    def hints(self) -> dict[str, Any]:
        """What a plot shows: this one."""
        return {"fields": [self.name]}

    def read(self) -> dict[str, dict[str, Any]]:
        """Ask the device; give value and timestamp under the name with underscores, as ``dmm_voltage``."""
        return {self.name: bluesky.event(self.get())}

    def describe(self) -> dict[str, dict[str, Any]]:
        """Give type, shape and unit of what :meth:`read` gives. An array is asked for, to know its shape."""
        value = self.get().value if self._parameter.type in ("array", "any") else None
        return {self.name: bluesky.data_key(self.path, self._parameter, value)}

    def set(self, value: Any, *, tolerance: float | None = None, timeout: float | None = None) -> Status:
        """Set it; give at once a status that is done when it is set."""
        return Status(self.proxy.future.set(self.parameter, value, tolerance=tolerance, timeout=timeout), self)

    def trigger(self) -> Status:
        """Give a status that is done: it is measured when it is read."""
        return Status.finished(self)

    def stop(self, success: bool = True) -> None:  # noqa: ARG002 - as bluesky calls it
        """End a set that is under way, such as a ramp."""
        self.proxy.cancel()

    def check_value(self, value: Any) -> None:
        """Raise what setting would raise for this value; the device is not asked."""
        self._parameter.check(value)

    @property
    def position(self) -> Any:
        """What the device says, as bluesky's relative plans ask for it."""
        return self.value

    def locate(self) -> dict[str, Any]:
        """Give where it is, as set-point and read-back alike: a device does not tell what it was once set to."""
        value = self.value
        return {"setpoint": value, "readback": value}

    def stage(self) -> list[Any]:
        """Nothing is to be prepared."""
        return [self]

    def unstage(self) -> list[Any]:
        """Nothing is to be put back."""
        return [self]

    def subscribe(self, function: Callable[[dict[str, dict[str, Any]]], object]) -> None:
        """Call `function` with what :meth:`read` gives, from a thread of ours, for each reading that is published."""
        self._listeners.add(self, function)

    def clear_sub(self, function: Callable[[dict[str, dict[str, Any]]], object]) -> None:
        """Call a function no more; the last one ends the thread."""
        self._listeners.remove(function)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ParameterHandle) and (other.proxy, other.path) == (self.proxy, self.path)

    def __hash__(self) -> int:
        return hash(self.path)

    def __repr__(self) -> str:
        unit = f" ({self.unit})" if self.unit else ""
        return f"<parameter {self.path}{unit}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return ParameterHandle, (self.proxy, self._parameter.to_dict())
