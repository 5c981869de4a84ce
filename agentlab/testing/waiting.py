"""Waiting for what agents do, in tests of programs whose agents are processes: no test needs a bare ``sleep``.

Every function here blocks the calling thread, looks again every few milliseconds, and gives False when the time is up,
so that ``assert wait_agent_attr(agent, length=3)`` says what was waited for.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from typing import Any

from agentlab.errors import CommunicationError, ConfigurationError

POLL = 0.005
"""Seconds between two looks."""
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


def wait_condition(condition: Callable[..., object], *args: Any, timeout: float = 3.0, poll: float = POLL, **kwargs: Any) -> bool:
    """Wait until ``condition(*args, **kwargs)`` is true.

    It is asked once more when the time is up, so a slow machine gets its chance. What it raises comes through.

    Args:
        condition: Any callable, run in this thread.
        *args: Its arguments.
        timeout: Seconds.
        poll: Seconds between two looks.
        **kwargs: Its arguments by name.

    Returns:
        Whether it became true.
    """
    deadline = time.monotonic() + timeout
    while not condition(*args, **kwargs):
        if time.monotonic() >= deadline:
            return bool(condition(*args, **kwargs))
        time.sleep(poll)
    return True


def wait_agent_attr(
    agent: Any,
    name: str = "received",
    length: int | None = None,
    data: Any = None,
    value: Any = None,
    endswith: Any = None,
    timeout: float = 3.0,
) -> bool:
    """Wait until an attribute of an agent meets all of the conditions that are given.

    Args:
        agent: A proxy, or an agent of this process.
        name: The attribute; while the agent has none of that name, nothing is met.
        length: It has at least so many items.
        data: It contains this item.
        value: It equals this.
        endswith: It ends with these items: a list, tuple, text or bytes.
        timeout: Seconds.

    Returns:
        Whether all became true at one moment.

    Raises:
        ConfigurationError: no condition is given, so anything would do.
    """
    if length is None and data is None and value is None and endswith is None:
        raise ConfigurationError(f"nothing is said about attribute {name!r}; give length, data, value or endswith")

    def met() -> bool:
        try:
            found = agent.get_attr(name)
        except AttributeError:
            return False
        return _meets(found, length, data, value, endswith)

    return wait_condition(met, timeout=timeout)


def _meets(found: Any, length: int | None, data: Any, value: Any, endswith: Any) -> bool:
    if length is not None and len(found) < length:
        return False
    if data is not None and data not in found:
        return False
    if value is not None and found != value:
        return False
    if endswith is None or len(endswith) == 0:
        return True
    return bool(found[-len(endswith) :] == endswith)


def wait_agent_condition(agent: Any, condition: Callable[..., object], *args: Any, timeout: float = 3.0, **kwargs: Any) -> bool:
    """Wait until ``condition(agent, *args, **kwargs)`` is true, run as a method in the agent's process.

    Args:
        agent: A proxy, or an agent of this process.
        condition: A function whose first argument is the agent; lambdas travel too.
        *args: Its further arguments.
        timeout: Seconds.
        **kwargs: Its arguments by name.

    Returns:
        Whether it became true.
    """
    return wait_condition(agent.execute_as_method, condition, *args, timeout=timeout, **kwargs)


def agent_dies(name: str, nsproxy: Any, timeout: float = 3.0) -> bool:
    """Wait until a name server knows no agent of that name.

    Args:
        name: The agent's name.
        nsproxy: The name server's handle.
        timeout: Seconds.

    Returns:
        Whether the name is gone. One that was never there is.
    """
    return wait_condition(lambda: name not in nsproxy.agents(), timeout=timeout)


def logger_received(logger: Any, message: str, log_name: str = "INFO", position: int | None = None, timeout: float = 1.0) -> bool:
    """Wait until a Logger agent has a record.

    Args:
        logger: Proxy of the Logger.
        message: A regular expression, looked for anywhere in a record's text.
        log_name: The level: DEBUG, INFO, WARNING or ERROR, in any case, or as ``log_history_info``; empty: any level.
        position: Only the record at this index of the level's list counts, as -1 for the last; None: any.
        timeout: Seconds.

    Returns:
        Whether such a record came.

    Raises:
        ConfigurationError: there is no such level.
    """
    level = log_name.removeprefix("log_history").removeprefix("_").upper()
    if level and level not in LEVELS:
        raise ConfigurationError(f"{log_name!r} is no level of a log; give one of {', '.join(LEVELS)}")
    pattern = re.compile(message)

    def there() -> bool:
        lines = _records(logger, level)
        if position is not None:
            lines = [lines[position]] if -len(lines) <= position < len(lines) else []
        return any(pattern.search(line) for line in lines)

    return wait_condition(there, timeout=timeout)


def _records(logger: Any, level: str) -> list[str]:
    levels = [level] if level else LEVELS
    history = logger.get_attr("log_history")
    return [line for each in levels for line in history[each]]


def sync_agent_logger(agent: Any, logger: Any, timeout: float = 3.0) -> bool:
    """Wait until what an agent logs arrives at a Logger: ``set_logger`` connects, and the connection takes a moment.

    The agent says ``[sync …]`` records until one of them has arrived.

    Args:
        agent: Proxy of an agent whose logger was set.
        logger: Proxy of the Logger.
        timeout: Seconds.

    Returns:
        Whether one arrived.
    """
    mark = f"[sync {secrets.token_hex(4)}]"
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        try:
            agent.log_info(mark)
        except CommunicationError:  # an agent that only comes up
            time.sleep(POLL)
            continue
        if logger_received(logger, re.escape(mark), timeout=min(0.1, max(0.0, deadline - time.monotonic()))):
            return True
    return False
