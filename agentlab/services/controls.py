"""A daemon's own control object: what tells of its services and starts and stops them, by the same payloads as services."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, Protocol

import psutil

from agentlab.control.answers import Later
from agentlab.control.auth import Peer
from agentlab.control.security import ControlSecurity
from agentlab.errors import RefusedError, nearest
from agentlab.services import surface
from agentlab.services.model import ServiceSpec
from agentlab.services.payloads import PayloadDoor


class Controlled(Protocol):
    """What can be asked of a daemon."""

    name: str
    uri: str

    def services(self) -> dict[str, dict[str, Any]]:
        """Give a row for each service."""
        ...

    def start_service(self, name: str) -> dict[str, Any]:
        """Start a service."""
        ...

    def stop_service(self, name: str) -> dict[str, Any]:
        """Stop a service."""
        ...

    def restart_service(self, name: str) -> dict[str, Any]:
        """Stop a service and start it again."""
        ...

    def put_service(self, spec: ServiceSpec) -> dict[str, Any]:
        """Take in or replace a service."""
        ...

    def remove_service(self, name: str) -> dict[str, Any]:
        """Stop and forget a service."""
        ...

    def ask_stop(self) -> None:
        """Have the daemon end."""


class ControlsDoor(PayloadDoor):
    """The door of a daemon itself. Calls run in the control daemon's workers, several at once.

    Args:
        daemon: The daemon.
    """

    def __init__(self, daemon: Controlled) -> None:
        super().__init__(daemon.name)
        self._daemon = daemon
        self._since = time.time()
        self._methods: dict[str, Callable[..., Any]] = {
            "services": daemon.services,
            "start_service": daemon.start_service,
            "stop_service": daemon.stop_service,
            "restart_service": daemon.restart_service,
            "put_service": self._put_service,
            "remove_service": daemon.remove_service,
            "ping": lambda: "pong",
            "vitals": self.vitals,
            "info": self.vitals,
            "shutdown": daemon.ask_stop,
            "is_running": lambda: True,
        }
        self._special: dict[str, Callable[..., Any]] = {
            "_describe": self._describe,
            "_document": self._document,
            "_vitals": self.vitals,
            "_waits": lambda *_: [],
            "_wiring": list,
            "_attribute": self._attribute,
            "_ping": lambda: "pong",
        }

    def vitals(self) -> dict[str, Any]:
        """Give what the daemon's process does: the same keys as of an agent, and ``services``: name to state."""
        rows = self._daemon.services()
        process = psutil.Process()
        times = process.cpu_times()
        return {
            "name": self._daemon.name,
            "class": "Daemon",
            "state": "running",
            "since": self._since,
            "handled": 0,
            "rate": 0.0,
            "calls": 0,
            "queue": sum(row["queue"] for row in rows.values()),
            "errors": sum(row["state"] == "failed" for row in rows.values()),
            "bad_messages": self.bad_messages,
            "lost": 0,
            "cpu": times.user + times.system,
            "rss": process.memory_info().rss,
            "pid": os.getpid(),
            "busy": any(row["running"] for row in rows.values()),
            "services": {name: row["state"] for name, row in rows.items()},
        }

    def _called(
        self,
        method: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        path: tuple[str, ...],  # noqa: ARG002 - see PayloadDoor
        token: str,  # noqa: ARG002
        peer: Peer,  # noqa: ARG002
    ) -> bytes | Later:
        function = self._special.get(method) or self._methods.get(method)
        if function is None:
            raise self._unknown(method)
        return self.result(method, function(*args, **kwargs))

    def _put_service(self, **fields: Any) -> dict[str, Any]:
        if ControlSecurity(self._security).open:
            raise RefusedError(
                f"daemon {self._daemon.name!r} takes in no service while it runs where SECURITY is 'none', as anybody may "
                "ask it to; name the service when the daemon is started"
            )
        return self._daemon.put_service(ServiceSpec(**fields))

    def _unknown(self, name: str) -> AttributeError:
        return AttributeError(f"daemon {self._daemon.name!r} has no method {name!r}{nearest(name, self._methods)}")

    def _describe(self) -> dict[str, Any]:
        return {"name": self._daemon.name, "methods": sorted(self._methods), "class": "Daemon", "kind": "daemon"}

    def _attribute(self, name: str) -> tuple[bool, Any]:
        if name in ("name", "uri"):
            return True, getattr(self._daemon, name)
        if name not in self._methods:
            raise self._unknown(name)
        return False, None

    def _document(self, name: str | None = None) -> Any:
        if name is None:
            return sorted(self._methods)
        return surface.document(type(self._daemon), name) if hasattr(type(self._daemon), name) else ("", [])
