"""Agents where security is none: addresses travel in calls, so binding and connecting by name work as ever."""

from __future__ import annotations

import pytest

from agentlab import Agent, RefusedError, config, run_agent, run_logger, run_nameserver
from agentlab.testing import wait_agent_attr


class Taker(Agent):
    def on_init(self):
        self.got = []

    def take(self, message):
        self.got.append(message)
        return message


@pytest.fixture(params=["json", "msgpack", "raw"])
def lab(request):
    config["SECURITY"] = "none"
    config["SERIALIZER"] = request.param
    server = run_nameserver()
    yield server
    server.shutdown(4.0)


def message(text="x"):
    return text.encode() if config["SERIALIZER"] == "raw" else text


def test_two_agents_on_all_interfaces_with_a_published_address(lab):
    one, two = run_agent("one", base=Taker), run_agent("two", base=Taker)
    address = one.bind("PUSH", alias="out", transport="tcp", addr="0.0.0.0", advertise="127.0.0.1")
    assert (address.transport, address.address.host, address.serializer) == ("tcp", "127.0.0.1", config["SERIALIZER"])
    assert one.addr("out") == lab.addr("one", "out") == one.sockets()["out"] == address
    assert two.connect(("one", "out"), alias="in", handler="take") == address.twin()
    one.send("out", message())
    assert wait_agent_attr(two, "got", value=[message()])
    one.close("out")
    assert not one.has_socket("out")


@pytest.mark.parametrize("transport", ["ipc", "tcp"])
def test_channels(lab, transport):
    one, two = run_agent("one", base=Taker), run_agent("two", base=Taker)
    channel = one.bind("ASYNC_REP", alias="rep", handler="take", transport=transport)
    assert one.addr("rep") == channel
    two.connect(channel, alias="req", handler="take")
    two.send("req", message())
    assert wait_agent_attr(two, "got", value=[message()])
    publisher = one.bind("SYNC_PUB", alias="pub", handler="take", transport=transport)
    two.connect(publisher, alias="sub", handler="take")
    one.wait_for_subscribers("pub")
    one.send("pub", message("y"))
    assert wait_agent_attr(two, "got", length=2)


def test_collections_keep_their_type(lab):
    one = run_agent("one", base=Taker)
    value = {"a": (1, (2,)), "b": {1, 2}, "c": [frozenset({3})], (1, 2): None}
    one.got = value
    assert one.got == value
    with pytest.raises(RefusedError, match="does not travel"):
        one.set_method(lambda agent: 1)


def test_a_logger_by_its_address(lab):
    config["SERIALIZER"] = "json"
    one, logger = run_agent("one", base=Taker), run_logger("logger")
    one.set_logger(logger.addr("logger"))
    one.log_info("hello")
    assert one.ping() == "pong"
