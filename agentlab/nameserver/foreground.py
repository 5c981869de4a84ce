"""Serving a name server in the calling process, as its file describes it."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from agentlab.errors import AgentLabError, ConfigurationError
from agentlab.nameserver.server import NameServer
from agentlab.settings import config as settings

if TYPE_CHECKING:
    from agentlab.nameserver.config import NameServerConfig  # needs pydantic, and who has one has that


_REASONS = {"cannot listen": "ns_port", "cannot hear broadcasts": "ns_bcport", "refused to listen": "host"}
"""How errors begin, and the key of the config that they are about: from a child process comes only their text."""


def start_ns_loop(config: NameServerConfig, on_ready: Callable[[str], None] | None = None) -> None:
    """Serve a name server in the calling thread until it is stopped: by Ctrl-C, SIGTERM, or a client's ``shutdown``.

    In the main thread the two signals end it without a traceback; what they did before is put back. Where the config says
    something about security, that holds for this whole process while it serves.

    Args:
        config: One of those that :func:`~agentlab.nameserver.config.read_nameserver_configs` gives.
        on_ready: Called once with ``host:port`` when names are served.

    Raises:
        ConfigurationError: it cannot serve so, as where the port is in use, the host is another machine, or the storage file
            cannot be written; told with file, line and column where the config was read from a file.
    """
    config.check_host()
    options = config.server_options()
    with _security(config.security):
        try:
            server = NameServer(**options)
            with stopped_by_signals(server.stop):
                server.run(on_ready)
        except AgentLabError as error:
            raise explain(config, error) from error


def explain(config: NameServerConfig, error: AgentLabError) -> ConfigurationError:
    """Give the error that tells which key of a config is the reason why its name server could not serve."""
    text = str(error)
    for beginning, key in _REASONS.items():
        if text.startswith(beginning):
            return config.blame(key, text)
    path = config.server_options()["storage_file"]
    return config.blame("storage_file" if path is not None and path in text else "", text)


@contextlib.contextmanager
def _security(wanted: str | None) -> Iterator[None]:
    """Set the process's security: sockets of ZeroMQ know no other."""
    before = settings.snapshot()
    if wanted is not None:
        settings["SECURITY"] = wanted
    try:
        yield
    finally:
        if wanted is not None:
            settings.restore(before)


@contextlib.contextmanager
def stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM call a function inside the ``with``. Only in the main thread; in others nothing is done.

    Args:
        stop: Called in the main thread between any two of its instructions, so it may not wait for a lock.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(_number: int, _frame: Any) -> None:
        stop()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
