"""Watching the readings that an instrument publishes, from a program that is no agent."""

from __future__ import annotations

from collections import deque
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from agentlab.agent.agent import Agent
from agentlab.errors import MessageTimeoutError
from agentlab.instruments.model.reading import Reading
from agentlab.instruments.serving.guard import READINGS
from agentlab.runtime.directory import NameDirectory

if TYPE_CHECKING:
    from agentlab.instruments.client.proxy import InstrumentProxy

_CONNECT = 5.0  # seconds to find the instrument's socket
_ASK = 5.0


class Tally:
    """Finds by the readings' numbers which are new, and how many were missed. Pure.

    Attributes:
        lost: How many readings never came, of all parameters.
        lost_of: The same by parameter.
    """

    def __init__(self) -> None:
        self.lost = 0
        self.lost_of: dict[str, int] = {}
        self._last: dict[str, tuple[int, float]] = {}

    def is_new(self, reading: Reading) -> bool:
        """Take note of a reading; False: it came before, for somebody else who has just begun to listen."""
        number, time_of_it = self._last.get(reading.name, (0, 0.0))
        if reading.sequence == number and reading.timestamp == time_of_it:
            return False
        self._last[reading.name] = reading.sequence, reading.timestamp
        missed = reading.sequence - number - 1 if number else 0
        if missed > 0:  # a smaller number is that of an agent that was started again
            self.lost += missed
            self.lost_of[reading.name] = self.lost_of.get(reading.name, 0) + missed
        return True


class Watch:
    """An iterator over the :class:`Reading` objects of an instrument, as they are published. One thread at a time.

    Who is too slow loses readings, which are counted, and slows nobody down. An instrument that is started again is followed.

    Args:
        proxy: The instrument.
        names: Parameters; none: all.
        timeout: Seconds without a reading after which the iteration raises; None: never.
    """

    def __init__(self, proxy: InstrumentProxy, names: tuple[str, ...], timeout: float | None = None) -> None:
        self._name = proxy._core.name
        self._names = frozenset(names)
        self._timeout = timeout
        self._tally = Tally()
        self._came: deque[Reading] = deque()
        self._stopped = False
        self._agent = Agent(f"watch of {self._name}")
        self._directory: NameDirectory | None = None
        server: Any = proxy._ask("addr", (READINGS,), _ASK)
        try:
            if proxy._core.nsaddr is not None:  # to be followed where it goes
                self._directory = self._agent._directory = NameDirectory(proxy._core.nsaddr)
                server = (self._name, READINGS)
            self._agent.connect(server, "watched", dict.fromkeys(_shortest(names), self._take), timeout=_CONNECT)
        except BaseException:
            self.close()
            raise

    @property
    def lost(self) -> int:
        """How many readings never came."""
        return self._tally.lost

    def lost_of(self, name: str) -> int:
        """Give how many readings of a parameter never came."""
        return self._tally.lost_of.get(name, 0)

    def _take(self, _agent: Any, message: dict[str, Any], _topic: str) -> None:
        reading = Reading.from_dict(message)
        if (not self._names or reading.name in self._names) and self._tally.is_new(reading):
            self._came.append(reading)

    def next(self, timeout: float | None = None) -> Reading:
        """Wait for the next reading and give it.

        Args:
            timeout: Seconds; None: for ever.

        Raises:
            MessageTimeoutError: none came in time.
            StopIteration: the watch was closed.
        """
        loop = self._agent._loop
        over: list[bool] = []
        alarm = None if timeout is None else loop.after_internal(timeout, lambda: over.append(True))
        loop.run(lambda: not (self._came or self._stopped or over))
        if alarm is not None:
            loop.deadlines.stop(alarm)
        if self._came:
            return self._came.popleft()
        if self._stopped:
            raise StopIteration
        raise MessageTimeoutError(f"instrument {self._name!r} published nothing within {timeout:g} s; is it polled?")

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Reading:
        return self.next(self._timeout)

    def stop(self) -> None:
        """End the iteration in whatever thread it is; it still has to be closed. Any thread."""
        self._stopped = True
        self._agent._loop.wake()

    def close(self) -> None:
        """Give up the subscription; twice is fine. In the thread that iterates, or when nobody does."""
        self._stopped = True
        if self._directory is not None:
            self._directory.close()
        self._agent._loop.owner = None
        self._agent._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _shortest(names: tuple[str, ...]) -> list[str]:
    """Give the topics to subscribe to: none that another one lets through, as each would bring a reading once more."""
    return [one for one in names if not any(one != other and one.startswith(other) for other in names)] or [""]
