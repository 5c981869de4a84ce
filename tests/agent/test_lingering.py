"""A sender that ends loses nothing, even when its reader is at the high-water mark."""

import time

import pytest

from agentlab import Agent, run_agent
from agentlab.testing import wait_agent_attr

MESSAGES = 1_500  # more than the reader queues, and no more than it and the kernel hold: the sender has ended while it stalls
STALL = 0.4


class Source(Agent):
    def pour(self, count):
        for number in range(count):
            self.send("out", number.to_bytes(40, "big"))
        self.shutdown()


class Sink(Agent):
    def on_init(self):
        self.received = 0
        self.disorder = 0

    def take(self, message):
        if not self.received:
            time.sleep(STALL)  # a slow handler
        self.disorder += int.from_bytes(message, "big") != self.received
        self.received += 1


@pytest.mark.parametrize("binder", ["source", "sink"])
@pytest.mark.parametrize("transport", ["ipc", "tcp"])
def test_all_that_was_pushed_arrives_after_the_sender_has_ended(ns, transport, binder):
    for turn in range(5):
        sink = run_agent(f"sink{turn}", base=Sink, transport=transport, serializer="raw")
        source = run_agent(f"source{turn}", base=Source, transport=transport, serializer="raw")
        if binder == "sink":
            source.connect(sink.bind("PULL", alias="in", handler="take"), alias="out")
        else:
            sink.connect(source.bind("PUSH", alias="out"), handler="take")
        source.after(0, "pour", MESSAGES)
        wait_agent_attr(sink, "received", value=MESSAGES, timeout=20)
        assert sink.disorder == 0
