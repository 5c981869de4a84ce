"""The simulated devices by their short names, and the commands with which they are spoken to over a socket."""

from __future__ import annotations

from dataclasses import dataclass

from agentlab.errors import ConfigurationError, nearest
from agentlab.instruments.simulated.base import SimulatedDevice
from agentlab.instruments.simulated.electrics import Heater, PowerSupply, Thermometer
from agentlab.instruments.simulated.optics import Laser, PowerMeter
from agentlab.instruments.simulated.stage import Stage

KINDS: dict[str, type[SimulatedDevice]] = {
    "laser": Laser,
    "stage": Stage,
    "meter": PowerMeter,
    "supply": PowerSupply,
    "heater": Heater,
    "thermometer": Thermometer,
}


@dataclass(frozen=True, slots=True)
class Property:
    """A command that reads (``POW?``) and, where the parameter can be set, sets (``POW 5``) a parameter.

    Args:
        name: The parameter.
        setter: Method that is given the value instead, so that a set returns at once.
    """

    name: str
    setter: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """A command that calls a method: ``STOP``, or ``WARM? 3``, which has a reply when it has ended.

    Args:
        name: The method.
        urgent: Whether it is done while another command runs.
    """

    name: str
    urgent: bool = False


COMMANDS: dict[str, dict[str, Property | Call]] = {
    "laser": {
        "WAV": Property("wavelength"),
        "POW": Property("power"),
        "OUTP": Property("output"),
        "TEMP": Property("temperature"),
        "WARM": Call("warm_up"),
    },
    "stage": {
        "POS": Property("position", setter="start"),
        "VEL": Property("speed"),
        "MOV": Property("moving"),
        "STOP": Call("abort", urgent=True),
    },
    "meter": {
        "POW": Property("power"),
        "RANG": Property("full_scale"),
        "AVER": Property("averages"),
        "ZERO": Call("zero"),
        "SAMP": Call("samples"),
    },
    "supply": {
        "VOLT": Property("voltage"),
        "CURR": Property("current"),
        "OUTP": Property("output"),
        "MEAS:VOLT": Property("measured_voltage"),
        "MEAS:CURR": Property("measured_current"),
    },
    "heater": {"POW": Property("power"), "OUTP": Property("output")},
    "thermometer": {"TEMP": Property("temperature"), "AMB": Property("ambient")},
}
"""Besides these all understand ``*IDN?``, ``*OPC?`` (which waits for a motion), ``*CLS``, ``SYST:ERR?`` and ``ABOR``."""


def kind_named(name: str) -> str:
    """Give the name of a kind of device if it is one.

    Raises:
        ConfigurationError: it is none; the text names the nearest.
    """
    if name not in KINDS:
        raise ConfigurationError(f"no simulated device is called {name!r}{nearest(str(name), KINDS)}")
    return name
