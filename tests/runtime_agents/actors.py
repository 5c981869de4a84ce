"""Agents for the tests; they import nothing but agentlab, so that a child starts fast."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

from agentlab import Agent


class Actor(Agent):
    """A bit of everything."""

    colour = "blue"

    def on_init(self):
        self.events = ["init"]
        self.number = 1

    def before_loop(self):
        self.events.append("before_loop")

    def add(self, a, b=1):
        """Add two numbers.

        The second is 1 when it is left out.
        """
        return a + b

    def thread(self):
        return threading.get_ident() == self._loop.owner

    def pid(self):
        return os.getpid()

    def nap(self, seconds):
        time.sleep(seconds)
        return "slept"

    def fail(self, kind=ValueError, *args):
        raise kind(*args)

    def leave(self, code=3):
        sys.exit(code)

    def unserializable(self):
        return threading.Lock()

    def call(self, proxy, method, *args):
        """Call another agent, in whatever thread this is."""
        return getattr(proxy, method)(*args)

    def call_unsafe(self, proxy, method, *args):
        return getattr(proxy.unsafe, method)(*args)

    def event(self, text):
        self.events.append(text)


class StopWriter(Agent):
    """Says in a file what it finds when it is told to stop."""

    path = ""

    def on_init(self):
        self.bind("PUSH", alias="out")

    def on_stop(self):
        open(self.path, "a").write(f"socket {self.has_socket('out')}\n")


class ExitsInInit(Agent):
    def on_init(self):
        sys.exit(3)


class ExitsQuietlyInInit(Agent):
    def on_init(self):
        sys.exit(0)


class KilledInInit(Agent):
    def on_init(self):
        os.kill(os.getpid(), signal.SIGKILL)


class HangsInInit(Agent):
    path = ""

    def on_init(self):
        if self.path:
            with open(self.path, "w") as file:
                file.write(str(os.getpid()))
        time.sleep(60)


class FailsInInit(Agent):
    def on_init(self):
        raise KeyError("the key that is missing")


class FailsBeforeLoop(Agent):
    def before_loop(self):
        raise ZeroDivisionError("before the loop")


class HangsBeforeLoop(Agent):
    def before_loop(self):
        time.sleep(60)


class Stopping(Agent):
    on_error = "stop"


class Restarting(Agent):
    on_error = "restart"

    def on_init(self):
        self.bind("PULL", alias="in", handler=lambda agent, message: 1 / 0)
        self.born = time.monotonic()

    def fail(self):
        raise ValueError("asked to")

    def pid(self):
        return os.getpid()
