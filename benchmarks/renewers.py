"""Many agents of one process that do nothing but renew their leases, each on its own socket, evenly spread over time."""

from __future__ import annotations

import time

from agentlab.nameserver.heartbeats import Heartbeat
from agentlab.nameserver.registration import Registration
from benchmarks.peer import serve

METADATA = {"class": "Laser", "host": "nowhere", "pid": 0, "start": 1.5, "tags": ["a", "b"]}


def registration(number: int, lease: float | None) -> Registration:
    """Give what an agent registers."""
    uri = f"PYRO:{number:032x}@./u:/run/user/1000/agentlab/{number}"
    return Registration(f"agent{number}", uri, "i" * 16, METADATA, lease, time.time())


class Renewers:
    """Told by the benchmark what to do."""

    def __init__(self) -> None:
        self._beats: list[Heartbeat] = []

    def appear(self, address: str, first: int, count: int, lease: float) -> int:
        """Renew for the first time, from which the name server learns everybody."""
        self._beats = [Heartbeat(address, registration(number, lease)) for number in range(first, first + count)]
        return self._renew(1.0)

    def renew(self, seconds: float) -> int:
        """Renew each lease every third of it for so many seconds; give how many renewals were sent."""
        return self._renew(seconds)

    def _renew(self, seconds: float) -> int:
        sent, began = 0, time.perf_counter()
        pause = self._beats[0].period / len(self._beats)
        while (passed := time.perf_counter() - began) < seconds:
            while sent * pause <= passed:
                self._beats[sent % len(self._beats)].beat()
                sent += 1
            time.sleep(pause)
        return sent


if __name__ == "__main__":
    serve(Renewers())
