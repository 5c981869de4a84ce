"""What may stand in a lab file: one model for each kind of entry, with the words that the reference and the schema show.

What concerns one entry alone is said here: types, ranges, allowed words. What concerns several is in
:mod:`agentlab.lab.check`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from agentlab.lab.fields import (
    RESTARTS,
    ClassName,
    ClassPath,
    Method,
    Module,
    OnError,
    Port,
    Restart,
    Seconds,
    Serializer,
    SocketKind,
    SocketPath,
    Strategy,
    Transport,
    socket_from,
)
from agentlab.lab.instrument_model import InstrumentModel, InterlockModel
from agentlab.lab.process_model import ProcessModel
from agentlab.nameserver.config import NameServerConfig
from agentlab.yamlfile.models import Model


class SocketModel(Model):
    """A socket that an agent binds before it runs. The kind alone may stand for all of it: ``power: PUB``."""

    kind: SocketKind = Field(description="what it is; data flows out of PUB, PUSH, SYNC_PUB and REQ, and into the others")
    handler: Method | None = Field(
        default=None, description="the agent's method that gets its messages; REP, PULL, SUB, ASYNC_REP and SYNC_PUB need one"
    )
    transport: Transport | None = Field(default=None, description="how bytes travel; null: as the agent says")
    serializer: Serializer | None = Field(default=None, description="how messages become bytes; null: as the agent says")
    addr: str | None = Field(default=None, description="tcp: host:port; ipc: a name; null: any free one")


Socket = Annotated[SocketModel, BeforeValidator(socket_from)]


class _AgentKeys(Model):
    class_: ClassPath = Field(
        alias="class", description="its class, as package.module:Class; the folder of the lab file is searched first"
    )
    attributes: dict[str, Any] = Field(default_factory=dict, description="attributes to set before on_init")
    sockets: dict[str, Socket] = Field(
        default_factory=dict, description="sockets to bind, by alias, besides those that the class declares"
    )
    on_error: OnError | None = Field(default=None, description="what an exception in a handler does; null: as its class says")


class AgentModel(ProcessModel, _AgentKeys):  # in this order the keys of agents alone come first
    """An agent: a process with one loop."""


class DaemonModel(Model):
    """A daemon: a process with one port that hosts services."""

    host: str = Field(default="localhost", description="where it listens; public: this machine's outward address", min_length=1)
    port: Port = Field(default=0, description="its port; 0: any free one")
    unixsocket: SocketPath | None = Field(default=None, description="path of a unix socket to listen on instead of host and port")
    nathost: str | None = Field(default=None, description="the host that its URIs name, where clients come through a NAT")
    natport: Port = Field(default=0, description="the port that its URIs name; 0: the same as `port`")
    servertype: Literal["thread", "multiplex"] = Field(default="thread", description="how it serves its clients")
    nameservers: list[str] = Field(
        default_factory=list, description="name servers that know the daemon itself; none: only its services are known"
    )
    restart: Restart = Field(default="permanent", description=f"when it is started again: {RESTARTS}")
    start_timeout: Seconds = Field(default=30.0, description="seconds that it may take to start")
    stop_timeout: Seconds = Field(default=5.0, description="seconds that it has to stop before it is killed")


class ServiceModel(Model):
    """A service: an object of any class, hosted by a daemon."""

    module: Module = Field(description="the module of its class")
    classname: ClassName = Field(description="its class")
    parameters: dict[str, Any] = Field(
        default_factory=dict, description="keyword arguments for the constructor, or for connect() where the class has one"
    )
    instancemode: Literal["single", "session", "percall"] = Field(
        default="single", description="single: one instance, one call at a time; session: one per client; percall: one per call"
    )
    daemon: str = Field(default="default", description="the daemon that hosts it; default is there by itself")
    nameservers: list[str] = Field(
        default_factory=lambda: ["default"], description="name servers that know it; the only one, where none is called default"
    )
    description: str = Field(default="", description="for people")
    tags: list[str] = Field(default_factory=list, description="words by which the name server can list it")

    @property
    def target(self) -> str:
        """The class, as ``package.module:Class``."""
        return f"{self.module}:{self.classname}"


class BackoffModel(Model):
    """How long a unit waits before it is started again: not at all at first, then longer and longer."""

    first: float = Field(
        default=0.1, ge=0, description="seconds before the second restart within `period`; the first comes at once"
    )
    factor: float = Field(default=2.0, ge=1, description="by how much each further wait is longer")
    most: float = Field(default=10.0, ge=0, description="seconds that no wait exceeds")


class GroupModel(Model):
    """A group: units whose failures are answered together, in the words of Erlang/OTP."""

    members: list[str] = Field(
        min_length=1, description="agents, instruments, services and daemons, in the order in which they are started"
    )
    strategy: Strategy = Field(
        default="one_for_one",
        description="what a failure restarts: one_for_one: that one; one_for_all: all; rest_for_one: that one and those after it",
    )
    intensity: int = Field(default=5, ge=0, description="restarts within `period` after which the whole group is stopped")
    period: Seconds = Field(default=10.0, description="seconds")
    backoff: BackoffModel = Field(default_factory=BackoffModel, description="the wait before each restart")


class WireModel(Model):
    """A wire with more to say than ``'Meter.power -> Scan.on_power'``."""

    from_: str = Field(alias="from", description="Agent.socket: where data comes from")
    to: str = Field(description="Agent.method, or Agent.socket where that one binds: where data goes")
    kind: SocketKind | None = Field(
        default=None, description="the kind of the end that binds, where neither file nor class declare it"
    )
    topic: str | None = Field(default=None, description="the only topic that is wanted of a PUB or SYNC_PUB")
    topics: list[str] = Field(default_factory=list, description="the topics that are wanted of a PUB or SYNC_PUB; none: all")
    alias: str | None = Field(default=None, description="the right end's own name for its socket", min_length=1)
    reply: Method | None = Field(default=None, description="the left end's method that gets the replies of an ASYNC_REP")


class AutolaunchModel(Model):
    """What is started with the lab; without it, everything. What it needs is started too."""

    nameservers: list[str] | None = Field(default=None, description="name servers; null: all of them, []: none")
    daemons: list[str] | None = Field(default=None, description="daemons; null: all of them, []: none")
    services: list[str] | None = Field(default=None, description="services; null: all of them, []: none")
    agents: list[str] | None = Field(default=None, description="agents; null: all of them, []: none")
    instruments: list[str] | None = Field(default=None, description="instruments; null: all of them, []: none")


class HeadModel(Model):
    """What a lab file says besides its entries."""

    version: Literal[1] = Field(default=1, description="the version of this format")
    name: str | None = Field(default=None, description="the lab's name; null: the file's name without .yml", min_length=1)
    description: str = Field(default="", description="for people")
    include: list[str] = Field(
        default_factory=list, description="further lab files, relative to this one; their sections are added to it"
    )
    settings: dict[str, Any] = Field(
        default_factory=dict, description="settings for everything that is started, such as SERIALIZER or LEASE"
    )
    simulated: bool = Field(
        default=False, description="whether every instrument that declares a stand-in is replaced by it: a dry run"
    )
    autolaunch: AutolaunchModel = Field(
        default_factory=AutolaunchModel, description="what is started with the lab; without it, everything"
    )


class FileModel(HeadModel):
    """A lab file. Every section may be missing; keys that begin with ``x-`` are for your anchors, and nobody reads them."""

    nameservers: dict[str, NameServerConfig] | list[dict[str, NameServerConfig]] = Field(
        default_factory=dict, description="name servers, by name; none: one that is called default"
    )
    daemons: dict[str, DaemonModel] = Field(default_factory=dict, description="daemons, by name")
    services: dict[str, ServiceModel] = Field(default_factory=dict, description="services, by name")
    agents: dict[str, AgentModel] = Field(default_factory=dict, description="agents, by name")
    instruments: dict[str, InstrumentModel] = Field(default_factory=dict, description="instruments, by name")
    interlocks: list[str | InterlockModel] = Field(
        default_factory=list, description="what makes an instrument safe, such as 'stage.temperature > 320 K -> heater.safe()'"
    )
    wires: list[str | WireModel] = Field(
        default_factory=list, description="who sends to whom, such as 'Meter.power -> Scan.on_power'"
    )
    groups: dict[str, GroupModel] = Field(
        default_factory=dict, description="groups of units whose failures are answered together, by name"
    )


SECTIONS: dict[str, type[Model]] = {
    "nameservers": NameServerConfig,
    "daemons": DaemonModel,
    "services": ServiceModel,
    "agents": AgentModel,
    "instruments": InstrumentModel,
    "groups": GroupModel,
}
"""The sections that hold entries by name, and what each entry is."""
