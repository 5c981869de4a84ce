"""The agents of the attack suite."""

from __future__ import annotations

import os
import resource

from agentlab import Agent

KINDS = ("REP", "PULL", "SUB", "PUB", "ASYNC_REP", "SYNC_PUB")
LIMIT = 10.0


class Peer(Agent):
    """Knows which messages its sockets can carry."""

    raw = False
    junk = 0

    def value(self, number):
        return b"honest %d" % number if self.raw else f"honest {number}"

    def keep(self, where, message):
        if isinstance(message, bytes if self.raw else str) and message.startswith(b"honest " if self.raw else "honest "):
            self.got[where].append(message)
        else:
            self.junk += 1  # an attacker may know the form of messages


class Victim(Peer):
    """Has a bound socket of every kind, each with its kind as alias, and keeps what comes."""

    def on_init(self):
        self.got = {"PULL": [], "SUB": []}
        for kind in KINDS:
            handler = {"PULL": "take_pull", "SUB": self.take_sub, "PUB": None}.get(kind, "echo")
            self.bind(kind, kind, handler)
        self.raw = self.addr("REP").serializer == "raw"

    def echo(self, message):
        return message

    def take_pull(self, message):
        self.keep("PULL", message)

    def take_sub(self, message, topic):
        self.keep("SUB", message)

    def own_pid(self):
        return os.getpid()

    def most_memory(self):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    def publish(self, numbers):
        for number in numbers:
            self.send("PUB", self.value(number))
            self.send("SYNC_PUB", self.value(number))


class Honest(Peer):
    """Is connected to every socket of the victim."""

    def on_init(self):
        self.got = {"REP": [], "PUB": [], "ASYNC_REP": [], "SYNC_PUB": [], "SYNC_PUB replies": []}

    def meet(self, sockets):
        self.raw = sockets["REP"].serializer == "raw"
        handlers = {"PUB": self.take_pub, "ASYNC_REP": "take_async", "SYNC_PUB": self.take_sync}
        for kind, address in sockets.items():
            self.connect(address, kind, handlers.get(kind))
        self.wait_for_subscribers("SUB", 1, LIMIT)

    def take_pub(self, message, topic):
        self.keep("PUB", message)

    def take_async(self, message):
        self.keep("ASYNC_REP", message)

    def take_sync(self, message, topic):
        self.keep("SYNC_PUB", message)

    def take_reply(self, message):
        self.keep("SYNC_PUB replies", message)

    def talk(self, numbers):
        for number in numbers:
            self.send("PULL", self.value(number), timeout=LIMIT)
            self.send("SUB", self.value(number))
            self.ask(self.value(number))

    def ask(self, value):
        self.got["REP"].append(self.send_recv("REP", value, timeout=LIMIT))
        self.send("ASYNC_REP", value, timeout=LIMIT)
        self.send("SYNC_PUB", value, handler="take_reply", timeout=LIMIT)
