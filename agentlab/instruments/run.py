"""Starting an instrument: one call."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from agentlab import errors
from agentlab.errors import AgentStartError, DriverError, NameTakenError
from agentlab.instruments.agent import InstrumentAgent
from agentlab.instruments.client.proxy import InstrumentProxy
from agentlab.instruments.model.spec import InstrumentSpec
from agentlab.instruments.model.values import shown
from agentlab.instruments.serving.guard import rules_of
from agentlab.runtime.agentprocess import AgentProcess

FIRST_ATTEMPT = 5.0
"""Seconds that a new instrument is waited for to be online, or to have failed."""
_POLL = 0.005
_END = 5.0
_PASSING = {name for name, one in vars(errors).items() if isinstance(one, type) and issubclass(one, errors.InstrumentError)}
"""Errors of a device, after which another attempt may succeed."""


def run_instrument(
    name: str,
    driver: str | type,
    /,
    *positional: Any,
    address: str | None = None,
    args: Sequence[Any] = (),
    kwargs: dict[str, Any] | None = None,
    parameters: Any = None,
    poll: dict[str, float] | float | None = None,
    overrides: dict[str, Any] | None = None,
    safe: dict[str, Any] | list[str] | str | bool | None = None,
    owner_required: bool = False,
    lease: float = 10.0,
    on_owner_lost: str = "keep",
    interlocks: Sequence[str] = (),
    history: str | os.PathLike[str] | None = None,
    history_days: float | None = None,
    latch_file: str | os.PathLike[str] | None = None,
    watchdog: float | None = None,
    device_timeout: float | None = None,
    ping: str | None = None,
    nsaddr: Any = None,
    base: type[InstrumentAgent] = InstrumentAgent,
    wait: float = FIRST_ATTEMPT,
    detach: bool = False,
    tags: tuple[str, ...] = (),
    agent: dict[str, Any] | None = None,
    **driver_kwargs: Any,
) -> InstrumentProxy:
    """Start an instrument agent in a process of its own and give a proxy of it.

    The driver is named and built there: drivers do not travel, and importing a vendor's library here might take its ports.
    A device that is away does not keep the agent from starting: the state is then ``offline``, and it is tried again.

    Args:
        name: The instrument's name.
        driver: The driver's class, ``package.module:Class``, or the class itself.
        *positional: The driver's positional arguments; a VISA address usually is the first.
        address: The same as a first positional argument.
        args: The same as further positional arguments.
        kwargs: The driver's arguments by name.
        parameters: For drivers that take a table of parameters, as ScpiDevice does: a YAML file, or a dict.
        poll: Seconds between two published readings, by parameter, or for all.
        overrides: What is said over the driver's parameters: ``{"voltage": {"unit": "V", "max": 30}}``.
        safe: The safe state: ``{parameter: value}`` set in order, or actions; False: none; None: the driver's own.
        owner_required: Whether only an owner may write, even while nobody owns it.
        lease: Seconds after which an owner that was killed loses the instrument.
        on_owner_lost: ``keep`` everything as it is then, or ``safe``.
        interlocks: Rules such as ``stage.temperature > 320 K -> heater.safe()`` that this instrument carries out.
        history: Path of the SQLite file that keeps what is polled.
        history_days: Days that its readings are kept there; None: for good.
        latch_file: Path of a file in which a latched safe state outlives the agent, until it is reset; None: it ends with it.
            Those of a lab file have one by themselves.
        watchdog: Seconds after which it is made safe unless ``proxy.kick()`` comes.
        device_timeout: Seconds that the device has for a reply, where the driver can be told.
        ping: What is sent to prove which device answers, such as ``*IDN?``; None: what the driver sends by itself.
        nsaddr: The name server's address; None: ``AGENTLAB_NAMESERVER_ADDRESS``.
        base: The agent's class.
        wait: Seconds to wait until the device is online, or it is known that it is not; 0: do not wait.
        detach: Whether the agent outlives this process.
        tags: Words by which the name server can list it.
        agent: Further options of the agent: ``addr``, ``serializer``, ``transport``, ``start_method``, ``timeout``, ``on_error``.
        **driver_kwargs: The driver's arguments by name, too.

    Returns:
        The proxy; the instrument may be offline, see :meth:`InstrumentProxy.wait_online`.

    Raises:
        DriverError: there is no such class, an argument does not fit it, its library is missing, or its constructor raised
            an error that says nothing of the device, such as a ValueError (a ValueError). The agent is not left running.
        AgentStartError: the agent failed while starting, died, or took too long (a RuntimeError).
        NameTakenError: the name is taken; the device was not touched.
        NameServerUnavailableError: no name server is known.
    """
    if not _holds_instruments(base):
        raise DriverError(f"base of instrument {name!r} is {shown(base)}; give a class that inherits from InstrumentAgent")
    given = dict(kwargs or {})
    twice = given.keys() & driver_kwargs.keys()
    if twice:
        raise DriverError(f"{min(twice)!r} of instrument {name!r} is given twice: in kwargs and by name")
    given |= driver_kwargs
    if parameters is not None:
        if "parameters" in given:
            raise DriverError(f"'parameters' of instrument {name!r} is given twice: in kwargs and by name")
        given["parameters"] = _absolute(parameters)
    spec = InstrumentSpec(
        name=name,
        driver=_travelling(driver),
        address=address,
        args=(*positional, *([args] if isinstance(args, str) else args)),
        kwargs=given,
        parameters=dict(overrides or {}),
        poll=poll,
        safe=safe,
        owner_required=owner_required,
        owner_lease=lease,
        on_owner_lost=on_owner_lost,
        interlocks=[interlocks] if isinstance(interlocks, str) else list(interlocks),
        history=None if history is None else str(Path(history).absolute()),
        history_days=history_days,
        latch_file=None if latch_file is None else str(Path(latch_file).absolute()),
        watchdog=watchdog,
        timeout=device_timeout,
        ping=ping,
    )
    rules_of(name, spec.interlocks)
    process = AgentProcess(
        name, nsaddr, base=base, attributes={"instrument": spec.to_dict()}, detach=detach, tags=tags, **(agent or {})
    )
    _start(process, name)
    try:
        proxy = cast("InstrumentProxy", process.proxy())
        if wait > 0:
            _await_first_attempt(proxy, wait)
    except DriverError:
        process.terminate()
        process.join(_END)
        raise
    return proxy


def _holds_instruments(base: object) -> bool:
    return isinstance(base, type) and issubclass(base, InstrumentAgent)


def _start(process: AgentProcess, name: str) -> None:
    """Start the agent. Raises as :meth:`AgentProcess.start`, and NameTakenError as itself: the device was not touched then."""
    try:
        process.start(run=True)
    except AgentStartError as error:
        _, taken, why = str(error).partition("\n")[0].partition(f"{NameTakenError.__name__}: ")
        if not taken:
            raise
        raise NameTakenError(f"{why}; Proxy({name!r}) gives the handle of the one that runs") from None


def _await_first_attempt(proxy: InstrumentProxy, wait: float) -> None:
    """Wait until it is known whether the device is there.

    Raises:
        DriverError: it never will be with this driver and these arguments.
    """
    deadline = time.monotonic() + wait
    while True:
        status = proxy.status()
        if status["state"] == "fault":
            kind = status.get("error", "")
            if kind == DriverError.__name__:
                raise DriverError(status["reason"])
            if kind and kind not in _PASSING:  # such as a ValueError of its constructor; none: its safe state cannot be reached
                raise DriverError(f"the driver of {proxy.name} cannot be opened: {status['reason']}")
        if status["state"] != "connecting" or time.monotonic() >= deadline:
            return
        time.sleep(_POLL)  # nothing announces the state to who is no agent


def _travelling(driver: str | type) -> str | type:
    """Give a driver's class as its name, which is imported there, or by value where nobody can import it.

    Raises:
        DriverError: it is no class.
    """
    if not isinstance(driver, str | type):
        raise DriverError(
            f"a driver is given as its class, or by name as 'package.module:Class', not as an object of {type(driver).__name__}:"
            " the agent's process builds it"
        )
    if isinstance(driver, str) or driver.__module__ == "__main__" or "<locals>" in driver.__qualname__:
        return driver
    return f"{driver.__module__}:{driver.__qualname__}"


def _absolute(table: Any) -> Any:
    """Give the path of a YAML table as another process finds it; a table itself as it is."""
    return str(Path(table).absolute()) if isinstance(table, (str, os.PathLike)) else table
