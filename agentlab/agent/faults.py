"""What an agent does about errors: log them with their traceback, count them, and go on, stop or be restarted."""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Callable

from agentlab.errors import ConfigurationError, DeadlockError

ON_ERROR = ("continue", "stop", "restart")


def checked_on_error(value: str) -> str:
    """Give `value` when it is one of ``continue``, ``stop``, ``restart``.

    Raises:
        ConfigurationError: it is not.
    """
    if value not in ON_ERROR:
        raise ConfigurationError(f"on_error is {value!r}; allowed are {', '.join(ON_ERROR)}")
    return value


def brief_error(error: BaseException) -> str:
    """Give type and text of an exception in one line, without its notes, such as the traceback of another process."""
    lines = traceback.format_exception_only(type(error), error)  # not str(error): a user's class may raise there
    notes = getattr(error, "__notes__", None)
    first = lines[-1] if isinstance(error, SyntaxError) and not notes else lines[0]
    return " ".join(first.split())


class Faults:
    """The errors of one agent. Counted from any thread; the decision falls in the thread that met the error."""

    def __init__(self, logger: logging.Logger, on_error: Callable[[], str], end: Callable[[str], None]) -> None:
        self._logger = logger
        self._on_error = on_error
        self._end = end
        self._lock = threading.Lock()
        self.errors = 0
        self.bad_messages = 0
        self.last: str = ""
        """The last error's traceback."""

    def failed(self, error: BaseException, what: str) -> None:
        """Take note of an exception in a handler, a timer or a hook, and act as `on_error` says."""
        self.last = "".join(traceback.format_exception(error))
        brief = brief_error(error)
        if isinstance(error, DeadlockError):  # met by every agent of the circle, and no line of theirs is to blame alone
            self._logger.error("%s raised %s", what, brief)
        else:
            self._logger.error("%s raised %s\n%s", what, brief, self.last.rstrip())
        with self._lock:  # last: whoever has seen the count finds the rest done
            self.errors += 1
        mode = self._on_error()
        if mode != "continue":
            self._end(mode)

    def bad_message(self, where: str, error: BaseException) -> None:
        """Take note of a message that could not be understood; it is dropped, and nobody else is harmed."""
        self.bad_messages += 1
        self._logger.warning("dropped a bad message on %s: %s", where, error)
