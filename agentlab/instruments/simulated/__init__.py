"""Simulated instruments: for users' dry runs, tests and the demonstration. All noise is seeded.

Each class is a driver as it stands: ``run_instrument("laser", "agentlab.instruments.simulated:Laser")``. Built with one
:class:`World` they see each other's light; :func:`run_simulated` puts them behind real sockets in a process of their own.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentlab.instruments.simulated.bench import SimulatedBench, run_simulated, table_path
    from agentlab.instruments.simulated.electrics import Heater, PowerSupply, Thermometer
    from agentlab.instruments.simulated.optics import Laser, PowerMeter
    from agentlab.instruments.simulated.stage import Stage
    from agentlab.instruments.simulated.world import World

_HOMES = {
    "Heater": "electrics",
    "Laser": "optics",
    "PowerMeter": "optics",
    "PowerSupply": "electrics",
    "SimulatedBench": "bench",
    "Stage": "stage",
    "Thermometer": "electrics",
    "World": "world",
    "run_simulated": "bench",
    "table_path": "bench",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})


__all__ = [
    "Heater",
    "Laser",
    "PowerMeter",
    "PowerSupply",
    "SimulatedBench",
    "Stage",
    "Thermometer",
    "World",
    "run_simulated",
    "table_path",
]
