"""All names of one daemon at all name servers that it uses."""

from __future__ import annotations

import os
import platform
import secrets
import threading
import time
from typing import Any

from agentlab.services.model import ServiceSpec, class_name
from agentlab.services.registrar import Registrar


class Names:
    """The names of a daemon and of its services. Any thread; nothing blocks but :meth:`wait` and :meth:`close`.

    Args:
        daemon: The daemon's name.
    """

    def __init__(self, daemon: str) -> None:
        self._daemon = daemon
        self._instance = secrets.token_hex(8)
        self._began = time.time()
        self._lock = threading.Lock()
        self._registrars: dict[str, Registrar] = {}

    def register(self, address: str, name: str, uri: str, metadata: dict[str, Any]) -> None:
        """Have a name registered at a name server, again and again until it is."""
        # Not "pid": that is the mark of an agent, which can be asked to shut down.
        process = {"host": platform.node(), "process": os.getpid(), "started": self._began, "daemon": self._daemon}
        self._registrar(address).register(name, uri, metadata | process)

    def remove(self, address: str, name: str) -> None:
        """Have a name given up."""
        self._registrar(address).remove(name)

    def state(self, address: str, name: str) -> str:
        """Give ``registered``, or why a name is not."""
        return self._registrar(address).state(name)

    def beat(self) -> None:
        """Renew all leases."""
        for registrar in self._all():
            registrar.beat()

    def wait(self, timeout: float) -> bool:
        """Wait until each name was tried once at each name server; tell whether they were."""
        deadline = time.monotonic() + timeout
        return all(registrar.wait(deadline - time.monotonic()) for registrar in self._all())

    def wait_removed(self, name: str, timeout: float) -> bool:
        """Wait until a name that was given up is so at each name server; tell whether it is."""
        deadline = time.monotonic() + timeout
        return all(registrar.wait_removed(name, deadline - time.monotonic()) for registrar in self._all())

    def begin_close(self) -> None:
        """Have all names given up; returns at once."""
        for registrar in self._all():
            registrar.begin_close()

    def close(self) -> None:
        """Give up all names; waits a little for it. The leases do the rest."""
        for registrar in self._all():
            registrar.close()

    def _all(self) -> list[Registrar]:
        with self._lock:
            return list(self._registrars.values())

    def _registrar(self, address: str) -> Registrar:
        with self._lock:
            if address not in self._registrars:
                self._registrars[address] = Registrar(address, self._instance)
            return self._registrars[address]


def described(spec: ServiceSpec) -> dict[str, Any]:
    """Give a service's metadata at name servers."""
    return {
        "kind": "service",
        "class": class_name(spec.target),
        "instancemode": spec.instancemode,
        "description": spec.description[:500],
        "tags": list(spec.tags),
    }
