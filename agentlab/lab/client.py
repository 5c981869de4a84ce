"""Asking the supervisor of a lab file from another process. Imports little: many verbs of the command line begin here."""

from __future__ import annotations

import os
import time
import weakref
from typing import TYPE_CHECKING, Any, Final, Self

from agentlab.control.connection import ControlClient
from agentlab.control.payload import dumps, loads
from agentlab.control.remote_errors import error_from_bytes
from agentlab.errors import CallTimeoutError, ConnectError, ConnectionLostError, LabDownError, LabError
from agentlab.lab.holding import holder, run_by_program
from agentlab.lab.lock import held_note
from agentlab.lab.places import DEFAULT_FILE, Places, lab_places

if TYPE_CHECKING:
    import psutil

SECURITY: Final = "keys"
"""A lab's control socket is always a private one, whatever its agents talk: orders come from this user alone."""
PATIENCE: Final = 5.0
"""Seconds without any sign of life after which a supervisor is given up."""
OK, FAILED = b"R", b"E"

CONNECT_PATIENCE = 2.0
_QUICK = 1.0
_STEP = 0.005
_LOOK = 2.0  # seconds between two looks at a supervisor that takes its time


class LabClient:
    """The supervisor that runs a lab file, asked over its control socket. Any number of threads may use it.

    Making it connects to nobody. No method waits for ever: a supervisor that shows no sign of life is given up.

    Args:
        path: The lab file.
    """

    def __init__(self, path: str | os.PathLike[str] = DEFAULT_FILE) -> None:
        self.places: Places = lab_places(path)
        self.shown = os.fspath(path)
        self._client: ControlClient | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def is_up(self) -> bool:
        """Tell whether a supervisor runs this lab, or is starting or stopping it. Takes a second at most.

        Raises:
            RefusedError: one runs it, and it is another user's.
        """
        try:
            self._call("ping", timeout=_QUICK)
        except LabDownError:
            return False
        except LabError:  # somebody took the connection, and is too slow to answer
            return True
        return True

    def info(self) -> dict[str, Any]:
        """Give what the supervisor says of itself.

        Returns:
            ``file``, ``name``, ``simulated``, ``state`` (starting, running, stopping), ``pid``, ``since`` (seconds since 1970),
            ``dry_run`` (lines about what of a simulated lab is not as its file says), ``version``,
            ``nameservers`` (name -> address), ``groups`` (name -> strategy, members), ``logs`` (directory), ``changed``
            (whether the file is another one than was read), ``fresh`` (number of the next event).

        Raises:
            LabDownError: nobody runs the lab.
        """
        found: dict[str, Any] = self._call("info", timeout=PATIENCE)
        return found

    def status(self) -> list[dict[str, Any]]:
        """Give a row for each unit, as :meth:`Supervisor.status` does.

        Raises:
            LabDownError: nobody runs the lab.
        """
        rows: list[dict[str, Any]] = self._call("status", timeout=PATIENCE)
        return rows

    def events(self, since: int = 0, wait: float = 0.0) -> tuple[int, list[dict[str, Any]]]:
        """Give what happened, the last thousand events at most.

        Args:
            since: Number of the first event that is wanted.
            wait: Seconds to wait for one if there is none yet.

        Returns:
            The number to ask with next, and the events.

        Raises:
            LabDownError: nobody runs the lab.
        """
        fresh, events = self._call("events", since, wait, timeout=wait + PATIENCE)
        return int(fresh), list(events)

    def report(self, name: str) -> dict[str, Any] | None:
        """Give the last report of a failure of a unit.

        Returns:
            ``time``, ``event``, ``text``, ``exitcode``, ``signal``, ``log`` (its last records) and ``traceback``; None: it
            has not failed.

        Raises:
            UnknownUnitError: there is no such unit.
            LabDownError: nobody runs the lab.
        """
        found: dict[str, Any] | None = self._call("report", name, timeout=PATIENCE)
        return found

    def resolve(self, *names: str) -> list[str]:
        """Give the full names of units and groups (``group/...``) from what a user wrote.

        Raises:
            UnknownUnitError: there is no such unit or group; the text names the nearest.
        """
        found: list[str] = self._call("resolve", *names, timeout=PATIENCE)
        return found

    def start(self, name: str) -> None:
        """Start a unit, or all of a group, and what it needs. Returns when it is up.

        Raises:
            UnknownUnitError: there is no such unit.
            LabError: it did not start.
            LabDownError: nobody runs the lab.
        """
        self._call("start", name)

    def stop(self, name: str) -> None:
        """Stop a unit, or all of a group, until somebody starts it. Returns when it has ended. Raises as :meth:`start`."""
        self._call("stop", name)

    def restart(self, name: str) -> None:
        """Stop a unit, or all of a group, if it is up, and start it. Returns when it is up. Raises as :meth:`start`."""
        self._call("restart", name)

    def reload(self) -> dict[str, Any]:
        """Have the supervisor read its file again and go over to it; returns when that is done.

        Returns:
            ``added``, ``removed``, ``changed`` and ``unchanged``: names of units.

        Raises:
            ProblemsError: the file has problems; nothing has changed.
            LabDownError: nobody runs the lab.
        """
        found: dict[str, Any] = self._call("reload")
        return found

    def down(self, timeout: float = 10.0) -> None:
        """Tell the supervisor to stop everything and end. Returns at once; see :meth:`is_up` and :meth:`events`.

        Args:
            timeout: Seconds that all units have together.

        Raises:
            LabDownError: nobody runs the lab.
        """
        self._call("down", timeout, timeout=PATIENCE)

    def wait_until_ready(self, timeout: float | None = None) -> dict[str, Any]:
        """Wait until the supervisor is no longer starting, and give its :meth:`info`.

        Raises:
            LabDownError: it ended meanwhile.
            LabError: it was not ready in time.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            info = self.info()
            if info["state"] != "starting":
                return info
            if deadline is not None and time.monotonic() > deadline:
                raise LabError(f"the lab of {self.shown} was not ready within {timeout:g} s; see agentlab ps")
            self.events(int(info["fresh"]), 0.5)

    def nameserver(self) -> str | None:
        """Give the address of the lab's first name server; None: it has none that is up.

        Raises:
            LabDownError: nobody runs the lab.
        """
        found: dict[str, str | None] = self.info()["nameservers"]
        return next((address for address in found.values() if address), None)

    def holder(self) -> str | None:
        """Give what is known of the process that holds the lab's lock, whether it can be asked or not; None: there is none.

        One that is starting or ending holds it too.
        """
        return held_note(self.places.lock)

    def close(self) -> None:
        """Close the connections; the next call opens one again."""
        if self._client is not None:
            self._client.close()

    # ---------------------------------------------------------------- one call

    def _call(self, method: str, *args: Any, timeout: float | None = None) -> Any:
        client = self._connected()
        payload = dumps((method, args, {}, False), security=SECURITY)
        watch = None if timeout is not None else self._look
        try:
            answer = client.call(payload, timeout=timeout, on_wait=watch, wait_step=_LOOK)
        except ConnectError as error:
            if "in time" in str(error):  # it took the connection: frozen, or its machine is
                raise self._silent() from None
            raise self._down() from None
        except ConnectionLostError:
            raise LabDownError(f"the supervisor of {self.shown} ended while it was asked; see agentlab logs") from None
        except CallTimeoutError:
            raise self._silent() from None
        if answer[:1] == OK:
            return loads(answer[1:], security=SECURITY)
        raise error_from_bytes(answer[1:], security=SECURITY)

    def _connected(self) -> ControlClient:
        uri = self._uri()
        if self._client is None or self._client.uri != uri:
            if not uri.startswith(f"PYRO:{self.places.object_id}@"):  # half written, or somebody else's
                raise self._down()
            self.close()
            self._client = ControlClient(uri, security=SECURITY, connect_timeout=CONNECT_PATIENCE)
            weakref.finalize(self, self._client.close).atexit = False  # clients are dropped without a word
        return self._client

    def _uri(self) -> str:
        try:
            return self.places.address.read_text("utf-8").strip()
        except (OSError, ValueError):
            # Its directory may have been deleted below a running lab, whose socket is where it always is.
            if os.name == "posix" and self.places.socket.exists():
                return f"PYRO:{self.places.object_id}@./u:{self.places.socket}"
            raise self._down() from None

    def _look(self, _waited: float) -> None:
        """See that the supervisor lives, while it takes its time to answer.

        Raises:
            LabError: it does not.
        """
        assert self._client is not None
        with ControlClient(self._client.uri, security=SECURITY, connect_timeout=PATIENCE) as probe:
            try:
                probe.call(dumps(("ping", (), {}, False), security=SECURITY), timeout=PATIENCE)
            except (ConnectError, CallTimeoutError):
                raise self._silent() from None

    def _down(self) -> LabDownError:
        if not self.places.file.exists():
            return LabDownError(f"there is no lab file {self.shown}, and no lab of it is up; give the file, or go to its folder")
        if run_by_program(self.places):
            return LabDownError(f"a program runs the lab of {self.shown} itself, and takes no orders: {holder(self.places)}")
        if self.places.address.exists() and (who := self.holder()) is not None:
            return LabDownError(
                f"the lab of {self.shown} cannot be reached, as its control socket is gone; {who}; "
                "end that process, and all of its units end with it"
            )
        return LabDownError(f"the lab of {self.shown} is not up; start it with: agentlab up {self.shown}")

    def _silent(self) -> LabError:
        return LabError(
            f"the supervisor of {self.shown} does not answer, though it runs; is it frozen? {holder(self.places)}; "
            "kill -9 ends it, and all of its units with it"
        )


def wait_for_end(process: psutil.Process, timeout: float) -> bool:
    """Wait until a process has ended, whoever's child it is; tell whether it has.

    A zombie has ended: how soon it goes is its parent's affair, and some parents take a second.
    """
    import psutil  # for this alone: most who ask a supervisor wait for nobody's end

    deadline = time.monotonic() + timeout
    while True:
        try:
            if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(_STEP)


def running_nameserver(path: str | os.PathLike[str] = DEFAULT_FILE) -> str | None:
    """Give the address of the first name server of the lab that runs for a file; None: no lab runs for it. Quick."""
    client = LabClient(path)
    if not client.places.address.exists():
        return None
    try:
        return client.nameserver()
    except (LabError, ConnectError):
        return None
    finally:
        client.close()
