"""What a supervisor's process changes of its surroundings while it runs, and puts back: environment, signals, logging."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

from agentlab.lab.logbook import Logbook


@contextlib.contextmanager
def environment(name: str, value: str) -> Iterator[None]:
    """Set a variable meanwhile."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = before


@contextlib.contextmanager
def signals(stop: Callable[[], object], reload: Callable[[], object]) -> Iterator[None]:
    """Have SIGTERM and SIGINT call the one and SIGHUP the other meanwhile; does nothing outside the main thread.

    After one SIGINT the next one ends the process at once, and its fork server ends the rest.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_stop(number: int, _frame: object) -> None:
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        stop()

    wanted: dict[int, Callable[[int, Any], object]] = {signal.SIGINT: on_stop, signal.SIGTERM: on_stop}
    if hasattr(signal, "SIGHUP"):
        wanted[signal.SIGHUP] = lambda *_: reload()
    before = {number: signal.signal(number, handler) for number, handler in wanted.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def logged(book: Logbook) -> Iterator[None]:
    """Have warnings and errors of this process itself in the lab's log too, under the unit ``lab``."""
    handler, logger = _ToLogbook(book), logging.getLogger("agentlab")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _ToLogbook(logging.Handler):
    def __init__(self, book: Logbook) -> None:
        super().__init__(logging.WARNING)
        self._book = book

    def emit(self, record: logging.LogRecord) -> None:
        self._book.write("lab", record.levelname, self.format(record))
