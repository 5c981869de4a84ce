"""Logger agents: they collect what other agents say, in memory and in a rotating file of JSON lines."""

from __future__ import annotations

import json
import logging
from collections import deque
from logging.handlers import RotatingFileHandler
from typing import Any

from agentlab.agent.agent import Agent
from agentlab.agent.reporting import LEVELS, format_line

HISTORY = 10_000


class Logger(Agent):
    """Collects the records of agents that called ``set_logger``.

    Attributes:
        log_history: dict level -> list of the last records, oldest first; each the text of one record. ``log_history_info``
            and its like give one of these lists.
        log_file: Path of a file of JSON lines (``agent``, ``level``, ``message``, ``time`` in seconds since 1970), or
            None. It is rotated at `log_file_size` bytes, and `log_file_count` old ones are kept.
    """

    log_file: str | None
    log_file_size = 10_000_000
    log_file_count = 5
    log_limit = HISTORY

    def on_init(self) -> None:
        """Bind the socket that records come to, under the alias ``logger``."""
        self._kept: dict[str, deque[str]] = {level: deque(maxlen=self.log_limit) for level in LEVELS}
        self._writer = self._open_file()
        self.bind("PULL", alias="logger", handler=self.record, serializer="json")

    @property
    def log_history(self) -> dict[str, list[str]]:
        """The last records of each level, oldest first."""
        return {level: list(lines) for level, lines in self._kept.items()}

    @property
    def log_history_debug(self) -> list[str]:
        """The last DEBUG records, oldest first."""
        return list(self._kept["DEBUG"])

    @property
    def log_history_info(self) -> list[str]:
        """The last INFO records, oldest first."""
        return list(self._kept["INFO"])

    @property
    def log_history_warning(self) -> list[str]:
        """The last WARNING records, oldest first."""
        return list(self._kept["WARNING"])

    @property
    def log_history_error(self) -> list[str]:
        """The last ERROR records, oldest first."""
        return list(self._kept["ERROR"])

    def record(self, record: dict[str, Any]) -> None:
        """Keep one record: a dict with agent, level, message and time."""
        level = str(record["level"])
        text = format_line(str(record["agent"]), str(record["message"]), float(record["time"]))
        self._kept[level if level in self._kept else "ERROR"].append(text)
        if self._writer is not None:
            line = json.dumps(record, ensure_ascii=False)
            self._writer.emit(logging.LogRecord("agentlab.logs", logging.INFO, "", 0, line, (), None))

    def _open_file(self) -> RotatingFileHandler | None:
        self.log_file = getattr(self, "log_file", None)  # a subclass, or an attribute given at its start, may say it
        if self.log_file is None:
            return None
        return RotatingFileHandler(self.log_file, maxBytes=self.log_file_size, backupCount=self.log_file_count, encoding="utf-8")

    def on_stop(self) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()
