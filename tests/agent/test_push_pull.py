"""PUSH and PULL between processes."""

from __future__ import annotations

import pytest

from agentlab import MessageTimeoutError, SerializationError, run_agent
from agentlab.testing import wait_agent_attr, wait_condition
from tests.agent.live import SERIALIZERS, TRANSPORTS, VALUES, Background, Collector, take, take_async, value


def pair(ns, serializer=None, transport=None, handler="take"):
    """A sender and a receiver that is connected to it."""
    sender, receiver = run_agent("sender"), run_agent("receiver", base=Collector)
    address = sender.bind("PUSH", alias="out", serializer=serializer, transport=transport)
    receiver.connect(address, alias="in", handler=handler)
    return sender, receiver


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("serializer", SERIALIZERS)
def test_what_is_pushed_is_pulled_in_order(ns, serializer, transport):
    sender, receiver = pair(ns, serializer, transport)
    messages = VALUES[serializer]
    for message in messages:
        sender.send("out", message)
    assert wait_agent_attr(receiver, length=len(messages))
    assert receiver.received == messages


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("serializer", SERIALIZERS)
def test_pull_may_bind_and_push_connect(ns, serializer, transport):
    sender, receiver = run_agent("sender"), run_agent("receiver", base=Collector)
    address = receiver.bind("PULL", alias="in", handler="take", serializer=serializer, transport=transport)
    sender.connect(address, alias="out")
    for message in VALUES[serializer]:
        sender.send("out", message)
    assert wait_agent_attr(receiver, length=len(VALUES[serializer]))
    assert receiver.received == VALUES[serializer]


@pytest.mark.parametrize("serializer", SERIALIZERS)
def test_inproc_connects_agents_of_one_process(ns, serializer):
    sender, receiver = run_agent("sender", inline=True), run_agent("receiver", base=Collector, inline=True)
    address = receiver.bind("PULL", alias="in", handler="take", serializer=serializer, transport="inproc")
    sender.connect(address, alias="out")
    for message in VALUES[serializer]:
        sender.send("out", message)
    assert wait_agent_attr(receiver, length=len(VALUES[serializer]))
    assert receiver.received == VALUES[serializer]


@pytest.mark.parametrize("serializer", SERIALIZERS)
def test_send_many_keeps_messages_and_order(ns, serializer):
    sender, receiver = pair(ns, serializer)
    messages = [value(serializer, number) for number in range(1000)]
    sender.send_many("out", messages[:700])
    sender.send("out", messages[700])
    sender.send_many("out", messages[701:])
    sender.send_many("out", [])
    assert wait_agent_attr(receiver, length=1000)
    assert receiver.received == messages


def test_send_many_sends_nothing_if_one_message_cannot_be_written(ns):
    sender, receiver = pair(ns, "json")
    with pytest.raises(SerializationError, match="set"):
        sender.send_many("out", [1, {2}, 3])
    sender.send("out", "after")
    assert wait_agent_attr(receiver, length=1)
    assert receiver.received == ["after"]


def test_a_list_of_handlers_runs_in_order(ns):
    def first(agent, message):
        agent.received.append(("first", message))

    sender, receiver = pair(ns, handler=[first, "take", lambda agent, message: agent.received.append(("last", message))])
    sender.send("out", 1)
    sender.send("out", 2)
    assert wait_agent_attr(receiver, length=6)
    assert receiver.received == [("first", 1), 1, ("last", 1), ("first", 2), 2, ("last", 2)]


def test_the_second_handler_of_a_list_is_not_run_when_the_first_raises(ns):
    def first(agent, message):
        agent.received.append("first")
        if message == "bad":
            raise ValueError(message)

    sender, receiver = pair(ns, handler=[first, "take"])
    sender.send("out", "bad")
    sender.send("out", "good")
    assert wait_agent_attr(receiver, length=3)
    assert receiver.received == ["first", "first", "good"]
    assert receiver.error_count() == 1


@pytest.mark.parametrize("handler", ["function", "lambda", "name", "method", "callable", "builtin"])
def test_every_form_of_handler(ns, handler):
    class Callable:
        def __call__(self, agent, message):
            agent.received.append(message)

    sender, receiver = run_agent("sender"), run_agent("receiver", base=Collector)
    address = sender.bind("PUSH", alias="out")
    if handler == "method":
        receiver.execute_as_method(lambda agent: agent.connect(address, handler=agent.take))
    elif handler == "builtin":
        receiver.execute_as_method(lambda agent: agent.connect(address, handler=agent.received.append))
    else:
        forms = {
            "function": take,
            "lambda": lambda agent, message: agent.received.append(message),
            "name": "take",
            "callable": Callable(),
        }
        receiver.connect(address, handler=forms[handler])
    sender.send("out", {"x": 1})
    assert wait_agent_attr(receiver, value=[{"x": 1}])


def test_a_handler_added_by_set_method_is_found_by_its_name(ns):
    sender, receiver = run_agent("sender"), run_agent("receiver", base=Collector)
    assert receiver.set_method(doubled=lambda agent, message: agent.received.append(2 * message)) == "doubled"
    receiver.connect(sender.bind("PUSH", alias="out"), handler="doubled")
    sender.send("out", 21)
    assert wait_agent_attr(receiver, value=[42])


def test_async_handlers_run_and_their_errors_are_counted(ns):
    async def bad(agent, message):
        raise ValueError(message)

    sender, receiver = pair(ns, handler=[take_async, bad, "take"])
    sender.send("out", 1)
    assert wait_agent_attr(receiver, length=2)
    assert sorted(receiver.received, key=repr) == [("async", 1), 1]
    assert wait_condition(lambda: receiver.error_count() == 1)
    assert "ValueError" in receiver.last_error()


def test_messages_are_shared_out_among_those_who_pull(ns):
    sender = run_agent("sender")
    address = sender.bind("PUSH", alias="out")
    receivers = [run_agent(f"receiver{i}", base=Collector) for i in range(2)]
    for receiver in receivers:
        receiver.connect(address, handler="take")
        sender.send("out", "hello")  # one connection after the other: each has one when all have come
    assert wait_condition(lambda: sum(len(r.received) for r in receivers) == 2)
    for number in range(100):
        sender.send("out", number)
    assert wait_condition(lambda: sum(len(r.received) for r in receivers) == 102)
    assert {m for r in receivers for m in r.received} == {*range(100), "hello"}
    assert all(len(r.received) > 10 for r in receivers)


def test_one_receiver_may_have_many_senders(ns):
    receiver = run_agent("receiver", base=Collector)
    address = receiver.bind("PULL", handler="take")
    senders = [run_agent(f"sender{i}") for i in range(3)]
    for sender in senders:
        sender.connect(address, alias="out")
    for number in range(50):
        for name, sender in enumerate(senders):
            sender.send("out", (name, number))
    assert wait_agent_attr(receiver, length=150)
    for name in range(3):
        assert [n for who, n in receiver.received if who == name] == list(range(50))


def test_send_with_a_timeout_raises_when_there_is_no_receiver(ns):
    sender = run_agent("sender")
    sender.bind("PUSH", alias="out")
    with pytest.raises(MessageTimeoutError, match="no room to send within 0.05 s"):
        sender.send("out", 1, timeout=0.05)
    with pytest.raises(MessageTimeoutError):
        sender.send("out", 1, timeout=0)


def test_nothing_is_dropped_at_the_high_water_mark(ns):
    sender, receiver = run_agent("sender"), run_agent("receiver", base=Collector)
    address = receiver.bind("PULL", handler=lambda agent, message: agent.received.append(message), hwm=5)
    sender.connect(address, alias="out", hwm=5)
    for number in range(2000):
        sender.send("out", number)
    assert wait_agent_attr(receiver, length=2000, timeout=10)
    assert receiver.received == list(range(2000))


def test_recv_gives_messages_past_the_handler(ns):
    sender, receiver = run_agent("sender"), run_agent("receiver", base=Collector)
    address = sender.bind("PUSH", alias="out")

    def fetch(agent):
        agent.connect(address, alias="in", handler="take")
        return agent.recv("in", timeout=2)

    answer = Background(receiver.execute_as_method, fetch)
    sender.send("out", "for recv")
    assert answer.result(3) == "for recv"
    assert receiver.received == []
    with pytest.raises(MessageTimeoutError, match="nothing was received within 0.05 s"):
        receiver.recv("in", timeout=0.05)


def test_recv_gives_the_messages_of_a_batch_one_by_one(ns):
    sender, receiver = run_agent("sender"), run_agent("receiver", base=Collector)
    address = sender.bind("PUSH", alias="out")

    def fetch(agent):
        agent.connect(address, alias="in", handler="take")
        return [agent.recv("in", timeout=2) for _ in range(3)]

    answer = Background(receiver.execute_as_method, fetch)
    sender.send_many("out", [1, 2, 3, 4, 5])
    assert answer.result(3) == [1, 2, 3]
    assert wait_agent_attr(receiver, value=[4, 5])  # the rest is for the handler


def test_connecting_again_adds_an_alias_to_the_same_socket(ns):
    sender, receiver = pair(ns)
    address = sender.addr("out")
    assert receiver.connect(address, alias="other") == receiver.addr("in") == receiver.addr("other")
    sender.send("out", 1)
    assert wait_agent_attr(receiver, value=[1])
    receiver.close("other")
    assert not receiver.has_socket("in")


def test_an_alias_in_use_is_refused(ns):
    sender, receiver = pair(ns)
    for sloppy in (lambda: sender.bind("PUSH", alias="out"), lambda: receiver.connect(sender.bind("PUSH"), "in", "take")):
        with pytest.raises(LookupError, match="is in use"):
            sloppy()


def test_send_to_an_address_instead_of_an_alias(ns):
    sender, receiver = pair(ns)
    sender.send(sender.addr("out"), "by address")
    assert wait_agent_attr(receiver, value=["by address"])


def test_sending_from_unsafe_and_oneway_calls(ns):
    sender, receiver = pair(ns)
    sender.unsafe.send("out", 1)
    assert wait_agent_attr(receiver, length=1)
    sender.oneway.send("out", 2)
    assert wait_agent_attr(receiver, length=2)
    assert receiver.received == [1, 2]
