"""Threads that run calls: as many as there is work for, up to a limit; they end when there is none."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Final

log = logging.getLogger(__name__)

IDLE_LIFE: Final = 10.0
FEW: Final = 8

Job = Callable[[], None]


class WorkerPool:
    """A bounded pool of threads that grows on demand. Any thread may :meth:`submit`.

    Args:
        name: What the threads are called.
        max_workers: How many there are at most; further jobs queue.
    """

    def __init__(self, name: str, max_workers: int) -> None:
        self._name = name
        self._max = max_workers
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._idle = 0
        self._queued = 0
        self._closed = False
        self._number = 0

    def submit(self, job: Job) -> None:
        """Have a thread run a job; it queues while all are busy.

        Raises:
            RuntimeError: the system gives no thread, and there is none yet.
        """
        with self._lock:
            if self._closed:
                return
            if self._queued >= self._idle and len(self._threads) < self._max:
                self._start_one()
            self._queued += 1
            self._jobs.put(job)

    def linger(self) -> float:
        """Give the seconds that a worker may stay with a connection that asks nothing at the moment."""
        if self._queued > self._idle:
            return 0.0
        count = len(self._threads)
        if count <= FEW:
            return 0.25  # waiting in poll() costs nothing, the way through the I/O thread about 50 µs
        return 0.02 if count <= self._max // 2 else 0.002

    def close(self) -> None:
        """Let the threads end after the job that each runs; what is queued is dropped. Twice is fine."""
        with self._lock:
            self._closed = True
            for _ in self._threads:
                self._jobs.put(None)

    def join(self, timeout: float) -> bool:
        """Wait for the threads to end, except for the calling one; tell whether they did."""
        deadline = time.monotonic() + timeout
        with self._lock:
            threads = self._threads - {threading.current_thread()}
        for thread in threads:
            thread.join(max(deadline - time.monotonic(), 0.0))
        return not any(thread.is_alive() for thread in threads)

    def _start_one(self) -> None:
        self._number += 1
        thread = threading.Thread(target=self._work, name=f"{self._name}-worker-{self._number}", daemon=True)
        self._threads.add(thread)
        try:
            thread.start()
        except RuntimeError:
            self._threads.discard(thread)
            if not self._threads:
                raise
            log.warning("the system gives no more threads; %d run calls, further calls wait", len(self._threads))

    def _work(self) -> None:
        try:
            while (job := self._next()) is not None:
                _run(job)
                del job  # a thread that waits keeps nothing alive
        finally:
            with self._lock:
                self._threads.discard(threading.current_thread())

    def _next(self) -> Job | None:
        with self._lock:
            self._idle += 1
        while True:
            try:
                job = self._jobs.get(timeout=IDLE_LIFE)
            except queue.Empty:
                with self._lock:
                    if self._queued and not self._closed:
                        continue  # submitted between the two lines above
                    self._idle -= 1
                    # No longer counted from now on, under the same lock: submit() must not rely on a thread that ends.
                    self._threads.discard(threading.current_thread())
                    return None
            with self._lock:
                self._idle -= 1
                if job is not None:
                    self._queued -= 1
                return None if self._closed else job


def _run(job: Job) -> None:
    try:
        job()
    except BaseException:  # the control daemon's door: not even SystemExit may cost a worker
        log.exception("a job of the control daemon failed")
