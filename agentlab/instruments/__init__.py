"""Instruments: any driver held by an agent that serves one call at a time, with units, limits, owners and a safe state.

Importing it loads nothing: each name is loaded when it is first asked for. Start with :func:`run_instrument`.
"""

from typing import TYPE_CHECKING

from agentlab.lazy import on_demand

if TYPE_CHECKING:
    from agentlab.instruments.agent import InstrumentAgent
    from agentlab.instruments.client.proxy import InstrumentProxy
    from agentlab.instruments.model.device import Choices, Device, Range, Unit, reads
    from agentlab.instruments.model.parameter import Parameter
    from agentlab.instruments.model.reading import Reading
    from agentlab.instruments.model.spec import InstrumentSpec
    from agentlab.instruments.model.table import Action
    from agentlab.instruments.run import run_instrument
    from agentlab.instruments.scpi.device import ScpiDevice
    from agentlab.runs.history import History
    from agentlab.runs.scan import sweep
else:
    __getattr__, __dir__ = on_demand(
        __name__,
        {
            "Action": "agentlab.instruments.model.table",
            "Choices": "agentlab.instruments.model.device",
            "Device": "agentlab.instruments.model.device",
            "History": "agentlab.runs.history",
            "InstrumentAgent": "agentlab.instruments.agent",
            "InstrumentProxy": "agentlab.instruments.client.proxy",
            "InstrumentSpec": "agentlab.instruments.model.spec",
            "Parameter": "agentlab.instruments.model.parameter",
            "Range": "agentlab.instruments.model.device",
            "Reading": "agentlab.instruments.model.reading",
            "ScpiDevice": "agentlab.instruments.scpi.device",
            "Unit": "agentlab.instruments.model.device",
            "reads": "agentlab.instruments.model.device",
            "run_instrument": "agentlab.instruments.run",
            "sweep": "agentlab.runs.scan",
        },
    )

__all__ = [
    "Action",
    "Choices",
    "Device",
    "History",
    "InstrumentAgent",
    "InstrumentProxy",
    "InstrumentSpec",
    "Parameter",
    "Range",
    "Reading",
    "ScpiDevice",
    "Unit",
    "reads",
    "run_instrument",
    "sweep",
]
