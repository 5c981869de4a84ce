"""How ends and failures are put into words."""

from __future__ import annotations

import signal

from agentlab.lab.policy import RESTART_CODE


def first_line(text: str) -> str:
    """Give the first line of a text: what a table can show of a traceback."""
    return text.partition("\n")[0]


def how_it_ended(exitcode: int | None) -> str:
    """Give the end of a process as text."""
    if exitcode is None:
        return "it ended, and nobody saw how"
    if exitcode < 0:
        return f"killed by {signal_name(exitcode)}"
    if exitcode == RESTART_CODE:
        return f"it asked to be started again (exit code {exitcode})"
    return f"ended with exit code {exitcode}"


def short_end(exitcode: int | None) -> str:
    """Give the end of a process in a few words; empty: nobody saw how it ended."""
    return "" if exitcode is None else signal_name(exitcode) or f"exit code {exitcode}"


def signal_name(exitcode: int | None) -> str | None:
    """Give the name of the signal that ended a process, or None."""
    if exitcode is None or exitcode >= 0:
        return None
    try:
        return signal.Signals(-exitcode).name
    except ValueError:  # a real-time signal
        return f"signal {-exitcode}"
