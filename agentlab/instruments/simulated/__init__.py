"""Simulated instruments: for users' dry runs, tests and the demonstration. All noise is seeded.

Each class is a driver as it stands: ``run_instrument("laser", "agentlab.instruments.simulated:Laser")``. Built with one
:class:`World` they see each other's light; :func:`run_simulated` puts them behind real sockets in a process of their own.
"""

from typing import TYPE_CHECKING

from agentlab.lazy import on_demand

if TYPE_CHECKING:
    from agentlab.instruments.simulated.bench import SimulatedBench, run_simulated, table_path, visa_sim
    from agentlab.instruments.simulated.electrics import Heater, PowerSupply, Thermometer
    from agentlab.instruments.simulated.optics import Laser, PowerMeter
    from agentlab.instruments.simulated.stage import Stage
    from agentlab.instruments.simulated.world import World
else:
    __getattr__, __dir__ = on_demand(
        __name__,
        {
            "Heater": ".electrics",
            "Laser": ".optics",
            "PowerMeter": ".optics",
            "PowerSupply": ".electrics",
            "SimulatedBench": ".bench",
            "Stage": ".stage",
            "Thermometer": ".electrics",
            "World": ".world",
            "run_simulated": ".bench",
            "table_path": ".bench",
            "visa_sim": ".bench",
        },
    )

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
    "visa_sim",
]
