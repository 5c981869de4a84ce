"""Runs: scans over parameters, the store that keeps their rows while they come, plots, exports; and the history of readings.

Importing it is light: SQLAlchemy is loaded by the first store that is used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentlab.runs.history import History, HistoryWriter
    from agentlab.runs.readings import Sample
    from agentlab.runs.run import Run
    from agentlab.runs.scan import sweep
    from agentlab.runs.store import RunStore

_HOMES = {
    "History": "agentlab.runs.history",
    "HistoryWriter": "agentlab.runs.history",
    "Run": "agentlab.runs.run",
    "RunStore": "agentlab.runs.store",
    "Sample": "agentlab.runs.readings",
    "sweep": "agentlab.runs.scan",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})


__all__ = ["History", "HistoryWriter", "Run", "RunStore", "Sample", "sweep"]
