"""A daemon in a process of its own: what the child runs."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import threading
import types
from dataclasses import dataclass, field, replace
from typing import Any

import cloudpickle

from agentlab.agent.faults import brief_error
from agentlab.agent.reporting import ConsoleHandler, JsonHandler
from agentlab.errors import AgentLabError, ConfigurationError
from agentlab.runtime.child import ChildLink
from agentlab.runtime.forked import guard_forks
from agentlab.services.daemon import Daemon
from agentlab.services.model import DaemonSpec, Packed, ServiceSpec, class_name

TARGET = "agentlab.runtime.daemonmain:main"
GRACE = 4.0
"""Seconds that running calls have when the daemon is told to end."""
LAST_GRACE = 6.0
"""Seconds after which the process ends whatever it is stuck in."""


@dataclass(frozen=True)
class DaemonReady:
    """What a daemon's process tells when it serves.

    Args:
        name: The daemon's name.
        uri: Of its control object.
        services: Name to ``state``, ``uri`` and ``reason`` of each service.
    """

    name: str
    uri: str
    services: dict[str, dict[str, Any]] = field(default_factory=dict)


def dump_daemon(spec: DaemonSpec) -> bytes:
    """Give the child's payload. Each class is packed for itself, so one that cannot be read there harms no other.

    Raises:
        ConfigurationError: a class or its parameters cannot be sent to another process.
    """
    return pickle.dumps(replace(spec, services=[packed(service) for service in spec.services]))


def packed(spec: ServiceSpec) -> ServiceSpec:
    """Give a service whose class travels as bytes, to be read in its daemon alone.

    Raises:
        ConfigurationError: the class or its parameters cannot be sent to another process.
    """
    if isinstance(spec.target, Packed):
        return spec
    if not isinstance(spec.target, (str, type)):
        raise ConfigurationError(
            f"service {spec.name!r} is an object, which stays in its process; give its class, or use Daemon.register()"
        )
    try:
        data = cloudpickle.dumps((spec.target, spec.parameters), protocol=5)
    except Exception as error:
        raise ConfigurationError(
            f"class or parameters of service {spec.name!r} cannot be sent to its daemon: {brief_error(error)}"
        ) from error
    target = Packed(class_name(spec.target), data)
    return ServiceSpec(spec.name, target, {}, spec.instancemode, spec.nameservers, spec.description, spec.tags)


def main(payload: bytes, link: ChildLink) -> None:
    """Be a daemon until told to stop: the child's main function.

    Args:
        payload: What :func:`dump_daemon` gave.
        link: Is given a pickled :class:`DaemonReady`, or in one line why there is no daemon.
    """
    spec: DaemonSpec = pickle.loads(payload)
    logger = logging.getLogger("agentlab")
    logger.addHandler(JsonHandler(spec.name) if spec.log_json else ConsoleHandler(spec.name))
    if spec.log_json:
        logger.setLevel(logging.INFO)  # whoever reads it chooses
    try:
        daemon = Daemon.from_spec(spec)
    except (AgentLabError, OSError) as error:
        link.failed(f"daemon {spec.name!r} cannot serve: {_line(error)}")
        raise SystemExit(1) from None
    daemon.grace = GRACE
    _handle_signals(daemon)
    guard_forks()
    link.on_parent_gone = lambda: _end_soon(daemon)
    try:
        daemon.start_all()
        link.ready(pickle.dumps(DaemonReady(spec.name, daemon.uri, daemon.ready())))
        daemon.wait()
    finally:
        daemon.stop()


def _line(error: Exception) -> str:
    if isinstance(error, OSError) and not isinstance(error, AgentLabError):
        return f"{error.strerror}: {error.filename}"
    return str(error)


def _handle_signals(daemon: Daemon) -> None:
    def end(number: int, _frame: types.FrameType | None) -> None:
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # the second one kills, whatever a driver is stuck in
        _end_soon(daemon)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)


def _end_soon(daemon: Daemon) -> None:
    """Have the daemon end, and its process a little later whatever happens. Also in signal handlers."""
    if hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread():
        # The kernel's own clock: it ends a process that is stuck in C code too, and needs no thread.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # a driver may have had other plans with it
        signal.setitimer(signal.ITIMER_REAL, LAST_GRACE)
    else:
        watchdog = threading.Timer(LAST_GRACE, os._exit, (1,))
        watchdog.daemon = True
        watchdog.start()
    daemon.ask_stop()


__all__ = ["TARGET", "DaemonReady", "dump_daemon", "main", "packed"]
