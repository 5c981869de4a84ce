"""An instrument proxy whose calls go to a table in this process: no agent, no socket."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agentlab.errors import LockedError
from agentlab.instruments.client.proxy import InstrumentProxy
from agentlab.instruments.model.parameter import Parameter
from agentlab.instruments.model.reading import Reading
from agentlab.instruments.model.table import Action, Table

PSU = Table.of(
    "any",
    [
        Parameter("voltage", "float", "V", 0, 30),
        Parameter("current", "float", "A", writable=False),
        Parameter("output", "bool"),
        Parameter("mode", "str", choices=("CC", "CV")),
        Parameter("trace", "array", "V", writable=False),
        Parameter("timeout", "float", "s"),
        Parameter("ch_1.voltage", "float", "V"),
    ],
    [
        Action("zero", "Go to zero.", [("slowly", 1, "False")]),
        Action("reset", "*RST"),
        Action("ch_1.trigger"),
        Action("shutdown", "*OFF"),
    ],
    "A power supply.",
)


class FakeCaller:
    """Answers what an instrument agent would."""

    def __init__(self) -> None:
        self.name, self.uri, self.kind = "psu", "PYRO:psu@./u:nowhere", "instrument"
        self.note: Callable[[float | None], Any] | None = None
        self.values: dict[str, Any] = {"voltage": 1.5, "trace": [1.0, 2.0, 3.0], "timeout": 2.0, "ch_1.voltage": 0.25}
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.limits: list[float | None] = []
        self.casts: list[str] = []
        self.methods = ["shutdown", "ping"]

    def call(self, method: str, args: Any, kwargs: Any, *, safe: bool, timeout: float | None = None, behalf: Any = None) -> Any:
        self.calls.append((method, tuple(args), dict(kwargs)))
        self.limits.append(timeout)
        return getattr(self, f"do_{method}", self.do_other)(*args, **kwargs)

    def cast(self, method: str, args: Any, kwargs: Any, *, safe: bool, timeout: float | None = None) -> None:
        self.casts.append(method)
        self.call(method, args, kwargs, safe=safe)

    def close(self) -> None:
        pass

    def asked(self, method: str) -> int:
        return sum(asked == method for asked, _, _ in self.calls)

    def do_describe(self) -> dict[str, Any]:
        return {**PSU.to_dict(), "methods": []}

    def do__describe(self) -> dict[str, Any]:
        return {"kind": "instrument", "methods": self.methods}

    def do_get(self, name: str) -> dict[str, Any]:
        parameter = PSU.parameter(name)
        return Reading(self.values[name], parameter.unit, 1000.0, name=name).to_dict()

    def do_set(self, name: str, value: Any, **_: Any) -> None:
        self.values[name] = PSU.parameter(name).check(value)

    def do_call(self, action: str, *args: Any, **kwargs: Any) -> Any:
        return [action, list(args), kwargs]

    def do__parameter(self, name: str) -> dict[str, Any]:
        return PSU.parameter(name).to_dict()

    def do__attribute(self, name: str) -> Any:
        PSU.parameter(name)
        raise AssertionError

    def do_acquire(self, timeout: float | None, lease: float | None, reason: str, token: str | None) -> dict[str, Any]:
        if reason == "in vain":
            raise LockedError("psu is owned by Bob", "Bob")
        return {"token": token or "t0ken", "lease": lease or 10.0}

    def do_snapshot(self, refresh: bool = False) -> dict[str, Any]:
        return {"voltage": self.do_get("voltage")}

    def do_status(self) -> dict[str, Any]:
        return {"state": "offline", "reason": "unplugged"}

    def do_other(self, *args: Any, **kwargs: Any) -> Any:
        return [list(args), kwargs]


def fake_proxy() -> tuple[InstrumentProxy, FakeCaller]:
    """Give a proxy, and what answers it."""
    caller = FakeCaller()
    proxy = InstrumentProxy._made("psu", caller.uri, None, None, list(caller.methods))
    proxy._core._caller = caller  # type: ignore[assignment]
    return proxy, caller
