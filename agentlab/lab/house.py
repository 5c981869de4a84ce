"""A daemon that runs, as the supervisor asks it about its services. Any thread; calls block."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any

from agentlab.runtime.calling import Caller

Fields = dict[str, Any]
"""What a service is to be; see :func:`agentlab.lab.specs.service_fields`."""


class House:
    """What one daemon was given to serve, and how that is changed while it runs.

    Args:
        name: The daemon's name.
        uri: Of its control object.
        given: The services that it was started with, by name.
        rows: What it told of them when it was up: ``state``, ``uri``, ``reason``.
    """

    def __init__(self, name: str, uri: str, given: Mapping[str, Fields], rows: Mapping[str, dict[str, Any]]) -> None:
        self._name, self._uri = name, uri
        self._lock = threading.Lock()
        self._given, self._rows = dict(given), dict(rows)
        self._served = set(given)  # also what has failed: the daemon knows it, and its name servers do

    def start(self, name: str, fields: Fields, timeout: float) -> dict[str, Any]:
        """Have a service run as `fields` say; the others go on.

        Returns:
            Its row: what the daemon told of one that has started with it, else what it tells now.

        Raises:
            AgentStartError: it does not run, and why.
            RefusedError: the daemon takes in no service while it runs.
            CommunicationError: the daemon does not answer.
        """
        with self._lock:
            row = self._rows.pop(name, None)
            is_known = self._given.get(name) == fields
            if not is_known:
                self._given.pop(name, None)  # whatever comes of it, the daemon will not have the old one
                self._served.add(name)
        if is_known and row is not None and row["state"] in ("running", "failed"):
            return row
        if is_known:
            return self._ask("start_service", name, timeout=timeout)
        row = self._ask("put_service", timeout=timeout, **fields)
        with self._lock:
            self._given[name] = fields
        return row

    def stop(self, name: str, timeout: float) -> None:
        """Have a service stop; :meth:`start` brings it back.

        Raises:
            CommunicationError: the daemon does not answer.
        """
        self._ask("stop_service", name, timeout=timeout)

    def forget(self, name: str, timeout: float) -> None:
        """Have a service stop, and be served no more. Raises as :meth:`stop`; UnknownNameError, when it was not served."""
        with self._lock:
            self._given.pop(name, None)
            self._served.discard(name)
        self._ask("remove_service", name, timeout=timeout)

    def without(self, names: Iterable[str]) -> list[str]:
        """Name the services that it has and that are not among `names`."""
        with self._lock:
            return sorted(self._served.difference(names))

    def _ask(self, method: str, *args: Any, timeout: float, **kwargs: Any) -> dict[str, Any]:
        caller = Caller(self._name, self._uri, None, kind="daemon")
        try:
            row: dict[str, Any] = caller.call(method, args, kwargs, safe=False, timeout=timeout)
        finally:
            caller.close()
        return row
