"""agentlab runs a laboratory, or any system of co-operating processes, as agents.

Importing it opens nothing and starts nothing. Start with :func:`run_nameserver` and :func:`run_agent`.
"""

import importlib
from typing import TYPE_CHECKING, Any

from agentlab.agent.agent import Agent
from agentlab.errors import (
    AgentLabError,
    AgentStartError,
    AgentStoppedError,
    AliasError,
    AlreadyUpError,
    BadReplyError,
    CallTimeoutError,
    CancelledCallError,
    CommunicationError,
    ConfigurationError,
    ConnectError,
    ConnectionLostError,
    DeadlockError,
    DeviceTimeoutError,
    DriverError,
    ExpiredError,
    HandlerError,
    InstrumentError,
    LabDownError,
    LabError,
    LabStartError,
    LatchedError,
    LimitError,
    LockedError,
    MessageTimeoutError,
    NameServerError,
    NameServerUnavailableError,
    NameTakenError,
    OfflineError,
    RefusedError,
    RemoteError,
    RunError,
    SerializationError,
    UnitError,
    UnknownNameError,
    UnknownParameterError,
    UnknownUnitError,
    WrongAddressError,
)
from agentlab.logs import Logger
from agentlab.runtime.agentprocess import AgentProcess
from agentlab.runtime.nsproxy import NameServer, NSProxy
from agentlab.runtime.proxy import Proxy
from agentlab.runtime.run import run_agent, run_logger, run_nameserver
from agentlab.settings import config
from agentlab.version import __version__
from agentlab.wire.address import AgentAddress, SocketAddress, address_to_host_port
from agentlab.wire.channel import AgentChannel
from agentlab.wire.kinds import (
    AgentAddressKind,
    AgentAddressRole,
    AgentAddressSerializer,
    AgentAddressTransport,
    AgentChannelKind,
)

if TYPE_CHECKING:
    from agentlab.lab.lab import Lab
    from agentlab.nameserver.config import NameServerConfig, read_nameserver_configs
    from agentlab.nameserver.foreground import start_ns_loop
    from agentlab.runtime.daemonprocess import DaemonProcess, run_daemon
    from agentlab.services.daemon import Daemon
    from agentlab.services.model import Service
    from agentlab.yamlfile.problems import ProblemsError

_LATER = {
    "Daemon": "agentlab.services.daemon",
    "DaemonProcess": "agentlab.runtime.daemonprocess",
    "Lab": "agentlab.lab.lab",
    "NameServerConfig": "agentlab.nameserver.config",
    "ProblemsError": "agentlab.yamlfile.problems",
    "Service": "agentlab.services.model",
    "read_nameserver_configs": "agentlab.nameserver.config",
    "run_daemon": "agentlab.runtime.daemonprocess",
    "start_ns_loop": "agentlab.nameserver.foreground",
}
"""Loaded when they are first asked for: they need pydantic or PyYAML, which no agent's process has to carry."""


def __getattr__(name: str) -> Any:
    home = _LATER.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})


__all__ = [
    "Agent",
    "AgentAddress",
    "AgentAddressKind",
    "AgentAddressRole",
    "AgentAddressSerializer",
    "AgentAddressTransport",
    "AgentChannel",
    "AgentChannelKind",
    "AgentLabError",
    "AgentProcess",
    "AgentStartError",
    "AgentStoppedError",
    "AliasError",
    "AlreadyUpError",
    "BadReplyError",
    "CallTimeoutError",
    "CancelledCallError",
    "CommunicationError",
    "ConfigurationError",
    "ConnectError",
    "ConnectionLostError",
    "Daemon",
    "DaemonProcess",
    "DeadlockError",
    "DeviceTimeoutError",
    "DriverError",
    "ExpiredError",
    "HandlerError",
    "InstrumentError",
    "Lab",
    "LabDownError",
    "LabError",
    "LabStartError",
    "LatchedError",
    "LimitError",
    "LockedError",
    "Logger",
    "MessageTimeoutError",
    "NSProxy",
    "NameServer",
    "NameServerConfig",
    "NameServerError",
    "NameServerUnavailableError",
    "NameTakenError",
    "OfflineError",
    "ProblemsError",
    "Proxy",
    "RefusedError",
    "RemoteError",
    "RunError",
    "SerializationError",
    "Service",
    "SocketAddress",
    "UnitError",
    "UnknownNameError",
    "UnknownParameterError",
    "UnknownUnitError",
    "WrongAddressError",
    "__version__",
    "address_to_host_port",
    "config",
    "read_nameserver_configs",
    "run_agent",
    "run_daemon",
    "run_logger",
    "run_nameserver",
    "start_ns_loop",
]
