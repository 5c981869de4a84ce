"""Agents for the tests; they import nothing but agentlab, so that a child starts fast."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

from agentlab import Agent


class Deadly(Agent):
    """Counts in a file how often a call ran, and dies of it."""

    def die(self):
        with Path(self.path).open("a") as file:
            file.write("x")
        os.kill(os.getpid(), signal.SIGKILL)

    def answer_and_die(self):
        self.die()


class Actor(Agent):
    """A bit of everything."""

    colour = "blue"

    def on_init(self):
        self.events = ["init"]
        self.number = 1
        self.napping = False

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
        self.napping = True
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

    def _private(self):
        return "private"

    def event(self, text):
        self.events.append(text)


class StopWriter(Agent):
    """Says in a file what it finds when it is told to stop."""

    def on_init(self):
        self.bind("PUSH", alias="out")

    def on_stop(self):
        with Path(self.path).open("a") as file:
            file.write(f"socket {self.has_socket('out')}\n")


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
    def on_init(self):
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


class Caller(Actor):
    """Calls the next one of a ring."""

    next = me = None
    unsafe_next = future_next = give_up = False
    seen = None

    def _view(self):
        return self.next.unsafe if self.unsafe_next else self.next

    def pass_on(self, hops):
        return f"arrived at {self.name}" if hops == 0 else self._view().pass_on(hops - 1)

    def slowly_pass_on(self, hops):
        time.sleep(0.3)
        return self.pass_on(hops)

    def meet(self, number):
        time.sleep(0.3)  # until the others are in their calls
        if self.future_next:
            return self.next.future.reply().result()
        return self._view().reply()

    def meet_with_timeout(self, seconds):
        time.sleep(0.3)
        try:
            return self.next.timeout(seconds).reply()
        except TimeoutError:
            return "TimeoutError"

    def reply(self):
        return "pong"

    def ask_next_to_nap(self, seconds):
        return self.next.nap(seconds)

    def own(self, method, *args):
        return getattr(self.me, method)(*args)

    def own_unsafe(self, method, *args):
        return getattr(self.me.unsafe, method)(*args)

    def own_attribute(self):
        return self.me.name

    def own_oneway(self):
        return self.me.oneway.add(1)

    def own_future(self):
        return self.me.future.add(1).result()

    def own_future_unsafe(self):
        return self.me.unsafe.future.add(1).result()

    def own_future_later(self):
        self.me.future.add(1).add_done_callback(lambda future: self.set_attr(seen=future.result()))
        return "asked"


class Chatterer(Agent):
    """Calls its friends all the time, from its loop; they answer beside theirs."""

    friends = ()

    def chat(self, seconds):
        end, count = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            for friend in self.friends:
                count += friend.unsafe.answer()
        return count

    def answer(self):
        return 1


class Recorder(Agent):
    """Writes every hook to a file."""

    def on_init(self):
        self.say("init")
        self.after(0, "say", "tick")

    def say(self, text):
        with Path(self.path).open("a") as file:
            file.write(text + "\n")

    def before_loop(self):
        self.say("before_loop")

    def on_stop(self):
        self.say("stopped")


def _say(connection):
    connection.send("from the child")


class Parent(Agent):
    """Starts processes and agents."""

    def echo(self, text):
        return text

    def subprocess(self):
        import subprocess

        return subprocess.run(
            [sys.executable, "-c", "print('from the child')"], capture_output=True, text=True, check=True
        ).stdout.strip()

    def multiprocessing(self, method="spawn"):
        import multiprocessing

        context = multiprocessing.get_context(method)
        ours, theirs = context.Pipe()
        child = context.Process(target=_say, args=(theirs,))
        child.start()
        text = ours.recv()
        child.join(10)
        return text

    def fork(self):
        return self.multiprocessing("fork")

    def fork_sleeper(self, signal_it=False):
        """Fork a process that sleeps; give its pid, or how it ended when it was told to."""
        import multiprocessing

        self.sleeper = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
        self.sleeper.start()
        if not signal_it:
            return self.sleeper.pid
        time.sleep(0.2)
        self.sleeper.terminate()
        self.sleeper.join(3)
        return self.sleeper.exitcode

    def fork_and_exit(self):
        """Fork a process that leaves by an exception, as no careful program would."""
        from agentlab.control import workers

        workers.IDLE_LIFE = 0.2  # so long its only thread, which is one of these, waits for more work
        pid = os.fork()
        if pid == 0:
            sys.exit(7)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def pid(self):
        return os.getpid()

    def start_agent(self, name, method):
        from agentlab import run_agent

        self.child = run_agent(name, base=Actor, start_method=method)
