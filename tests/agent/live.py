"""Agents and values that the live tests share."""

from __future__ import annotations

from agentlab import Agent

SERIALIZERS = ("raw", "pickle", "cloudpickle", "dill", "json", "msgpack")
OBJECTS = ("pickle", "cloudpickle", "dill")
TRANSPORTS = ("ipc", "tcp")

VALUES = {
    "raw": [b"one", b"", b"\x00\x01\x02\xff", b"\x03AGENTLAB-ERROR"],
    "json": [{"a": [1, 2.5, None, True, "ü"]}, "", 0, []],
    "msgpack": [{1: b"\x01", "a": [1, None]}, b"", 1, "text"],
    "pickle": [{"a": (1, {2})}, None, 1, b"\x01"],
}
VALUES |= {"cloudpickle": VALUES["pickle"], "dill": VALUES["pickle"]}


def value(serializer, number):
    """A message that names itself, as this serializer can carry it."""
    return str(number).encode() if serializer == "raw" else number


class Collector(Agent):
    """Keeps what comes."""

    def on_init(self):
        self.received = []

    def take(self, message):
        self.received.append(message)

    def take_topic(self, message, topic):
        self.received.append((topic, message))


def take(agent, message):
    agent.received.append(message)


def take_with_topic(agent, message, topic):
    agent.received.append((topic, message))


async def take_async(agent, message):
    agent.received.append(("async", message))


def echo(agent, message):
    return message


def fail(agent, message):
    raise LookupError("no such thing", message)


async def echo_async(agent, message):
    return message


async def fail_async(agent, message):
    raise LookupError("no such thing", message)


def echo_by_yield(agent, message):
    yield message
    agent.after_reply = message
