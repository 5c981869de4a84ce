"""A sender that ends loses nothing, even when its reader is at the high-water mark."""

import socket
import sys
import threading
import time

import pytest

from agentlab import Agent, run_agent
from agentlab.testing import wait_agent_attr, wait_condition
from agentlab.transport import lingering

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
    for turn in range(3):
        sink = run_agent(f"sink{turn}", base=Sink, transport=transport, serializer="raw")
        source = run_agent(f"source{turn}", base=Source, transport=transport, serializer="raw")
        if binder == "sink":
            source.connect(sink.bind("PULL", alias="in", handler="take"), alias="out")
        else:
            sink.connect(source.bind("PUSH", alias="out"), handler="take")
        source.after(0, "pour", MESSAGES)
        wait_agent_attr(sink, "received", value=MESSAGES, timeout=20)
        assert sink.disorder == 0


@pytest.mark.skipif(sys.platform != "linux", reason="connections are held on Linux only")
def test_a_watcher_that_is_just_ending_is_not_trusted(monkeypatch, tmp_path):
    """It has decided under the lock that nothing is held, and is still alive when something more is to be held."""
    path, ending = str(tmp_path / "s"), threading.Event()
    decided = threading.Thread(target=ending.wait)
    decided.start()
    monkeypatch.setattr(lingering, "_thread", decided)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        with socket.socket(socket.AF_UNIX) as reader:
            reader.connect(path)
            writer, _ = listener.accept()
            with writer:
                writer.send(b"last words")
                lingering.hold(path, 30.0)
    try:
        assert wait_condition(lambda: not lingering._held, timeout=3.0)  # somebody has looked
    finally:
        ending.set()
        decided.join()
