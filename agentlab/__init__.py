"""agentlab runs a laboratory, or any system of co-operating processes, as agents.

Importing it opens nothing and starts nothing. Start with :func:`run_nameserver` and :func:`run_agent`.
"""

from typing import TYPE_CHECKING

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
from agentlab.lazy import on_demand
from agentlab.settings import config
from agentlab.version import __version__

if TYPE_CHECKING:
    from agentlab.agent.agent import Agent
    from agentlab.lab.lab import Lab
    from agentlab.logs import Logger
    from agentlab.nameserver.config import NameServerConfig, read_nameserver_configs
    from agentlab.nameserver.foreground import start_ns_loop
    from agentlab.runtime.agentprocess import AgentProcess
    from agentlab.runtime.daemonprocess import DaemonProcess, run_daemon
    from agentlab.runtime.nsproxy import NameServer, NSProxy
    from agentlab.runtime.proxy import Proxy
    from agentlab.runtime.run import run_agent, run_logger, run_nameserver
    from agentlab.services.daemon import Daemon
    from agentlab.services.model import Service
    from agentlab.wire.address import AgentAddress, SocketAddress, address_to_host_port
    from agentlab.wire.channel import AgentChannel
    from agentlab.wire.kinds import (
        AgentAddressKind,
        AgentAddressRole,
        AgentAddressSerializer,
        AgentAddressTransport,
        AgentChannelKind,
    )
    from agentlab.yamlfile.problems import ProblemsError
else:
    __getattr__, __dir__ = on_demand(
        __name__,
        {
            "Agent": "agentlab.agent.agent",
            "AgentAddress": "agentlab.wire.address",
            "AgentAddressKind": "agentlab.wire.kinds",
            "AgentAddressRole": "agentlab.wire.kinds",
            "AgentAddressSerializer": "agentlab.wire.kinds",
            "AgentAddressTransport": "agentlab.wire.kinds",
            "AgentChannel": "agentlab.wire.channel",
            "AgentChannelKind": "agentlab.wire.kinds",
            "AgentProcess": "agentlab.runtime.agentprocess",
            "Daemon": "agentlab.services.daemon",
            "DaemonProcess": "agentlab.runtime.daemonprocess",
            "Lab": "agentlab.lab.lab",
            "Logger": "agentlab.logs",
            "NSProxy": "agentlab.runtime.nsproxy",
            "NameServer": "agentlab.runtime.nsproxy",
            "NameServerConfig": "agentlab.nameserver.config",
            "ProblemsError": "agentlab.yamlfile.problems",
            "Proxy": "agentlab.runtime.proxy",
            "Service": "agentlab.services.model",
            "SocketAddress": "agentlab.wire.address",
            "address_to_host_port": "agentlab.wire.address",
            "read_nameserver_configs": "agentlab.nameserver.config",
            "run_agent": "agentlab.runtime.run",
            "run_daemon": "agentlab.runtime.daemonprocess",
            "run_logger": "agentlab.runtime.run",
            "run_nameserver": "agentlab.runtime.run",
            "start_ns_loop": "agentlab.nameserver.foreground",
        },
    )

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
