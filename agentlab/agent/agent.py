"""The agent: the class that users inherit from."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from threading import get_ident
from typing import Any, ClassVar, TypeVar

from agentlab.agent import calls
from agentlab.agent.beside import Beside
from agentlab.agent.coroutines import Coroutines
from agentlab.agent.faults import Faults, checked_on_error
from agentlab.agent.link import Desk, SendOptions
from agentlab.agent.links import Address, Links, Where
from agentlab.agent.loop import Loop
from agentlab.agent.pubsub import PubLink, SubLink
from agentlab.agent.reporting import Reporter
from agentlab.errors import WrongAddressError
from agentlab.settings import config
from agentlab.wire.address import AgentAddressSerializer, AgentAddressTransport
from agentlab.wire.topics import to_topic

T = TypeVar("T")


class Agent:
    """A process with one loop, a name, sockets under aliases, timers and a mailbox.

    Inherit from it and override the hooks :meth:`on_init`, :meth:`before_loop`, :meth:`idle` and :meth:`on_stop`;
    do not override ``__init__``. Agents are started by :func:`agentlab.run_agent`. One that is built directly has no
    process and no name server, which is enough for unit tests of its methods.

    Its methods run in the loop's thread, one at a time; those that other threads may call (an unsafe call, an
    ``async def`` handler, a thread of yours) say so, and hand the work to the loop where it belongs.

    Args:
        name: The agent's name.
        host: Where its tcp sockets are bound when nothing else is said.
        serializer: Serializer of its sockets; None: ``config['SERIALIZER']``.
        transport: Transport of its sockets; None: ``config['TRANSPORT']``.
        attributes: Attributes to set before :meth:`on_init`. A default that a class of yours gives may be overridden so;
            a name of this class, a method or a property may not (KeyError).
    """

    binds: ClassVar[Mapping[str, str | Mapping[str, Any]]] = {}
    """Sockets that agents of a class have: alias -> kind, or -> ``{"kind": "PULL", "handler": "on_job", ...}``.

    Further keys are ``transport``, ``serializer``, ``addr``, ``hwm`` and ``advertise``, as for :meth:`bind`. They are bound
    after :meth:`on_init`, where that has not done it already; the lab file's wires are checked against them."""

    on_error: str = "continue"
    """What an exception in a handler or timer does: ``continue`` (log and count it), ``stop`` or ``restart``."""

    _kind: ClassVar[str] = "agent"
    """What the name server and proxies are told that it is."""

    def __init__(
        self,
        name: str = "",
        host: str | None = None,
        serializer: str | None = None,
        transport: str | None = None,
        attributes: dict[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.host = host or "127.0.0.1"
        self.nsaddr: Any = None
        self._DEBUG = False
        self._serializer = None if serializer is None else AgentAddressSerializer(serializer)
        self._transport = None if transport is None else AgentAddressTransport(transport)
        self._state = calls.State()
        self._reporter = Reporter(name or "agent")
        self._faults = Faults(self._reporter.logger, lambda: self.on_error, self._end_because)
        self._loop = Loop(self._faults.failed)
        self._coroutines = Coroutines(self._loop, self._faults.failed)
        self._links = Links(Desk(self, self._loop, self._faults, self._coroutines))
        self._puts = self._links.puts
        self._directory: calls.Directory | None = None
        self._beside: Beside | None = None
        for key, value in (attributes or {}).items():
            if calls.is_taken(self, Agent, key):
                self._close()
                raise KeyError(f'Agent already has "{key}" attribute!')
            setattr(self, key, value)

    # --- hooks ----------------------------------------------------------------------------------------------------

    def on_init(self) -> None:
        """Hook: set the agent up: bind sockets, start timers. Runs before the agent has its name."""

    def before_loop(self) -> None:
        """Hook: runs when the loop starts."""

    def idle(self) -> None:
        """Hook: runs when nothing came for a second. An agent that does not override it never wakes up for it."""

    def on_stop(self) -> None:
        """Hook: runs when the agent shuts down, before its sockets close."""

    # --- life -----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Run the loop in this thread until :meth:`stop` or :meth:`shutdown`.

        Through a proxy it returns as soon as the loop runs.
        """
        state = self._state
        state.stop_asked = False
        checked_on_error(self.on_error)
        self.before_loop()
        state.runs()
        try:
            idle = self.idle if type(self).idle is not Agent.idle else None
            self._loop.run(lambda: not state.stop_asked and not state.ending, idle=idle)
        finally:
            state.running.clear()

    def stop(self) -> str:
        """End the loop; process, sockets and name stay, and :meth:`run` starts it again. Gives ``'OK'``. Any thread."""
        self._state.stop_asked = True
        self._loop.wake()
        return "OK"

    def shutdown(self) -> None:
        """End the loop, the sockets, the name and the process, after what is being handled now. Any thread."""
        self._state.ending = True
        self._loop.wake()

    def kill(self) -> None:
        """End the process now, even when a handler is stuck: nothing is finished, closed or sent. Any thread."""
        self._state.end_process()

    def is_running(self) -> bool:
        """Tell whether the loop runs. Any thread."""
        return self._state.running.is_set()

    def ending(self) -> bool:
        """Tell whether the agent was asked to shut down. Any thread."""
        return self._state.ending

    def ping(self) -> str:
        """Give ``'pong'``. Any thread."""
        return "pong"

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        """Declare that the loop may stand still for long: ``with self.busy(): long_calculation()``. It is then no hang.

        It is known before the block begins, so the block may be C code that lets no other thread run. Any thread.
        """
        pulse = self._loop.pulse
        pulse.busy(1)
        try:
            yield
        finally:
            pulse.busy(-1)

    def _in_office(self) -> None:
        """Hook of our own: runs in the owner's thread when the agent has its name, and before its loop."""

    def _end_because(self, mode: str) -> None:
        self._state.restart_asked = mode == "restart"
        if mode == "restart":
            self._state.ending = True
        self.stop()

    # --- sockets --------------------------------------------------------------------------------------------------

    def bind(
        self,
        kind: str,
        alias: str | None = None,
        handler: Any = None,
        addr: Any = None,
        transport: str | None = None,
        serializer: str | None = None,
        *,
        hwm: int | None = None,
        advertise: str | None = None,
    ) -> Address:
        """Bind a socket, or a channel. Any thread.

        Args:
            kind: REQ, REP, PUSH, PULL, PUB, SUB, ASYNC_REP or SYNC_PUB.
            alias: The agent's own name for it.
            handler: What gets its messages; needed for REP, PULL, SUB, ASYNC_REP and SYNC_PUB. See the guide on patterns.
            addr: tcp: None (the agent's host, a free port), ``'ip'``, ``'ip:port'`` or a SocketAddress; ipc: a name.
            transport: ``tcp``, ``ipc`` or ``inproc``; None: the agent's, else ``config['TRANSPORT']``.
            serializer: None: the agent's, else ``config['SERIALIZER']``.
            hwm: Messages to queue per connection; None: ``config['HWM']``; 0: no limit.
            advertise: tcp: the host to put into the address; None: the one bound, or this machine's outward address for 0.0.0.0.

        Returns:
            The address to connect to: an :class:`AgentAddress`, or an :class:`AgentChannel`.

        Raises:
            WrongAddressError: no such kind, transport or serializer, or the address cannot be bound.
            ValueError: the kind requires a handler.
            HandlerError: the handler cannot be called.
            AliasError: the alias is in use.
            RefusedError: security forbids it.
            NotImplementedError: ASYNC_REQ and SYNC_SUB do not bind.
        """
        where = Where(
            AgentAddressTransport(transport or self._transport or config["TRANSPORT"]),
            AgentAddressSerializer(serializer or self._serializer or config["SERIALIZER"]),
            addr,
            self.host,
            hwm,
            advertise,
        )
        return self._here(lambda: self._links.bind(kind, alias, handler, where))

    def connect(
        self, server: Any, alias: str | None = None, handler: Any = None, *, hwm: int | None = None, timeout: float = 3.0
    ) -> Address:
        """Connect to a server's address. Any thread.

        Args:
            server: An address, a channel, or ``(agent, alias)``: looked up at the name server, waited for up to
                `timeout` seconds, and connected again by itself when that agent comes back elsewhere.
            alias: The agent's own name for it.
            handler: What gets the messages, or the replies of an ASYNC_REP channel.
            hwm: Messages to queue per connection; None: ``config['HWM']``; 0: no limit.
            timeout: Seconds to wait for an agent and alias given by name.

        Returns:
            The address of the client's side. Connecting again to the same server adds an alias to the same socket.
        """
        if not isinstance(server, (tuple, list)):
            return self._here(lambda: self._links.connect(server, alias, handler, hwm))
        if len(server) != 2 or not all(isinstance(part, str) for part in server):
            raise WrongAddressError(f"{server!r} names no socket; give (agent, alias)")
        agent, its_alias = server
        directory = self._the_directory()
        found = directory.address(agent, its_alias, timeout)
        address = self._here(lambda: self._links.connect(found, alias, handler, hwm))
        self._follow(directory, agent, its_alias, alias if alias is not None else address)
        return address

    def _follow(self, directory: calls.Directory, agent: str, its_alias: str, name: Any) -> None:
        link = self._links.get(name)
        link.remote = (agent, its_alias)

        def moved(address: Address) -> None:
            link.moved = link.address != address.twin()
            self._loop.post(lambda: self._links.renew(link, address))

        directory.follow(agent, its_alias, moved)

    def addr(self, alias: str) -> Address:
        """Give the address of a socket. Any thread."""
        return self._links.get(alias).address

    def has_socket(self, alias: Any) -> bool:
        """Tell whether there is a socket of that alias or address. Any thread."""
        return alias in self._links

    def sockets(self) -> dict[str, Address]:
        """Give the addresses of all sockets that have an alias. Any thread."""
        return {alias: link.address for alias, link in self._links.aliases().items()}

    def close(self, alias: Any, linger: float | None = None) -> None:
        """Close a socket and forget its aliases. Any thread.

        Args:
            alias: The alias or the address.
            linger: Seconds that unsent messages are kept for; None: ``config['LINGER']``; negative: for ever.
        """
        self._here(lambda: self._links.close(alias, config["LINGER"] if linger is None else linger))

    def close_all(self, linger: float | None = None) -> None:
        """Close every socket. Any thread. Args: as for :meth:`close`."""
        self._here(lambda: self._links.close_all(config["LINGER"] if linger is None else linger))

    # --- messages -------------------------------------------------------------------------------------------------

    def send(
        self,
        address: Any,
        message: Any,
        topic: str | bytes | None = None,
        handler: Any = None,
        wait: float | None = None,
        on_error: Any = None,
        timeout: float | None = None,
    ) -> None:
        """Send a message. Any thread.

        Args:
            address: Alias or address of the socket.
            message: What its serializer can write. An array is not copied: do not change it after sending.
            topic: PUB, SYNC_PUB: the topic.
            handler: Channels: what gets the reply, instead of the handler given at connecting.
            wait: Channels: seconds after which the request is given up.
            on_error: Channels: function (or name of a method) to call when a request is given up or failed.
            timeout: Seconds to wait for room; None: for ever.

        Raises:
            AliasError: no such socket.
            SerializationError: the message cannot be written.
            MessageTimeoutError: no room in time.
        """
        if (  # the short way: a call more here costs a tenth of a small message
            get_ident() == self._loop.owner
            and topic is None
            and handler is None
            and wait is None
            and on_error is None
            and timeout is None
            and address in self._puts
        ):
            self._puts[address](message)
            return
        if not self._loop.in_owner():
            self._here(lambda: self.send(address, message, topic, handler, wait, on_error, timeout))
            return
        link = self._links.get(address)
        if topic is handler is wait is on_error is timeout is None:
            link.put(message)
        else:
            link.send(message, SendOptions(topic, handler, wait, on_error, timeout))

    def send_many(self, address: Any, messages: list[Any]) -> None:
        """Send messages in order, many to a frame where the serializer allows it: faster for small ones. Any thread.

        A frame goes to one receiver whole: with several pullers, work is shared out in larger portions.
        """
        self._here(lambda: self._links.get(address).send_many(list(messages)))

    def recv(self, address: Any, timeout: float | None = None) -> Any:
        """Wait for a message and give it: the answer on REQ, or a message of PULL or SUB past its handler.

        Args:
            address: Alias or address of the socket.
            timeout: Seconds; None: for ever.

        Raises:
            MessageTimeoutError: nothing came in time.
        """
        return self._here(lambda: self._links.get(address).recv(timeout))

    def send_recv(self, address: Any, message: Any, timeout: float | None = None) -> Any:
        """Ask on a REQ socket and give the answer. Raises what the handler raised there, as :meth:`recv` else."""

        def ask() -> Any:
            link = self._links.get(address)
            link.put(message)
            return link.recv(timeout)

        return self._here(ask)

    def subscribe(self, alias: Any, handler: Any) -> None:
        """Add subscriptions to a SUB or SYNC_SUB socket, or replace their handlers. Any thread.

        Args:
            alias: Alias or address of the socket.
            handler: dict topic -> handler, or one handler of everything.
        """
        self._here(lambda: self._sub(alias).subscribe(handler))

    def unsubscribe(self, alias: Any, topics: Any) -> None:
        """Take subscriptions back: a topic, or several. The traffic stops at the publisher. Any thread."""
        self._here(lambda: self._sub(alias).unsubscribe(topics))

    def wait_for_subscribers(self, alias: Any, n: int = 1, timeout: float = 3.0, topic: str | bytes | None = None) -> None:
        """Wait until `n` subscribers of a PUB or SYNC_PUB socket are there, so that the first publication is not lost.

        Args:
            alias: Alias or address of the socket.
            n: How many.
            timeout: Seconds.
            topic: None: subscribing sockets of agents are counted, each once, whatever its topics are; programs that
                are not agentlab's count as one together, and only where no agent's socket is there. A topic:
                subscriptions that let it through are counted, so a socket with both ``''`` and ``'a'`` counts twice
                for ``'a'``.

        Raises:
            MessageTimeoutError: they did not come in time.
        """

        def wait() -> None:
            link = self._links.get(alias)
            if not isinstance(link, PubLink):
                raise WrongAddressError(f"{alias!r} is a {link.kind} socket; subscribers come to PUB and SYNC_PUB")
            link.wait_for_subscribers(n, None if topic is None else to_topic(topic), timeout)

        self._here(wait)

    def lost(self, alias: Any) -> int:
        """Give how many publications were lost to slowness on a PUB or SUB socket. Any thread."""
        link = self._links.get(alias)
        return int(getattr(link, "lost", 0))

    def _sub(self, alias: Any) -> SubLink:
        link = self._links.get(alias)
        if not isinstance(link, SubLink):
            raise WrongAddressError(f"{alias!r} is a {link.kind} socket; only SUB and SYNC_SUB subscribe")
        return link

    # --- timers ---------------------------------------------------------------------------------------------------

    def each(self, period: float, method: Any, *args: Any, alias: str | None = None, **kwargs: Any) -> str:
        """Call a method now and then every `period` seconds, from start to start; ticks that are missed are skipped.

        Any thread.

        Args:
            period: Seconds; 0: as often as the loop turns.
            method: A method, a function of the agent, or the name of a method.
            *args: Given to it at each tick.
            alias: The timer's name; None: one is made up.
            **kwargs: Given to it at each tick.

        Returns:
            The alias.
        """
        action = self._action(method, args, kwargs)
        return self._here(lambda: self._loop.timers.each(period, action, now=time.monotonic(), alias=alias))

    def after(self, delay: float, method: Any, *args: Any, alias: str | None = None, **kwargs: Any) -> str:
        """Call a method once, in `delay` seconds. Args and Returns: as for :meth:`each`."""
        action = self._action(method, args, kwargs)
        return self._here(lambda: self._loop.timers.after(delay, action, now=time.monotonic(), alias=alias))

    def stop_timer(self, alias: str) -> bool:
        """Stop a timer; False when none has that alias. Any thread."""
        return self._here(lambda: self._loop.timers.stop(alias))

    def stop_all_timers(self) -> None:
        """Stop every timer. Any thread."""
        self._here(self._loop.timers.stop_all)

    def list_timers(self) -> list[str]:
        """Give the aliases of the timers that are not over. Any thread."""
        return self._here(self._loop.timers.aliases)

    def _action(self, method: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Callable[[], object]:
        function = calls.timer_function(self, method)
        return lambda: self._coroutines.take(function(*args, **kwargs))

    # --- attributes and methods -----------------------------------------------------------------------------------

    def set_attr(self, **attributes: Any) -> None:
        """Set attributes."""
        if "on_error" in attributes:
            checked_on_error(attributes["on_error"])
        for key, value in attributes.items():
            setattr(self, key, value)
        self._reporter.set_debug(bool(self._DEBUG))

    def get_attr(self, name: str) -> Any:
        """Give an attribute. Any thread."""
        return getattr(self, name)

    def set_method(self, *functions: Callable[..., Any], **named: Callable[..., Any]) -> str | None:
        """Add methods to the agent: functions whose first parameter is the agent. Gives the name of the last one."""
        return calls.set_methods(self, functions, named)

    def execute_as_function(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Call a function in the agent's process and give its result."""
        return function(*args, **kwargs)

    def execute_as_method(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Call a function in the agent's process, with the agent as first argument, and give its result."""
        return function(self, *args, **kwargs)

    def raise_exception(self) -> None:
        """Raise an exception, for tests of what happens then."""
        raise RuntimeError("exception raised on request")

    # --- errors and logging ---------------------------------------------------------------------------------------

    def error_count(self) -> int:
        """Give how many handlers, timers and hooks have raised. Any thread."""
        return self._faults.errors

    def bad_message_count(self) -> int:
        """Give how many messages could not be understood and were dropped. Any thread."""
        return self._faults.bad_messages

    def last_error(self) -> str:
        """Give the traceback of the last error, or an empty text. Any thread."""
        return self._faults.last

    def log_debug(self, message: Any) -> None:
        """Say something that is shown only when ``_DEBUG`` is set. Any thread."""
        self._reporter.logger.debug("%s", message)

    def log_info(self, message: Any) -> None:
        """Say something. Any thread."""
        self._reporter.logger.info("%s", message)

    def log_warning(self, message: Any) -> None:
        """Say that something is odd. Any thread."""
        self._reporter.logger.warning("%s", message)

    def log_error(self, message: Any) -> None:
        """Say that something went wrong. Any thread."""
        self._reporter.logger.error("%s", message)

    def set_logger(self, logger: Any) -> None:
        """Send what is logged to a Logger agent, given by a proxy or by its address; None: to the console again."""
        if logger is None:
            self._reporter.forward_to(None)
            return
        address = logger.addr("logger") if hasattr(logger, "addr") else logger
        own = self.connect(address)
        self._reporter.forward_to(lambda record, lost: calls.forward_record(self, own, record, lost))

    # --- inside ---------------------------------------------------------------------------------------------------

    def _here(self, function: Callable[[], T]) -> T:
        """Run a function in the thread that owns the sockets."""
        if self._loop.in_owner():
            return function()
        return self._loop.post(function).wait()  # type: ignore[no-any-return]

    def _the_directory(self) -> calls.Directory:
        if self._directory is None:
            raise WrongAddressError("this agent has no name server, so it cannot look up agents; give an address")
        return self._directory

    def _close(self) -> None:
        """Free everything: in the owner's thread, when the agent ends; twice is fine."""
        self._coroutines.close()
        self._links.close_all(config["LINGER"])
        self._loop.close("the agent has shut down")
        self._reporter.close()
