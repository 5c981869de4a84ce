"""Agents' processes as their starter sees them: started, watched, started again, ended."""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

import cloudpickle

from agentlab.agent.agent import Agent
from agentlab.errors import AgentLabError, AgentStartError
from agentlab.nameserver.client import NameServerClient
from agentlab.nameserver.places import nameserver_address
from agentlab.runtime import started
from agentlab.runtime.agentmain import RESTART_CODE, TARGET, Ready, Spec, dump_spec
from agentlab.runtime.child import Child, install_quiet_interrupt, start_child
from agentlab.runtime.kinds import proxy_class
from agentlab.runtime.proxy import Proxy
from agentlab.transport.ipc import sweep_stale
from agentlab.wire.address import SocketAddress

log = logging.getLogger(__name__)

MOST_RESTARTS = 5
RESTART_PERIOD = 10.0
RESTART_DELAY = 0.01


class AgentProcess:
    """The process of one agent, as its starter sees it.

    Args:
        name: The agent's name; empty: a unique one is made up.
        nsaddr: The name server's address; None: ``AGENTLAB_NAMESERVER_ADDRESS``.
        addr: Host and port of its control daemon; None: a unix socket (127.0.0.1 where there are none).
        serializer: Serializer of its sockets.
        transport: Transport of its sockets.
        base: Its class; local classes and those of a notebook travel too.
        attributes: Attributes to set before ``on_init``.
        on_error: ``continue``, ``stop`` or ``restart``; None: what the class says.
        detach: Whether it outlives this process.
        start_method: ``forkserver`` or ``spawn``; None: ``config['START_METHOD']``.
        timeout: Seconds that it may take to start; None: ``config['START_TIMEOUT']``.
        tags: Words by which the name server can list it.
    """

    def __init__(
        self,
        name: str = "",
        nsaddr: Any = None,
        addr: Any = None,
        serializer: str | None = None,
        transport: str | None = None,
        base: type[Agent] = Agent,
        attributes: dict[str, Any] | None = None,
        *,
        on_error: str | None = None,
        detach: bool = False,
        start_method: str | None = None,
        timeout: float | None = None,
        tags: tuple[str, ...] = (),
    ) -> None:
        self.name = name or f"{base.__name__}-{secrets.token_hex(4)}"
        self._spec = Spec(
            self.name,
            nameserver_address(nsaddr),
            addr,
            base,
            serializer,
            transport,
            dict(attributes or {}),
            on_error,
            False,
            tags,
        )
        self._options: dict[str, Any] = {"detach": detach, "start_method": start_method, "timeout": timeout}
        self._child: Child | None = None
        self._ready: Ready | None = None
        self._restarts: deque[float] = deque(maxlen=MOST_RESTARTS)
        self._ended = threading.Event()
        self._ended.set()
        self._given_up = threading.Event()

    @property
    def nsaddr(self) -> SocketAddress:
        """The name server's address."""
        return self._spec.nsaddr

    @property
    def instance(self) -> str:
        """By what the name server tells this incarnation of the agent from others."""
        return self._spec.instance

    @property
    def is_over(self) -> bool:
        """Whether it was not started, or has ended and is not being started again."""
        return self._ended.is_set()

    @property
    def pid(self) -> int | None:
        """Its process id, or None before it was started."""
        return None if self._child is None else self._child.pid

    @property
    def exitcode(self) -> int | None:
        """How it ended (negative: by which signal), or None."""
        return None if self._child is None else self._child.exitcode

    def start(self, *, run: bool = False) -> str:
        """Start the process; returns when the agent is built and registered, and its loop runs if `run`.

        Returns:
            The agent's name.

        Raises:
            AgentStartError: it failed (with its traceback), died, or took too long; nothing of it is left (a RuntimeError).
                Or it runs already.
            ConfigurationError: class or attributes cannot be sent to another process.
        """
        if self.is_alive():
            raise AgentStartError(f"agent {self.name!r} was started already and lives; shut it down first")
        self._given_up.clear()
        self._spec.run = run
        install_quiet_interrupt()
        self._ended.clear()
        started.note(self)
        try:
            self._launch()
        except BaseException:
            self._ended.set()
            raise
        return self.name

    def _launch(self) -> None:
        self._spec.instance = secrets.token_hex(8)
        order = dump_spec(self._spec)
        try:
            self._child = start_child(TARGET, order, name=self.name, on_exit=self._on_exit, **self._options)
        except BaseException:  # Ctrl-C too: it may have been registered already when it was killed
            self._clean_up()
            raise
        self._ready = cloudpickle.loads(self._child.ready)

    def proxy(self, safe: bool | None = None) -> Proxy:
        """Give a proxy of the agent.

        Raises:
            AgentStartError: it was not started.
        """
        if self._ready is None:
            raise AgentStartError(f"agent {self.name!r} has not been started; call start()")
        base = self._spec.base
        cls = (None if isinstance(base, str) else proxy_class(base._kind)) or Proxy
        return cls._made(self.name, self._ready.uri, self.nsaddr, safe, self._ready.methods)

    def _on_exit(self, child: Child) -> None:
        if child.exitcode == RESTART_CODE and not self._given_up.is_set():
            threading.Thread(target=self._restart, name="agentlab-restart", daemon=True).start()
            return
        if child.exitcode != 0 or self._left_its_socket():
            self._clean_up()
        self._ended.set()

    def _left_its_socket(self) -> bool:
        """Tell whether it ended without closing anything, as by ``os._exit(0)``."""
        path = "" if self._ready is None else self._ready.uri.partition("/u:")[2]
        return path != "" and Path(path).exists()

    def _restart(self) -> None:
        again = False
        try:
            again = self._start_again()
        finally:
            if not again:
                self._ended.set()

    def _start_again(self) -> bool:
        now = time.monotonic()
        if len(self._restarts) == MOST_RESTARTS and now - self._restarts[0] < RESTART_PERIOD:
            log.error("agent %r failed %d times within %g s: not started again", self.name, MOST_RESTARTS + 1, RESTART_PERIOD)
            return False
        self._restarts.append(now)
        time.sleep(RESTART_DELAY * (2 ** (len(self._restarts) - 1)))
        if self._given_up.is_set():
            return False
        self._spec.run = True
        try:
            self._launch()
        except AgentLabError as error:
            log.error("agent %r could not be started again: %s", self.name, error)  # noqa: TRY400 - the text has the child's traceback
            return False
        if self._given_up.is_set() and self._child is not None:
            self._child.terminate()  # it was given up meanwhile
        return True

    def _clean_up(self) -> None:
        """Take away what a dead agent could not: its socket files, and its name if it still is that very agent's."""
        sweep_stale()
        with contextlib.suppress(AgentLabError), NameServerClient(self.nsaddr, timeout=1.0) as names:
            names.remove(self.name, instance=self._spec.instance)

    def is_alive(self) -> bool:
        """Tell whether the process lives."""
        return self._child is not None and self._child.is_alive()

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end, up to `timeout` seconds; restarts are not its end."""
        self._ended.wait(timeout)

    def expect_end(self) -> None:
        """Do not start it again, whatever it ends of."""
        self._given_up.set()

    def kill(self) -> None:
        """End it now, with SIGKILL; its name is taken away."""
        self._given_up.set()
        if self._child is not None:
            self._child.kill()

    def terminate(self) -> None:
        """Ask it to shut down, with SIGTERM."""
        self._given_up.set()
        if self._child is not None:
            self._child.terminate()
