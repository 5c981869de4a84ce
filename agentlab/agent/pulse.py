"""The pulse of an agent's loop: when it last turned, whether it runs, whether it is busy; told to other processes by a file.

The loop writes a few numbers into memory, at a cost of some tens of nanoseconds a turn, whether anybody looks or not.
With a file that memory is the file's, and another process reads it at any moment, however stuck this one is: nobody has
to be asked, no signal and no thread is needed. Both sides take the time from the monotonic clock, which all processes of
a machine share.

Who looks for hangs says: it runs, is not busy, and has not turned for longer than so many seconds.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
import threading
import time
import types
from array import array
from dataclasses import dataclass
from pathlib import Path

from agentlab.transport.ipc import IpcClaim

_MAGIC = b"agpulse1"
_CELLS = struct.Struct("=4d")
_SIZE = len(_MAGIC) + _CELLS.size

TURNED, BUSY, WAITED, RUNNING = range(4)
"""The cells: when the loop last turned (seconds of ``time.monotonic``); how many blocks declare it busy; when it was last
seen to wait for somebody; whether it runs."""

LONGEST = 1.0
"""Seconds that a loop with a pulse file sleeps at most."""
NOTE_AFTER = 0.5
"""Seconds without a turn after which somebody looks whether the loop waits."""
NOTE_LASTS = 3.0
"""Seconds that such a note holds: whoever makes them may be stuck himself, in C code that lets no other thread run."""

_WAITERS = ("transport.", "control.", "runtime.", "nameserver.", "agent.mailbox", "agent.reqrep")
_PASSED = sys.stdlib_module_names | {"zmq"}


@dataclass(frozen=True)
class PulseState:
    """What a pulse says at one moment.

    Attributes:
        turned: When the loop last turned, in seconds of ``time.monotonic``; every process of this machine has that clock.
        busy: How many blocks of ``with agent.busy():`` it is in, plus one while it waits for somebody in our own code: for
            the answer of another agent, or for room in a socket.
        running: Whether the loop runs: not before ``run()``, not after ``stop()``.
    """

    turned: float
    busy: int
    running: bool

    def still(self, now: float) -> float:
        """Give for how many seconds the loop has stood still though it should turn; 0.0 when it may stand still.

        Args:
            now: Of ``time.monotonic``.
        """
        return max(0.0, now - self.turned) if self.running and not self.busy else 0.0


class Pulse:
    """The numbers of one loop. :meth:`begin`, :meth:`end` and the cells are for the loop's thread, the rest for any.

    Attributes:
        cells: The numbers themselves; the loop writes ``cells[TURNED]`` in every turn.
        longest: Seconds that the loop may sleep at a time; None: as long as it likes.
    """

    def __init__(self) -> None:
        self.cells: array[float] | memoryview[float] = array("d", [time.monotonic(), 0.0, 0.0, 0.0])
        self.longest: float | None = None
        self._lock = threading.Lock()
        self._claim: IpcClaim | None = None
        self._map: mmap.mmap | None = None

    def open(self, path: str) -> None:
        """Tell the pulse in a file from now on; before the loop runs.

        Args:
            path: A name of its own for each process, in the runtime directory, where the files of killed processes are
                swept away.

        Raises:
            WrongAddressError: another process writes there.
            OSError: the file cannot be made.
        """
        claim = IpcClaim(path)
        try:
            Path(path).write_bytes(_MAGIC + _CELLS.pack(*self.cells))
            with Path(path).open("r+b") as file:
                self._map = mmap.mmap(file.fileno(), _SIZE)
        except BaseException:
            claim.release()
            raise
        self._claim = claim
        self.cells = memoryview(self._map)[len(_MAGIC) :].cast("d")
        self.longest = LONGEST

    def begin(self) -> None:
        """Note that the loop runs from now on."""
        self.cells[TURNED] = time.monotonic()
        self.cells[RUNNING] = 1.0

    def end(self) -> None:
        """Note that it runs no more."""
        self.cells[RUNNING] = 0.0

    def busy(self, change: int) -> None:
        """Count one more block that declares the loop busy (1), or one less (-1). Any thread."""
        with self._lock:
            if change < 0:
                self.cells[TURNED] = time.monotonic()  # first: the time of the block is not to be held against the loop
            self.cells[BUSY] += change

    def note_wait(self, owner: int | None) -> None:
        """Look whether the loop, which has not turned for a while, waits for somebody. About once a second, any thread.

        Args:
            owner: The ident of the loop's thread.
        """
        now = time.monotonic()
        if self._claim is None or owner is None or now - self.cells[TURNED] < NOTE_AFTER:
            return
        if is_waiting(sys._current_frames().get(owner)):
            with self._lock:
                self.cells[WAITED] = now

    def close(self) -> None:
        """Remove the file; the numbers go on in memory. Twice is fine."""
        claim, self._claim = self._claim, None
        if claim is None:
            return
        with self._lock:
            shared, self.cells = self.cells, array("d", self.cells)
        assert isinstance(shared, memoryview)
        assert self._map is not None
        shared.release()
        self._map.close()
        claim.release()


def is_waiting(frame: types.FrameType | None) -> bool:
    """Tell whether a thread's innermost frame, the standard library's and ZeroMQ's aside, is one of our own that wait."""
    while frame is not None:
        package, _, module = str(frame.f_globals.get("__name__", "")).partition(".")
        if package not in _PASSED:
            return package == "agentlab" and module.startswith(_WAITERS)
        frame = frame.f_back
    return False


def read_pulse(path: str | os.PathLike[str]) -> PulseState | None:
    """Give what a pulse file says now, or None: there is none, or what is there is something else. Never waits."""
    try:
        data = Path(path).read_bytes()
    except OSError:
        return None
    if len(data) != _SIZE or not data.startswith(_MAGIC):
        return None
    turned, busy, waited, running = _CELLS.unpack_from(data, len(_MAGIC))
    waits = waited > turned and time.monotonic() - waited < NOTE_LASTS
    return PulseState(turned, int(busy) + waits, running > 0)


__all__ = ["BUSY", "RUNNING", "TURNED", "WAITED", "Pulse", "PulseState", "is_waiting", "read_pulse"]
