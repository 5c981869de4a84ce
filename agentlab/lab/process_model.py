"""What a lab file can say of everything that has a process and a loop: agents and instruments alike."""

from __future__ import annotations

from pydantic import Field

from agentlab.lab.fields import RESTARTS, Address, Restart, Seconds, Serializer, Transport
from agentlab.yamlfile.models import Model


class ProcessModel(Model):
    """The keys that agents and instruments share."""

    serializer: Serializer | None = Field(default=None, description="serializer of its sockets; null: the setting SERIALIZER")
    transport: Transport | None = Field(default=None, description="transport of its sockets; null: the setting TRANSPORT")
    restart: Restart = Field(default="transient", description=f"when it is started again: {RESTARTS}")
    host: str = Field(
        default="localhost", description="the machine that it runs on; its tcp sockets are bound there", min_length=1
    )
    addr: Address | None = Field(default=None, description="host:port where it answers calls; null: a unix socket")
    tags: list[str] = Field(default_factory=list, description="words by which the name server can list it")
    nameserver: str = Field(
        default="default", description="the name server that knows it; the only one, where none is called default"
    )
    after: list[str] = Field(
        default_factory=list, description="agents, instruments, services and daemons that must be up before it starts"
    )
    start_timeout: Seconds = Field(default=30.0, description="seconds that it may take to start")
    stop_timeout: Seconds = Field(default=5.0, description="seconds that it has to stop before it is killed")
    hang_timeout: Seconds | None = Field(
        default=5.0,
        description="seconds that its loop may stand still, without being declared busy, before it is killed; null: for ever",
    )
    description: str = Field(default="", description="for people")
