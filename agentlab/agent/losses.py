"""How a publisher learns what its subscribers lost: ZeroMQ drops for a full one without a word after the first time.

A subscriber sees the gaps in the numbers of publications. It tells the publisher by subscribing to a topic that says
so, the one way in which a SUB socket can send: :data:`LOST`, 8 bytes for the subscriber, the publisher's epoch, and
how many publications were lost so far (uint64, big-endian).
"""

from __future__ import annotations

import os
import struct
from collections import OrderedDict
from collections.abc import Callable

LOST = b"\x00agentlab lost "
REPORT_DELAY = 0.1
"""Seconds between the first loss and its report, so that a subscriber in trouble does not make more traffic."""
_REPORT = struct.Struct(">8s4sQ")
_MOST_SUBSCRIBERS = 1000


class LossReporter:
    """The subscriber's side: counts losses by publisher, and says from time to time how many there were.

    Args:
        subscribe: Subscribes the socket to a topic.
        unsubscribe: Takes it back.
        after: Runs an action in so many seconds, in the thread that owns the socket.
    """

    def __init__(
        self,
        subscribe: Callable[[bytes], object],
        unsubscribe: Callable[[bytes], object],
        after: Callable[[float, Callable[[], object]], object],
    ) -> None:
        self._subscribe, self._unsubscribe, self._after = subscribe, unsubscribe, after
        self._own = os.urandom(8)
        self._lost: dict[bytes, int] = {}
        self._said: dict[bytes, bytes] = {}
        self._changed: set[bytes] = set()

    def note(self, epoch: bytes, lost: int) -> None:
        """Note that some publications of a publisher were lost."""
        self._lost[epoch] = self._lost.get(epoch, 0) + lost
        if not self._changed:
            self._after(REPORT_DELAY, self._report)
        self._changed.add(epoch)

    def _report(self) -> None:
        for epoch in self._changed:
            before = self._said.get(epoch)
            report = self._said[epoch] = LOST + _REPORT.pack(self._own, epoch, self._lost[epoch])
            self._subscribe(report)
            if before is not None:
                self._unsubscribe(before)
        self._changed.clear()


class LossReports:
    """The publisher's side: the sum of what its subscribers have said. Remembers as many of them as `limit`.

    Args:
        epoch: The publisher's own; what was lost of others is none of its business.
    """

    def __init__(self, epoch: bytes, limit: int = _MOST_SUBSCRIBERS) -> None:
        self._epoch = epoch
        self._limit = limit
        self._forgotten = 0
        self._lost: OrderedDict[bytes, int] = OrderedDict()

    @property
    def total(self) -> int:
        """Publications lost, summed over all subscribers, those that are gone included."""
        return self._forgotten + sum(self._lost.values())

    def take(self, topic: bytes) -> None:
        """Read a subscription that begins with :data:`LOST`; one that makes no sense is ignored."""
        report = topic[len(LOST) :]
        if len(report) != _REPORT.size:
            return
        subscriber, epoch, lost = _REPORT.unpack(report)
        if epoch != self._epoch:
            return
        self._lost[subscriber] = max(lost, self._lost.get(subscriber, 0))  # a reconnected subscriber says it again
        self._lost.move_to_end(subscriber)
        if len(self._lost) > self._limit:
            self._forgotten += self._lost.popitem(last=False)[1]
