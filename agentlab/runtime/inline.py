"""Agents in a thread of the caller's process: a debugger's breakpoints work in them, and they see the caller's objects."""

from __future__ import annotations

import atexit
import secrets
import threading
from typing import Any

from agentlab.agent.agent import Agent
from agentlab.agent.calls import RunOrder
from agentlab.nameserver.places import nameserver_address
from agentlab.runtime.agentmain import HostedAgent, Spec
from agentlab.runtime.kinds import proxy_class
from agentlab.runtime.proxy import Proxy

_threads: dict[str, tuple[threading.Thread, Agent]] = {}


def start_inline(
    name: str,
    nsaddr: Any,
    addr: Any,
    base: type[Agent],
    serializer: str | None,
    transport: str | None,
    attributes: dict[str, Any] | None,
    *,
    on_error: str | None,
    tags: tuple[str, ...],
    safe: bool | None,
) -> Proxy:
    """Start an agent in a thread; give a proxy of it, running. Raises in the caller whatever its building raises."""
    name = name or f"{base.__name__}-{secrets.token_hex(4)}"
    spec = Spec(name, nameserver_address(nsaddr), addr, base, serializer, transport, dict(attributes or {}), on_error, True, tags)
    started = _Start(spec)
    thread = threading.Thread(target=started.main, name=f"agentlab-{name}", daemon=True)
    thread.start()
    started.done.wait()
    if started.error is not None:
        raise started.error
    assert started.hosted is not None
    _threads[name] = (thread, started.hosted.agent)
    return (proxy_class(base._kind) or Proxy)._made(name, started.hosted.uri, spec.nsaddr, safe)


class _Start:
    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.done = threading.Event()
        self.error: BaseException | None = None
        self.hosted: HostedAgent | None = None

    def main(self) -> None:
        try:
            hosted = self.hosted = HostedAgent(self.spec)
        except BaseException as error:  # noqa: BLE001 - it belongs to the caller's thread
            self.error = error
            self.done.set()
            return
        state = hosted.agent._state
        state.end_process = hosted.agent.shutdown  # a thread cannot be killed
        order = state.ask_run()
        hosted.agent._loop.post(lambda: self._tell_start(hosted, order))
        try:
            hosted.serve()
        finally:
            hosted.close()
            self.done.set()
            _threads.pop(self.spec.name, None)

    def _tell_start(self, hosted: HostedAgent, order: RunOrder) -> None:
        self.error = order.error
        if order.error is not None:
            hosted.agent.shutdown()
        self.done.set()


@atexit.register
def _end_all() -> None:
    for thread, agent in list(_threads.values()):
        agent.shutdown()
        thread.join(1.0)
