"""REQ and REP between processes: answers, errors, time-outs."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time

import pytest

from agentlab import (
    Agent,
    AgentLabError,
    ConnectionLostError,
    MessageTimeoutError,
    RemoteError,
    SerializationError,
    WrongAddressError,
    run_agent,
)
from agentlab.testing import agent_dies, wait_agent_attr, wait_condition
from tests.agent.live import (
    SERIALIZERS,
    TRANSPORTS,
    VALUES,
    Background,
    Collector,
    echo,
    echo_async,
    echo_by_yield,
    fail,
    fail_async,
)


def pair(ns, handler, serializer=None, transport=None):
    """A server and a client that is connected to it."""
    server, client = run_agent("server", base=Collector), run_agent("client")
    client.connect(server.bind("REP", alias="rep", handler=handler, serializer=serializer, transport=transport), alias="req")
    return server, client


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("serializer", SERIALIZERS)
def test_the_answer_of_every_serializer(ns, serializer, transport):
    _, client = pair(ns, echo, serializer, transport)
    for message in VALUES[serializer]:
        client.send("req", message)
        assert client.recv("req", timeout=3) == message
        assert client.send_recv("req", message, timeout=3) == message


@pytest.mark.parametrize("serializer", SERIALIZERS)
def test_req_may_bind_and_rep_connect(ns, serializer):
    server, client = run_agent("server"), run_agent("client")
    server.connect(client.bind("REQ", alias="req", serializer=serializer), handler=echo)
    assert client.send_recv("req", VALUES[serializer][0], timeout=3) == VALUES[serializer][0]


@pytest.mark.parametrize("serializer", SERIALIZERS)
@pytest.mark.parametrize("handler", [fail, fail_async])
def test_the_requester_gets_the_handlers_error_as_its_own_type(ns, serializer, handler):
    server, client = pair(ns, handler, serializer)
    for _ in range(2):  # and the socket is usable afterwards
        with pytest.raises(LookupError, match="no such thing") as caught:
            client.send_recv("req", VALUES[serializer][0], timeout=3)
        assert type(caught.value) is LookupError
        assert f"in {handler.__name__}" in caught.value.remote_traceback
    assert wait_condition(lambda: server.error_count() == 2)
    assert server.is_running()


def test_an_error_that_cannot_be_rebuilt_arrives_as_remote_error(ns):
    def unfit(agent, message):
        class LocalError(Exception):
            def __init__(self):
                super().__init__("unfit")
                self.lock = threading.Lock()

        raise LocalError

    _, client = pair(ns, unfit)
    with pytest.raises(RemoteError, match="LocalError: unfit"):
        client.send_recv("req", 1, timeout=3)


@pytest.mark.parametrize("serializer", ["pickle", "json", "raw"])
def test_a_result_that_cannot_be_serialized_is_an_error_at_the_requester(ns, serializer):
    def unfit(agent, message):
        return threading.Lock()

    server, client = pair(ns, unfit, serializer)
    with pytest.raises(SerializationError, match="lock"):
        client.send_recv("req", VALUES[serializer][0], timeout=3)
    assert wait_condition(lambda: server.error_count() == 1)


@pytest.mark.parametrize("serializer", SERIALIZERS)
def test_what_a_generator_yields_is_the_reply_and_the_rest_runs_after(ns, serializer):
    server, client = pair(ns, echo_by_yield, serializer)
    message = VALUES[serializer][0]
    assert client.send_recv("req", message, timeout=3) == message
    assert wait_agent_attr(server, "after_reply", value=message)


def test_the_reply_of_a_generator_is_sent_before_the_rest_runs(ns):
    def slow(agent, message):
        yield message
        agent.recv("go")  # blocks until the test says so

    server, client = pair(ns, slow)
    gate = run_agent("gate")
    server.connect(gate.bind("PUSH", alias="go"), alias="go", handler="take")
    assert client.send_recv("req", 1, timeout=3) == 1
    gate.send("go", "on")
    assert client.send_recv("req", 2, timeout=3) == 2
    gate.send("go", "on")


def test_a_second_yield_is_an_error_of_the_server_alone(ns):
    def twice(agent, message):
        yield message
        yield "too many"
        agent.never = True

    server, client = pair(ns, twice)
    assert client.send_recv("req", 1, timeout=3) == 1
    assert wait_condition(lambda: server.error_count() == 1)
    assert "second" in server.last_error()
    assert client.send_recv("req", 2, timeout=3) == 2


def test_a_generator_without_yield_is_an_error_at_the_requester(ns):
    def none(agent, message):
        if message == "never":
            yield message

    server, client = pair(ns, none)
    with pytest.raises(AgentLabError, match="yielded no reply"):
        client.send_recv("req", 1, timeout=3)
    assert wait_condition(lambda: server.error_count() == 1)


def test_a_generator_that_raises_before_its_yield_tells_the_requester(ns):
    def bad(agent, message):
        if message == 1:
            raise KeyError("before")
        yield message
        raise KeyError("after")

    server, client = pair(ns, bad)
    with pytest.raises(KeyError, match="before"):
        client.send_recv("req", 1, timeout=3)
    assert client.send_recv("req", 2, timeout=3) == 2
    assert wait_condition(lambda: server.error_count() == 2)


@pytest.mark.parametrize("serializer", SERIALIZERS)
def test_an_async_handler_answers_every_client(ns, serializer):
    server, client = pair(ns, echo_async, serializer)
    other = run_agent("other")
    other.connect(server.addr("rep"), alias="req")
    for message in VALUES[serializer]:
        assert client.send_recv("req", message, timeout=3) == message
        assert other.send_recv("req", message, timeout=3) == message


def test_an_agent_serves_its_other_sockets_while_an_async_handler_waits(ns):
    async def waits(agent, message):
        agent.gate = asyncio.Event()
        agent.aio = asyncio.get_running_loop()
        await agent.gate.wait()
        return message

    server, client = pair(ns, waits)
    answer = Background(client.send_recv, "req", "late")
    assert wait_condition(lambda: server.execute_as_method(lambda agent: hasattr(agent, "aio")))
    other = run_agent("other")
    other.connect(server.bind("REP", handler=echo), alias="req")
    assert other.send_recv("req", "meanwhile", timeout=3) == "meanwhile"
    assert not answer.done()
    server.execute_as_method(lambda agent: agent.aio.call_soon_threadsafe(agent.gate.set) and None)
    assert answer.result() == "late"


def test_a_timeout_raises_and_the_socket_is_usable_again(ns):
    def maybe(agent, message):
        if message == "slow":
            agent.recv("go", timeout=5)
        return message

    server, client = pair(ns, maybe)
    gate = run_agent("gate")
    server.connect(gate.bind("PUSH", alias="go"), alias="go", handler="take")
    with pytest.raises(MessageTimeoutError, match="nothing was received within 0.05 s"):
        client.send_recv("req", "slow", timeout=0.05)
    client.send("req", "after")
    gate.send("go", "on")  # now the late answer comes first
    assert client.recv("req", timeout=3) == "after"


def test_a_timeout_without_any_server(ns):
    client = run_agent("client")
    client.bind("REQ", alias="req")
    with pytest.raises(MessageTimeoutError):
        client.send("req", 1, timeout=0.05)


def test_the_question_is_answered_when_the_server_comes_later(ns):
    server, client = run_agent("server"), run_agent("client")
    address = server.bind("REP", alias="rep", handler=echo, addr="place", transport="ipc")
    server.close("rep")
    client.connect(address, alias="req")
    answer = Background(client.send_recv, "req", "early", timeout=5)
    assert not wait_condition(answer.done, timeout=0.1)
    assert server.bind("REP", handler=echo, addr="place", transport="ipc") == address
    assert answer.result() == "early"


def test_many_clients_of_one_server(ns):
    server, _ = pair(ns, echo)
    clients = [run_agent(f"client{i}") for i in range(5)]
    for client in clients:
        client.connect(server.addr("rep"), alias="req")
    asked = [Background(c.send_recv, "req", i, timeout=5) for i, c in enumerate(clients)]
    assert [a.result() for a in asked] == list(range(5))


class Asker(Agent):
    def ask(self, message):
        return self.send_recv("req", message, timeout=2)


def test_a_handler_may_ask_another_agent(ns):
    server, _ = pair(ns, echo)
    middle, client = run_agent("middle", base=Asker), run_agent("front")
    middle.connect(server.addr("rep"), alias="req")
    client.connect(middle.bind("REP", handler=lambda agent, message: ("via", agent.ask(message))), alias="req")
    assert client.send_recv("req", 7, timeout=3) == ("via", 7)


def leave(agent, message):
    sys.exit(3)


async def leave_async(agent, message):
    sys.exit(3)


@pytest.mark.parametrize("handler", [leave, leave_async])
def test_sys_exit_in_a_handler_is_an_error_of_it_and_ends_nobody(ns, handler):
    server, client = pair(ns, handler)
    for _ in range(2):
        with pytest.raises(RemoteError, match="builtins.SystemExit: 3"):
            client.send_recv("req", 1, timeout=3)
    assert wait_condition(lambda: server.error_count() == 2)
    assert server.is_running()


def test_a_rep_handler_that_closes_its_own_socket(ns):
    def close(agent, message):
        agent.close("rep")
        return message

    server, client = pair(ns, close)
    with pytest.raises(MessageTimeoutError):
        client.send_recv("req", 1, timeout=0.3)
    assert server.is_running()
    assert server.error_count() == 0
    assert not server.has_socket("rep")


def test_send_options_that_req_does_not_know_are_refused(ns):
    _, client = pair(ns, echo)
    with pytest.raises(ValueError, match="no option 'topic'"):
        client.send("req", 1, topic="t")
    with pytest.raises(ValueError, match="no option 'handler'"):
        client.send("req", 1, handler=echo)


@pytest.mark.parametrize("kind", ["FOO", "PULL_SYNC_PUB", "PUSH_SYNC_SUB", "rep", "", None, 7, []])
def test_a_kind_that_cannot_be_bound_names_those_that_can(kind):
    allowed = "REQ, REP, PUSH, PULL, PUB, SUB, ASYNC_REP, SYNC_PUB$"
    with pytest.raises(WrongAddressError, match=f"no kind of socket to bind; there are {allowed}"):
        Agent("alone").bind(kind, handler=print)


class Sleeper(Agent):
    def on_init(self):
        self.asked = False
        self.bind("REP", alias="ask", handler=self.sleep)

    def sleep(self, message):
        self.asked = True
        time.sleep(60)


def _kill(name, ns):
    os.kill(ns.registrations()[name].metadata["pid"], signal.SIGKILL)
    assert agent_dies(name, ns)


def test_a_question_without_a_limit_to_one_that_came_back_elsewhere(ns):
    sleeper, asker = run_agent("sleeper", base=Sleeper), run_agent("asker")
    asker.connect(("sleeper", "ask"), alias="question")
    answer = Background(asker.send_recv, "question", 1)
    assert wait_condition(lambda: sleeper.asked)
    _kill("sleeper", ns)
    again = run_agent("sleeper", base=Sleeper)
    with pytest.raises(ConnectionLostError, match="come back elsewhere"):
        answer.result(10)
    assert not again.asked
