"""Runs: scans over parameters, the store that keeps their rows while they come, plots, exports; and the history of readings.

Importing it is light: SQLAlchemy is loaded by the first store that is used.
"""

from typing import TYPE_CHECKING

from agentlab.lazy import on_demand

if TYPE_CHECKING:
    from agentlab.runs.history import History, HistoryWriter
    from agentlab.runs.readings import Sample
    from agentlab.runs.run import Run
    from agentlab.runs.scan import sweep
    from agentlab.runs.store import RunStore
else:
    __getattr__, __dir__ = on_demand(
        __name__,
        {
            "History": "agentlab.runs.history",
            "HistoryWriter": "agentlab.runs.history",
            "Run": "agentlab.runs.run",
            "RunStore": "agentlab.runs.store",
            "Sample": "agentlab.runs.readings",
            "sweep": "agentlab.runs.scan",
        },
    )

__all__ = ["History", "HistoryWriter", "Run", "RunStore", "Sample", "sweep"]
