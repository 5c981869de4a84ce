"""What an agent says: through the standard logging module, one logger per agent, to the console or to a Logger agent."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

LOGGER_PREFIX = "agentlab.agents"
LIBRARY = "agentlab"
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
RECORD = "\x1e"
"""What a record begins with (RFC 7464: a record separator), so that it can be told from what a program prints."""


def format_line(name: str, message: str, when: float) -> str:
    """Give the text of a record: ``[2024-05-01 12:00:00.123456] (name): message``, the time in UTC.

    Args:
        name: The agent's name.
        message: What it says.
        when: Seconds since 1970.
    """
    return f"[{datetime.fromtimestamp(when, UTC).strftime('%Y-%m-%d %H:%M:%S.%f')}] ({name}): {message}"


class ConsoleHandler(logging.Handler):
    """Writes DEBUG, INFO and WARNING to stdout, ERROR and above to stderr, as they are at that moment."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._agent = name

    def line(self, record: logging.LogRecord) -> str:
        """Give the text of a record."""
        level = "" if record.levelno == logging.INFO else f"{record.levelname} "
        return level + format_line(self._agent, record.getMessage(), record.created)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        stream = sys.stderr if record.levelno >= logging.ERROR else sys.stdout
        if stream is None:
            return
        text = self.line(record) + "\n"
        try:
            stream.write(text)
            stream.flush()
        except (OSError, ValueError):
            pass  # nobody reads any more: a broken pipe must not stop an agent


class JsonHandler(ConsoleHandler):
    """Writes each record as one line of JSON behind :data:`RECORD`, for a program that reads what this process writes.

    What else is written there, such as by ``print``, stays as it is, and may stand before a record in the same line.
    """

    def line(self, record: logging.LogRecord) -> str:
        """Give the text of a record: time (seconds since 1970), agent, level and message."""
        message = record.getMessage()
        if record.exc_info:
            message += "\n" + logging.Formatter().formatException(record.exc_info)
        level = record.levelname if record.levelname in LEVELS else "ERROR"
        return RECORD + json.dumps({"time": record.created, "agent": self._agent, "level": level, "message": message})


Forward = Callable[[dict[str, Any], Callable[[], object]], object]
"""Takes agent, level, message and time of a record, and what to call when it could not be sent."""


class ForwardHandler(logging.Handler):
    """Gives each record to a function."""

    def __init__(self, name: str, forward: Forward, fallback: logging.Handler) -> None:
        super().__init__()
        self._agent = name
        self._forward = forward
        self._fallback = fallback

    def emit(self, record: logging.LogRecord) -> None:
        """Forward one record; what cannot be forwarded goes where it went without a Logger."""
        level = record.levelname if record.levelname in LEVELS else "ERROR"
        plain = {"agent": self._agent, "level": level, "message": record.getMessage(), "time": record.created}
        self._forward(plain, lambda: self._fallback.emit(record))


class Reporter:
    """The logger of one agent, and where its records go."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.logger = logging.getLogger(f"{LOGGER_PREFIX}.{name}")
        self.logger.setLevel(logging.INFO)
        self._console = ConsoleHandler(name)
        self._handler: logging.Handler = self._console
        self._library: logging.Handler | None = None
        self.logger.addHandler(self._console)

    def set_debug(self, on: bool) -> None:
        """Say DEBUG records too, or no more."""
        self.logger.setLevel(logging.DEBUG if on else logging.INFO)

    def write_json(self) -> None:
        """Write records as JSON from now on: those of the agent, and what this library has to say in this process."""
        console, self._console = self._console, JsonHandler(self._name)
        if self._handler is console:
            self.forward_to(None)
        self._library = JsonHandler(self._name)
        self._library.addFilter(lambda record: not record.name.startswith(f"{LOGGER_PREFIX}."))
        logging.getLogger(LIBRARY).addHandler(self._library)

    def forward_to(self, forward: Forward | None) -> None:
        """Give records to a function instead of the console; None: to the console again."""
        self.logger.removeHandler(self._handler)
        self._handler = self._console if forward is None else ForwardHandler(self._name, forward, self._console)
        self.logger.addHandler(self._handler)

    def close(self) -> None:
        """Take the handlers back; twice is fine."""
        self.logger.removeHandler(self._handler)
        if self._library is not None:
            logging.getLogger(LIBRARY).removeHandler(self._library)
