"""Security none: anybody may connect, and nothing of what they send is executed. And what is refused under either security."""

from __future__ import annotations

import marshal
import os
import pickle
import socket
from pathlib import Path

import dill
import pytest
import zmq

from agentlab import Agent, AgentStartError, RefusedError, config, run_agent, run_nameserver
from agentlab.control.frames import CONNECT, INVOKE, pack
from tests.security.conftest import Pair
from tests.security.helpers import bare, dial, throw

PEERS = {"REP": zmq.DEALER, "PULL": zmq.PUSH, "SUB": zmq.XPUB, "PUB": zmq.XSUB, "ASYNC_REP": zmq.DEALER, "SYNC_PUB": zmq.PUSH}


class Bomb:
    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return os.mkdir, (self.canary,)


def bombs(canary: str) -> list[bytes]:
    code = compile(f"__import__('os').mkdir({canary!r})", "bomb", "eval")
    pickles = [pickle.dumps(Bomb(canary), protocol) for protocol in range(6)]
    raw = [*pickles, dill.dumps(Bomb(canary)), marshal.dumps(code), f"__import__('os').mkdir({canary!r})".encode()]
    return [head + bomb for bomb in raw for head in (b"", b"\x00", b"\x01\0\0\0\0", b"\x01\0\0\0\1", b"\x02", b"\x03", b"\x03{}")]


def test_the_canary_would_sing(tmp_path):
    canary = str(tmp_path / "canary")
    pickle.loads(bombs(canary)[0])
    assert Path(canary).exists()


@pytest.mark.parametrize("transport", ["ipc", "tcp"])
@pytest.mark.parametrize("serializer", ["raw", "json", "msgpack"])
def test_bombs_execute_nothing(tmp_path, transport, serializer):
    config["SECURITY"] = "none"
    canary = tmp_path / "canary"
    server = run_nameserver()
    try:
        pair = Pair(transport, serializer)
        pair.round()
        for kind, place in pair.places():
            with bare(zmq.SUB if place == pair.sockets["SYNC_PUB"].sender.endpoint() else PEERS[kind], place) as peer:
                for bomb in bombs(str(canary)):
                    explode(peer, kind, bomb)
                peer.linger = 2000
            for bomb in bombs(str(canary)):
                with dial(place) as stranger:
                    throw(stranger, bomb)
        for place in doors(server, pair):
            for bomb in bombs(str(canary)):
                for data in (bomb, *(pack(kind, 0, 0, number, bomb) for kind in (CONNECT, INVOKE) for number in range(5))):
                    with place() as stranger:
                        throw(stranger, data)
        pair.round()
        assert {"Victim", "Honest"} <= set(server.agents())
        assert not canary.exists()
    finally:
        server.shutdown()


def explode(peer, kind, bomb):
    if peer.type == zmq.SUB:
        peer.subscribe(bomb)
    elif peer.type == zmq.XPUB:
        peer.send_multipart([bomb, bomb])
        peer.send_multipart([b"topic", bytes(12) + bomb])
    elif kind == "REP":
        peer.send_multipart([b"", bomb])
    elif kind == "ASYNC_REP":
        peer.send_multipart([b"number", bomb])
    elif kind == "SYNC_PUB":
        peer.send_multipart([b"\x00reply x", b"number", bomb])
    else:
        peer.send(bomb)


def doors(server, pair):
    """Give what connects to the control daemons of agents and name server."""
    addr = server.addr()
    yield lambda: socket.create_connection((addr.host, addr.port))
    uri = server.lookup("Victim")
    place = uri.partition("@")[2]
    if place.startswith("./u:"):
        yield lambda: dial("ipc://" + place.removeprefix("./u:"))
    else:
        host, _, port = place.rpartition(":")
        yield lambda: socket.create_connection((host, int(port)))


@pytest.mark.parametrize("serializer", ["pickle", "cloudpickle", "dill"])
@pytest.mark.parametrize("kind", ["PULL", "PUSH", "SYNC_PUB"])
def test_serializers_that_run_code_are_refused(serializer, kind):
    agent = Agent("a", serializer=serializer, transport="ipc")
    address = agent.bind("PUSH")
    config["SECURITY"] = "none"
    try:
        with pytest.raises(RefusedError, match="raw, json or msgpack"):
            agent.bind(kind, handler=print)
        with pytest.raises(RefusedError, match="raw, json or msgpack"):
            agent.connect(address, handler=print)
    finally:
        agent._close()


def one_line_with_a_cure(text):
    text = str(text)
    return "\n" not in text and "127.0.0.1" in text and "none" in text


@pytest.mark.parametrize("host", ["0.0.0.0", "*", "::", "192.0.2.1"])
def test_a_socket_open_to_the_network_is_refused(host):
    agent = Agent("a")
    try:
        with pytest.raises(RefusedError) as caught:
            agent.bind("PULL", handler=print, transport="tcp", addr=host)
        assert one_line_with_a_cure(caught.value)
        assert agent.sockets() == {}
    finally:
        agent._close()


def last_line(error):
    return next(line for line in reversed(str(error).splitlines()) if line.strip())


@pytest.mark.parametrize("start", [run_nameserver, lambda addr: run_agent("a", addr=addr)], ids=["name server", "agent"])
def test_a_daemon_open_to_the_network_is_refused(ns, start):
    with pytest.raises((AgentStartError, RefusedError)) as caught:
        start(addr="0.0.0.0:0")
    assert "refused" in last_line(caught.value)
    assert one_line_with_a_cure(last_line(caught.value))
    assert "a" not in ns.agents()
