"""What an agent does about errors: log them with their traceback, count them, and go on, stop or be restarted."""

from __future__ import annotations

import logging
import re
import threading
import traceback
from collections.abc import Callable
from types import TracebackType

from agentlab.errors import ConfigurationError, DeadlockError

ON_ERROR = ("continue", "stop", "restart")
_OURS = ("agentlab.agent.", "agentlab.transport.", "agentlab.wire.", "asyncio.")
"""Modules whose frames lead from the loop to a handler."""
_UNNAMED = re.compile(r"an? ((?:async )?(?:handler|timer))\b(.*)", re.DOTALL)


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
    try:
        lines = traceback.format_exception_only(type(error), error)  # not str(error): a user's class may raise there
        notes = getattr(error, "__notes__", None)
    except BaseException:  # noqa: BLE001 - even sys.exit(), which the line above lets through
        return f"{type(error).__qualname__}: <no readable text>"
    first = lines[-1] if isinstance(error, SyntaxError) and not notes else lines[0]
    return " ".join(first.split())


def users_frames(error: BaseException) -> TracebackType | None:
    """Give the traceback of an exception from the first frame on that is not the loop's own; all of it where there is none."""
    trace = error.__traceback__
    while trace is not None and str(trace.tb_frame.f_globals.get("__name__", "")).startswith(_OURS):
        trace = trace.tb_next
    return trace or error.__traceback__


def named(what: str, error: BaseException) -> str:
    """Give what failed with the name of its function: ``handler on_item()`` for ``a handler``, if that is known."""
    trace, unnamed = users_frames(error), _UNNAMED.fullmatch(what)
    if unnamed is None or trace is None or trace is error.__traceback__:
        return what
    name = trace.tb_frame.f_code.co_name
    return f"{unnamed[1]} {name if name.startswith('<') else f'{name}()'}{unnamed[2]}"


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
        self.last = "".join(traceback.format_exception(type(error), error, users_frames(error)))
        brief, what = brief_error(error), named(what, error)
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
