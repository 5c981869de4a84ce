"""What a unit that ended uncleanly could not take away itself: its socket files and its name. Done beside the supervising."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from agentlab.errors import AgentLabError, NameServerUnavailableError
from agentlab.nameserver.client import NameServerClient
from agentlab.transport.ipc import sweep_stale

log = logging.getLogger(__name__)

ASK_TIMEOUT = 1.0


@dataclass(frozen=True)
class Remains:
    """A name that is to be taken away, if it still belongs to that very holder: by its instance or its URI."""

    nameserver: str
    name: str
    instance: str | None = None
    uri: str | None = None


class Cleaner:
    """Sweeps in a daemon thread of its own. All methods may be called in any thread."""

    def __init__(self) -> None:
        self._todo: queue.SimpleQueue[tuple[Remains, ...] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="agentlab-lab-cleaner", daemon=True)
        self._thread.start()

    def clean(self, *remains: Remains) -> None:
        """Have socket files of the dead swept away, and these names; returns at once."""
        self._todo.put(remains)

    def close(self, timeout: float) -> None:
        """Finish what was asked for, within so many seconds. Twice is fine."""
        self._todo.put(None)
        self._thread.join(timeout)

    def _run(self) -> None:
        while True:
            batch = list(self._batch())
            if any(batch_part is not None for batch_part in batch):
                self._sweep([one for part in batch if part is not None for one in part])
            if None in batch:
                return

    def _batch(self) -> Iterator[tuple[Remains, ...] | None]:
        """Give all that is to be done now: when a hundred units die at once, one sweep does for all."""
        yield self._todo.get()
        while True:
            try:
                yield self._todo.get_nowait()
            except queue.Empty:
                return

    def _sweep(self, remains: list[Remains]) -> None:
        try:
            sweep_stale()
        except (AgentLabError, OSError) as error:
            log.warning("socket files of ended units could not be swept away: %s", error)
        for nameserver in dict.fromkeys(one.nameserver for one in remains):
            with contextlib.suppress(NameServerUnavailableError):  # it is down, or down for good: its leases do the rest
                self._remove(nameserver, [one for one in remains if one.nameserver == nameserver])

    def _remove(self, nameserver: str, remains: list[Remains]) -> None:
        with NameServerClient(nameserver, timeout=ASK_TIMEOUT) as names:
            for one in remains:
                try:
                    names.remove(one.name, instance=one.instance, uri=one.uri)
                except NameServerUnavailableError:
                    raise
                except AgentLabError as error:
                    log.warning("the name %r was not taken away: %s", one.name, error)
