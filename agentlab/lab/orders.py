"""A lab while it runs, as its control socket shows it: what may be asked, and what may be ordered."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from agentlab.control.daemon import ControlDaemon
from agentlab.errors import LabError
from agentlab.lab.client import SECURITY
from agentlab.lab.door import Feed, LabDoor
from agentlab.lab.places import Places
from agentlab.lab.stand_ins import dry_run_lines
from agentlab.lab.units import LONGEST, chosen
from agentlab.version import __version__

if TYPE_CHECKING:
    from agentlab.lab.file import LabFile


class SupervisorLike(Protocol):
    """What a lab's process needs of a supervisor. Any thread."""

    def start(self, *, keep_going: bool = False, timeout: float | None = None) -> None:
        """Start what belongs to the lab."""

    def stop(self, timeout: float = 10.0) -> None:
        """Stop everything."""

    def status(self) -> list[dict[str, Any]]:
        """Give a row for each unit."""

    def start_unit(self, name: str) -> None:
        """Start one, or a group's members."""

    def stop_unit(self, name: str) -> None:
        """Stop one."""

    def restart_unit(self, name: str) -> None:
        """Restart one."""

    def reload(self, new: LabFile) -> dict[str, Any]:
        """Go over to another lab."""

    def close(self) -> None:
        """Free what is left."""


class RunningLab:
    """A lab that runs in this process. Any thread.

    Args:
        places: Where its file and its own files are.
        lab: The lab as it was read.
        digest: Of the file that it was read from; see :func:`digest`.
        supervisor: Who runs it.
        read: Reads the file again.
        say: Takes a line for the lab's log.

    Attributes:
        state: ``starting``, ``running`` or ``stopping``.
        feed: What happens.
        changing: Held by whoever changes which units there are.
    """

    def __init__(
        self,
        places: Places,
        lab: LabFile,
        digest: bytes,
        supervisor: SupervisorLike,
        read: Callable[[Path], LabFile],
        feed: Feed,
        say: Callable[[str], object],
    ) -> None:
        self.places = places
        self.state = "starting"
        self.feed = feed
        self.changing = threading.Lock()
        self._lab, self._digest = lab, digest
        self._supervisor = supervisor
        self._read, self._say = read, say
        self._since = time.time()

    def rows(self) -> list[dict[str, Any]]:
        """Give a row for each unit."""
        return self._supervisor.status()

    def summary(self) -> str:
        """Give how many units are in which state, in a line."""
        states = [str(row["state"]) for row in self.rows()]
        return ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states))) or "no units"

    def info(self) -> dict[str, Any]:
        """Give what there is to say of this process; see :meth:`LabClient.info`."""
        groups = self._lab.groups.items()
        return {
            "file": str(self.places.file),
            "name": self._lab.name,
            "simulated": bool(getattr(self._lab, "simulated", False)),
            "dry_run": dry_run_lines(self._lab) if getattr(self._lab, "simulated", False) else [],
            "state": self.state,
            "pid": os.getpid(),
            "since": self._since,
            "version": __version__,
            "nameservers": {row["name"]: row.get("address") for row in self.rows() if row["kind"] == "nameserver"},
            "groups": {name: {"strategy": group.strategy, "members": list(group.members)} for name, group in groups},
            "logs": str(self.places.logs),
            "changed": digest(self.places.file) != self._digest,
            "fresh": self.feed.fresh,
        }

    def resolve(self, name: str) -> str:
        """Give the full name of a unit, or of a group (``group/...``), from what a user wrote.

        Raises:
            UnknownUnitError: there is none, or there are several.
        """
        return chosen(name, [str(row["unit"]) for row in self.rows()], self._lab.groups)

    def reload(self) -> dict[str, Any]:
        """Read the file again and go over to it, or raise and change nothing.

        Raises:
            ProblemsError: the file has problems.
            LabError: the lab is starting or stopping; or it has gone over, and not all of it runs.
        """
        with self.changing:
            if self.state != "running":
                raise LabError(f"the lab is just {self.state}, so it cannot be reloaded; wait, then ask again")
            fresh = digest(self.places.file)
            lab = self._read(self.places.file)
            try:
                changes = self._supervisor.reload(lab)
            except LabError:  # it is in force, though not all of it runs
                self._lab, self._digest = lab, fresh
                raise
            self._lab, self._digest = lab, fresh
        told = ", ".join(f"{len(changes.get(key, ()))} {key}" for key in ("added", "removed", "changed", "unchanged"))
        self._say(f"reloaded {self.places.file}: {told}")
        return changes

    def orders(self, stop: Callable[..., object]) -> dict[str, Callable[..., Any]]:
        """Give what may be called over the control socket, by name."""
        return {
            "ping": lambda: True,
            "_waits": lambda *_: [],
            "info": self.info,
            "status": self.rows,
            "events": self.feed.since,
            "resolve": lambda *names: [self.resolve(name) for name in names],
            "report": lambda name: self.feed.report(self.resolve(name)),
            "start": lambda name: self._change(self._supervisor.start_unit, name),
            "stop": lambda name: self._change(self._supervisor.stop_unit, name),
            "restart": lambda name: self._change(self._supervisor.restart_unit, name),
            "reload": self.reload,
            "down": lambda timeout: self._down(stop, timeout),
        }

    def _down(self, stop: Callable[..., object], timeout: float) -> None:
        seconds = float(timeout)
        if not seconds >= 0:  # nor NaN
            raise LabError(f"found a timeout of {timeout!r} s, allowed are numbers from 0")
        self.feed.expect()
        stop(min(seconds, LONGEST))

    def _change(self, method: Callable[[str], None], name: str) -> None:
        if self.state == "stopping":
            raise LabError("the lab is just stopping; wait until it is down, then: agentlab up")
        method(self.resolve(name))


@contextlib.contextmanager
def control_socket(places: Places, orders: Mapping[str, Callable[..., Any]]) -> Iterator[None]:
    """Listen for orders meanwhile, and have written down where.

    A socket file of a killed supervisor is replaced.

    Raises:
        OSError: it is not possible to listen there.
    """
    unix = os.name == "posix"
    daemon = ControlDaemon(unixsocket=str(places.socket) if unix else None, security=SECURITY, name="lab")
    uri = daemon.serve(places.object_id, LabDoor(orders).handle)
    draft = places.address.with_suffix(".new")
    try:
        daemon.start()
        draft.write_text(uri, "utf-8")
        draft.replace(places.address)  # whole or not at all
        yield
    finally:
        daemon.close()
        places.address.unlink(missing_ok=True)


def digest(path: Path) -> bytes:
    """Give a digest of a file's content; empty where it cannot be read."""
    try:
        # To open a pipe may mean to wait for ever; who reads the lab says that it is one.
        return b"" if path.is_fifo() else hashlib.sha256(path.read_bytes()).digest()
    except OSError:
        return b""
