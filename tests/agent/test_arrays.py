"""NumPy arrays between processes: not copied on receipt, large, many."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from agentlab import Agent, run_agent
from agentlab.testing import wait_agent_attr, wait_condition
from tests.agent.live import TRANSPORTS, Collector, echo

MIB = 1 << 20


class Meter(Agent):
    """Keeps what is known about arrays, and the last of them."""

    def on_init(self):
        self.received = []

    def take(self, array):
        owner = array
        while isinstance(owner, np.ndarray) and owner.base is not None:
            owner = owner.base
        self.received.append((array.shape, str(array.dtype), float(array.sum()), type(owner).__name__))
        self.last = array


def pair(ns, kinds=("PUSH", "PULL"), serializer="pickle", transport=None):
    sender, receiver = run_agent("sender"), run_agent("receiver", base=Meter)
    address = sender.bind(kinds[0], alias="out", serializer=serializer, transport=transport)
    receiver.connect(address, alias="in", handler="take")
    if kinds[0] == "PUB":
        sender.wait_for_subscribers("out")
    return sender, receiver


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("kinds", [("PUSH", "PULL"), ("PUB", "SUB")])
@pytest.mark.parametrize("serializer", ["pickle", "cloudpickle"])
def test_an_array_is_not_copied_on_receipt(ns, kinds, serializer, transport):
    sender, receiver = pair(ns, kinds, serializer, transport)
    array = np.arange(MIB // 8, dtype=float).reshape(64, -1)
    sender.send("out", array)
    assert wait_agent_attr(receiver, length=1)
    shape, dtype, total, owner = receiver.received[0]
    assert (shape, dtype, total) == (array.shape, "float64", array.sum())
    assert owner != "ndarray"  # its memory is the frame's, not its own
    assert np.array_equal(receiver.last, array)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_received_array_of_any_size_can_be_written(ns, transport):
    def seen(agent, message):
        agent.received.append([part.flags.writeable for part in message])
        return message

    sizes = [np.zeros(size) for size in (10, 1000, 5000, 100_000)]
    server, client = run_agent("server", base=Meter), run_agent("client", base=Meter)
    for agent in (server, client):
        agent.set_method(seen=seen)
    client.connect(server.bind("PUSH", alias="push", transport=transport), handler="seen")
    client.connect(server.bind("PUB", alias="pub", transport=transport), handler="seen")
    client.connect(server.bind("REP", handler="seen", transport=transport), alias="req")
    client.connect(server.bind("ASYNC_REP", handler="seen", transport=transport), alias="async", handler="seen")
    server.wait_for_subscribers("pub")
    for array in sizes:
        server.send("push", [array])
        server.send("pub", [array])
        client.send("async", [array])
        (back,) = client.execute_as_method(lambda agent, sent: seen(agent, agent.send_recv("req", [sent])), array)
        assert np.array_equal(back, array)
    assert wait_agent_attr(client, length=4 * len(sizes))
    assert wait_agent_attr(server, length=2 * len(sizes))
    assert [*client.received, *server.received] == [[True]] * 6 * len(sizes)


def test_dill_carries_arrays_too(ns):
    sender, receiver = pair(ns, serializer="dill")
    sender.send("out", np.ones((10, 1000)))
    assert wait_agent_attr(receiver, length=1)
    assert receiver.received[0][2] == 10_000


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((0, 5)),
        np.array(3.5),
        np.arange(10),
        np.arange(20_000, dtype=">i4"),
        np.asfortranarray(np.arange(20_000.0).reshape(100, 200)),
        np.arange(40_000.0)[::2],
        np.arange(20_000.0).reshape(100, 200).T,
        np.array(["a", "µ"] * 5000),
        np.array([(1, 2.5)] * 1000, dtype=[("n", "i4"), ("x", "f8")]),
        np.ones(5000, dtype=complex),
        np.array([{"a": 1}, None], dtype=object),
        np.array([True, False] * 5000),
    ],
    ids=str,
)
def test_every_kind_of_array_arrives_as_it_was(ns, array):
    server, client = run_agent("server"), run_agent("client")
    client.connect(server.bind("REP", handler=echo), alias="req")
    back = client.send_recv("req", array, timeout=3)
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert np.array_equal(back, array)


def test_arrays_inside_other_values(ns):
    server, client = run_agent("server"), run_agent("client")
    client.connect(server.bind("REP", handler=echo), alias="req")
    value = {"spectra": [np.ones(10_000), np.zeros(3)], "axis": (np.arange(100_000),), "name": "x"}
    back = client.send_recv("req", value, timeout=3)
    assert back["name"] == "x"
    assert np.array_equal(back["spectra"][0], value["spectra"][0])
    assert np.array_equal(back["spectra"][1], value["spectra"][1])
    assert np.array_equal(back["axis"][0], value["axis"][0])


@pytest.mark.parametrize("kind", ["ASYNC_REP", "SYNC_PUB"])
def test_arrays_over_channels(ns, kind):
    server, client = run_agent("server"), run_agent("client", base=Meter)
    address = server.bind(kind, alias="rep", handler=echo)
    client.connect(address, alias="req")
    client.send("req", np.ones(100_000), handler="take")
    assert wait_agent_attr(client, length=1)
    assert client.received[0][:3] == ((100_000,), "float64", 100_000.0)


def test_a_large_array(ns):
    sender, receiver = pair(ns)
    sender.execute_as_method(lambda agent: agent.send("out", np.ones((64, MIB), dtype=np.uint8)))
    assert wait_agent_attr(receiver, length=1, timeout=10)
    assert receiver.received[0][:3] == ((64, MIB), "uint8", 64 * MIB)


def test_many_arrays_keep_their_order_and_their_own_content(ns):
    sender, receiver = pair(ns)

    def send_all(agent):
        for number in range(200):
            agent.send("out", np.full(20_000, number, dtype=float))

    sender.execute_as_method(send_all)
    assert wait_agent_attr(receiver, length=200, timeout=10)
    assert [total / 20_000 for _, _, total, _ in receiver.received] == list(range(200))


def test_small_and_large_messages_in_turn(ns):
    sender, receiver = run_agent("sender"), run_agent("receiver", base=Collector)
    receiver.connect(sender.bind("PUSH", alias="out"), handler=lambda agent, m: agent.received.append(np.size(m)))
    sizes = [1, 100_000, 10, 5000, 1, 1, 70_000] * 20
    sender.execute_as_method(lambda agent: [agent.send("out", np.zeros(size)) for size in sizes])
    assert wait_agent_attr(receiver, length=len(sizes), timeout=10)
    assert receiver.received == sizes


def test_send_many_with_arrays(ns):
    sender, receiver = pair(ns)
    arrays = [np.full(size, index, dtype=float) for index, size in enumerate([1, 100_000, 3, 600, 5, 50_000])]
    sender.send_many("out", arrays)
    assert wait_agent_attr(receiver, length=len(arrays))
    assert [total for _, _, total, _ in receiver.received] == [a.sum() for a in arrays]


def test_the_sender_lets_the_memory_go(ns):
    import weakref

    sender, receiver = pair(ns)

    def send(agent):
        array = np.ones(MIB)
        agent.watched = weakref.ref(array)
        agent.send("out", array)

    sender.execute_as_method(send)
    assert wait_agent_attr(receiver, length=1)

    def gone(agent):
        gc.collect()
        return agent.watched() is None

    assert wait_condition(lambda: sender.execute_as_method(gone))
