"""The end of all agents of a name server: asked at once, killed after half the time, their processes seen to be gone."""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import psutil

from agentlab.errors import AgentLabError, MessageTimeoutError
from agentlab.nameserver.client import NameServerClient, Registration
from agentlab.runtime import started
from agentlab.runtime.calling import Caller
from agentlab.transport.ipc import sweep_stale

log = logging.getLogger(__name__)

AT_ONCE = 32
SHORT, LONG = 0.002, 0.02  # seconds between two looks: at first, and later
ASK_TIMEOUT = 1.0
CLOCKS_DIFFER = 2.0  # seconds between the start that the kernel says and the one that an agent says

_KILLED = "agent %r did not shut down within %g s and is killed; its on_stop() does not run"

Agents = dict[str, Registration]


def is_agent(registration: Registration) -> bool:
    """Tell whether a registration is an agent's: other things have names too."""
    return "pid" in registration.metadata


class Ending:
    """Ends the agents that a name server knows, also those that come meanwhile, and those that this program has started there.

    Args:
        names: The name server.
        timeout: Seconds until all must be gone.
    """

    def __init__(self, names: NameServerClient, timeout: float) -> None:
        self._names = names
        self._timeout = timeout
        self._known: dict[str, Registration] = {}  # by instance
        self._nameless: set[str] = set()  # instances of our own that were asked by signal

    def run(self) -> None:
        """Ask, wait, kill, wait.

        Raises:
            MessageTimeoutError: some are left; the text names them.
        """
        began = time.monotonic()
        killed, pause = False, SHORT
        pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="agentlab-ending")
        try:
            while left := self._left(pool):
                now = time.monotonic()
                if now > began + self._timeout:
                    names = ", ".join(sorted(map(repr, left)))
                    raise MessageTimeoutError(
                        f"agents not shutdown after {self._timeout:g} s: {names}; call it again, or end their processes"
                    )
                if not killed and now > began + self._timeout / 2:
                    killed = True
                    self._kill(pool)
                time.sleep(pause)
                pause = min(LONG, pause * 1.2)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _left(self, pool: ThreadPoolExecutor) -> set[str]:
        """Ask those to end that are new; give the names of those that still have their name or their process."""
        listed = {r.instance: r for r in self._names.list().values() if is_agent(r)}
        for instance in listed.keys() - self._known.keys():
            self._known[instance] = listed[instance]
            pool.submit(_ask, listed[instance], "shutdown")
        left = {r.name for r in self._known.values() if r.instance in listed or find_process(r) is not None}
        for agent in started.unfinished(self._names.address):
            left.add(agent.name)
            agent.expect_end()
            if agent.instance not in self._known and agent.instance not in self._nameless:
                self._nameless.add(agent.instance)
                agent.terminate()
        return left

    def _kill(self, pool: ThreadPoolExecutor) -> None:
        """End those that did not hear, or could not: by signal on this machine, by call elsewhere."""
        for agent in started.unfinished(self._names.address):
            agent.kill()
        for registration in [r for r in self._names.list().values() if is_agent(r)]:
            log.warning(_KILLED, registration.name, self._timeout / 2)
            process = find_process(registration)
            if process is not None:
                with contextlib.suppress(psutil.Error):
                    process.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
                    process.wait(ASK_TIMEOUT)
            elif not _is_here(registration) or _is_inline(registration):
                pool.submit(_ask, registration, "kill")
                continue
            self._names.remove(registration.name, instance=registration.instance)
        for registration in self._known.values():  # those that have lost their name meanwhile, as frozen ones do
            process = find_process(registration)
            if process is not None:
                with contextlib.suppress(psutil.Error):
                    process.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
        sweep_stale()


def _ask(registration: Registration, method: str) -> None:
    caller = Caller(registration.name, registration.uri, None)
    with contextlib.suppress(AgentLabError):  # killed or frozen: then it is ended by signal, or reported
        caller.cast(method, (), {}, safe=False, timeout=ASK_TIMEOUT)
    caller.close()


def _is_here(registration: Registration) -> bool:
    return registration.metadata.get("host") == platform.node()


def _is_inline(registration: Registration) -> bool:
    # Alive, and no agent's own: that of the program which has it in a thread.
    return registration.metadata.get("pid") == os.getpid() or _process(registration) is not None


def find_process(registration: Registration) -> psutil.Process | None:
    """Give the process of an agent when it lives on this machine, and is an agent's and nothing else's."""
    process = _process(registration)
    if process is None:
        return None
    try:
        return process if any("agentlab.runtime" in part for part in process.cmdline()) else None
    except psutil.Error:
        return None


def _process(registration: Registration) -> psutil.Process | None:
    pid, started = registration.metadata.get("pid"), registration.metadata.get("started")
    if not _is_here(registration) or not isinstance(pid, int) or not isinstance(started, (int, float)) or pid == os.getpid():
        return None
    try:
        process = psutil.Process(pid)
        # Process ids are used again: what began after the agent's registration is not the agent.
        if process.create_time() > started + CLOCKS_DIFFER or process.status() == psutil.STATUS_ZOMBIE:
            return None
    except psutil.Error:
        return None
    return process
