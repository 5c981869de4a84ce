"""A lab as a program or a notebook uses it: one object, its agents, instruments and services by name."""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final, Self

from agentlab.errors import LabError, UnknownUnitError
from agentlab.lab.client import LabClient
from agentlab.lab.file import LabFile, read_lab
from agentlab.lab.holding import Holding
from agentlab.lab.stand_ins import dry_run_lines
from agentlab.lab.supervisor import STOP_TIMEOUT, Supervisor
from agentlab.lab.units import Plan, Unit
from agentlab.runtime.nsproxy import NSProxy
from agentlab.runtime.proxy import Proxy

_log = logging.getLogger(__name__)
NOT_THERE: Final = ("stopped", "failed", "done")
"""States that a unit stays in until somebody starts it."""
HELD: Final = ("agent", "instrument", "service")
"""Kinds of units that a lab gives by name."""


class Lab:
    """A lab that runs: ``with Lab.from_file("lab.yml") as lab: lab["Laser"].power``. Any thread may use it.

    It holds the names of agents, instruments and services: ``list(lab)``, ``"x" in lab`` and ``len(lab)`` are as of a mapping.

    Made by :meth:`from_file`, which runs it in this process, or by :meth:`attach`, for one that ``agentlab up`` runs.

    Args:
        file: The lab; None: an attached one.
        supervisor: Who runs it here; None: nobody.
        client: Who asks the one that runs it elsewhere; None: nobody.
    """

    def __init__(
        self, file: LabFile | None = None, *, supervisor: Supervisor | None = None, client: LabClient | None = None
    ) -> None:
        self.file = file
        self.supervisor = supervisor
        self._client = client
        self._holding = None if file is None else Holding(file.path)
        self._proxies: dict[str, Proxy] = {}
        self._closed = False
        self._simulated = False
        self._lock = threading.Lock()

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str] = "lab.yml",
        *,
        start: bool = True,
        keep_going: bool = False,
        on_event: Callable[[dict[str, Any]], None] | None = None,
        simulated: bool = False,
    ) -> Lab:
        """Read a lab file and run what it describes, as children of this process.

        Meanwhile nobody else can run the same file. Orders are taken by this object alone, not by ``agentlab stop`` and its kin.

        Args:
            path: The lab file.
            start: Whether to start it now; else :meth:`start` or a ``with`` block does it.
            keep_going: Whether to go on without what does not start; else everything is stopped again.
            on_event: Called with each event; see :class:`~agentlab.lab.supervisor.Supervisor`.
            simulated: Whether instruments are replaced by what stands in for them, whatever the file says.

        Raises:
            ProblemsError: the file has problems; nothing was started (a ConfigurationError).
            LabError: ``agentlab up`` or another program runs it already (it is an AlreadyUpError); use :meth:`attach`.
            LabStartError: a unit did not start, and why; nothing runs any more.
        """
        file = read_lab(path, simulated=simulated)
        lab = cls(file, supervisor=Supervisor(file, on_event=on_event))
        lab._simulated = simulated
        for line in dry_run_lines(file):
            _log.warning("%s: %s", path, line)
        if start:
            lab.start(keep_going=keep_going)
        return lab

    @classmethod
    def attach(cls, path: str | os.PathLike[str] = "lab.yml") -> Lab:
        """Give the lab that ``agentlab up`` runs for a file; leaving a ``with`` block does not stop it.

        Raises:
            LabDownError: nobody runs it.
        """
        client = LabClient(path)
        client.info()
        return cls(client=client)

    def start(self, *, keep_going: bool = False, timeout: float | None = None) -> None:
        """Start what is not up; arguments and errors as of :meth:`Supervisor.start`. Does nothing for an attached lab."""
        if self.supervisor is None or self._holding is None:
            return
        self._closed = False
        self._holding.take()
        try:
            self.supervisor.start(keep_going=keep_going, timeout=timeout)
        except BaseException:
            self._end()
            raise

    def stop(self, timeout: float = STOP_TIMEOUT) -> None:
        """Stop everything; an attached lab too. Twice is fine.

        Args:
            timeout: Seconds for all units together.

        Raises:
            LabError: something lives yet.
            LabDownError: nobody runs the attached lab.
        """
        self._release()
        if self.supervisor is not None:
            try:
                self.supervisor.stop(timeout)
            finally:
                self._end()
        elif self._client is not None:
            self._client.down(timeout)

    def close(self) -> None:
        """Stop what this process runs, or let go of an attached lab, which goes on. Twice is fine.

        Afterwards there are no units to be had from it.
        """
        self._closed = True
        if self.supervisor is not None:
            self.stop()
        else:
            self._release()
        if self._client is not None:
            self._client.close()

    def __enter__(self) -> Self:
        self._closed = False
        if self.supervisor is not None and not self.supervisor.is_up:
            self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getitem__(self, name: str) -> Proxy:
        """Give a proxy of an agent, an instrument or a service; the same one each time.

        Raises:
            UnknownUnitError: there is none of that name (a LookupError).
            LabError: it is nothing of these, or it is stopped or has failed, and why; or this lab is closed.
        """
        row = self._row(name)
        if row["state"] in NOT_THERE:
            why = f" ({row['reason']})" if row["reason"] else ""
            raise LabError(f"{row['unit']} is {row['state']}{why}; start it with lab.start_unit({name!r})")
        with self._lock:
            known = self._proxies.get(row["unit"])
        if known is not None:
            return known
        proxy = self._proxy(row)
        with self._lock:
            return self._proxies.setdefault(row["unit"], proxy)

    def __iter__(self) -> Iterator[str]:
        """Give the names of agents, instruments and services; the full one, as ``agent/Laser``, where several have the same."""
        return iter(self._names())

    def __len__(self) -> int:
        """Count the agents, instruments and services."""
        return len(self._names())

    def __contains__(self, name: object) -> bool:
        """Tell whether there is an agent, instrument or service of that name, up or not."""
        if not isinstance(name, str):
            return False
        try:
            return bool(self._row(name)["kind"] in HELD)
        except UnknownUnitError:
            return False

    def _names(self) -> list[str]:
        rows = self._rows()
        uses = Counter(row["name"] for row in rows)
        held = [row for row in rows if row["kind"] in HELD]
        return [row["name"] if uses[row["name"]] == 1 else row["unit"] for row in held]

    def _proxy(self, row: dict[str, Any]) -> Proxy:
        if row["kind"] not in (*HELD, "daemon"):
            raise LabError(f"{row['unit']} has no proxy; use lab.nameserver({row['name']!r})")
        address = self._address(row["nameserver"]) if row["nameserver"] and row["kind"] != "daemon" else None
        if address is not None:
            return Proxy(row["name"], address)
        if row["uri"] is None:
            raise LabError(f"{row['unit']} is {row['state']}, so it has no proxy; start it with lab.start_unit({row['name']!r})")
        return Proxy(row["uri"])

    def nameserver(self, name: str = "default") -> NSProxy:
        """Give the handle of one of the lab's name servers, by its name in the file; ``default`` may be the only one.

        Raises:
            UnknownUnitError: there is none of that name (a LookupError).
            LabError: it is not up.
        """
        rows = [row for row in self.status() if row["kind"] == "nameserver"]
        row = rows[0] if name == "default" and len(rows) == 1 else self._row(f"nameserver/{name}")
        if row["address"] is None:
            raise LabError(f"{row['unit']} is {row['state']}; start it with lab.start_unit({row['unit']!r})")
        return NSProxy(row["address"])

    def _address(self, nameserver: str) -> str | None:
        address: str | None = self._row(f"nameserver/{nameserver}")["address"]
        return address

    def status(self) -> list[dict[str, Any]]:
        """Give a row for each unit; see :meth:`Supervisor.status`."""
        if self.supervisor is not None:
            return self.supervisor.status()
        assert self._client is not None
        return self._client.status()

    def start_unit(self, name: str) -> None:
        """Start a unit and what it needs; see :meth:`Supervisor.start_unit`."""
        self._boss().start(name) if self.supervisor is None else self.supervisor.start_unit(name)

    def stop_unit(self, name: str) -> None:
        """Stop a unit; see :meth:`Supervisor.stop_unit`."""
        self._boss().stop(name) if self.supervisor is None else self.supervisor.stop_unit(name)

    def restart_unit(self, name: str) -> None:
        """Start a unit again; see :meth:`Supervisor.restart_unit`."""
        self._boss().restart(name) if self.supervisor is None else self.supervisor.restart_unit(name)

    def reload(self) -> dict[str, Any]:
        """Read the file again and go over to what it says; see :meth:`Supervisor.reload`. With problems, nothing changes."""
        if self.supervisor is None:
            return self._boss().reload()
        assert self.file is not None
        file = read_lab(self.file.path, simulated=self._simulated)
        changes = self.supervisor.reload(file)
        self.file = file
        return changes

    def _boss(self) -> LabClient:
        assert self._client is not None
        return self._client

    def _rows(self) -> list[dict[str, Any]]:
        if self._closed:
            raise LabError("this lab is closed; open it again with Lab.from_file() or Lab.attach()")
        return self.status()

    def _row(self, name: str) -> dict[str, Any]:
        rows = {row["unit"]: row for row in self._rows()}
        units = {unit: Unit(unit, row["kind"]) for unit, row in rows.items()}
        return rows[Plan(units).resolve(name)]

    def _end(self) -> None:
        """End the supervisor; then another one may run the lab."""
        assert self.supervisor is not None and self._holding is not None  # noqa: PT018 - for mypy
        try:
            self.supervisor.close()
        finally:
            self._holding.release()

    def _release(self) -> None:
        with self._lock:
            proxies, self._proxies = list(self._proxies.values()), {}
        for proxy in proxies:
            proxy.release()

    def __repr__(self) -> str:
        where = self.file.path if self.file is not None else self._boss().shown
        return f"<Lab of {str(where)!r}>"


__all__ = ["Lab"]
