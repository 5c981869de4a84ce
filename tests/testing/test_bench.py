"""The bench: agents in the test's own thread."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest

from agentlab import (
    Agent,
    AliasError,
    ConfigurationError,
    MessageTimeoutError,
    SerializationError,
    UnknownNameError,
    WrongAddressError,
)
from agentlab.testing import ManualClock, TestBench
from tests.agent.live import SERIALIZERS, VALUES, Collector, echo, echo_async, echo_by_yield, fail, take, take_with_topic

HANDLERS = {"PULL": take, "SUB": take, "REP": echo}


@pytest.fixture
def bench():
    with TestBench() as bench:
        yield bench


class Meter(Agent):
    """What a user would test: publishes a reading twice a second, and answers questions about its gain."""

    gain = 1.0

    def on_init(self):
        self.bind("PUB", alias="power")
        self.bind("REP", alias="ask", handler=self.answer)
        self.bind("PULL", alias="set", handler=self.set_gain)
        self.each(0.5, self.publish)

    def publish(self):
        self.send("power", 2 * self.gain, topic="W")

    def answer(self, question):
        if question != "gain":
            raise KeyError(question)
        return self.gain

    def set_gain(self, gain):
        self.gain = float(gain)


def test_a_users_agent(bench):
    meter = bench.agent(Meter, "Meter", attributes={"offset": 0})
    seen, others = bench.collect(meter.addr("power")), bench.collect(meter.addr("power"), "V")
    seen.clear()
    bench.advance(1.0)
    assert seen == [2.0, 2.0]
    bench.tell(meter.addr("set"), 3)
    assert bench.ask(meter.addr("ask"), "gain") == 3.0
    bench.advance(0.5)
    assert seen == [2.0, 2.0, 6.0]
    assert others == []
    with pytest.raises(KeyError, match="colour"):
        bench.ask(meter.addr("ask"), "colour")
    bench.run()  # raises nothing: the test has seen the error
    assert meter.error_count() == 1


def test_nothing_of_the_system_is_used(bench, socket_dir):
    before = threading.active_count(), sorted(socket_dir.iterdir())
    meter = bench.agent(Meter)
    bench.collect(meter.addr("power"))
    bench.advance(10)
    assert (threading.active_count(), sorted(socket_dir.iterdir())) == before


@pytest.mark.parametrize("transport", ["ipc", "tcp", "inproc"])
@pytest.mark.parametrize("serializer", SERIALIZERS)
@pytest.mark.parametrize(("sends", "receives"), [("PUSH", "PULL"), ("PUB", "SUB")])
@pytest.mark.parametrize("who_binds", ["sender", "receiver"])
def test_every_pair_of_kinds(bench, sends, receives, who_binds, serializer, transport):
    sender, receiver = bench.agent(Collector, "sender"), bench.agent(Collector, "receiver")
    options = {"serializer": serializer, "transport": transport}
    if who_binds == "sender":
        receiver.connect(sender.bind(sends, alias="out", **options), alias="in", handler=take)
    else:
        sender.connect(receiver.bind(receives, alias="in", handler=take, **options), alias="out")
    bench.run()
    for message in VALUES[serializer]:
        sender.send("out", message)
    sender.send_many("out", VALUES[serializer])
    bench.run()
    assert receiver.received == VALUES[serializer] * 2


@pytest.mark.parametrize("handler", [echo, echo_async, echo_by_yield])
@pytest.mark.parametrize("serializer", SERIALIZERS)
@pytest.mark.parametrize("kind", ["REP", "ASYNC_REP", "SYNC_PUB"])
def test_every_kind_that_answers(bench, kind, serializer, handler):
    server = bench.agent(Collector, "server")
    address = server.bind(kind, alias="rep", handler=handler, serializer=serializer)
    for message in VALUES[serializer]:
        assert bench.ask(address, message) == message


@pytest.mark.parametrize("kind", ["REP", "ASYNC_REP", "SYNC_PUB"])
def test_errors_arrive_as_their_own_type(kind):
    with TestBench(strict=False) as bench:
        server = bench.agent(Collector, "server")
        address = server.bind(kind, handler=fail)
        with pytest.raises(LookupError, match="no such thing"):
            bench.ask(address, 1)
        assert server.error_count() == 1
        assert "no such thing" in server.last_error()


def test_a_strict_bench_raises_what_a_handler_raised(bench):
    agent = bench.agent(Collector, "agent")
    address = agent.bind("PULL", handler=fail)
    with pytest.raises(LookupError, match="no such thing"):
        bench.tell(address, 1)
    bench.run()  # once


def test_errors_of_timers_coroutines_and_hooks_too(bench):
    async def bad(agent):
        raise ValueError("async")

    class Bad(Agent):
        def on_stop(self):
            raise ValueError("on_stop")

    agent = bench.agent(Bad)
    agent.after(1.0, bad)
    with pytest.raises(ValueError, match="async"):
        bench.advance(1.0)
    with pytest.raises(ValueError, match="on_stop"):
        bench.close()


def test_an_error_of_the_test_itself_is_not_hidden():
    def program():
        with TestBench() as bench:
            agent = bench.agent(Collector)
            agent.bind("PUSH", alias="out")
            agent.after(0, agent.recv, "out")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        program()


def test_topics_and_unsubscribing(bench):
    publisher, subscriber = bench.agent(Collector, "pub"), bench.agent(Collector, "sub")
    subscriber.connect(publisher.bind("PUB", alias="pub"), alias="sub", handler={"a": take_with_topic, b"b": take})
    publisher.wait_for_subscribers("pub")
    for topic in ("a", "ab", "b", "c", ""):
        publisher.send("pub", 1, topic=topic)
    bench.run()
    assert subscriber.received == [("a", 1), ("ab", 1), 1]
    subscriber.unsubscribe("sub", "a")
    subscriber.subscribe("sub", {"c": take})
    bench.run()
    for topic in "abc":
        publisher.send("pub", topic, topic=topic)
    bench.run()
    assert subscriber.received[3:] == ["b", "c"]
    subscriber.close("sub")
    with pytest.raises(MessageTimeoutError, match="0 of 1"):
        publisher.wait_for_subscribers("pub", timeout=1)


def test_sync_pub_in_order(bench):
    def around(agent, message):
        agent.send("pub", "before")
        yield message
        agent.send("pub", "after")

    server, client, other = bench.agent(Collector, "s"), bench.agent(Collector, "c"), bench.agent(Collector, "o")
    address = server.bind("SYNC_PUB", alias="pub", handler=around)
    client.connect(address, alias="sub", handler=take)
    other.connect(address, alias="sub", handler=take)
    client.send("sub", "reply", handler=take)
    bench.run()
    assert client.received == ["before", "reply", "after"]
    assert other.received == ["before", "after"]
    assert other.bad_message_count() == 0


def test_requests_are_given_up_by_the_benchs_clock(bench):
    async def slow(agent, message):
        await asyncio.sleep(10)
        return message

    server, client = bench.agent(Collector, "server"), bench.agent(Collector, "client")
    client.connect(server.bind("ASYNC_REP", handler=slow), alias="req", handler=take)
    client.send("req", 1, wait=5, on_error=lambda agent: agent.received.append("gave up"))
    client.send("req", 2, wait=20)
    bench.advance(4.9)
    assert client.received == []
    bench.advance(0.1)
    assert client.received == ["gave up"]
    bench.advance(4.9)
    assert client.received == ["gave up"]
    bench.advance(0.1)
    assert client.received == ["gave up", 2]


def test_messages_are_shared_out_in_turn(bench):
    sender, *receivers = (bench.agent(Collector, f"a{i}") for i in range(4))
    address = sender.bind("PUSH", alias="out")
    for receiver in receivers:
        receiver.connect(address, handler=take)
    for number in range(9):
        sender.send("out", number)
    bench.run()
    assert [r.received for r in receivers] == [[0, 3, 6], [1, 4, 7], [2, 5, 8]]


def test_an_agent_that_waits_lets_the_others_work(bench):
    server, client = bench.agent(Collector, "server"), bench.agent(Collector, "client")
    middle = bench.agent(Collector, "middle")
    middle.connect(server.bind("REP", handler=echo), alias="deep")
    address = middle.bind("REP", handler=lambda agent, m: agent.send_recv("deep", m) + 1)
    client.connect(address, alias="req")
    assert client.send_recv("req", 1) == 2


def test_waiting_for_what_never_comes_is_an_error_and_no_hang(bench):
    agent = bench.agent(Collector)
    agent.bind("REQ", alias="req")
    agent.bind("PULL", alias="in", handler=take)
    with pytest.raises(AssertionError, match="nobody will ever send"):
        agent.send_recv("req", 1)
    with pytest.raises(AssertionError, match="nobody will ever send"):
        agent.recv("in")
    began = bench.clock.now()
    with pytest.raises(MessageTimeoutError, match="within 2 s"):
        agent.recv("in", timeout=2)
    assert bench.clock.now() == began + 2


def test_asking_an_agent_that_does_not_answer_is_an_error_and_no_hang(bench):
    def silent(agent, message):
        agent.close("rep")

    server, client = bench.agent(Collector, "server"), bench.agent(Collector, "client")
    client.connect(server.bind("REP", alias="rep", handler=silent), alias="req")
    with pytest.raises(AssertionError, match="nobody will ever send"):
        client.send_recv("req", 1)
    with pytest.raises(MessageTimeoutError):
        client.send_recv("req", 1, timeout=5)


def test_a_late_answer_is_dropped(bench):
    async def slow(agent, message):
        await asyncio.sleep(message)
        return message

    server, client = bench.agent(Collector, "server"), bench.agent(Collector, "client")
    client.connect(server.bind("REP", handler=slow), alias="req")
    with pytest.raises(MessageTimeoutError):
        client.send_recv("req", 5, timeout=1)
    assert client.send_recv("req", 1, timeout=20) == 1


def test_high_water_marks(bench):
    sender, receiver = bench.agent(Collector, "sender"), bench.agent(Collector, "receiver", run=False)
    receiver.connect(sender.bind("PUSH", alias="out", hwm=2), handler=take, hwm=3)
    for number in range(5):
        sender.send("out", number, timeout=0)
    with pytest.raises(MessageTimeoutError, match="no room"):
        sender.send("out", 5, timeout=1)
    receiver.run()
    sender.send("out", 5)
    bench.run()
    assert receiver.received == list(range(6))


def test_what_a_slow_subscriber_loses(bench):
    publisher, subscriber = bench.agent(Collector, "pub"), bench.agent(Collector, "sub")
    subscriber.connect(publisher.bind("PUB", alias="pub", hwm=2), alias="sub", handler=take, hwm=2)
    bench.run()
    for number in range(10):
        publisher.send("pub", number)
    bench.run()
    publisher.send("pub", 10)
    bench.advance(1.0)
    assert subscriber.received == [0, 1, 2, 3, 10]
    assert subscriber.lost("sub") == publisher.lost("pub") == 6


def test_timers(bench):
    agent = bench.agent(Collector)
    agent.each(1.0, agent.take, "each")
    agent.after(2.5, agent.take, "after")
    bench.run()
    assert agent.received == ["each"]
    bench.advance(2.4)
    assert agent.received == ["each"] * 3
    bench.advance(1.0)
    assert agent.received == ["each"] * 3 + ["after", "each"]
    agent.stop_all_timers()
    bench.advance(100)
    assert len(agent.received) == 5
    assert bench.clock.now() == pytest.approx(103.4)


def test_timers_of_several_agents_tick_in_the_order_of_their_times(bench):
    seen = []
    for name, period in (("a", 0.75), ("b", 0.5)):
        bench.agent(Collector, name).each(period, lambda agent: seen.append((agent.name, bench.clock.now())))
    bench.advance(1.25)
    assert seen == [("a", 0), ("b", 0), ("b", 0.5), ("a", 0.75), ("b", 1.0)]


def test_ten_times_a_tenth_is_one(bench):
    agent = bench.agent(Collector)
    agent.each(0.1, agent.take, 1)
    bench.advance(1.0)
    assert len(agent.received) == 11
    for _ in range(10):
        bench.advance(0.1)
    assert len(agent.received) == 21


def test_a_timer_of_zero_is_never_quiet(bench):
    agent = bench.agent(Collector)
    agent.each(0, agent.take, 1)
    with pytest.raises(AssertionError, match="not quiet after"):
        bench.run()
    agent.received.clear()
    for _ in range(3):
        assert bench.turn()
    assert agent.received == [1, 1, 1]


def test_coroutines_sleep_by_the_clock(bench):
    async def slowly(agent, message):
        for _ in range(3):
            await asyncio.sleep(1.0)
            agent.received.append(message)

    async def waits(agent, message):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 1.5)
        agent.received.append("timeout")

    agent = bench.agent(Collector)
    address = agent.bind("PULL", handler=[slowly, waits])
    bench.tell(address, "x")
    bench.advance(2.0)
    assert agent.received == ["x", "x"]
    bench.advance(3.0)
    assert agent.received == ["x", "x", "x", "timeout"]


def test_a_coroutine_may_use_the_agents_sockets(bench):
    async def asks(agent, message):
        await asyncio.sleep(0)
        agent.received.append(agent.send_recv("req", message))

    server, agent = bench.agent(Collector, "server"), bench.agent(Collector, "agent")
    agent.connect(server.bind("REP", handler=echo), alias="req")
    bench.tell(agent.bind("PULL", handler=asks), 7)
    assert agent.received == [7]


def test_a_coroutine_that_is_left_is_cancelled():
    seen = []

    async def forever(agent, message):
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("cancelled")

    with TestBench() as bench:
        bench.tell(bench.agent(Collector).bind("PULL", handler=forever), 1)
        assert seen == []
    assert seen == ["cancelled"]


class Noted(Agent):
    def on_init(self):
        self.notes = ["on_init"]

    def before_loop(self):
        self.notes.append("before_loop")

    def idle(self):
        self.notes.append("idle")

    def on_stop(self):
        self.notes.append("on_stop")


def test_the_hooks_of_an_agents_life(bench):
    agent = bench.agent(Noted, "agent")
    assert agent.notes == ["on_init", "before_loop"]
    assert agent.is_running()
    bench.advance(2.5)
    assert agent.notes[2:] == ["idle", "idle"]
    assert agent.stop() == "OK"
    bench.advance(5)
    assert not agent.is_running()
    assert len(agent.notes) == 4
    agent.run()
    agent.shutdown()
    bench.run()
    assert agent.notes[4:] == ["before_loop", "on_stop"]
    assert bench.agents == {}


def test_an_agent_that_does_not_run_yet(bench):
    agent = bench.agent(Noted, "agent", run=False)
    bench.advance(5)
    assert agent.notes == ["on_init"]


def test_on_error_stop(bench):
    agent = bench.agent(Collector)
    agent.on_error = "stop"
    address = agent.bind("PULL", handler=fail)
    with pytest.raises(LookupError):
        bench.tell(address, 1)
    assert not agent.is_running()


def test_connecting_by_name(bench):
    server, client = bench.agent(Collector, "server"), bench.agent(Collector, "client")
    with pytest.raises(UnknownNameError, match="did you mean 'server'"):
        client.connect(("serve", "rep"), timeout=1)
    server.after(2.0, lambda agent: agent.bind("REP", alias="rep", handler=echo))
    client.connect(("server", "rep"), alias="req", timeout=3)
    assert client.send_recv("req", 5) == 5


def test_names_addresses_and_aliases_in_use_are_refused(bench):
    agent = bench.agent(Collector, "agent")
    with pytest.raises(ConfigurationError, match="there is an agent called 'agent'"):
        bench.agent(Collector, "agent")
    agent.bind("PUSH", alias="a", transport="tcp", addr="127.0.0.1:5000")
    with pytest.raises(WrongAddressError, match="in use"):
        agent.bind("PUSH", transport="tcp", addr="127.0.0.1:5000")
    with pytest.raises(AliasError):
        agent.bind("PUSH", alias="a")
    agent.close("a")
    assert str(agent.bind("PUSH", alias="a", transport="tcp", addr="127.0.0.1:5000").address) == "127.0.0.1:5000"


def test_connecting_before_the_server_is_there(bench):
    server, client = bench.agent(Collector, "server"), bench.agent(Collector, "client")
    address = server.bind("PULL", handler=take, addr="place")
    server.close(address)
    client.connect(address, alias="out", hwm=2)
    for number in range(2):
        client.send("out", number, timeout=1)
    with pytest.raises(MessageTimeoutError):
        client.send("out", 2, timeout=1)
    server.bind("PULL", handler=take, addr="place")
    client.send("out", 3)
    bench.run()
    assert server.received == [0, 1, 3]


def test_what_cannot_be_serialized_is_refused_as_in_processes(bench):
    agent = bench.agent(Collector)
    agent.bind("PUSH", alias="out", serializer="json")
    with pytest.raises(SerializationError, match="set"):
        agent.send("out", {1})


def test_messages_are_copies(bench):
    sender, receiver = bench.agent(Collector, "sender"), bench.agent(Collector, "receiver")
    receiver.connect(sender.bind("PUSH", alias="out"), handler=take)
    array, small = np.ones(100_000), [1]
    sender.send("out", array)
    sender.send("out", small)
    array[:] = 0
    small.append(2)
    bench.run()
    assert receiver.received[0].sum() == 100_000
    assert receiver.received[1] == [1]


def test_the_control_of_a_process_is_not_there_and_says_so(bench):
    agent = bench.agent(Collector)
    with pytest.raises(AssertionError, match="does not run by itself"):
        Agent.run(agent)


def test_an_agent_that_cannot_be_built_leaves_nothing(bench):
    class Bad(Agent):
        def on_init(self):
            self.bind("PUSH", addr="x")
            raise ValueError("no instrument")

    with pytest.raises(ValueError, match="no instrument"):
        bench.agent(Bad, "bad")
    assert bench.agents == {}
    bench.agent(Collector, "bad").bind("PUSH", addr="x")


def test_benches_know_nothing_of_each_other():
    with TestBench() as one, TestBench() as two:
        address = one.agent(Collector, "a").bind("PULL", handler=take, addr="x")
        other = two.agent(Collector, "a")
        assert other.bind("PULL", handler=take, addr="x") == address
        one.tell(address, 1)
        assert other.received == []


def test_closing_twice_is_fine():
    bench = TestBench()
    bench.agent(Collector)
    bench.close()
    bench.close()


def test_the_manual_clock():
    clock = ManualClock(10)
    assert clock.advance(1.5) == clock.now() == 11.5
    clock.reach(11)
    assert clock.now() == 11.5
    clock.reach(12)
    assert clock.now() == 12
    with pytest.raises(ConfigurationError, match="cannot advance by -1"):
        clock.advance(-1)
