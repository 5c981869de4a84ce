"""What a lab file can say of an instrument: its driver, its parameters, who may use it, and what makes it safe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from agentlab.lab.fields import ClassPath, Seconds
from agentlab.lab.process_model import ProcessModel
from agentlab.yamlfile.models import Model

ParameterType = Literal["float", "int", "bool", "str", "array", "any"]

REMOVABLE = ("min", "max", "choices", "step", "poll")
"""Of what a driver says of a parameter, what null takes away."""


class OverrideModel(Model):
    """What is said of a parameter, or an action, besides what its driver says. It goes before the driver's own word."""

    type: ParameterType | None = Field(default=None, description="what its values are")
    unit: str | None = Field(default=None, description="its unit, such as V, mW or degC; empty: it has none")
    min: float | str | None = Field(
        default=None, description="the smallest value that may be set, in its unit or with one: 5 mV; null: there is none"
    )
    max: float | str | None = Field(default=None, description="the largest value that may be set, likewise")
    choices: list[Any] | None = Field(default=None, description="the only values that may be set; null: any")
    step: float | str | None = Field(default=None, description="the largest step of a set; a larger one becomes a ramp")
    delay: float | None = Field(default=None, ge=0, description="seconds between the steps of a ramp")
    poll: Seconds | None = Field(default=None, description="seconds between readings that are published; null: none is")
    readable: bool | None = Field(default=None, description="whether it can be read")
    writable: bool | None = Field(default=None, description="whether it can be set")
    doc: str | None = Field(default=None, description="for people")
    label: str | None = Field(default=None, description="what stands at the axis of a plot; empty: the name")
    reads: bool | None = Field(default=None, description="of an action: whether it changes nothing, so that anybody may call it")
    hidden: bool | None = Field(default=None, description="true: nobody sees it")

    def said(self) -> dict[str, Any]:
        """Give what the file says, and nothing else. A null takes away what can be taken away, and is nothing elsewhere."""
        found = {name: getattr(self, name) for name in OverrideModel.model_fields if name in self.model_fields_set}
        return {name: value for name, value in found.items() if value is not None or name in REMOVABLE}


class OwnerModel(Model):
    """Who may change an instrument."""

    required: bool = Field(
        default=False, description="whether only its owner may set and call; else anybody may while nobody owns it"
    )
    lease: Seconds = Field(default=10.0, description="seconds after which an owner that gives no sign of life has lost it")
    on_lost: Literal["keep", "safe"] = Field(
        default="keep", description="what happens when an owner is lost: all stays as it is, or it goes into its safe state"
    )


class StandInModel(Model):
    """What stands in for an instrument while the lab is simulated. The class alone may stand for all of it."""

    driver: ClassPath = Field(description="its driver, as package.module:Class")
    address: str | None = Field(default=None, description="where it is, for a driver that wants an address")
    args: list[Any] = Field(default_factory=list, description="further positional arguments of the driver")
    kwargs: dict[str, Any] = Field(default_factory=dict, description="named arguments of the driver")
    parameters: str | None = Field(default=None, description="a table of SCPI commands, for agentlab.instruments:ScpiDevice")


def stand_in_from(value: Any) -> Any:
    """Give a stand-in's mapping for the class alone, which may stand for it."""
    return {"driver": value} if isinstance(value, str) else value


StandIn = Annotated[StandInModel, BeforeValidator(stand_in_from)]


class InterlockModel(Model):
    """An interlock rule in parts; as one text it is ``when, max_age 10 s -> then``."""

    when: str = Field(description="what must not be so, such as stage.temperature > 320 K; more than one joined by and, or by or")
    then: str = Field(description="what is done: heater.safe(), another action, or a set such as heater.power = 0 W")
    max_age: Seconds | str | None = Field(
        default=None,
        description="how old its readings may be: seconds, or a text with a unit; null: three poll periods, and 2 s at least",
    )


class DriverModel(Model):
    """The keys that instruments alone have."""

    driver: ClassPath = Field(
        description="its driver, as package.module:Class; the folder of the lab file is searched first; "
        "agentlab.instruments:ScpiDevice needs no code"
    )
    address: str | None = Field(
        default=None,
        min_length=1,
        description="where the device is, such as TCPIP::192.0.2.7::5025::SOCKET; the driver's first argument",
    )
    args: list[Any] = Field(default_factory=list, description="further positional arguments of the driver")
    kwargs: dict[str, Any] = Field(default_factory=dict, description="named arguments of the driver")
    parameters: str | dict[str, OverrideModel] = Field(
        default_factory=dict,
        description="what is said of parameters besides what the driver says, by name; or, as text, the file with a "
        "ScpiDevice's table of commands",
    )
    poll: Seconds | dict[str, Seconds] | None = Field(
        default=None, description="seconds between the readings of its parameters that are published: of all, or by name"
    )
    owner: OwnerModel = Field(default_factory=OwnerModel, description="who may change it")
    safe: dict[str, Any] | list[str] | str | Literal[False] | None = Field(
        default=None,
        description="its safe state: parameters with the values that are set, in this order; or actions that are called; "
        "false: none; null: the driver's own",
    )
    history: bool | str = Field(
        default=False, description="whether its readings are kept: a SQLite file; true: beside the lab file, one for all"
    )
    history_days: float | None = Field(
        default=None, gt=0, description="days that its readings are kept in the history; null: for good"
    )
    watchdog: Seconds | None = Field(
        default=None, description="seconds without a kick after which it goes into its safe state; null: it needs none"
    )
    timeout: Seconds | None = Field(
        default=None, description="seconds that the device may take for a reply, where its driver lets itself be told"
    )
    ping: str | None = Field(default=None, description="what asks the device who it is; null: as the driver does, or `*IDN?`")
    simulated: StandIn | None = Field(
        default=None, description="the driver that stands in for it while the lab is simulated; text: its class alone"
    )


class InstrumentModel(ProcessModel, DriverModel):  # in this order the keys of instruments alone come first
    """An instrument: an agent that holds one driver, and lets one call at a time reach the device."""

    @property
    def overrides(self) -> dict[str, dict[str, Any]]:
        """What is said of its parameters, by name."""
        given = self.parameters if isinstance(self.parameters, Mapping) else {}
        return {name: override.said() for name, override in given.items()}

    def used(self, *, simulated: bool) -> InstrumentModel:
        """Give the instrument as it is run: with its stand-in's driver where the lab is simulated and it has one."""
        if not simulated or self.simulated is None:
            return self
        stand_in = self.simulated
        keys = ("driver", "address", "args", "kwargs")
        said: dict[str, Any] = {key: getattr(stand_in, key) for key in keys}
        kept = self.parameters if isinstance(self.parameters, Mapping) else {}
        said["kwargs"] = with_table(stand_in.kwargs, stand_in.parameters)
        return self.model_copy(update={**said, "parameters": kept, "ping": None})


def with_table(kwargs: Mapping[str, Any], parameters: object) -> dict[str, Any]:
    """Give the named arguments of a driver with its table of commands, where that is given beside them."""
    return {**kwargs, "parameters": parameters} if isinstance(parameters, str) else dict(kwargs)
