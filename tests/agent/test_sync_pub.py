"""SYNC_PUB channels between processes: publications, and requests that are answered on the same stream."""

from __future__ import annotations

import pytest

from agentlab import AgentChannel, HandlerError, run_agent, run_logger
from agentlab.agent.link import Link
from agentlab.testing import agent_dies, logger_received, sync_agent_logger, wait_agent_attr, wait_condition
from tests.agent.live import (
    SERIALIZERS,
    TRANSPORTS,
    VALUES,
    Collector,
    echo,
    echo_async,
    echo_by_yield,
    fail,
    fail_async,
    take,
    take_with_topic,
    value,
)


class Client(Collector):
    def take_reply(self, message):
        self.received.append(("reply", message))

    def give_up(self):
        self.received.append("gave up")


def note_failure(agent, error=None):
    agent.received.append(("failed", type(error).__name__))


def start_client(server, name="client", handler="take"):
    client = run_agent(name, base=Client)
    client.connect(server.addr("pub"), alias="sub", handler=handler)
    return client


def pair(ns, handler=echo, serializer=None, transport=None, publications="take"):
    server = run_agent("server", base=Collector)
    server.bind("SYNC_PUB", alias="pub", handler=handler, serializer=serializer, transport=transport)
    client = start_client(server, handler=publications)
    server.wait_for_subscribers("pub")
    return server, client


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("serializer", SERIALIZERS)
def test_publications_and_replies_of_every_serializer(ns, serializer, transport):
    server, client = pair(ns, echo, serializer, transport)
    assert isinstance(server.addr("pub"), AgentChannel)
    for message in VALUES[serializer]:
        server.send("pub", message)
    assert wait_agent_attr(client, value=VALUES[serializer])
    for message in VALUES[serializer]:
        client.send("sub", message, handler="take_reply")
    replies = [("reply", message) for message in VALUES[serializer]]
    assert wait_agent_attr(client, value=VALUES[serializer] + replies)


@pytest.mark.parametrize("serializer", SERIALIZERS)
def test_inproc_between_agents_of_one_process(ns, serializer):
    server, client = run_agent("server", inline=True), run_agent("client", base=Client, inline=True)
    client.connect(
        server.bind("SYNC_PUB", alias="pub", handler=echo, serializer=serializer, transport="inproc"),
        alias="sub",
        handler="take",
    )
    server.wait_for_subscribers("pub")
    message = VALUES[serializer][0]
    client.send("sub", message, handler="take_reply")
    assert wait_agent_attr(client, length=1)
    server.send("pub", message)
    assert wait_agent_attr(client, value=[("reply", message), message])


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("serializer", [s for s in SERIALIZERS if s != "raw"])
def test_topics_of_publications(ns, serializer, transport):
    server, client = pair(ns, echo, serializer, transport, {"a": take_with_topic, "b": "take"})
    for topic in ("a", "ab", "b", "c", ""):
        server.send("pub", value(serializer, 1), topic=topic)
    client.send("sub", value(serializer, 2), handler="take_reply")
    assert wait_agent_attr(client, length=4)
    assert client.received == [("a", 1), ("ab", 1), 1, ("reply", 2)]


@pytest.mark.parametrize("serializer", SERIALIZERS)
def test_a_reply_comes_to_the_asker_alone(ns, serializer):
    server, asker = pair(ns, echo, serializer)
    others = [start_client(server, f"other{i}") for i in range(2)]
    server.wait_for_subscribers("pub", n=3)
    message = VALUES[serializer][0]
    asker.send("sub", message, handler="take_reply")
    assert wait_agent_attr(asker, value=[("reply", message)])
    server.send("pub", message)
    for other in others:
        assert wait_agent_attr(other, value=[message])
        assert other.bad_message_count() == 0
        assert other.error_count() == 0
    assert wait_agent_attr(asker, value=[("reply", message), message])


def test_the_reply_keeps_its_place_among_the_publications(ns):
    def publish_around(agent, message):
        agent.send("pub", ("before", message))
        yield message
        agent.send("pub", ("after", message))

    _, client = pair(ns, publish_around)
    for number in range(20):
        client.send("sub", number, handler=take)
    wanted = [m for n in range(20) for m in (("before", n), n, ("after", n))]
    assert wait_agent_attr(client, length=60)
    assert client.received == wanted


@pytest.mark.parametrize("handler", [echo_by_yield, echo_async])
@pytest.mark.parametrize("serializer", SERIALIZERS)
def test_generators_and_coroutines_answer_too(ns, serializer, handler):
    server, client = pair(ns, handler, serializer)
    message = VALUES[serializer][0]
    client.send("sub", message, handler="take_reply")
    assert wait_agent_attr(client, value=[("reply", message)])
    if handler is echo_by_yield:
        assert wait_agent_attr(server, "after_reply", value=message)


@pytest.mark.parametrize("serializer", SERIALIZERS)
@pytest.mark.parametrize("handler", [fail, fail_async])
def test_an_error_reaches_the_asker_as_its_own_type(ns, serializer, handler):
    server, client = pair(ns, handler, serializer)
    client.send("sub", value(serializer, 1), handler="take", on_error=note_failure)
    assert wait_agent_attr(client, value=[("failed", "LookupError")])
    client.send("sub", value(serializer, 1), handler="take")
    assert wait_condition(lambda: client.error_count() == 1)
    assert "LookupError: no such thing" in client.last_error()
    assert server.is_running()


def test_the_first_request_of_a_client_that_has_just_connected_is_answered(ns):
    server, _ = pair(ns)
    for number in range(5):
        client = run_agent(f"fresh{number}", base=Client)
        client.execute_as_method(_connect_and_ask, server.addr("pub"))
        assert wait_agent_attr(client, length=1)
        assert client.received == [("reply", "at once")]


def _connect_and_ask(agent, address):
    agent.connect(address, alias="sub", handler="take")
    agent.send("sub", "at once", handler="take_reply")


def test_a_client_without_subscriptions_may_ask(ns):
    server, _ = pair(ns)
    client = run_agent("quiet", base=Client)
    client.connect(server.addr("pub"), alias="sub")
    client.send("sub", 1, handler="take_reply")
    assert wait_agent_attr(client, value=[("reply", 1)])
    server.send("pub", 2)
    client.send("sub", 3, handler="take_reply")
    assert wait_agent_attr(client, value=[("reply", 1), ("reply", 3)])


def test_subscribing_and_unsubscribing_later(ns):
    server, client = pair(ns, publications={"a": "take"})
    client.subscribe("sub", {"b": take_with_topic})
    server.wait_for_subscribers("pub", topic="b")
    server.send("pub", 1, topic="b")
    assert wait_agent_attr(client, value=[("b", 1)])
    client.unsubscribe("sub", ["a", "b"])
    assert wait_condition(
        lambda: server.execute_as_method(lambda agent: not {b"a", b"b"} & set(agent._links.get("pub").subscriptions))
    )
    server.send("pub", 2, topic="a")
    client.send("sub", 3, handler="take_reply")
    assert wait_agent_attr(client, value=[("b", 1), ("reply", 3)])


def test_a_request_needs_a_handler(ns):
    _, client = pair(ns)
    with pytest.raises(HandlerError, match="nobody would get the reply"):
        client.send("sub", 1)
    with pytest.raises(ValueError, match="no option 'topic'"):
        client.send("sub", 1, topic="x", handler="take")


def test_a_request_is_given_up_after_its_wait_and_a_late_reply_is_unknown(ns):
    def gated(agent, message):
        agent.recv("go", timeout=10)
        return message

    server, client = pair(ns, gated)
    gate, logger = run_agent("gate"), run_logger("logger")
    server.connect(gate.bind("PUSH", alias="go"), alias="go", handler="take")
    client.set_logger(logger)
    assert sync_agent_logger(client, logger)
    client.send("sub", 1, handler="take_reply", wait=0.05)
    assert logger_received(logger, r"Did not receive request \S+ after 0.05 seconds", "WARNING")
    gate.send("go", "on")
    assert logger_received(logger, "unknown request", "WARNING")
    client.send("sub", 2, handler="take_reply", wait=0.05, on_error="give_up")
    assert wait_agent_attr(client, value=["gave up"])
    gate.send("go", "on")


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_clients_come_and_go_and_nothing_stays(ns, transport):
    def state(agent):
        link = agent._links.get("pub")
        return sum(link.subscriptions.values()), len(link._held)

    server, client = pair(ns, transport=transport)
    before = server.execute_as_method(state)
    for number in range(4):
        other = start_client(server, f"other{number}")
        other.send("sub", number, handler="take_reply")
        assert wait_agent_attr(other, value=[("reply", number)])
        if number % 2:
            other.shutdown()
        else:
            other.oneway.kill()
        assert agent_dies(f"other{number}", ns, timeout=8)
    assert wait_condition(lambda: server.execute_as_method(state) == before)
    server.send("pub", "still")
    assert wait_agent_attr(client, value=["still"])


def test_a_reply_to_a_client_that_is_gone_is_kept_for_a_while_only(ns):
    def gated(agent, message):
        agent.recv("go", timeout=10)
        agent.answered = True
        return message

    server, client = pair(ns, gated)
    gate = run_agent("gate")
    server.connect(gate.bind("PUSH", alias="go"), alias="go", handler="take")
    server.execute_as_method(_shorten_hold)
    server.set_attr(answered=False)
    before = server.execute_as_method(lambda agent: len(agent._loop.deadlines))
    client.send("sub", 1, handler="take_reply")
    client.shutdown()
    assert agent_dies("client", ns)
    gate.send("go", "on")
    assert wait_condition(lambda: server.get_attr("answered"), timeout=10)
    assert wait_condition(lambda: server.execute_as_method(_held) == 0)
    assert wait_condition(lambda: server.execute_as_method(lambda agent: len(agent._loop.deadlines)) == before)
    assert server.error_count() == 0


def _held(agent):
    return len(agent._links.get("pub")._held)


def _shorten_hold(agent):
    from agentlab.agent import channels

    channels.HOLD = 0.05


def test_closing_both_sides_frees_both_sockets(ns):
    def sources(agent):
        return sum(isinstance(s, Link) for s in agent._loop._sources.values()), len(agent._links.all())

    server = run_agent("server", base=Collector)
    before = server.execute_as_method(sources)
    server.bind("SYNC_PUB", alias="pub", handler=echo)
    client = start_client(server)
    client.close("sub")
    server.close("pub")
    assert not server.has_socket("pub")
    assert not client.has_socket("sub")
    assert server.execute_as_method(sources) == client.execute_as_method(sources) == before
    server.bind("SYNC_PUB", alias="pub", handler=echo)


def test_what_the_channel_needs_is_said(ns):
    server, _ = pair(ns)
    with pytest.raises(ValueError, match="This socket requires a handler!"):
        server.bind("SYNC_PUB")
    with pytest.raises(NotImplementedError, match="SYNC_SUB cannot bind"):
        server.bind("SYNC_SUB", handler=take)
    with pytest.raises(TypeError):
        server.bind("SYNC_PUB", handler=lambda: None)
    with pytest.raises(ValueError, match="must not begin with"):
        server.send("pub", 1, topic=b"\x00reply x")
    assert len(server.sockets()) == 1


def test_a_named_place_is_used_for_both_sockets_and_freed_with_them(ns, socket_dir):
    server = run_agent("server")
    channel = server.bind("SYNC_PUB", handler=echo, transport="ipc", addr="spot")
    assert channel.sender.address.endswith("/spot")
    with pytest.raises(ValueError, match="in use"):
        server.bind("SYNC_PUB", handler=echo, transport="ipc", addr="spot")
    server.close(channel)
    assert not [path for path in socket_dir.iterdir() if path.name.startswith("spot")]
    assert server.bind("SYNC_PUB", handler=echo, transport="ipc", addr="spot") == channel
