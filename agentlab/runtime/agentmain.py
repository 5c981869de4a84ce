"""One agent in a process of its own: what the child runs."""

from __future__ import annotations

import contextlib
import importlib
import os
import platform
import secrets
import signal
import sys
import threading
import time
import traceback
import types
from dataclasses import dataclass, field
from typing import Any

import cloudpickle

from agentlab.agent import local
from agentlab.agent.agent import Agent
from agentlab.agent.calls import RunOrder
from agentlab.agent.declared import bind_declared
from agentlab.agent.door import Door, serve_orders
from agentlab.agent.faults import brief_error, checked_on_error
from agentlab.agent.vitals import SAMPLE_PERIOD
from agentlab.agent.wires import Wires, WireSpec
from agentlab.control.daemon import ControlDaemon
from agentlab.errors import AgentLabError, AgentStartError, ConfigurationError, NameTakenError, nearest
from agentlab.nameserver.client import NameServerClient
from agentlab.nameserver.heartbeats import Heartbeat
from agentlab.runtime.child import ChildLink
from agentlab.runtime.directory import NameDirectory
from agentlab.runtime.forked import guard_forks
from agentlab.settings import NAMESERVER_VARIABLE, config
from agentlab.transport.context import end_context
from agentlab.transport.ipc import IpcClaim, ipc_path
from agentlab.wire.address import SocketAddress, address_to_host_port

TARGET = "agentlab.runtime.agentmain:main"
RESTART_CODE = 75
"""Exit code of an agent that asks to be started again."""
WIRES_PATIENCE = 1.0
"""Seconds that an agent's first turn may wait for wires to agents that are there."""
GRACE = 5.0
"""Seconds that an agent which was told to end may still work on what it is handling."""


@dataclass
class Spec:
    """What an agent is to be."""

    name: str
    nsaddr: SocketAddress
    addr: Any = None
    base: type[Agent] | str = Agent
    """Its class, or where it is to be imported from: ``package.module:Class``."""
    serializer: str | None = None
    transport: str | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    on_error: str | None = None
    run: bool = True
    tags: tuple[str, ...] = ()
    instance: str = ""
    """Random text of this incarnation, chosen by the starter: so it can take the name of one that died away."""
    sockets: dict[str, Any] = field(default_factory=dict)
    """Sockets to bind after ``on_init``: alias -> kind, or -> kind and options; see :attr:`~agentlab.Agent.binds`."""
    wires: list[WireSpec] = field(default_factory=list)
    """What to connect to; nothing waits for it."""
    pulse: str | None = None
    """Path of a file that tells whether the loop turns; see :mod:`agentlab.agent.pulse`. Another one for each process."""
    log_json: bool = False
    """Whether log records are written as JSON behind a record separator (0x1e) instead of as text for people."""


@dataclass(frozen=True)
class Ready:
    """What an agent's process tells when it is ready."""

    name: str
    uri: str
    methods: list[str]


def dump_spec(spec: Spec) -> bytes:
    """Give a spec as bytes, with classes that others cannot import by value.

    Raises:
        ConfigurationError: an attribute or the class cannot be sent to another process.
    """
    try:
        return bytes(cloudpickle.dumps(spec, protocol=5))
    except Exception as error:
        raise ConfigurationError(f"class or attributes of agent {spec.name!r} cannot be sent to its process: {error}") from error


def imported(text: str) -> type[Agent]:
    """Give the class of agents that a text names, such as ``package.module:Class``.

    Raises:
        AgentStartError: there is none. What its module raises comes through.
    """
    module, _, name = text.partition(":")
    if not (module and name):
        raise AgentStartError(f"{text!r} names no class; write package.module:Class")
    try:
        found: Any = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # a module that the user's own module wants
        raise AgentStartError(f"no module is called {error.name!r} in {text!r}; is it installed, or on PYTHONPATH?") from None
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            known = [n for n, value in vars(found).items() if isinstance(value, type)]
            raise AgentStartError(f"module {module!r} has no class {name!r}{nearest(part, known)}") from None
    if not (isinstance(found, type) and issubclass(found, Agent)):
        raise AgentStartError(f"{text!r} is no class of agents; inherit from agentlab.Agent, or serve it as a service")
    return found


class HostedAgent:
    """An agent with its control daemon and its name, in this process. Built, served and ended in one thread.

    Args:
        spec: What it is to be.

    Raises:
        Exception: whatever kept it from being built; nothing is left then.
    """

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.instance = spec.instance or secrets.token_hex(8)
        self._pid = os.getpid()
        self._stack = contextlib.ExitStack()
        try:
            self._build()
        except BaseException:
            self.close()
            raise

    def _build(self) -> None:
        spec = self.spec
        host, port = address_to_host_port(spec.addr)
        base = imported(spec.base) if isinstance(spec.base, str) else spec.base
        self.agent = agent = base(spec.name, host, spec.serializer, spec.transport, spec.attributes)
        self._stack.callback(agent._close)
        if spec.log_json:
            agent._reporter.write_json()
        if spec.pulse is not None:
            agent._loop.pulse.open(spec.pulse)
        if spec.on_error is not None:
            agent.on_error = checked_on_error(spec.on_error)
        agent.nsaddr = spec.nsaddr
        self.door = Door(agent)
        self.daemon = self._open_daemon(host, port)
        self.door.vitals.count_calls = lambda: self.daemon.counters["calls"] + self.daemon.counters["oneway"]
        self._stack.callback(self.daemon.close)
        self.uri = self.door.uri = self.daemon.serve(self.instance, self.door.handle)
        self.daemon.adopt(self.door.visitors.adopt)
        directory = NameDirectory(spec.nsaddr)
        agent._directory = directory
        self._stack.callback(directory.close)
        agent._loop.owner = threading.get_ident()
        local.enter(self.door)  # until the very end: on_init and on_stop may use proxies, too
        self._stack.callback(local.leave)
        agent.on_init()
        bind_declared(agent, spec.sockets)
        wires = self.door.wires = Wires(agent, spec.wires)
        self.daemon.start()
        self._register()
        agent._in_office()
        if spec.wires:
            wires.follow(directory, lambda name: self._names.find(name) is not None)

    def _open_daemon(self, host: str | None, port: int | None) -> ControlDaemon:
        if host is not None or port is not None or os.name != "posix":
            return ControlDaemon(host=host or "127.0.0.1", port=port or 0, name="agentlab-control")
        path = ipc_path(f"agent-{self.instance}")
        claim = IpcClaim(path)  # so that the file of a killed agent is swept away
        self._stack.callback(claim.release)
        return ControlDaemon(unixsocket=path, name="agentlab-control")

    def _register(self) -> None:
        spec, agent = self.spec, self.agent
        self._names = NameServerClient(spec.nsaddr)
        self._stack.callback(self._names.close)
        metadata = {
            "kind": agent._kind,
            "class": f"{type(agent).__module__}.{type(agent).__qualname__}",
            "host": platform.node(),
            "pid": os.getpid(),
            "started": time.time(),
            "tags": list(spec.tags),
        }
        try:
            registration = self._names.register(
                spec.name, self.uri, instance=self.instance, metadata=metadata, lease=config["LEASE"]
            )
        except NameTakenError as error:  # the name server's own advice is an option that agents do not have
            found = str(error).rpartition(";")[0]
            raise NameTakenError(f"{found}; shut that one down, or choose another name") from None
        self._stack.callback(self._unregister)
        heartbeat = Heartbeat(spec.nsaddr, registration)
        self._stack.callback(heartbeat.close)

        def beat() -> None:
            heartbeat.beat()
            self.door.vitals.sample()

        self.daemon.every(heartbeat.period, beat)
        if heartbeat.period > 1.5 * SAMPLE_PERIOD:  # else one wake-up does for both
            self.daemon.every(SAMPLE_PERIOD, self.door.vitals.sample)

    def _unregister(self) -> None:
        with contextlib.suppress(AgentLabError):  # the name server may have gone before: the lease does the rest
            self._names.timeout = 1.0
            self._names.remove(self.spec.name, instance=self.instance)

    def wait_for_wires(self) -> None:
        """Let the wires be made whose servers are there, for a second at most: the first turn of the loop may need them."""
        loop, wires = self.agent._loop, self.door.wires
        if not wires.are_due():
            return
        deadline = time.monotonic() + WIRES_PATIENCE
        alarm = threading.Timer(WIRES_PATIENCE, loop.wake)
        alarm.daemon = True
        alarm.start()
        loop.wait_for_orders(lambda: wires.are_due() and not self.agent._state.ending and time.monotonic() < deadline)
        alarm.cancel()

    def serve(self) -> None:
        """Be the agent's thread until it is to end."""
        agent = self.agent
        serve_orders(self.door)
        try:
            agent.on_stop()
        except Exception as error:  # noqa: BLE001 - a door: the user's hook must not keep the agent from ending
            agent._faults.failed(error, "on_stop()")

    def close(self) -> None:
        """Give up the name, the sockets and the daemon; twice is fine."""
        if os.getpid() != self._pid:
            return  # a fork of the agent that leaves by an exception: nothing of all that is its own
        deadline = time.monotonic() + 1.0
        while self.__dict__.get("door") is not None and self.door.in_flight and time.monotonic() < deadline:
            self.agent._loop.mailbox.close("the agent has shut down")
            time.sleep(0.001)  # answers on their way out: the asker of the shutdown is one of them
        self._stack.close()


def main(payload: bytes, link: ChildLink) -> None:
    """Be an agent: the child's main function."""
    spec: Spec = cloudpickle.loads(payload)
    os.environ[NAMESERVER_VARIABLE] = str(spec.nsaddr)  # its starter may use another one
    try:
        hosted = HostedAgent(spec)
    except Exception as error:  # noqa: BLE001 - the main of a child: the starter gets the traceback
        link.failed(_failure(spec, error))
        return
    agent, state = hosted.agent, hosted.agent._state
    _handle_signals(agent)
    hosted.daemon.on_signal(agent._loop.wake)
    guard_forks()
    link.on_parent_gone = lambda: _end_soon(agent)
    state.end_process = lambda: os.kill(os.getpid(), signal.SIGKILL) if os.name == "posix" else os._exit(1)
    ready = cloudpickle.dumps(Ready(spec.name, hosted.uri, hosted.door.names()))
    try:
        if spec.run:
            hosted.wait_for_wires()
            order = state.ask_run()
            agent._loop.post(lambda: _tell_start(spec, link, ready, agent, order))  # the first thing that the running loop does
        else:
            link.ready(ready)
        hosted.serve()
        if not link.said:
            link.failed(f"agent {spec.name!r} ended before it ran\n{agent.last_error()}".rstrip())
    finally:
        signal.set_wakeup_fd(-1)  # its descriptor may soon be another file's
        hosted.close()
        _end_context_soon()
    sys.stdout.flush()
    sys.stderr.flush()
    if state.restart_asked:
        os._exit(RESTART_CODE)


def _failure(spec: Spec, error: BaseException) -> str:
    """Give why an agent has not started: one line, then the traceback."""
    why = brief_error(error).removeprefix(f"{type(error).__module__}.")
    return f"agent {spec.name!r} failed while starting: {why}\n{''.join(traceback.format_exception(error))}"


def _tell_start(spec: Spec, link: ChildLink, ready: bytes, agent: Agent, order: RunOrder) -> None:
    """Tell the starter how the first run began. In the loop's thread: in the running loop, or after a run that failed."""
    if order.error is None:
        link.ready(ready)
        return
    link.failed(_failure(spec, order.error))
    agent._state.restart_asked = False
    agent.shutdown()


def _handle_signals(agent: Agent) -> None:
    def end(number: int, _frame: types.FrameType | None) -> None:
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # the second one kills, whatever the agent is stuck in
        if hasattr(signal, "SIGALRM"):
            signal.signal(signal.SIGALRM, signal.SIG_DFL)  # the user may have had other plans with it
        _end_soon(agent)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)


def _end_soon(agent: Agent) -> None:
    """Ask the agent to end; what it is handling gets some time, and no more. Also in signal handlers."""
    if hasattr(signal, "setitimer"):
        # The kernel's own clock: it ends an agent that is stuck in C code too, and needs no thread.
        signal.setitimer(signal.ITIMER_REAL, GRACE)
    else:
        watchdog = threading.Timer(GRACE, os._exit, (1,))
        watchdog.daemon = True
        watchdog.start()
    agent.shutdown()


def _end_context_soon() -> None:
    """Let unsent messages go out, for their linger and not longer."""
    ender = threading.Thread(target=end_context, daemon=True)
    ender.start()
    linger = config["LINGER"]
    ender.join(None if linger < 0 else linger + 0.5)


__all__ = ["RESTART_CODE", "TARGET", "HostedAgent", "Ready", "Spec", "WireSpec", "dump_spec", "imported", "main"]
