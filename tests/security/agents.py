"""The agents of the attack suite."""

from __future__ import annotations

import time

from agentlab import Agent

KINDS = ("REP", "PULL", "SUB", "PUB", "ASYNC_REP", "SYNC_PUB")
LIMIT = 10.0


class Victim(Agent):
    """Has a bound socket of every kind, each with its kind as alias, and keeps what comes."""

    def on_init(self):
        self.got = {"PULL": [], "SUB": []}
        for kind in KINDS:
            handler = {"PULL": "take_pull", "SUB": "take_sub", "PUB": None}.get(kind, "echo")
            self.bind(kind, kind, handler)

    def echo(self, message):
        return message

    def take_pull(self, message):
        self.got["PULL"].append(message)

    def take_sub(self, message, topic):
        self.got["SUB"].append(message)

    def publish(self, start, n):
        for number in range(start, start + n):
            self.send("PUB", self.value(number))
            self.send("SYNC_PUB", self.value(number))

    def value(self, number):
        return b"%d" % number if self.addr("REP").serializer == "raw" else number


class Honest(Agent):
    """Is connected to every socket of the victim, and numbers what it sends."""

    def on_init(self):
        self.number = getattr(self, "number", 0)
        self.got = {"REP": [], "PUB": [], "ASYNC_REP": [], "SYNC_PUB": [], "SYNC_PUB replies": []}

    def attr_number(self):
        return self.number

    def meet(self, sockets):
        self.raw = sockets["REP"].serializer == "raw"
        for kind, address in sockets.items():
            handler = {"PUB": "take_pub", "ASYNC_REP": "take_async", "SYNC_PUB": "take_sync"}.get(kind)
            self.connect(address, kind, handler)
        self.wait_for_subscribers("SUB", 1, LIMIT)
        # A SUB socket's subscription is made when the publisher has it: ask through the publisher until it answers.

    def value(self, number):
        return b"%d" % number if self.raw else number

    def take_pub(self, message, topic):
        self.got["PUB"].append(message)

    def take_async(self, message):
        self.got["ASYNC_REP"].append(message)

    def take_sync(self, message, topic):
        self.got["SYNC_PUB"].append(message)

    def take_reply(self, message):
        self.got["SYNC_PUB replies"].append(message)

    def talk(self, n):
        for _ in range(n):
            value = self.value(self.number)
            self.got["REP"].append(self.send_recv("REP", value, timeout=LIMIT))
            self.send("PULL", value, timeout=LIMIT)
            self.send("SUB", value)
            self.send("ASYNC_REP", value, timeout=LIMIT)
            self.send("SYNC_PUB", value, handler="take_reply", timeout=LIMIT)
            self.number += 1

    def ask_all(self):
        value = self.value(self.number)
        assert self.send_recv("REP", value, timeout=LIMIT) == value
        self.send("PULL", value, timeout=LIMIT)
        self.send("ASYNC_REP", value, timeout=LIMIT)
        self.send("SYNC_PUB", value, handler="take_reply", timeout=LIMIT)

    def received(self):
        return self.got

    def wait_for_all(self, victim, total):
        pass
