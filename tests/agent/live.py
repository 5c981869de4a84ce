"""Agents and values that the live tests share."""

from __future__ import annotations

import threading

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
    raise LookupError("no such thing")


async def echo_async(agent, message):
    return message


async def fail_async(agent, message):
    raise LookupError("no such thing")


def echo_by_yield(agent, message):
    yield message
    agent.after_reply = message


class Background:
    """A call in a thread of its own, so that the test can go on while it waits."""

    def __init__(self, function, *args, **kwargs):
        self._outcome = None
        self._thread = threading.Thread(target=self._run, args=(function, args, kwargs), daemon=True)
        self._thread.start()

    def _run(self, function, args, kwargs):
        try:
            self._outcome = (function(*args, **kwargs), None)
        except BaseException as error:
            self._outcome = (None, error)

    def done(self):
        return self._outcome is not None

    def result(self, timeout=5.0):
        self._thread.join(timeout)
        assert self._outcome is not None, "the call has not come back"
        value, error = self._outcome
        if error is not None:
            raise error
        return value
