"""Our side: agents that send in a loop, and agents whose handlers count."""

from __future__ import annotations

import threading
from itertools import cycle, islice
from time import perf_counter
from typing import Any

from agentlab import Agent
from benchmarks.payloads import ARRAY, BATCH, RAW, READING, TOPICS


class Sender(Agent):
    """Sends as often as it is told to; called safely, so in the loop, as a handler or timer would."""

    def raw(self, count: int) -> None:
        send, message = self.send, RAW
        for _ in range(count):
            send("out", message)

    def reading(self, count: int) -> None:
        send, message = self.send, READING
        for _ in range(count):
            send("out", message)

    def array(self, count: int) -> None:
        send, message = self.send, ARRAY
        for _ in range(count):
            send("out", message)

    def many(self, count: int) -> None:
        batch = [dict(READING) for _ in range(BATCH)]  # not one object a thousand times, which pickle would notice
        for _ in range(count // BATCH):
            self.send_many("out", batch)

    def publish(self, count: int, topics: int) -> None:
        send, message = self.send, READING
        for topic in islice(cycle(TOPICS[:topics]), count):
            send("out", message, topic)

    def ask(self, count: int) -> float:
        """Give the seconds of so many round trips."""
        ask, message = self.send_recv, RAW
        began = perf_counter()
        for _ in range(count):
            ask("req", message)
        return perf_counter() - began


class Receiver(Agent):
    """Counts in its handler, and notes when the first and the last message of a round came."""

    def on_init(self) -> None:
        self.left = 0
        self.count = 0
        self.began = self.ended = 0.0
        self.complete = threading.Event()

    def on_message(self, message: Any) -> None:  # noqa: ARG002 - counted, not used
        self.left -= 1
        if self.left < 1:
            self.edge()

    def on_publication(self, message: Any, topic: str) -> None:  # noqa: ARG002
        self.left -= 1
        if self.left < 1:
            self.edge()

    def edge(self) -> None:
        """The first message of a round comes when none is left of the round before; the last leaves none."""
        if self.left < 0:
            self.began, self.left = perf_counter(), self.count - 1
            return
        self.ended = perf_counter()
        self.complete.set()

    def expect(self, count: int) -> None:
        """Begin a round."""
        self.left, self.count = 0, count
        self.complete.clear()

    def round_seconds(self, timeout: float) -> float:
        """Wait for the last message of the round, beside the loop: call it unsafely."""
        if not self.complete.wait(timeout):
            raise TimeoutError(f"{self.left} of {self.count} messages did not come within {timeout:g} s")
        return self.ended - self.began


class Echo(Agent):
    """Answers."""

    def on_init(self) -> None:
        self.bind("REP", "rep", handler="reply", serializer="raw")

    def reply(self, message: Any) -> Any:
        return message

    def echo(self, value: Any) -> Any:
        return value
