"""Looking at everybody that a name server knows, many at a time: for ``ls``, ``top`` and ``graph``."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

from agentlab.errors import AgentLabError, RefusedError
from agentlab.nameserver.client import NameServerClient, Registration
from agentlab.runtime.calling import Caller

AT_ONCE = 32
PATIENCE = 1.0
"""Seconds that each has to say how it is."""
STOCK = "Pyro.NameServer"

Answer = tuple[str, Any]
"""``ok`` and what was answered; or ``silent``, ``refused`` or ``-`` (nobody of ours: never asked), and None."""


def registrations(address: str) -> dict[str, Registration]:
    """Give everybody that a name server knows, by name and in their order."""
    with NameServerClient(address) as names:
        found = names.list()
    return {name: found[name] for name in sorted(found) if name != STOCK}


class Look:
    """Asks many the same question at once, again and again if wanted; connections are kept meanwhile.

    Use it in a ``with`` block: that closes the connections.
    """

    def __init__(self) -> None:
        self._callers: dict[str, Caller] = {}
        self._pool = ThreadPoolExecutor(AT_ONCE)

    def ask(self, whom: Iterable[Registration], question: str, timeout: float = PATIENCE) -> list[Answer]:
        """Ask everybody, and give their answers in the same order; takes `timeout` seconds where somebody is silent."""
        return list(self._pool.map(lambda registration: self._ask(registration, question, timeout), whom))

    def _ask(self, registration: Registration, question: str, timeout: float) -> Answer:
        if "class" not in registration.metadata:
            return "-", None
        caller = self._callers.get(registration.uri)
        try:
            if caller is None:
                caller = self._callers[registration.uri] = Caller(registration.name, registration.uri, None)
            return "ok", caller.call(question, (), {}, safe=False, timeout=timeout)
        except RefusedError:
            return "refused", None
        except AgentLabError:
            return "silent", None
        except Exception:  # noqa: BLE001 - whatever answers so is nobody who knows the question
            return "-", None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()
        for caller in self._callers.values():
            caller.close()
