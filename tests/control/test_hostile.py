"""Strangers and broken peers: nothing of theirs runs, and nobody else notices."""

import contextlib
import marshal
import os
import pickle
import random
import socket
import time
from pathlib import Path

import dill
import pytest
import serpent
from Pyro5 import protocol

from agentlab import keys
from agentlab.control import frames
from agentlab.control.auth import CHALLENGE, HmacChallenge
from agentlab.control.session import PREAMBLE_TIMEOUT
from tests.control.conftest import echo, eventually
from tests.timing import soon

WHERE = ["unix", "tcp"]
STATES = ["fresh", "after the proof", "after the handshake", "in a call"]


@pytest.fixture
def served(kit, request):
    daemon = kit.daemon(getattr(request, "param", "unix"))
    return daemon, kit.client(daemon.serve("obj", echo))


class Stranger:
    """A bare socket to a daemon; with the key where it is asked to go further."""

    def __init__(self, daemon):
        location = daemon.location
        if location.path:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.connect(location.path)
        else:
            self.sock = socket.create_connection((location.host, location.port))
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.settimeout(5)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        try:
            self.sock.sendall(data)
        except OSError:
            return False
        return True

    def prove(self):
        if self.sock.family == socket.AF_UNIX:
            return
        side = HmacChallenge(keys.derive("control"), server=False)
        self.sock.sendall(side.start())
        self.sock.sendall(side.receive(self.read(68)))

    def read(self, size):
        data = b""
        while len(data) < size:
            chunk = self.sock.recv(size - len(data))
            assert chunk
            data += chunk
        return data

    def shake(self):
        hello = b'{"handshake": "hello", "object": "obj"}'
        self.sock.sendall(frames.pack(frames.CONNECT, 0, 0, frames.JSON, hello))
        head = self.read(40)
        assert head[6] == frames.CONNECT_OK
        self.read(frames.HEADER.unpack(head)[6])

    def go_to(self, state):
        if state != "fresh":
            self.prove()
        if state in ("after the handshake", "in a call"):
            self.shake()
        if state == "in a call":
            self.sock.sendall(b"".join(frames.pack_call(frames.call_head("obj", "call"), bytes(100), 0, 1))[:60])

    def closed(self):
        """Tell whether the daemon has closed the connection."""
        self.sock.settimeout(5)
        try:
            while self.sock.recv(65536):
                pass
        except TimeoutError:
            return False
        except OSError:
            return True
        return True


def bombs(canary):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (canary,)

    code = compile(f"__import__('os').mkdir({canary!r})", "bomb", "eval")
    raw = {
        "pickle": pickle.dumps(Bomb()),
        "pickle 5": pickle.dumps(Bomb(), 5),
        "dill": dill.dumps(Bomb()),
        "marshal": marshal.dumps(code),
        "marshal size": b"\xdb\xff\xff\xff\x7f" * 9,
        "serpent": serpent.dumps({"__class__": "os.mkdir", "args": (canary,)}),
        "serpent code": f"__import__('os').mkdir({canary!r})".encode(),
        "nesting": b"[" * 50_000,
    }
    for name, data in raw.items():
        yield name, data
        for serializer in (0, 1, 2, 3, 4, 5, 42):
            yield f"{name} {serializer} connect", frames.pack(frames.CONNECT, 0, 0, serializer, data)
            yield f"{name} {serializer} invoke", frames.pack(frames.INVOKE, 0, 0, serializer, data)
            yield f"{name} {serializer} compressed", frames.pack(frames.INVOKE, frames.COMPRESSED, 0, serializer, data)
        # A "blob": Pyro5 unmarshals this annotation whatever the serializer is.
        annotation = b"BLBI" + len(data).to_bytes(4, "big") + data
        header = frames.HEADER.pack(b"PYRO", 502, 4, 4, frames.KEEP_SERIALIZED, 0, 0, len(annotation), bytes(16), 0, 0x4DC5)
        yield f"{name} blob", header + annotation


@pytest.mark.parametrize("security", ["keys", "none"])
@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("state", STATES)
def test_bombs_execute_nothing_in_any_state(kit, tmp_path, where, security, state):
    if security == "none" and where == "tcp":
        where = "unix"  # no proof there to be before or after
    daemon = kit.daemon(where, security=security)
    client = kit.client(daemon.serve("obj", echo), security=security)
    canary = str(tmp_path / "canary")
    for name, bomb in bombs(canary):
        with Stranger(daemon) as stranger:
            stranger.go_to(state)
            stranger.send(bomb)
            if security == "keys" and state != "in a call":
                with contextlib.suppress(OSError):  # closed already
                    stranger.sock.shutdown(socket.SHUT_WR)
                assert stranger.closed(), name
    assert client.call(b"honest", timeout=5) == b"honest"
    assert not Path(canary).exists()


def test_the_canary_would_sing(tmp_path):
    canary = str(tmp_path / "canary")
    pickle.loads(dict(bombs(canary))["pickle"])
    assert Path(canary).exists()


@pytest.mark.parametrize("served", WHERE, indirect=True)
def test_five_hundred_silent_connections(served):
    daemon, client = served
    strangers = [Stranger(daemon) for _ in range(500)]
    start = time.monotonic()
    eventually(lambda: daemon.counters["connections"] >= 500)
    for _ in range(100):
        assert client.call(b"x", timeout=1) == b"x"
    assert time.monotonic() - start < PREAMBLE_TIMEOUT, "they were gone already"
    assert strangers[0].closed()
    assert strangers[-1].closed()
    assert time.monotonic() - start < soon(4 * PREAMBLE_TIMEOUT)
    eventually(lambda: daemon.counters["refused"] == 500)
    for stranger in strangers:
        stranger.sock.close()


@pytest.mark.parametrize("state", STATES)
def test_eighty_slow_writers(served, state):
    daemon, client = served
    strangers = [Stranger(daemon) for _ in range(80)]
    message = frames.pack(frames.CONNECT, 0, 0, frames.JSON, bytes(1000))
    if state in ("after the handshake", "in a call"):
        message = b"".join(frames.pack_call(frames.call_head("obj", "call"), bytes(1000), 0, 1))
    for stranger in strangers:
        stranger.go_to(state)
    if state == "in a call":
        message = message[60:]
    end, at, slowest = time.monotonic() + 1.5, 0, 0.0
    while time.monotonic() < end:
        for stranger in strangers:
            stranger.send(message[at : at + 1])
        at += 1
        for _ in range(5):
            start = time.monotonic()
            assert client.call(b"x", timeout=20) == b"x"
            slowest = max(slowest, time.monotonic() - start)
        time.sleep(0.1)  # slow writers are slow
    assert slowest < soon(0.5)
    assert len(daemon._pool._threads) <= 10
    for stranger in strangers:
        stranger.sock.close()


@pytest.mark.parametrize("security", ["keys", "none"])
def test_slow_writers_of_large_messages_leave_workers_to_others(kit, security):
    daemon = kit.daemon(max_workers=4, security=security)
    client = kit.client(daemon.serve("obj", echo), security=security)
    strangers = [Stranger(daemon) for _ in range(20)]
    for stranger in strangers:
        stranger.shake()
        stranger.send(b"".join(frames.pack_call(frames.call_head("obj", "call"), bytes(200_000), 0, 1))[:70_000])
    for _ in range(20):
        assert client.call(b"x", timeout=3) == b"x"
    for stranger in strangers:
        stranger.sock.close()


def test_a_message_that_never_ends_is_dropped(served, monkeypatch):
    daemon, client = served
    monkeypatch.setattr("agentlab.control.session.MESSAGE_TIMEOUT", 0.3)
    with Stranger(daemon) as stranger:
        stranger.go_to("in a call")
        assert stranger.closed()
    assert daemon.counters["bad_messages"] == 1
    assert client.call(b"x") == b"x"


@pytest.mark.parametrize("served", WHERE, indirect=True)
@pytest.mark.parametrize("state", STATES)
def test_eight_gibibytes_announced(served, state):
    daemon, client = served
    for kind in (frames.CONNECT, frames.INVOKE):
        with Stranger(daemon) as stranger:
            stranger.go_to(state if state != "in a call" else "after the handshake")
            big = frames.HEADER.pack(b"PYRO", 502, kind, 4, 0, 0, 0xFFFFFFFF, 0xFFFFFFFF, bytes(16), 0, 0x4DC5)
            stranger.send(big)
            assert stranger.closed()
    assert client.call(b"x") == b"x"


@pytest.mark.parametrize("served", WHERE, indirect=True)
def test_ten_thousand_messages_of_garbage_lose_no_honest_call(served):
    daemon, client = served
    chance = random.Random(seed := random.randrange(1 << 32))
    print("seed", seed)
    starts = [b"", b"PYRO", b"PYRO\x01\xf6", CHALLENGE, frames.pack(4, 0, 0, 4, b"")[:6], b"GET / HTTP/1.0\r\n\r\n"]
    sent = honest = 0
    while sent < 10_000:
        with Stranger(daemon) as stranger:
            if chance.random() < 0.2:
                stranger.go_to("after the handshake")
            for _ in range(chance.randrange(1, 60)):
                sent += 1
                if not stranger.send(chance.choice(starts) + chance.randbytes(chance.randrange(200))):
                    break
        if chance.random() < 0.3:
            honest += 1
            payload = chance.randbytes(1000)
            assert client.call(payload, timeout=5) == payload
    assert honest > 20
    assert daemon.counters["connections"] > 100
    assert daemon.counters["refused"] > 50
    assert len(client._idle) == 1


@pytest.mark.parametrize("served", WHERE, indirect=True)
def test_a_client_that_skips_its_proof_or_handshake_gets_nowhere(kit, served, caplog):
    daemon, _ = served
    ran = []
    daemon.serve("canary", lambda payload, peer: ran.append(payload) or b"")
    call = b"".join(frames.pack_call(frames.call_head("canary", "call"), b"", 0, 1))
    for state in ("fresh", "after the proof"):
        with Stranger(daemon) as stranger:
            stranger.go_to(state)
            stranger.send(call)
            assert stranger.closed()
    assert ran == []
    eventually(lambda: daemon.counters["refused"] == 2)
    assert caplog.text.count("refused a connection from") == 2


def test_a_stock_proxy_is_refused_where_the_key_is_asked_for(kit):
    import Pyro5.api

    for where in WHERE:
        daemon = kit.daemon(where)
        uri = daemon.serve("obj", echo)
        for serializer in ("serpent", "marshal", "msgpack"):
            proxy = Pyro5.api.Proxy(uri)
            proxy._pyroSerializer = serializer
            proxy._pyroTimeout = 5
            with pytest.raises(Pyro5.errors.CommunicationError):
                proxy._pyroBind()
            proxy._pyroRelease()
        eventually(lambda counters=daemon.counters: counters["refused"] == 3)


def test_when_files_run_out_strangers_go_first(kit):
    import resource

    daemon = kit.daemon()
    client = kit.client(daemon.serve("obj", echo))
    client.call(b"")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.open("/dev/null", os.O_RDONLY)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + 40, hard))
    strangers = []
    try:
        while True:
            strangers.append(socket.socket(socket.AF_UNIX))
            strangers[-1].connect(daemon.location.path)
    except OSError:
        pass
    try:
        assert client.call(b"x", timeout=5) == b"x"
        for stranger in strangers[-3:]:
            stranger.close()
        fresh = kit.client(client.uri)
        assert fresh.call(b"y", timeout=5) == b"y"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for stranger in strangers:
            stranger.close()
    assert daemon.counters["refused"] > 0


def test_pyro_reads_our_refusal_as_one(served):
    daemon, _ = served
    with Stranger(daemon) as stranger:
        hello = b'{"handshake": "hello", "object": "nothing"}'
        stranger.send(frames.pack(frames.CONNECT, 0, 0, frames.JSON, hello))
        head = stranger.read(40)
        message = protocol.ReceivingMessage(head)
        assert message.type == protocol.MSG_CONNECTFAIL
        assert b"nothing" in stranger.read(message.data_size)
        assert stranger.closed()
