"""raw sockets against bare pyzmq sockets, frame for frame; and garbage from such peers."""

from __future__ import annotations

import json
import os
import struct

import pytest
import zmq

from agentlab import AgentAddress, config, run_agent, run_nameserver
from agentlab.testing import wait_agent_attr, wait_condition
from tests.agent.bare import bare
from tests.agent.live import Collector, echo, echo_by_yield, fail, take, take_with_topic

PAYLOADS = [b"text", b"", b"\x00", b"\x01\x02\x03", b"\x03AGENTLAB-ERROR", bytes(range(256)), b"x" * 200_000]


def test_bare_push_to_pull(ns):
    agent = run_agent("agent", base=Collector)
    address = agent.bind("PULL", handler="take", serializer="raw")
    with bare(zmq.PUSH, connect=address.endpoint()) as socket:
        for payload in PAYLOADS:
            socket.send(payload)
        assert wait_agent_attr(agent, length=len(PAYLOADS))
    assert agent.received == PAYLOADS
    assert all(type(m) is bytes for m in agent.received)


def test_push_to_bare_pull(ns):
    agent = run_agent("agent")
    address = agent.bind("PUSH", alias="out", serializer="raw")
    with bare(zmq.PULL, connect=address.endpoint()) as socket:
        for payload in PAYLOADS:
            agent.send("out", payload)
            assert socket.recv_multipart() == [payload]
        agent.send_many("out", PAYLOADS)
        assert [socket.recv_multipart() for _ in PAYLOADS] == [[payload] for payload in PAYLOADS]


def test_text_is_sent_as_utf8(ns):
    agent = run_agent("agent")
    address = agent.bind("PUSH", alias="out", serializer="raw")
    with bare(zmq.PULL, connect=address.endpoint()) as socket:
        agent.send("out", "µ")
        assert socket.recv() == b"\xc2\xb5"


def test_agents_connect_to_bare_servers(ns, socket_dir):
    agent = run_agent("agent", base=Collector)
    path = socket_dir / "bare"
    with bare(zmq.PUSH, bind=f"ipc://{path}") as socket:
        agent.connect(AgentAddress("ipc", path, "PUSH", "server", "raw"), alias="in", handler="take")
        socket.send(b"from outside")
        assert wait_agent_attr(agent, value=[b"from outside"])
        agent.close("in")
        assert path.exists()  # it belongs to the server
    path.unlink()


def test_bare_req_to_rep(ns):
    agent = run_agent("agent")
    address = agent.bind("REP", handler=echo, serializer="raw")
    with bare(zmq.REQ, connect=address.endpoint()) as socket:
        for payload in PAYLOADS:
            socket.send(payload)
            assert socket.recv_multipart() == [payload]


def test_generator_replies_to_a_bare_req(ns):
    agent = run_agent("agent")
    address = agent.bind("REP", handler=echo_by_yield, serializer="raw")
    with bare(zmq.REQ, connect=address.endpoint()) as socket:
        for _ in range(2):
            socket.send(b"x")
            assert socket.recv_multipart() == [b"x"]


def test_an_error_reaches_a_bare_req_as_two_frames(ns):
    agent = run_agent("agent")
    address = agent.bind("REP", handler=fail, serializer="raw")
    with bare(zmq.REQ, connect=address.endpoint()) as socket:
        socket.send(b"x")
        mark, described = socket.recv_multipart()
        assert mark == b"\x03AGENTLAB-ERROR"
        assert b"LookupError" in described


def test_req_to_bare_rep(ns):
    agent = run_agent("agent")
    address = agent.bind("REQ", alias="req", serializer="raw")
    with bare(zmq.REP, connect=address.endpoint()) as socket:
        for payload in PAYLOADS:
            agent.send("req", payload)
            assert socket.recv_multipart() == [payload]
            socket.send(payload + b"!")
            assert agent.recv("req", timeout=3) == payload + b"!"


def test_pub_to_bare_sub(ns):
    agent = run_agent("agent")
    address = agent.bind("PUB", alias="pub", serializer="raw")
    with bare(zmq.SUB, connect=address.endpoint(), subscribe=b"temp") as socket:
        agent.wait_for_subscribers("pub")
        agent.send("pub", b"erature 20", topic="temp")
        agent.send("pub", b"no", topic="other")
        agent.send("pub", b"temp21")
        assert socket.recv_multipart() == [b"temperature 20"]
        assert socket.recv_multipart() == [b"temp21"]
    assert wait_condition(lambda: agent.execute_as_method(lambda a: not a._links.get("pub").subscriptions))


def test_bare_pub_to_sub(ns, socket_dir):
    agent = run_agent("agent", base=Collector)
    path = socket_dir / "bare-pub"
    with bare(zmq.XPUB, bind=f"ipc://{path}") as socket:
        socket.setsockopt(zmq.XPUB_VERBOSER, 1)
        handlers = {"a": take_with_topic, b"\x00": take}
        agent.connect(AgentAddress("ipc", path, "PUB", "server", "raw"), alias="sub", handler=handlers)
        seen = [socket.recv() for _ in range(3)]
        assert {b"\x01a", b"\x01\x00"} < set(seen)
        for payload in (b"abc", b"\x00\x01", b"zzz", b"a"):
            socket.send(payload)
        assert wait_agent_attr(agent, value=[("a", b"abc"), b"\x00\x01", ("a", b"a")])
        agent.unsubscribe("sub", "a")
        assert socket.recv() == b"\x00a"  # so nothing of it is sent any more
    path.unlink()


def test_json_is_readable_by_anybody(ns):
    agent = run_agent("agent")
    address = agent.bind("PUSH", alias="out", serializer="json")
    with bare(zmq.PULL, connect=address.endpoint()) as socket:
        agent.send("out", {"a": [1, None]})
        (frame,) = socket.recv_multipart()
        assert json.loads(frame) == {"a": [1, None]}


class OpenCollector(Collector):
    def on_init(self):
        super().on_init()
        self.endpoint = self.bind("PULL", handler="take", serializer="raw", transport="tcp").endpoint()


def test_tcp_without_security_needs_no_keys():
    config["SECURITY"] = "none"
    ns = run_nameserver()
    try:
        agent = run_agent("agent", base=OpenCollector)
        with bare(zmq.PUSH, connect=agent.endpoint, keys="ipc") as socket:
            socket.send(b"open")
            assert wait_agent_attr(agent, value=[b"open"])
    finally:
        ns.shutdown()


def test_tcp_with_keys_refuses_who_has_none(ns):
    agent = run_agent("agent", base=Collector)
    address = agent.bind("PULL", handler="take", serializer="raw", transport="tcp")
    with bare(zmq.PUSH, connect=address.endpoint(), keys="ipc") as stranger:
        stranger.send(b"stranger")
        with bare(zmq.PUSH, connect=address.endpoint(), keys="tcp") as friend:
            friend.send(b"friend")
            assert wait_agent_attr(agent, value=[b"friend"])


GARBAGE = [
    [b""],
    [b"\x01"],
    [b"\x01\xff\xff\xff\xff"],
    [b"\x01\x00\x00\x00\x02xx", b"one"],
    [b"\x02"],
    [b"\x02\x80\x05garbage"],
    [b"\x03not an error"],
    [b"\x07reserved"],
    [b"\x80\x05"],
    [b"\x80\x05\x95\xff\xff\xff\xff\xff\xff\xff\xff"],
    [b"\xff" * 100],
    [b"{"],
    [b"one", b"two", b"three"],
    [b"", b"", b""],
    [os.urandom(300)],
]


@pytest.mark.parametrize("serializer", ["pickle", "cloudpickle", "dill", "json", "msgpack"])
def test_garbage_on_pull_is_dropped_and_counted(ns, serializer):
    agent, honest = run_agent("agent", base=Collector), run_agent("honest")
    address = agent.bind("PULL", handler="take", serializer=serializer)
    honest.connect(address, alias="out")
    with bare(zmq.PUSH, connect=address.endpoint()) as socket:
        for frames in GARBAGE:
            socket.send_multipart(frames)
        assert wait_condition(lambda: agent.bad_message_count() >= len(GARBAGE) - 1)
        honest.send("out", "honest")
        assert wait_agent_attr(agent, data="honest")
        for frames in GARBAGE:
            socket.send_multipart(frames)
        honest.send_many("out", ["one", "two"])
        assert wait_agent_attr(agent, data="two")
    assert [m for m in agent.received if m in ("honest", "one", "two")] == ["honest", "one", "two"]
    assert agent.error_count() == 0


@pytest.mark.parametrize("serializer", ["pickle", "json", "msgpack", "raw"])
@pytest.mark.parametrize("kind", ["REP", "ASYNC_REP", "SYNC_PUB"])
def test_garbage_to_those_who_answer(ns, kind, serializer):
    agent, honest = run_agent("agent"), run_agent("honest", base=Collector)
    address = agent.bind(kind, alias="rep", handler=echo, serializer=serializer)
    honest.connect(address, alias="req")
    place = address.endpoint() if kind == "REP" else address.receiver.endpoint()
    sort = {"REP": zmq.DEALER, "ASYNC_REP": zmq.DEALER, "SYNC_PUB": zmq.PUSH}[kind]
    with bare(sort, connect=place) as socket:
        for frames in GARBAGE:
            socket.send_multipart(frames)
            socket.send_multipart([b"", *frames])
            socket.send_multipart([b"\x00reply x", b"12345678", *frames])
            socket.send_multipart([struct.pack(">Q", 1), *frames])
        message = b"honest" if serializer == "raw" else "honest"
        if kind == "REP":
            assert honest.send_recv("req", message, timeout=3) == message
        else:
            honest.send("req", message, handler=take)
            assert wait_agent_attr(honest, value=[message])
    assert agent.error_count() == 0
    assert agent.is_running()


@pytest.mark.parametrize("serializer", ["pickle", "json", "msgpack"])
def test_garbage_from_a_publisher(ns, serializer, socket_dir):
    agent = run_agent("agent", base=Collector)
    path = socket_dir / "bad-pub"
    with bare(zmq.XPUB, bind=f"ipc://{path}") as socket:
        agent.connect(AgentAddress("ipc", path, "PUB", "server", serializer), alias="sub", handler="take")
        assert socket.recv() == b"\x01"
        for frames in GARBAGE:
            socket.send_multipart(frames)
            socket.send_multipart([b"", *frames])
            socket.send_multipart([b"", b"12345678abcd" + frames[0], *frames[1:]])
        assert wait_condition(lambda: agent.bad_message_count() > len(GARBAGE))
        good = {"pickle": b"\x80\x05N.", "json": b"null", "msgpack": b"\x00\xc0"}[serializer]
        socket.send_multipart([b"topic", struct.pack(">Q4s", 1, b"abcd") + good])
        assert wait_agent_attr(agent, data="never", timeout=0) is False
        assert wait_condition(lambda: None in agent.received)
    assert agent.error_count() == 0
    path.unlink()


def test_garbage_subscriptions(ns):
    agent, honest = run_agent("agent"), run_agent("honest", base=Collector)
    address = agent.bind("PUB", alias="pub")
    honest.connect(address, handler="take")
    agent.wait_for_subscribers("pub")  # before there is another one, who would be counted for it
    with bare(zmq.XSUB, connect=address.endpoint()) as socket:
        for frames in GARBAGE:
            socket.send_multipart(frames)
        for topic in (b"\x00agentlab lost ", b"\x00agentlab lost " + b"x" * 20, b"\x00reply ", b"\xff" * 5):
            socket.send(b"\x01" + topic)
            socket.send(b"\x00" + topic)
        agent.send("pub", "honest")
        assert wait_agent_attr(honest, value=["honest"])
    assert agent.error_count() == 0
