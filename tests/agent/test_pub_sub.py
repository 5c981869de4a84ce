"""PUB and SUB between processes: topics, order, joining and leaving, losses."""

from __future__ import annotations

import itertools

import pytest

from agentlab import AliasError, HandlerError, MessageTimeoutError, SerializationError, WrongAddressError, run_agent
from agentlab.testing import wait_agent_attr, wait_condition
from tests.agent.live import (
    SERIALIZERS,
    TRANSPORTS,
    VALUES,
    Collector,
    take,
    take_async,
    take_with_topic,
    value,
)


def pair(ns, handler="take", serializer=None, transport=None, **options):
    """A publisher and a subscriber whose subscriptions have arrived."""
    publisher, subscriber = run_agent("publisher"), run_agent("subscriber", base=Collector)
    address = publisher.bind("PUB", alias="pub", serializer=serializer, transport=transport, **options)
    subscriber.connect(address, alias="sub", handler=handler, **options)
    publisher.wait_for_subscribers("pub")
    return publisher, subscriber


def subscriptions(publisher):
    """The topics that the publisher sees subscribed, ours for presence left out."""
    return publisher.execute_as_method(
        lambda agent: sorted(t for t in agent._links.get("pub").subscriptions if b"agentlab subscriber" not in t)
    )


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("serializer", SERIALIZERS)
def test_publications_of_every_serializer_arrive_in_order(ns, serializer, transport):
    publisher, subscriber = pair(ns, serializer=serializer, transport=transport)
    for message in VALUES[serializer]:
        publisher.send("pub", message)
    assert wait_agent_attr(subscriber, length=len(VALUES[serializer]))
    assert subscriber.received == VALUES[serializer]


@pytest.mark.parametrize("serializer", SERIALIZERS)
def test_sub_may_bind_and_pub_connect(ns, serializer):
    publisher, subscriber = run_agent("publisher"), run_agent("subscriber", base=Collector)
    address = subscriber.bind("SUB", alias="sub", handler="take", serializer=serializer)
    publisher.connect(address, alias="pub")
    publisher.wait_for_subscribers("pub")
    for message in VALUES[serializer]:
        publisher.send("pub", message)
    assert wait_agent_attr(subscriber, value=VALUES[serializer])


@pytest.mark.parametrize("serializer", SERIALIZERS)
def test_inproc_between_agents_of_one_process(ns, serializer):
    publisher, subscriber = run_agent("publisher", inline=True), run_agent("subscriber", base=Collector, inline=True)
    subscriber.connect(publisher.bind("PUB", alias="pub", transport="inproc", serializer=serializer), handler="take")
    publisher.wait_for_subscribers("pub")
    for message in VALUES[serializer]:
        publisher.send("pub", message)
    assert wait_agent_attr(subscriber, value=VALUES[serializer])


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("serializer", [s for s in SERIALIZERS if s != "raw"])
def test_only_subscribed_topics_arrive_and_topics_are_prefixes(ns, serializer, transport):
    publisher, subscriber = pair(ns, {"a": take_with_topic, b"b": "take_topic"}, serializer, transport)
    for topic in ("a", "ab", b"b", b"ba", "c", "", "ca"):
        publisher.send("pub", value(serializer, 1), topic=topic)
    publisher.send("pub", value(serializer, 2), topic="a")
    assert wait_agent_attr(subscriber, length=5)
    assert subscriber.received == [("a", 1), ("ab", 1), ("b", 1), ("ba", 1), ("a", 2)]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_raw_publication_is_topic_and_payload_in_one(ns, transport):
    publisher, subscriber = pair(ns, {"a": take_with_topic}, "raw", transport)
    publisher.send("pub", b"payload", topic="ab")
    publisher.send("pub", b"payload", topic="b")
    publisher.send("pub", b"alone")
    assert wait_agent_attr(subscriber, length=2)
    assert subscriber.received == [("a", b"abpayload"), ("a", b"alone")]


@pytest.mark.parametrize("topic", [b"\x00", b"\xff", b"\x00\x01\x02", b"a\x00b", b"\n", "ü", b"\x00reply x", b"\x01"])
def test_any_byte_may_stand_in_a_topic(ns, topic):
    publisher, subscriber = pair(ns, {topic: take, "end": take})
    publisher.send("pub", 1, topic=topic)
    publisher.send("pub", 2, topic=b"other")
    publisher.send("pub", 3, topic="end")
    assert wait_agent_attr(subscriber, length=2)
    assert subscriber.received == [1, 3]


def test_every_matching_handler_runs_in_the_order_of_the_dict(ns):
    def note(text):
        return lambda agent, message: agent.received.append(text)

    publisher, subscriber = pair(ns, {"abc": note("abc"), "": note("all"), "ab": note("ab"), "x": note("x")})
    publisher.send("pub", 0, topic="abcd")
    publisher.send("pub", 0, topic="ab")
    assert wait_agent_attr(subscriber, length=5)
    assert subscriber.received == ["abc", "all", "ab", "all", "ab"]


def test_a_handler_that_raises_keeps_nobody_from_the_message(ns):
    def bad(agent, message):
        raise ValueError(message)

    publisher, subscriber = pair(ns, {"": bad, "a": take})
    publisher.send("pub", 1, topic="a")
    publisher.send("pub", 2, topic="a")
    assert wait_agent_attr(subscriber, value=[1, 2])
    assert subscriber.error_count() == 2


def test_the_third_parameter_gets_the_topic(ns):
    class Callable:
        def __call__(self, agent, message, topic):
            agent.received.append((topic, message))

    publisher, subscriber = pair(
        ns,
        {
            "a": take_with_topic,
            "b": lambda agent, message, topic: agent.received.append((topic, message)),
            "c": Callable(),
            "d": "take_topic",
            "e": lambda agent, message, topic="default": agent.received.append((topic, message)),
            "f": lambda agent, *rest: agent.received.append(rest),
        },
    )
    for topic in "abcdef":
        publisher.send("pub", 1, topic=topic + "!")
    assert wait_agent_attr(subscriber, length=6)
    assert subscriber.received == [("a!", 1), ("b!", 1), ("c!", 1), ("d!", 1), ("e!", 1), (1,)]


def test_async_handlers_of_topics(ns):
    publisher, subscriber = pair(ns, {"a": take_async, "b": take})
    publisher.send("pub", 1, topic="a")
    publisher.send("pub", 2, topic="b")
    assert wait_agent_attr(subscriber, length=2)
    assert sorted(subscriber.received, key=repr) == [("async", 1), 2]


def test_subscribe_adds_topics_and_replaces_just_those(ns):
    def other(agent, message):
        agent.received.append(("other", message))

    publisher, subscriber = pair(ns, {"a": take, "b": take})
    subscriber.subscribe("sub", {"b": other, "c": take})
    assert wait_condition(lambda: subscriptions(publisher) == [b"a", b"b", b"c"])
    for topic in "abc":
        publisher.send("pub", topic, topic=topic)
    assert wait_agent_attr(subscriber, value=["a", ("other", "b"), "c"])


def test_subscribing_to_everything_later(ns):
    publisher, subscriber = run_agent("publisher"), run_agent("subscriber", base=Collector)
    subscriber.connect(publisher.bind("PUB", alias="pub"), alias="sub")
    with pytest.raises(MessageTimeoutError, match="0 of 1 subscribers"):
        publisher.wait_for_subscribers("pub", timeout=0.1)
    subscriber.subscribe("sub", "take")
    publisher.wait_for_subscribers("pub")
    publisher.send("pub", 1)
    assert wait_agent_attr(subscriber, value=[1])


def test_unsubscribing_stops_the_traffic_on_the_wire(ns):
    publisher, subscriber = pair(ns, {"a": take, "b": take, "c": take})
    assert subscriptions(publisher) == [b"a", b"b", b"c"]
    subscriber.unsubscribe("sub", "a")
    assert wait_condition(lambda: subscriptions(publisher) == [b"b", b"c"])
    subscriber.unsubscribe("sub", ["b", b"c"])
    assert wait_condition(lambda: subscriptions(publisher) == [])
    subscriber.subscribe("sub", {"d": take})
    assert wait_condition(lambda: subscriptions(publisher) == [b"d"])
    for topic in "abcd":
        publisher.send("pub", topic, topic=topic)
    assert wait_agent_attr(subscriber, value=["d"])


def test_a_topic_that_another_prefix_covers_still_arrives_after_unsubscribing(ns):
    publisher, subscriber = pair(ns, {"a": take, "ab": lambda agent, message: agent.received.append("ab")})
    subscriber.unsubscribe("sub", "ab")
    assert wait_condition(lambda: subscriptions(publisher) == [b"a"])
    publisher.send("pub", 1, topic="abc")
    assert wait_agent_attr(subscriber, value=[1])
    assert subscriber.lost("sub") == 0


def test_unsubscribing_from_what_was_not_subscribed_is_an_error_and_changes_nothing(ns):
    publisher, subscriber = pair(ns, {"a": take})
    with pytest.raises(AliasError, match="no subscription to topic b'x'"):
        subscriber.unsubscribe("sub", ["a", "x"])
    assert subscriptions(publisher) == [b"a"]


def test_wrong_topics_and_handlers_are_refused_when_they_are_set(ns):
    publisher, subscriber = pair(ns, {"a": take})
    with pytest.raises(SerializationError, match="no topic"):
        subscriber.subscribe("sub", {1: take})
    with pytest.raises(HandlerError):
        subscriber.subscribe("sub", {"b": 5})
    with pytest.raises(TypeError):
        subscriber.subscribe("sub", {"b": lambda: None})
    with pytest.raises(SerializationError, match="no topic"):
        publisher.send("pub", 1, topic=5)
    with pytest.raises(WrongAddressError, match="only SUB"):
        publisher.subscribe("pub", {"a": take})
    with pytest.raises(WrongAddressError, match="subscribers come to PUB"):
        subscriber.wait_for_subscribers("sub")
    assert subscriptions(publisher) == [b"a"]


def test_wait_for_subscribers_counts_agents_and_not_topics(ns):
    publisher, _ = pair(ns, {"a": take, "b": take, "c": take})
    with pytest.raises(MessageTimeoutError, match="1 of 2 subscribers came within 0.1 s"):
        publisher.wait_for_subscribers("pub", n=2, timeout=0.1)
    other = run_agent("other", base=Collector)
    other.connect(publisher.addr("pub"), handler={"a": take, "z": take})
    publisher.wait_for_subscribers("pub", n=2)
    publisher.wait_for_subscribers("pub", n=2, topic="a")
    publisher.wait_for_subscribers("pub", n=1, topic="zz")
    with pytest.raises(MessageTimeoutError):
        publisher.wait_for_subscribers("pub", n=2, topic="z", timeout=0.1)
    publisher.send("pub", 1, topic="z")
    assert wait_agent_attr(other, value=[1])


@pytest.mark.parametrize("end", ["close", "shutdown", "kill"])
def test_subscribers_that_go_are_counted_no_more(ns, end):
    publisher, subscriber = pair(ns, {"a": take, "b": take})
    if end == "close":
        subscriber.close("sub")
    elif end == "shutdown":
        subscriber.shutdown()
    else:
        subscriber.oneway.kill()
    assert wait_condition(lambda: subscriptions(publisher) == [])
    with pytest.raises(MessageTimeoutError):
        publisher.wait_for_subscribers("pub", timeout=0.05)


def test_many_subscribers_get_everything_each(ns):
    publisher = run_agent("publisher")
    address = publisher.bind("PUB", alias="pub")
    subscribers = [run_agent(f"subscriber{i}", base=Collector) for i in range(4)]
    for subscriber in subscribers:
        subscriber.connect(address, handler="take")
    publisher.wait_for_subscribers("pub", n=4)
    publisher.send_many("pub", list(range(100)))
    for subscriber in subscribers:
        assert wait_agent_attr(subscriber, value=list(range(100)))


@pytest.mark.parametrize("serializer", SERIALIZERS)
def test_send_many_publishes_one_by_one(ns, serializer):
    publisher, subscriber = pair(ns, serializer=serializer)
    messages = [value(serializer, n) for n in range(300)]
    publisher.send_many("pub", messages)
    assert wait_agent_attr(subscriber, value=messages)


def test_what_a_slow_subscriber_loses_is_counted_on_both_ends(ns):
    publisher = run_agent("publisher")
    slow, quick = run_agent("slow", base=Collector), run_agent("quick", base=Collector)
    gate = run_agent("gate")
    address = publisher.bind("PUB", alias="pub", hwm=10)
    slow.connect(gate.bind("PUSH", alias="go"), alias="go", handler="take")

    def wait_once(agent, message):
        if not agent.received:
            agent.recv("go", timeout=10)
        agent.received.append(message)

    slow.connect(address, alias="sub", handler=wait_once, hwm=10)
    quick.connect(address, alias="sub", handler="take", hwm=100_000)
    publisher.wait_for_subscribers("pub", n=2)
    block = b"x" * 20_000  # the system's own buffers are full soon
    for number in range(400):
        publisher.send("pub", (number, block))
    gate.send("go", "on")
    numbers = itertools.count(400)

    def comes_through():  # only then the gap is seen
        publisher.send("pub", (next(numbers), b""))
        return slow.execute_as_method(lambda agent: agent.received[-1:] and agent.received[-1][0] >= 400)

    assert wait_condition(comes_through)
    received, lost = slow.execute_as_method(lambda agent: ([n for n, _ in agent.received], agent.lost("sub")))
    assert received == sorted(set(received))
    assert lost > 0
    assert len(received) + lost == received[-1] + 1
    assert wait_condition(lambda: publisher.lost("pub") == slow.lost("sub") + quick.lost("sub"))
    assert quick.lost("sub") < lost


def test_a_publisher_without_subscribers_never_waits_and_loses_nothing_that_counts(ns):
    publisher = run_agent("publisher")
    publisher.bind("PUB", alias="pub", hwm=1)
    for number in range(100):
        publisher.send("pub", number)
    assert publisher.lost("pub") == 0


def test_a_subscriber_finds_a_publisher_that_binds_the_same_place_again(ns):
    publisher, subscriber = run_agent("publisher"), run_agent("subscriber", base=Collector)
    address = publisher.bind("PUB", alias="pub", addr="place", transport="ipc")
    subscriber.connect(address, handler={"a": take, "\xff": take})
    publisher.wait_for_subscribers("pub")
    publisher.close("pub")
    assert publisher.bind("PUB", alias="pub", addr="place", transport="ipc") == address
    publisher.wait_for_subscribers("pub", timeout=5)
    publisher.send("pub", 1, topic="a")
    publisher.send("pub", 2, topic="\xff")
    assert wait_agent_attr(subscriber, value=[1, 2])
    assert subscriber.lost(subscriber.execute_as_method(lambda agent: agent._links.all()[0].address)) == 0
