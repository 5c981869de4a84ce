"""Keeps services registered at name servers: one thread for each name server, so that a silent one delays nobody."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from agentlab.errors import AgentLabError, ConfigurationError, NameTakenError
from agentlab.nameserver.client import NameServerClient
from agentlab.nameserver.heartbeats import Heartbeat
from agentlab.settings import config

log = logging.getLogger("agentlab.services")

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 3.0
TAKEN_PAUSE = 1.0
CALL_TIMEOUT = 3.0
GOODBYE_TIMEOUT = 1.0


@dataclass
class Entry:
    """One name to be registered at one name server."""

    name: str
    uri: str
    metadata: dict[str, Any]
    wanted: bool = True
    heartbeat: Heartbeat | None = None
    reason: str = "not registered yet"
    due: float = 0.0
    pause: float = field(default=FIRST_PAUSE)


class Registrar:
    """The names of one daemon at one name server. Any thread; nothing blocks but :meth:`close`.

    Args:
        address: The name server, ``host:port``.
        instance: Random text of the daemon's incarnation.
    """

    def __init__(self, address: str, instance: str) -> None:
        self.address = address
        self._instance = instance
        self._change = threading.Condition()
        self._entries: dict[str, Entry] = {}
        self._closing = False
        self._thread: threading.Thread | None = None

    def register(self, name: str, uri: str, metadata: dict[str, Any]) -> None:
        """Have a name registered, again and again until it is."""
        with self._change:
            entry = self._entries.get(name)
            if entry is not None and entry.wanted and (entry.uri, entry.metadata) == (uri, metadata):
                return
            fresh = Entry(name, uri, metadata)
            if entry is not None:
                fresh.heartbeat = entry.heartbeat  # the name server takes the same holder in at once
            self._entries[name] = fresh
            if self._thread is None and not self._closing:
                self._thread = threading.Thread(target=self._work, name=f"agentlab-register-{self.address}", daemon=True)
                self._thread.start()
            self._change.notify_all()

    def remove(self, name: str) -> None:
        """Have a name given up."""
        with self._change:
            entry = self._entries.get(name)
            if entry is not None:
                entry.wanted, entry.due = False, 0.0
                self._change.notify_all()

    def beat(self) -> None:
        """Renew all leases; never blocks."""
        with self._change:
            beats = [entry.heartbeat for entry in self._entries.values() if entry.heartbeat is not None and entry.wanted]
        for heartbeat in beats:
            heartbeat.beat()

    def state(self, name: str) -> str:
        """Give ``registered``, or why a name is not."""
        with self._change:
            entry = self._entries.get(name)
            return "not registered" if entry is None else entry.reason

    def wait(self, timeout: float) -> bool:
        """Wait until everything was tried once; tell whether it was."""
        with self._change:
            return self._change.wait_for(
                lambda: all(entry.reason != "not registered yet" for entry in self._entries.values()), max(timeout, 0.0)
            )

    def wait_removed(self, name: str, timeout: float) -> bool:
        """Wait until a name that was given up is so; tell whether it is. One that is wanted again needs no wait."""

        def is_removed() -> bool:
            entry = self._entries.get(name)
            return entry is None or entry.wanted or self._closing

        with self._change:
            return self._change.wait_for(is_removed, max(timeout, 0.0))

    def begin_close(self) -> None:
        """Have all names given up; returns at once."""
        with self._change:
            self._closing = True
            for entry in self._entries.values():
                entry.wanted = False
            self._change.notify_all()

    def close(self, timeout: float = 2 * GOODBYE_TIMEOUT) -> None:
        """Give up all names, and wait for it, up to `timeout` seconds; the leases do the rest."""
        self.begin_close()
        if self._thread is not None:
            self._thread.join(timeout)
        with self._change:
            for entry in self._entries.values():
                self._end_heartbeat(entry)

    def _work(self) -> None:
        names: NameServerClient | None = None
        try:
            while (entry := self._next()) is not None:
                try:
                    if names is None:
                        names = NameServerClient(self.address, timeout=CALL_TIMEOUT)
                    self._settle(names, entry)
                except (AgentLabError, OSError) as error:
                    self._failed(entry, error)
        finally:
            if names is not None:
                names.close()

    def _next(self) -> Entry | None:
        """Wait for something to do; None: there will be nothing any more."""
        with self._change:
            while True:
                now = time.monotonic()
                todo = [e for e in self._entries.values() if not e.wanted or e.reason != "registered"]
                if self._closing and not any(e.heartbeat for e in todo):
                    return None
                ready = min(todo, key=lambda e: e.due, default=None)
                if ready is not None and (ready.due <= now or self._closing):
                    return ready
                self._change.wait(None if ready is None else ready.due - now)

    def _settle(self, names: NameServerClient, entry: Entry) -> None:
        if not entry.wanted:
            self._say_goodbye(names, entry)
            return
        registration = names.register(
            entry.name, entry.uri, instance=self._instance, metadata=entry.metadata, lease=config["LEASE"]
        )
        heartbeat = Heartbeat(self.address, registration)
        with self._change:
            self._end_heartbeat(entry)
            entry.heartbeat, entry.reason, entry.pause = heartbeat, "registered", FIRST_PAUSE
            if self._entries.get(entry.name) is not entry:
                self._end_heartbeat(entry)  # another has come in its place meanwhile
            self._change.notify_all()

    def _say_goodbye(self, names: NameServerClient, entry: Entry) -> None:
        with self._change:
            had = entry.heartbeat is not None
            self._end_heartbeat(entry)
        if had:
            names.timeout = GOODBYE_TIMEOUT
            with contextlib.suppress(AgentLabError):  # the name server may have gone before: the lease does the rest
                names.remove(entry.name, instance=self._instance)
            names.timeout = CALL_TIMEOUT
        with self._change:
            if self._entries.get(entry.name) is entry:
                del self._entries[entry.name]
            self._change.notify_all()

    def _failed(self, entry: Entry, error: Exception) -> None:
        text = " ".join(str(error).split())
        if isinstance(error, NameTakenError):  # the name server's own advice is an option that services do not have
            text = f"{text.rpartition(';')[0]}; tried again until that one has gone"
        with self._change:
            news, entry.reason = entry.reason != text, text
            entry.pause = TAKEN_PAUSE if isinstance(error, (NameTakenError, ConfigurationError)) else entry.pause
            entry.due = time.monotonic() + entry.pause
            entry.pause = min(2 * entry.pause, LONGEST_PAUSE)
            self._change.notify_all()
        if news:
            log.warning("service %r is not registered at %s yet: %s", entry.name, self.address, text)

    @staticmethod
    def _end_heartbeat(entry: Entry) -> None:
        heartbeat, entry.heartbeat = entry.heartbeat, None
        if heartbeat is not None:
            heartbeat.close()
