"""Proxies: remote handles of agents, services and stock objects. Their methods and attributes are the object's own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

from agentlab.control.connecting import StockObjectError
from agentlab.control.uri import parse_uri
from agentlab.errors import CommunicationError, MessageTimeoutError
from agentlab.nameserver.client import NameServerClient
from agentlab.nameserver.places import nameserver_address
from agentlab.runtime.calling import Caller
from agentlab.runtime.kinds import proxy_class
from agentlab.runtime.remote_method import RemoteMethod
from agentlab.settings import config
from agentlab.wire.address import SocketAddress

if TYPE_CHECKING:
    from agentlab.runtime.stockcalling import StockCaller

_POLL = 0.01  # the name is registered before the loop runs, and nobody announces that it does


class _Core:
    """What all views of one proxy share.

    Args:
        name: Who is called.
        uri: Where; empty: looked up when first used.
        nsaddr: The name server to look it up at; None: it stays where it is.
        safe: Whether calls are safe by default.
        methods: Its methods, where they are known already.
        kind: What it is, as far as known.
    """

    def __init__(
        self,
        name: str,
        uri: str,
        nsaddr: SocketAddress | None,
        safe: bool | None,
        methods: list[str] | None,
        kind: str = "agent",
    ) -> None:
        self.name = name
        self.nsaddr = nsaddr
        self.safe = safe
        self.kind = kind
        self._fixed = uri
        self._lock = threading.Lock()
        # No method of this object: the two would hold each other, and a dropped proxy's sockets stay until a collection.
        self._find = partial(_found, name, uri, nsaddr)
        self._caller: Caller | StockCaller | None = Caller(name, uri, self._find, kind=kind) if uri else None
        self._methods = None if methods is None else set(methods)

    @property
    def place(self) -> object:
        """What makes it the same as another of its name: the name server, or where it is."""
        return self._fixed if self.nsaddr is None else self.nsaddr

    @property
    def uri(self) -> str:
        """Where it is, as far as known."""
        return "" if self._caller is None else self._caller.uri

    @property
    def caller(self) -> Caller | StockCaller:
        """What calls it; looked up at the first use of a lazy proxy."""
        with self._lock:
            if self._caller is None:
                self._caller = Caller(self.name, self._find(), self._find, kind=self.kind)
            return self._caller

    @property
    def methods(self) -> set[str]:
        """The names of its methods."""
        if self._methods is None:
            self.learn(config["PATIENCE"])
        assert self._methods is not None
        return self._methods

    def learn(self, timeout: float) -> None:
        """Ask it what it is, and call it accordingly from now on.

        Raises:
            CommunicationError: it does not answer.
        """
        caller = self.caller
        try:
            described = caller.call("_describe", (), {}, safe=False, timeout=timeout)
        except StockObjectError:
            from agentlab.runtime.stockcalling import StockCaller  # imports Pyro5, which nobody else needs

            caller.close()
            caller = StockCaller(self.name, caller.uri, self._find)
            described = caller.call("_describe", (), {}, timeout=timeout)
        self.kind = caller.kind = described.get("kind", "agent")
        with self._lock:
            if described.get("instancemode") == "session" and self._methods is None:
                caller.join_session()
            self._caller = caller
            self._methods = set(described["methods"])


def _found(name: str, fixed: str, nsaddr: SocketAddress | None) -> str:
    """Give where it is now."""
    if nsaddr is None:
        return fixed
    with NameServerClient(nsaddr) as names:
        return names.lookup(name).uri


class Proxy:
    """A remote handle of an agent or a service, made from its name. Any number of threads may use it; it may be pickled and sent.

    The agent's methods and public attributes are its own: ``proxy.method(1)``, ``proxy.x``, ``proxy.x = 1``.
    ``proxy.unsafe``, ``proxy.safe``, ``proxy.oneway``, ``proxy.future``, ``proxy.aio`` and ``proxy.timeout(2.0)`` are
    views that call in another way; they change nothing of the proxy they come from.

    A safe call runs in the agent's loop, one at a time; an unsafe one at once, in another thread. A oneway call returns
    None when it is sent, and runs as an unsafe one. When the agent was started again elsewhere, the next call finds it there.

    Calls of a service always wait for their turn, safe or not. A plain Pyro5 object can be called too, where security is
    ``none`` and its name or URI is given.

    The name is looked up when the proxy is made, unless it is lazy: so a name with a typo, or somebody who does not answer, is
    told where the proxy is made, and not by whatever call comes first, perhaps an hour later.

    Args:
        name: The agent's or service's name; or its URI, ``PYRO:id@host:port`` or ``PYRO:id@./u:PATH``: no name server is
            asked then, and after a restart at the same place the next call works again.
        nsaddr: The name server's address; None: ``AGENTLAB_NAMESERVER_ADDRESS``.
        timeout: Seconds to wait for the name, and for an answer of its agent.
        safe: Whether calls are safe by default; None: ``config['SAFE']``.
        lazy: Look it up and connect when it is first used; what then is wrong, the first use raises.

    Raises:
        WrongAddressError: that is no URI.
        NameServerUnavailableError: nobody answers there.
        UnknownNameError: nobody has that name in time (a LookupError).
        CommunicationError: somebody has it, and does not answer.
    """

    _core: _Core
    _flavor: str
    _limit: float | None
    _safe: bool | None
    _kind: ClassVar[str] = "agent"

    def __init__(
        self, name: str, nsaddr: Any = None, timeout: float = 3.0, safe: bool | None = None, *, lazy: bool = False
    ) -> None:
        deadline = time.monotonic() + timeout
        if name.startswith("PYRO:"):
            core = _Core(parse_uri(name)[0], name, None, safe, None)
        else:
            address = nameserver_address(nsaddr)
            uri = ""
            if not lazy:
                with NameServerClient(address) as names:
                    uri = names.wait_for(name, timeout).uri
            core = _Core(name, uri, address, safe, None)
        while not lazy:
            try:
                core.learn(max(0.05, deadline - time.monotonic()))
                break
            except CommunicationError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(_POLL)  # registered, but killed or just coming back: its next registration may come
        self._set(core, "call", None, None)
        if not lazy:
            self._become()

    def _become(self) -> bool:
        """Take the class for what the other one has said to be; tell whether it is a new one.

        What a name stands for is known when its bearer has answered: with a lazy proxy that is after it was made.
        """
        special = proxy_class(self._core.kind)
        if special is None or type(self) is not Proxy:
            return False
        object.__setattr__(self, "__class__", special)
        self._of_kind()
        return True

    def _of_kind(self) -> None:
        """Hook: runs when the proxy has taken its class, and when it was made as one of it."""

    def _set(self, core: _Core, flavor: str, limit: float | None, safe: bool | None) -> Self:
        for key, value in (("_core", core), ("_flavor", flavor), ("_limit", limit), ("_safe", safe)):
            object.__setattr__(self, key, value)
        return self

    @classmethod
    def _made(
        cls, name: str, uri: str, nsaddr: SocketAddress | None, safe: bool | None, methods: list[str] | None = None
    ) -> Self:
        made = cls.__new__(cls)._set(_Core(name, uri, nsaddr, safe, methods, cls._kind), "call", None, None)
        made._of_kind()
        return made

    def _view(self, flavor: str | None = None, limit: float | None = None, safe: bool | None = None) -> Self:
        cls = type(self)
        return cls.__new__(cls)._set(
            self._core,
            flavor or self._flavor,
            self._limit if limit is None else limit,
            self._safe if safe is None else safe,
        )

    def _is_safe(self) -> bool:
        for choice in (self._safe, self._core.safe):
            if choice is not None:
                return choice
        return bool(config["SAFE"])

    # --- views ----------------------------------------------------------------------------------------------------

    @property
    def safe(self) -> Proxy:
        """A view whose calls run in the agent's loop."""
        return self._view(safe=True)

    @property
    def unsafe(self) -> Proxy:
        """A view whose calls run at once, in another thread than the loop's."""
        return self._view(safe=False)

    @property
    def oneway(self) -> Proxy:
        """A view whose calls return None when they are sent."""
        return self._view("oneway")

    @property
    def future(self) -> Proxy:
        """A view whose calls return a :class:`concurrent.futures.Future` at once."""
        return self._view("future")

    @property
    def aio(self) -> Proxy:
        """A view whose calls are awaited: ``await proxy.aio.method()``."""
        return self._view("aio")

    def timeout(self, seconds: float) -> Proxy:
        """Give a view whose calls raise :class:`CallTimeoutError` after so many seconds without an answer."""
        return self._view(limit=float(seconds))

    # --- the proxy's own ------------------------------------------------------------------------------------------

    def wait_for_running(self, timeout: float = 3.0) -> Self:
        """Wait until the agent's loop runs.

        Args:
            timeout: Seconds; negative: for ever.

        Returns:
            The proxy.

        Raises:
            MessageTimeoutError: it did not run in time (a TimeoutError).
        """
        deadline = None if timeout < 0 else time.monotonic() + timeout
        while not self._core.caller.call(
            "is_running", (), {}, safe=False, timeout=None if deadline is None else max(timeout, 0.1)
        ):
            if deadline is not None and time.monotonic() > deadline:
                raise MessageTimeoutError(f"Timed out while waiting for agent {self._core.name!r} to run ({timeout:g} s)")
            time.sleep(_POLL)
        return self

    def nsaddr(self) -> SocketAddress | None:
        """Give the address of the name server that the agent was found at."""
        return self._core.nsaddr

    def release(self) -> None:
        """Close the connections; the next call opens one again."""
        self._core.caller.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    # --- the agent's ----------------------------------------------------------------------------------------------

    def _method(self, name: str) -> RemoteMethod:
        return RemoteMethod(cast("Caller", self._core.caller), name, self._flavor, self._is_safe(), self._limit)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") and name.endswith("_"):
            raise AttributeError(name)  # notebooks, copy and pickle ask every object for such names
        core = self._core
        known = core.methods
        if self._become():
            return getattr(self, name)
        if name in known:
            return self._method(name)
        is_value, value = core.caller.call("_attribute", (name,), {}, safe=False, timeout=self._limit)
        if is_value:
            return value
        known.add(name)
        return self._method(name)

    def __setattr__(self, name: str, value: Any) -> None:
        if hasattr(type(self), name) or name in self.__dict__:
            raise AttributeError(
                f"{name!r} of a proxy is the proxy's own, so it cannot be set; an attribute of that name of the agent is set by "
                f"set_attr({name}=...) and read by get_attr({name!r})"
            )
        core = self._core
        known = core.methods
        if self._become():
            setattr(self, name, value)
            return
        method = "set_attr" if core.kind == "agent" else "_set"
        core.caller.call(method, (), {name: value}, safe=self._is_safe(), timeout=self._limit)
        known.discard(name)

    def __dir__(self) -> list[str]:
        own = [n for n in dir(type(self)) if not n.startswith("_")]
        try:
            return sorted({*own, *self._core.caller.call("_document", (), {}, safe=False, timeout=3.0)})
        except CommunicationError:
            return own

    def __repr__(self) -> str:
        return f"<Proxy of {self._core.kind} {self._core.name!r} at {self._core.uri or '(not looked up yet)'}>"

    def __eq__(self, other: object) -> bool:
        # By name, not by URI: an agent that was started again is the same one.
        return isinstance(other, Proxy) and (other._core.name, other._core.place) == (self._core.name, self._core.place)

    def __hash__(self) -> int:
        return hash(self._core.name)

    def __reduce__(self) -> tuple[Callable[..., Proxy], tuple[Any, ...]]:
        core = self._core
        return _rebuilt, (core.name, core.uri, core.nsaddr, core.safe, self._flavor, self._limit, self._safe, self._kind)


def _rebuilt(
    name: str,
    uri: str,
    nsaddr: SocketAddress | None,
    safe: bool | None,
    flavor: str,
    limit: float | None,
    view: bool | None,
    kind: str = "agent",
) -> Proxy:
    cls = proxy_class(kind) or Proxy
    return cls._made(name, uri, nsaddr, safe)._view(flavor, limit, view)
