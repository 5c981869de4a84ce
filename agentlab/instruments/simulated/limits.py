"""The limits that simulated devices guard themselves: they are used without an agent, too."""

from __future__ import annotations

from agentlab.errors import LimitError


def within(name: str, value: float, lowest: float, highest: float) -> float:
    """Give a value that is within limits.

    Raises:
        LimitError: it is not.
    """
    if not lowest <= value <= highest:
        raise LimitError(f"{name} = {value:g} is out of limits; it takes {lowest:g} to {highest:g}")
    return value
