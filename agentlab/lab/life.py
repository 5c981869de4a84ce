"""One life of one unit: what it consists of, and what is told of it, in order and once. Any thread."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from agentlab.errors import AgentStartError
from agentlab.lab.cleaning import Remains
from agentlab.lab.house import House
from agentlab.lab.messages import Exited, NeedsParent, Post, Started, StartFailed
from agentlab.lab.units import Unit
from agentlab.runtime.child import Child
from agentlab.runtime.family import family


class Life:
    """One incarnation of one unit.

    Args:
        unit: Which unit.
        incarnation: Which of its lives.
        post: Takes what happens.
    """

    def __init__(self, unit: Unit, incarnation: int, post: Post) -> None:
        self.unit, self.incarnation = unit, incarnation
        self.child: Child | None = None
        self.pulse_path: str | None = None
        self.remains: tuple[Remains, ...] = ()
        self.house: House | None = None
        """What can be asked of it, if it is a daemon that is up."""
        self.host: Life | None = None
        """The life of its daemon, if it is a service that has come to it."""
        self.uri = ""
        self._post = post
        self._lock = threading.Lock()
        self._told = self._over = False
        self._exit: tuple[int | None] | None = None
        self._end = ""

    @property
    def is_over(self) -> bool:
        """Whether its end was told."""
        return self._over

    @property
    def end_asked(self) -> bool:
        """Whether it is to end."""
        return self._end != ""

    def check_wanted(self) -> None:
        """Raise AgentStartError where it is to end, before it has begun."""
        if self._end:
            raise AgentStartError(f"{self.unit.name} was stopped before it was started")

    def come_to(self, host: Life) -> None:
        """Note whose service it is; raises as :meth:`check_wanted`, as whoever stopped it before did not know where."""
        self.host = host
        self.check_wanted()

    def started(self, **info: Any) -> None:
        """Tell that it is up; its end, if that was faster, is told afterwards."""
        with self._lock:
            if self._told:
                return
            self._told = True
            self._post(Started(self.unit.name, self.incarnation, info))
            if self._exit is not None:
                self._tell_exit(*self._exit)
        if self._end:
            self.end(self._end)

    def failed(self, reason: str) -> None:
        """Tell that it did not come up."""
        with self._lock:
            if not self._told:
                self._told = self._over = True
                self._post(StartFailed(self.unit.name, self.incarnation, reason))

    def needs_parent(self) -> None:
        """Tell that it can only start together with its daemon."""
        with self._lock:
            if not self._told:
                self._told = self._over = True
                self._post(NeedsParent(self.unit.name, self.incarnation))

    def exited(self, exitcode: int | None) -> None:
        """Tell that it has ended, now or as soon as it was told that it is up."""
        with self._lock:
            if self._over:
                return
            if self._told:
                self._tell_exit(exitcode)
            else:
                self._exit = (exitcode,)

    def end(self, how: str) -> None:
        """Have its process end: ``stop`` or ``kill``; also while it is starting, or before it exists."""
        self._end = how
        child = self.child
        children = [child] if child is not None else self._starting_children()
        for each in children:
            each.kill() if how == "kill" else each.stop()

    def left_its_socket(self) -> bool:
        """Tell whether it has ended without closing anything, as by ``os._exit(0)``."""
        path = self.uri.partition("/u:")[2]
        return path != "" and Path(path).exists()

    def _starting_children(self) -> list[Child]:
        # Who waits for a child to become ready has no handle of it yet; by its name the family knows it.
        return [child for child in family().children() if child.name == self.unit.name and not child.is_ready]

    def _tell_exit(self, exitcode: int | None) -> None:
        self._over = True
        self._post(Exited(self.unit.name, self.incarnation, exitcode))
