"""agentlab runs a laboratory, or any system of co-operating processes, as agents.

Importing it opens nothing and starts nothing. Start with :func:`run_nameserver` and :func:`run_agent`.
"""

from agentlab.agent.agent import Agent
from agentlab.errors import (
    AgentLabError,
    AgentStartError,
    AgentStoppedError,
    AliasError,
    CallTimeoutError,
    CommunicationError,
    ConfigurationError,
    ConnectError,
    ConnectionLostError,
    DeadlockError,
    HandlerError,
    MessageTimeoutError,
    NameServerError,
    NameServerUnavailableError,
    NameTakenError,
    RefusedError,
    RemoteError,
    SerializationError,
    UnknownNameError,
    WrongAddressError,
)
from agentlab.logs import Logger
from agentlab.runtime.agentprocess import AgentProcess
from agentlab.runtime.nsproxy import NameServer, NSProxy
from agentlab.runtime.proxy import Proxy
from agentlab.runtime.run import run_agent, run_logger, run_nameserver
from agentlab.settings import config
from agentlab.wire.address import AgentAddress, SocketAddress, address_to_host_port
from agentlab.wire.channel import AgentChannel
from agentlab.wire.kinds import (
    AgentAddressKind,
    AgentAddressRole,
    AgentAddressSerializer,
    AgentAddressTransport,
    AgentChannelKind,
)

__version__ = "0.1.0"

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
    "CallTimeoutError",
    "CommunicationError",
    "ConfigurationError",
    "ConnectError",
    "ConnectionLostError",
    "DeadlockError",
    "HandlerError",
    "Logger",
    "MessageTimeoutError",
    "NSProxy",
    "NameServer",
    "NameServerError",
    "NameServerUnavailableError",
    "NameTakenError",
    "Proxy",
    "RefusedError",
    "RemoteError",
    "SerializationError",
    "SocketAddress",
    "UnknownNameError",
    "WrongAddressError",
    "__version__",
    "address_to_host_port",
    "config",
    "run_agent",
    "run_logger",
    "run_nameserver",
]
