"""ASYNC_REP channels between processes."""

from __future__ import annotations

import threading

import pytest

from agentlab import AgentChannel, AliasError, HandlerError, MessageTimeoutError, run_agent, run_logger
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
    take_async,
    value,
)


def note_failure(agent, error=None):
    agent.received.append(("failed", type(error).__name__))


class Client(Collector):
    def give_up(self):
        self.received.append("gave up")


def gated(agent, message):
    """Answer when the test lets it."""
    if message != "quick":
        agent.recv("go", timeout=10)
    return message


def pair(ns, handler=echo, serializer=None, transport=None, replies="take"):
    server, client = run_agent("server", base=Collector), run_agent("client", base=Client)
    address = server.bind("ASYNC_REP", alias="rep", handler=handler, serializer=serializer, transport=transport)
    client.connect(address, alias="req", handler=replies)
    return server, client


def gated_pair(ns):
    server, client = pair(ns, gated)
    gate = run_agent("gate")
    server.connect(gate.bind("PUSH", alias="go"), alias="go", handler="take")
    return server, client, gate


def deadlines(client):
    return client.execute_as_method(lambda agent: len(agent._loop.deadlines))


def pending(client):
    return client.execute_as_method(lambda agent: len(agent._links.get("req").asker.pending))


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("serializer", SERIALIZERS)
def test_replies_go_to_the_handler_in_order(ns, serializer, transport):
    server, client = pair(ns, echo, serializer, transport)
    assert isinstance(server.addr("rep"), AgentChannel)
    for message in VALUES[serializer]:
        client.send("req", message)
    assert wait_agent_attr(client, value=VALUES[serializer])
    assert pending(client) == 0


@pytest.mark.parametrize("serializer", SERIALIZERS)
def test_inproc_between_agents_of_one_process(ns, serializer):
    server, client = run_agent("server", inline=True), run_agent("client", base=Client, inline=True)
    address = server.bind("ASYNC_REP", alias="rep", handler=echo, serializer=serializer, transport="inproc")
    client.connect(address, alias="req", handler="take")
    client.send("req", VALUES[serializer][0])
    assert wait_agent_attr(client, value=VALUES[serializer][:1])


@pytest.mark.parametrize("handler", [echo_by_yield, echo_async])
@pytest.mark.parametrize("serializer", SERIALIZERS)
def test_generators_and_coroutines_answer_too(ns, serializer, handler):
    server, client = pair(ns, handler, serializer)
    message = VALUES[serializer][0]
    client.send("req", message)
    assert wait_agent_attr(client, value=[message])
    if handler is echo_by_yield:
        assert wait_agent_attr(server, "after_reply", value=message)


def test_send_returns_at_once_and_other_clients_are_served(ns):
    _, client, gate = gated_pair(ns)
    for number in range(3):
        client.send("req", number)
    assert pending(client) == 3
    assert client.received == []
    gate.send_many("go", [1])
    gate.send("go", 2)
    gate.send("go", 3)
    assert wait_agent_attr(client, value=[0, 1, 2])


def test_the_handler_of_one_send_gets_that_reply_alone(ns):
    def other(agent, message):
        agent.received.append(("other", message))

    _, client = pair(ns)
    client.send("req", 1, handler=other)
    client.send("req", 2)
    client.send("req", 3, handler="take")
    client.send("req", 4, handler=lambda agent, message: agent.received.append(("lambda", message)))
    client.send("req", 5, handler=take_async)
    assert wait_agent_attr(client, length=5)
    assert wait_condition(lambda: client.received[:4] == [("other", 1), 2, 3, ("lambda", 4)])
    assert client.received[4:] == [("async", 5)]


def test_without_any_handler_send_is_refused(ns):
    server, client = run_agent("server"), run_agent("client", base=Client)
    client.connect(server.bind("ASYNC_REP", handler=echo), alias="req")
    with pytest.raises(HandlerError, match="nobody would get the reply"):
        client.send("req", 1)
    with pytest.raises(TypeError):
        client.send("req", 1, handler=lambda: None)
    client.send("req", 2, handler=take)
    assert wait_agent_attr(client, value=[2])
    assert pending(client) == 0


def test_a_request_without_reply_is_given_up_and_logged_and_the_late_reply_is_unknown(ns):
    _, client, gate = gated_pair(ns)
    logger = run_logger("logger")
    client.set_logger(logger)
    assert sync_agent_logger(client, logger)
    before = deadlines(client)
    client.send("req", "slow", wait=0.05)
    assert logger_received(logger, r"Did not receive request \S+ after 0.05 seconds", "WARNING")
    assert pending(client) == 0
    gate.send("go", "on")
    assert logger_received(logger, "unknown request", "WARNING")
    client.send("req", "quick", wait=5)
    assert wait_agent_attr(client, value=["quick"])
    assert deadlines(client) == before


@pytest.mark.parametrize(
    ("on_error", "seen"),
    [
        ("give_up", "gave up"),
        (lambda agent: agent.received.append("lambda"), "lambda"),
        (note_failure, ("failed", "NoneType")),
    ],
)
def test_on_error_runs_instead_of_the_log_when_no_reply_comes(ns, on_error, seen):
    _, client, gate = gated_pair(ns)
    client.send("req", "slow", wait=0.05, on_error=on_error)
    assert wait_agent_attr(client, value=[seen])
    gate.send("go", "on")
    client.send("req", "quick", wait=5, on_error=on_error)
    assert wait_agent_attr(client, value=[seen, "quick"])


@pytest.mark.parametrize("serializer", SERIALIZERS)
@pytest.mark.parametrize("handler", [fail, fail_async])
def test_an_error_reaches_on_error_as_its_own_type(ns, serializer, handler):
    server, client = pair(ns, handler, serializer)
    client.send("req", value(serializer, 1), on_error=note_failure)
    assert wait_agent_attr(client, value=[("failed", "LookupError")])
    assert wait_condition(lambda: server.error_count() == 1)
    assert client.error_count() == 0


def test_an_error_without_on_error_is_an_error_of_the_client_with_both_tracebacks(ns):
    _, client = pair(ns, fail)
    client.send("req", 1)
    assert wait_condition(lambda: client.error_count() == 1)
    assert "LookupError: no such thing" in client.last_error()
    assert "in fail\n" in client.last_error()
    assert client.received == []


async def note_async(agent, error=None):
    agent.received.append(("async", type(error).__name__))


def test_an_async_on_error(ns):
    _, client = pair(ns, fail)
    client.send("req", 1, on_error=note_async)
    assert wait_agent_attr(client, value=[("async", "LookupError")])


def test_a_reply_that_cannot_be_serialized_is_an_error_of_the_request(ns):
    def unfit(agent, message):
        return threading.Lock()

    server, client = pair(ns, unfit)
    client.send("req", 1, on_error=note_failure)
    assert wait_agent_attr(client, value=[("failed", "SerializationError")])
    assert client.bad_message_count() == 0
    assert wait_condition(lambda: server.error_count() == 1)


def test_a_wrong_on_error_is_refused_at_once(ns):
    _, client = pair(ns)
    before = deadlines(client)
    with pytest.raises(HandlerError, match="on_error"):
        client.send("req", 1, on_error=5, wait=1)
    with pytest.raises(HandlerError, match="no method 'nothing'"):
        client.send("req", 1, on_error="nothing", wait=1)
    assert pending(client) == 0
    assert deadlines(client) == before


def test_clients_come_and_go_and_nothing_stays(ns):
    server, client, gate = gated_pair(ns)
    for number in range(3):
        other = run_agent(f"other{number}", base=Client)
        other.connect(server.addr("rep"), alias="req", handler="take")
        other.send("req", "quick")
        assert wait_agent_attr(other, value=["quick"])
        other.send("req", "slow")  # the answer finds nobody
        assert wait_condition(lambda: server.unsafe.execute_as_method(lambda agent: agent._loop.in_owner()) is False)
        other.shutdown()
        assert wait_condition(lambda name=f"other{number}": name not in ns.agents())
        gate.send("go", "on")
        client.send("req", "quick")
        assert wait_agent_attr(client, length=number + 1)
    assert server.error_count() == 0
    assert server.is_running()


def test_replies_of_many_clients_are_never_mixed_up(ns):
    server, _ = pair(ns)
    clients = [run_agent(f"client{i}", base=Client) for i in range(4)]
    for client in clients:
        client.connect(server.addr("rep"), alias="req", handler="take")
    for number in range(50):
        for name, client in enumerate(clients):
            client.send("req", (name, number))
    for name, client in enumerate(clients):
        assert wait_agent_attr(client, value=[(name, number) for number in range(50)])


def test_a_closed_server_leaves_the_request_to_its_wait(ns):
    server, client = pair(ns)
    client.send("req", 1)
    assert wait_agent_attr(client, value=[1])
    server.close("rep")
    with pytest.raises(AliasError):
        server.addr("rep")
    client.send("req", 2, wait=0.05, on_error="give_up")
    assert wait_agent_attr(client, value=[1, "gave up"])


def test_an_async_rep_handler_that_closes_its_own_socket(ns):
    def close(agent, message):
        agent.close("rep")
        return message

    server, client = pair(ns, close)
    client.send("req", 1, wait=0.2, on_error="give_up")
    assert wait_agent_attr(client, value=["gave up"])
    assert server.error_count() == 0
    assert server.is_running()


def test_a_client_that_closes_forgets_its_requests(ns):
    _, client, gate = gated_pair(ns)
    before = deadlines(client)
    client.send("req", "slow", wait=60, on_error="give_up")
    assert deadlines(client) == before + 1
    client.close("req")
    assert deadlines(client) == before
    gate.send("go", "on")
    assert client.error_count() == 0
    assert client.received == []


@pytest.mark.parametrize("kind", ["ASYNC_REP", "SYNC_PUB"])
def test_a_server_that_comes_back_elsewhere_is_found_and_old_requests_fail(ns, kind):
    def silent(agent, message):
        agent.recv("never", timeout=60)

    class Silent(Collector):
        def on_init(self):
            super().on_init()
            self.bind("PULL", alias="never", handler="take")
            self.bind(kind, alias="rep", handler=silent)

    class Answering(Collector):
        def on_init(self):
            super().on_init()
            self.bind(kind, alias="rep", handler=echo)

    server, client = run_agent("server", base=Silent), run_agent("client", base=Client)
    client.connect(("server", "rep"), alias="req")
    client.send("req", "old", handler="take", on_error=note_failure)
    server.oneway.kill()
    assert agent_dies("server", ns, timeout=8)
    run_agent("server", base=Answering)
    assert wait_agent_attr(client, value=[("failed", "ConnectionLostError")], timeout=8)
    assert pending(client) == 0
    client.send("req", "new", handler="take")
    assert wait_agent_attr(client, value=[("failed", "ConnectionLostError"), "new"])


def test_what_channels_cannot_do_is_said(ns):
    server, client = pair(ns)
    with pytest.raises(NotImplementedError, match="ASYNC_REQ cannot bind"):
        server.bind("ASYNC_REQ")
    with pytest.raises(ValueError, match="This socket requires a handler!"):
        server.bind("ASYNC_REP")
    with pytest.raises(ValueError, match="no option 'topic'"):
        client.send("req", 1, topic="x")
    with pytest.raises(ValueError, match="does not send"):
        server.send("rep", 1)
    with pytest.raises(ValueError, match="cannot wait"):
        client.recv("req", timeout=0.1)
    assert issubclass(MessageTimeoutError, TimeoutError)


def test_handlers_of_replies_may_send_again(ns):
    def count_down(agent, message):
        agent.received.append(message)
        if message:
            agent.send("req", message - 1)

    _, client = pair(ns, replies=count_down)
    client.send("req", 20)
    assert wait_agent_attr(client, value=list(range(20, -1, -1)))


def test_the_default_handler_may_be_replaced_by_connecting_again(ns):
    server, client = pair(ns)
    client.connect(server.addr("rep"), handler=lambda agent, message: agent.received.append(("new", message)))
    client.send("req", 1)
    assert wait_agent_attr(client, value=[("new", 1)])
    client.send("req", 2, handler=take)
    assert wait_agent_attr(client, value=[("new", 1), 2])
