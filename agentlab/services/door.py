"""Where calls enter one service: the same payloads and answers as an agent's (:mod:`agentlab.agent.door`).

A call is ``(method, args, kwargs, safe)``, then its path and the client's token where there are such. Whether it is safe
means nothing here: what touches the object waits for its turn, and what is asked about the service is answered beside it.
"""

from __future__ import annotations

import inspect
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import psutil

from agentlab.agent import local
from agentlab.agent.faults import brief_error
from agentlab.control.answers import Later
from agentlab.control.auth import Peer
from agentlab.errors import DeadlockError, nearest
from agentlab.services import surface
from agentlab.services.calls import PlainCall, ServiceCall
from agentlab.services.hosted import HostedService
from agentlab.services.instance import ASSIGN, ATTRIBUTE, GET, SET
from agentlab.services.payloads import PayloadDoor
from agentlab.services.rate import Rate

if TYPE_CHECKING:
    from agentlab.agent.door import Door

log = logging.getLogger("agentlab.services")

_OF_ALL = "Every service has this, whatever its class."
_COMMON = {"ping": "()", "info": "()", "is_running": "()", GET: "(name)", SET: "(**values)"}
"""What every service has, unless its class has methods of these names, and how it is called."""


class ServiceDoor(PayloadDoor):
    """The door of one service. Called by the control daemon's threads.

    Args:
        service: The service.
        daemon: Name of its daemon.
        blocked: URIs of the services that cannot run a call while this one does: those of its thread.
        security: As of the daemon.
    """

    def __init__(self, service: HostedService, daemon: str, blocked: set[str]) -> None:
        super().__init__(service.name)
        self.service = service
        self.uri = ""
        self.waits = local.Waits()
        self.agent = SimpleNamespace(name=service.name)  # what proxies used inside ask of an agent's door
        self._daemon, self._blocked = daemon, blocked
        self._lock = threading.Lock()
        self._rate = Rate()
        self.errors = 0
        self.dropped = 0
        """Calls that were not run because nobody waited for them any more."""
        self._beside: dict[str, Callable[..., Any]] = {
            "_describe": self._describe,
            "_document": self._document,
            "_vitals": self._vitals,
            "_waits": self.waits.on_behalf,
            "_wiring": list,
            "_info": self._info,
            "_ping": lambda: "pong",
            "_portrait": self._portrait,
        }
        self._unless_own: dict[str, Callable[..., Any]] = {
            "ping": lambda: "pong",
            "info": self._info,
            "is_running": lambda: service.state == "running",
        }

    def serve_at(self, uri: str, *, alone: bool) -> None:
        """Note where it is served, and whether its thread is blocked by its own calls."""
        self.uri = uri
        self._blocked.discard(uri) if alone else self._blocked.add(uri)

    def _called(
        self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any], path: tuple[str, ...], token: str, peer: Peer
    ) -> bytes | Later:
        if method == "_attach":
            self.service.attach(token, peer.connection)
            return self.result(method, None)
        beside = self._find_beside(method)
        if beside is not None:
            return self.result(method, beside(*args, **kwargs))
        self._check(method, path)
        return Later(
            lambda deliver: self.service.submit(ServiceCall(self, method, args, kwargs, path, deliver), token, peer.connection)
        )

    def stock_surface(self) -> tuple[list[str], list[str]]:
        """Give the names of methods and attributes that stock Pyro5 clients may use."""
        kind = self.service.kind
        methods = [name for name in self._names() if name not in (GET, SET) or hasattr(kind, name)]
        return methods, [] if kind is None else surface.property_names(kind)

    def invoke(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any], peer: Peer) -> Any:
        """Run a call of a stock Pyro5 client, and wait for it.

        Raises:
            Exception: of a builtin type, as stock clients can rebuild no other.
        """
        if method == "__getattr__":
            method = ATTRIBUTE
        elif method == "__setattr__":
            (name, value), args = args, ()
            method, kwargs = ASSIGN, {name: value}
        try:
            beside = self._find_beside(method)
            if beside is not None:
                return beside(*args, **kwargs)
            self._check(method, ())
            call = PlainCall(self, method, args, kwargs)
            self.service.submit(call, "", peer.connection)
            result = call.answer.result()
        except BaseException as error:
            if type(error).__module__ == "builtins" and isinstance(error, Exception):
                raise
            raise RuntimeError(brief_error(error)) from None
        return result[1] if method == ATTRIBUTE else result

    def execute(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any], *, safe: bool = True) -> Any:  # noqa: ARG002
        """Run a call that the service makes of itself, safe or not: in its own thread, where no turn would ever come."""
        beside = self._find_beside(method)
        if beside is not None:
            return beside(*args, **kwargs)
        instance = self.service.instance()
        if instance is None:
            raise self._deadlock(method)
        return instance.ask(method, args, kwargs)

    @contextmanager
    def working(self, path: tuple[str, ...]) -> Iterator[None]:
        """Note that the current thread runs a call of this service."""
        door = cast("Door", self)
        if self.uri in self._blocked:
            local.enter(door)
            try:
                with local.handling(door, path):
                    yield
            finally:
                local.leave()
        elif path:
            with local.handling(door, path):
                yield
        else:
            yield

    def count(self, error: BaseException | None, what: str) -> None:
        """Note that a call was run."""
        with self._lock:
            self._rate.count(time.monotonic())
            self.errors += error is not None
        if error is not None:
            # The caller has it, with its traceback; here it is for whoever follows what the service does.
            log.info("%s of service %r raised %s", what, self._name, brief_error(error))

    def drop(self) -> None:
        """Note that a call was not run, as nobody waits for it any more."""
        with self._lock:
            self.dropped += 1

    def _find_beside(self, method: str) -> Callable[..., Any] | None:
        special = self._beside.get(method)
        if special is None and method in self._unless_own and not hasattr(self.service.kind, method):
            special = self._unless_own[method]
        return special

    def _check(self, method: str, path: tuple[str, ...]) -> None:
        self.service.check()
        if method.startswith("_") and method not in (ATTRIBUTE, ASSIGN):
            raise AttributeError(
                f"{method!r} of service {self._name!r} is private; only names without a leading underscore are served"
            )
        if not self._blocked.isdisjoint(path):
            raise self._deadlock(method)

    def _deadlock(self, method: str) -> DeadlockError:
        return DeadlockError(
            f"service {self._name!r} waits, directly or through others, for this very call of {method}(), so it can never run: "
            "use .oneway, or do it after the answer"
        )

    def _names(self) -> list[str]:
        kind = self.service.kind
        own = [] if kind is None else surface.method_names(kind)
        return sorted({*own, *(name for name in (*self._unless_own, GET, SET) if not hasattr(kind, name))})

    def _describe(self) -> dict[str, Any]:
        service = self.service
        return {
            "name": self._name,
            "methods": self._names(),
            "class": service.row()["class"].rpartition(".")[2],
            "kind": "service",
            "instancemode": service.spec.instancemode,
            "state": service.state,
        }

    def _portrait(self, name: str | None = None) -> dict[str, Any]:
        """Give what the service is and can do, as an agent's door does, or one method or attribute of it."""
        row, kind = self.service.row(), self.service.kind
        if name is not None:
            return self._member(name)
        members = self._document() if kind is not None else self._names()
        methods = set(self._names())
        return {
            "name": self._name,
            "kind": "service",
            "class": row["class"] if kind is None else f"{kind.__module__}.{kind.__qualname__}",
            "doc": "" if kind is None else inspect.cleandoc(kind.__doc__ or ""),
            **{key: row[key] for key in ("description", "tags", "instancemode", "state", "reason")},
            "methods": [self._member(member) for member in members if member in methods],
            "attributes": [self._member(member) for member in members if member not in methods],
            "sockets": [],
        }

    def _member(self, name: str) -> dict[str, Any]:
        kind = self.service.kind
        if kind is None or (name in self._names() and not hasattr(kind, name)):
            if name not in self._names():
                self.service.check()
                raise AttributeError(f"service {self._name!r} has no method {name!r}{nearest(name, self._names())}")
            return {"name": name, "signature": _COMMON[name], "doc": _OF_ALL, "own": False}
        if name not in (known := self._document()):
            raise AttributeError(f"service {self._name!r} has no method or attribute {name!r}{nearest(name, known)}")
        return surface.portrait(kind, name)

    def _document(self, name: str | None = None) -> Any:
        kind = self.service.kind
        if kind is None:
            return [] if name is None else ("", [])
        if name is None:
            instance = self.service.instance()
            own = surface.public_names(kind, None if instance is None else instance.object)
            return sorted({*own, *self._names()})
        if name in (*self._unless_own, GET, SET) and not hasattr(kind, name):
            return _OF_ALL, []
        return surface.document(kind, name)

    def _info(self) -> dict[str, Any]:
        return {"name": self._name, "daemon": self._daemon, "uri": self.uri, **self.service.row(), "dropped": self.dropped}

    def _vitals(self) -> dict[str, Any]:
        row = self.service.row()
        process = psutil.Process()
        times = process.cpu_times()
        return {
            "name": self._name,
            "class": row["class"].rpartition(".")[2],
            "state": row["state"],
            "since": row["since"],
            "handled": self._rate.total,
            "rate": self._rate.value(time.monotonic()),
            "calls": self._rate.total,
            "queue": row["queue"],
            "errors": self.errors,
            "bad_messages": self.bad_messages,
            "lost": 0,
            "cpu": times.user + times.system,
            "rss": process.memory_info().rss,
            "pid": os.getpid(),
            "busy": bool(row["running"]),
        }
