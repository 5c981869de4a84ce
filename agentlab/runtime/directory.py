"""How an agent finds the sockets of other agents by name, and follows them when they come back elsewhere."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from agentlab.errors import AgentLabError, AliasError, CommunicationError
from agentlab.nameserver.client import Change, NameServerClient, Registration
from agentlab.nameserver.follow import Watch
from agentlab.runtime.calling import Caller
from agentlab.wire.address import AgentAddress
from agentlab.wire.channel import AgentChannel

log = logging.getLogger(__name__)

Address = AgentAddress | AgentChannel
Moved = Callable[[Address], None]
Gone = Callable[[str], None]
STEP = 0.05
FIRST_PAUSE, LONGEST_PAUSE = 0.01, 1.0
"""Seconds between questions for a socket that an agent does not have yet: nobody announces new sockets."""
ASK_TIMEOUT = 1.0


@dataclass(eq=False)
class _Followed:
    """A socket that is followed, and for which incarnation of its agent its address was told last."""

    alias: str
    moved: Moved
    gone: Gone
    told: str | None = None


class NameDirectory:
    """Looks sockets up at a name server. One watch serves all that is followed; it starts with the first. Any thread.

    The watch never waits for an agent: while one that is followed is there and its sockets are not known yet, a thread
    asks that agent for them, and nobody else has to wait where it is frozen.

    Args:
        nsaddr: The name server's address.
    """

    def __init__(self, nsaddr: object) -> None:
        self._names = NameServerClient(nsaddr)
        self._watch: Watch | None = None
        self._followed: dict[str, list[_Followed]] = {}
        self._here: dict[str, Registration] = {}
        self._asking: dict[str, threading.Thread] = {}
        self._closed = threading.Event()
        self._lock = threading.Lock()

    def address(self, agent: str, alias: str, timeout: float) -> Address:
        """Give the address of an agent's socket; both are waited for.

        Raises:
            UnknownNameError: no such agent in time.
            AliasError: it has no such socket in time.
        """
        deadline = time.monotonic() + timeout
        uri = self._names.wait_for(agent, timeout).uri
        caller = Caller(agent, uri, None)
        try:
            while True:
                try:
                    found = caller.call("addr", (alias,), {}, safe=False, timeout=max(0.1, deadline - time.monotonic()))
                except AliasError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(STEP)  # nobody announces new sockets
                else:
                    return found  # type: ignore[no-any-return]
        finally:
            caller.close()

    def follow(self, agent: str, alias: str, moved: Moved, gone: Gone | None = None) -> None:
        """Tell where a socket is, as soon as it is there, and whenever its agent was started again. Returns at once.

        Args:
            agent: Its agent's name.
            alias: Its alias there.
            moved: Called with its address, from a thread of ours, once for each incarnation of the agent.
            gone: Called with the reason when it is not there, or not any more.
        """
        followed = _Followed(alias, moved, gone or (lambda _: None))
        with self._lock:
            self._followed.setdefault(agent, []).append(followed)
            if self._watch is None:
                if not self._closed.is_set():
                    self._watch = self._names.watch(self._changed)
                return
            watch = self._watch
        registration = watch.state().get(agent)
        if registration is not None:
            self._came(registration)

    def _changed(self, change: Change) -> None:
        """In the watch's thread."""
        name = change.name
        if change.kind != "removed":
            if name in self._followed:
                self._came(change.registration)
            return
        with self._lock:
            self._here.pop(name, None)
            left = list(self._followed.get(name, ()))
            for followed in left:
                followed.told = None
        for followed in left:
            followed.gone(f"agent {name!r} has left")

    def _came(self, registration: Registration) -> None:
        name = registration.name
        with self._lock:
            self._here[name] = registration
            if name in self._asking or self._closed.is_set() or not self._untold(name):
                return
            thread = threading.Thread(target=self._ask_until_told, args=(name,), name="agentlab-directory", daemon=True)
            self._asking[name] = thread
        thread.start()

    def _untold(self, name: str) -> list[_Followed]:
        registration = self._here.get(name)
        if registration is None:
            return []
        return [followed for followed in self._followed.get(name, ()) if followed.told != registration.instance]

    def _ask_until_told(self, name: str) -> None:
        """Ask an agent for its sockets until all are known, or it is gone. In a thread of its own."""
        pause, asked = FIRST_PAUSE, ""
        while True:
            with self._lock:
                untold = self._untold(name)
                if not untold or self._closed.is_set():
                    del self._asking[name]
                    return
                registration = self._here[name]
            if registration.instance != asked:
                pause, asked = FIRST_PAUSE, registration.instance
            if not self._ask(registration, untold):
                self._closed.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    def _ask(self, registration: Registration, untold: list[_Followed]) -> bool:
        """Ask once for each; tell whether all were there."""
        name, all_there = registration.name, True
        caller = Caller(name, registration.uri, None)
        try:
            for followed in untold:
                try:
                    address = caller.call("addr", (followed.alias,), {}, safe=False, timeout=ASK_TIMEOUT)
                except (AgentLabError, CommunicationError) as error:
                    all_there = False
                    followed.gone(f"agent {name!r} says: {error}" if isinstance(error, AliasError) else str(error))
                except Exception as error:  # noqa: BLE001 - whatever has that name now, and answers so, is no agent
                    all_there = False
                    followed.gone(f"{name!r} is no agent with sockets: {error}")
                else:
                    followed.told = registration.instance
                    followed.moved(address)
        finally:
            caller.close()
        return all_there

    def close(self) -> None:
        """End the watch; twice is fine."""
        with self._lock:
            self._closed.set()
            watch, self._watch = self._watch, None
            asking = list(self._asking.values())
        if watch is not None:
            watch.close()
        self._names.close()
        deadline = time.monotonic() + ASK_TIMEOUT
        for thread in asking:
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))
