"""Parts of an instrument as its proxy gives them: actions, and channels whose names have a dot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from agentlab.agent.describe import Parameters
from agentlab.instruments.model.values import is_quantity, plain
from agentlab.runtime.remote_method import RemoteMethod

if TYPE_CHECKING:
    from agentlab.instruments.client.handles import ParameterHandle
    from agentlab.instruments.client.proxy import InstrumentProxy

ASK = 5.0
"""Seconds for questions that an instrument answers at once."""


class RemoteAction(RemoteMethod):
    """An action of an instrument; calling it calls the driver."""

    def __init__(self, proxy: InstrumentProxy, name: str) -> None:
        super().__init__(proxy._caller(), name, proxy._flavor, False, proxy._limit)
        self._proxy = proxy

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it; give its result, or None (oneway), a Future (future) or something to await (aio)."""
        return self._proxy.call(self.__name__, *args, **kwargs)

    def __repr__(self) -> str:
        return f"<action {self.__name__!r} of instrument {self._caller.name!r}>"

    __doc__ = RemoteMethod.__dict__["__doc__"]  # the property, which this class's own docstring hides

    def _document(self) -> tuple[str, Parameters]:
        found = self._caller.call("_document", (self.__name__,), {}, safe=False, timeout=ASK)
        return found[0], found[1]


class Channel:
    """The part of an instrument whose names begin alike: ``proxy.ch_1.voltage`` is the parameter ``ch_1.voltage``."""

    def __init__(self, proxy: InstrumentProxy, prefix: str) -> None:
        object.__setattr__(self, "_proxy", proxy)
        object.__setattr__(self, "_prefix", prefix)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        full = f"{self._prefix}.{name}"
        if self._proxy._what(full) is None:
            self._proxy._parameter(full)  # raises, and knows the nearest name
        return self._proxy.__getattr__(full)

    def __setattr__(self, name: str, value: Any) -> None:
        self._proxy._parameter(f"{self._prefix}.{name}")
        self._proxy.__setattr__(f"{self._prefix}.{name}", value)

    def __getitem__(self, name: str) -> ParameterHandle:
        return cast("ParameterHandle", self._proxy[f"{self._prefix}.{name}"])

    def __dir__(self) -> list[str]:
        self._proxy._learn()
        side = self._proxy._side()
        start = f"{self._prefix}."
        return sorted({n[len(start) :].partition(".")[0] for n in (*side.parameters, *side.actions) if n.startswith(start)})

    def __repr__(self) -> str:
        return f"<{self._prefix!r} of instrument {self._proxy._core.name!r}>"


def portable(value: Any) -> Any:
    """Give a value as an agent without NumPy and pint can read it."""
    if is_quantity(value):
        return f"{plain(value.magnitude)!r} {value.units}"
    return plain(value)
