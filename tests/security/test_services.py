"""Services, stock objects and the lab's log against those who do what nobody should."""

from __future__ import annotations

import asyncio
import marshal
import os
import pickle
import random
import socket
import sys
import threading
import time
import zlib
from contextlib import contextmanager

import pytest
import serpent

from agentlab import AgentLabError, CallTimeoutError, Proxy, RefusedError, RemoteError, SerializationError, config
from agentlab.cli.logs import format_record
from agentlab.control import frames
from agentlab.control.payload import dumps, loads
from agentlab.control.stock_client import StockClient
from agentlab.control.uri import parse_uri
from agentlab.errors import ConfigurationError, ConnectError, ConnectionLostError
from agentlab.lab.logbook import Logbook
from agentlab.lab.logread import read_log
from agentlab.nameserver.journal import MAGIC, Journal, replay
from agentlab.nameserver.registration import Change, Registration
from agentlab.nameserver.storage import open_storage
from agentlab.runtime.calling import Caller
from agentlab.services.daemon import Daemon
from tests.timing import soon


class ExitsAsText(Exception):
    def __str__(self):
        raise SystemExit(3)


class ExitsOnTheWay(Exception):
    def __reduce__(self):
        return sys.exit, (4,)


class ExitsWhenPacked(Exception):
    def __reduce__(self):
        raise SystemExit(5)


class OfNoModule(Exception):
    __module__ = object()


class Wild:
    def __init__(self):
        self.count = 0

    def add(self):
        self.count += 1
        return self.count

    def fail(self, number):
        raise (ExitsAsText, ExitsOnTheWay, ExitsWhenPacked, OfNoModule)[number]

    def give(self):
        return ExitsOnTheWay()

    def leave(self):
        raise SystemExit(2)

    async def leave_a_task(self):
        async def stay():
            try:
                await asyncio.sleep(100)
            except asyncio.CancelledError:
                raise SystemExit(3) from None

        self.task = asyncio.ensure_future(stay())
        await asyncio.sleep(0)

    def fork(self):
        child = os.fork()
        if child:
            os.waitpid(child, 0)
        return bool(child)


@pytest.fixture
def daemon():
    daemon = Daemon("d")
    yield daemon
    daemon.stop(0.5)


@pytest.mark.parametrize("security", ["keys", "none"])
@pytest.mark.parametrize("mode", ["single", "session", "percall"])
def test_every_failure_is_answered_and_the_service_goes_on(security, mode):
    config["SECURITY"] = security
    daemon = Daemon("d")
    try:
        proxy = Proxy(daemon.register(Wild, instancemode=mode))
        calls = [*((proxy.fail, (n,)) for n in range(4)), (proxy.give, ()), (proxy.leave, ())]
        for method, args in calls:
            with pytest.raises(Exception) as caught:  # noqa: PT011 - never SystemExit, never silence
                method(*args)
            assert not isinstance(caught.value, CallTimeoutError)
        proxy.leave_a_task()
        assert proxy.add() == 1
    finally:
        daemon.stop(0.5)


def test_a_constructor_that_fails_wildly_is_a_failed_service(daemon):
    class Broken(Wild):
        def __init__(self):
            raise ExitsAsText

    started = time.monotonic()
    with pytest.raises(AgentLabError, match="failed"):
        daemon.register(Broken)
    assert time.monotonic() - started < soon(3.0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_child_that_a_method_forks_does_not_answer_too(daemon):
    proxy = Proxy(daemon.register(Wild))
    assert proxy.fork() is True
    assert [proxy.add() for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize("name", ["__class__", "_x", "__init__", "add.__func__", "", "\x1b[2J", "a b"])
def test_private_and_odd_names_are_neither_called_nor_set(daemon, name):
    caller = Caller("Wild", daemon.register(Wild), None, kind="service")
    tries = [
        (name, (), {}),
        ("get_attr", (name,), {}),
        ("set_attr", (), {name: 1}),
        ("_set", (), {name: 1}),
        ("_set", (), {1: 2}),
    ]
    for method, args, kwargs in tries:
        with pytest.raises(AttributeError):
            caller.call(method, args, kwargs, safe=True, timeout=3.0)
    with pytest.raises(AttributeError):
        caller.call("_set", (), {"add": 1}, safe=True)
    caller.close()


def test_nobody_is_taken_for_a_client_without_a_token(daemon):
    uri = daemon.register(Wild, instancemode="session")
    victim = Caller("Wild", uri, None, kind="service")  # has never joined: it is known by its connection
    assert victim.call("add", (), {}, safe=True) == 1
    thief = Caller("Wild", uri, None, kind="service")
    for number in range(50):
        thief._token = f"connection {number}"
        assert thief.call("add", (), {}, safe=True) == 1
    assert victim.call("add", (), {}, safe=True) == 2
    victim.close()
    thief.close()


def test_garbage_is_never_unpickled_and_no_code_is_taken_in(monkeypatch):
    config["SECURITY"] = "none"
    seen = []
    for module in (pickle, marshal):
        monkeypatch.setattr(module, "loads", lambda *_, **__: seen.append(1))
    daemon = Daemon("d")
    try:
        uri = daemon.register(Wild)
        location = parse_uri(uri)[1]
        chance = random.Random(3)
        hello = frames.pack(frames.CONNECT, 0, 0, frames.JSON, b'{"handshake":"hello","object":"Wild"}')
        for number in range(300):
            bomb = chance.choice([b"\x80\x05cos\nsystem\n", b"\xfb", b"\x93"]) + chance.randbytes(chance.choice([1, 30, 1000]))
            call = frames.pack(chance.choice([frames.CONNECT, frames.INVOKE]), chance.randrange(64), 0, number % 6, bomb)
            with socket.create_connection((location.host, location.port)) as stranger:
                try:
                    stranger.sendall(chance.choice([b"", hello]) + chance.choice([bomb, call]))
                except OSError:
                    continue
        caller = Caller("d", daemon.uri, None, kind="daemon")
        with pytest.raises(RefusedError, match="takes in no service"):
            caller.call("put_service", (), {"name": "x", "target": "os:system"}, safe=False)
        caller.close()
        assert Proxy(uri).add() == 1
        assert not seen
    finally:
        daemon.stop(0.5)


# --- a hostile server of stock objects ---------------------------------------------------------------------------


def packed(kind, flags, seq, serializer, body, annotations=b""):
    head = frames.HEADER.pack(
        frames.MAGIC, frames.VERSION, kind, serializer, flags, seq, len(body), len(annotations), bytes(16), 0, frames.MAGIC_NUMBER
    )
    return head + annotations + body


META = b'{"handshake": "hello", "meta": {"methods": ["go"], "oneway": [], "attrs": []}}'


@contextmanager
def stock_server(answer, welcome=None):
    """Serve one connection: `welcome` to the handshake, `answer` to each call; both are bytes, or write them themselves."""
    listener = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def say(peer, what):
        what(peer, done) if callable(what) else peer.sendall(what)

    def serve():
        try:
            peer, _ = listener.accept()
            with peer:
                peer.recv(65536)
                say(peer, welcome or packed(frames.CONNECT_OK, 0, 0, frames.JSON, META))
                if peer.recv(65536):
                    say(peer, answer)
                done.wait(5.0)
        except OSError:
            return

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"PYRO:thing@127.0.0.1:{listener.getsockname()[1]}"
    finally:
        done.set()
        listener.close()
        thread.join(5.0)


def result(value, flags=0, **other):
    return packed(frames.RESULT, flags, 1, frames.SERPENT, value if isinstance(value, bytes) else serpent.dumps(value), **other)


def raised(name):
    return result({"__class__": name, "__exception__": True, "args": ["x"], "attributes": {}}, frames.EXCEPTION)


def drip(peer, done):
    head = result("x" * 5000)
    for byte in head[:40]:
        if done.wait(0.05):
            return
        peer.sendall(bytes([byte]))


ANSWERS = {
    "good": (result(5), None),
    "an end of the program": (raised("builtins.SystemExit"), RemoteError),
    "a key press": (raised("builtins.KeyboardInterrupt"), RemoteError),
    "no exception": (result(5, frames.EXCEPTION), RemoteError),
    "an exception": (raised("builtins.ValueError"), ValueError),
    "marshal": (packed(frames.RESULT, 0, 1, frames.MARSHAL, marshal.dumps([5])), ConnectionLostError),
    "a bomb of zeros": (result(zlib.compress(bytes(1 << 20)), frames.COMPRESSED), ConnectionLostError),
    "a stream": (result(None, frames.STREAM, annotations=b"STRM\0\0\0\1x"), SerializationError),
    "too much": (frames.HEADER.pack(b"PYRO", 502, 5, 1, 0, 1, (1 << 32) - 1, 0, bytes(16), 0, 0x4DC5), ConnectionLostError),
    "no literal": (result(b"# serpent utf-8 python3.2\n(((", 0), ConnectionLostError),
    "a nest": (result(b"# serpent utf-8 python3.2\n" + b"(" * 5000), ConnectionLostError),
    "an unknown class": (result({"__class__": "os.system"}), ConnectionLostError),
    "garbage": (b"\x80\x05" * 50, ConnectionLostError),
    "drops": (drip, CallTimeoutError),
}


@pytest.mark.parametrize("what", ANSWERS)
def test_what_a_stock_server_answers(what):
    config["SECURITY"] = "none"
    answer, error = ANSWERS[what]
    with stock_server(answer) as uri:
        client = StockClient(uri)
        started = time.monotonic()
        if error is None:
            assert client.call("go", (), {}, timeout=0.5) == 5
        else:
            with pytest.raises(error):
                client.call("go", (), {}, timeout=0.5)
        assert time.monotonic() - started < soon(3.0)
        client.close()


@pytest.mark.parametrize(
    "welcome",
    [
        packed(frames.CONNECT_OK, 0, 0, frames.MARSHAL, marshal.dumps({"handshake": "hello", "meta": {}})),
        packed(frames.CONNECT_OK, 0, 0, frames.JSON, b'{"handshake": "hello", "meta": {"methods": [[1]], "oneway": 3}}'),
        packed(frames.CONNECT_OK, frames.COMPRESSED, 0, frames.JSON, zlib.compress(META)),
        packed(frames.CONNECT_OK, 0, 0, frames.JSON, b"[" * 50000),
        b"SSH-2.0-server\r\n" * 10,
    ],
    ids=["marshal", "odd names", "compressed", "nested", "another protocol"],
)
def test_how_a_stock_server_welcomes(welcome):
    config["SECURITY"] = "none"
    with stock_server(b"", welcome) as uri, pytest.raises(ConnectError):
        StockClient(uri).call("go", (), {}, timeout=0.5)


# --- the lab's log and the name server's file ---------------------------------------------------------------------


def test_no_unit_harms_the_log_or_speaks_for_another(tmp_path):
    book = Logbook(tmp_path / "logs")
    pipes = [*book.open("agent/Evil"), *book.open("agent/Good")]
    try:
        for when in ("NaN", "Infinity", "-1e300", "1e300", "9" * 400, "null", "[[1]]"):
            line = f'\x1e{{"time": {when}, "agent": "Good", "unit": "agent/Good", "level": "INFO", "message": "as another"}}\n'
            os.write(pipes[0], line.encode())
        os.write(
            pipes[0],
            b'\x1e{"time": 5, "level": "INFO", "message": "\\u001b[2J\\u009b\\u202e\\ud800"}\n\x1e' + b"[" * 50000 + b"\n",
        )
        os.write(pipes[0], b"\x1b]0;title\x07\x1b[2J\xc2\x9b\rover\n")
        os.write(pipes[2], b"lives\n")
        assert book.tail("agent/Good") == ["lives"]
        book.write("agent/Evil", "ERROR", "failed: \x1b[2J\nand \x07 more")
    finally:
        for descriptor in pipes:
            os.close(descriptor)
        book.close()
    records = read_log(tmp_path / "logs")
    assert [record.text for record in records if record.unit == "agent/Good"] == ["lives"]
    shown = [line for record in records for line in format_record(record).split("\n")]
    assert not [line for line in shown if any(ord(c) < 32 or 127 <= ord(c) < 160 or c == "\u202e" for c in line)]
    assert all(abs(record.time - time.time()) < 60 for record in records)


def test_a_journal_damaged_anywhere_gives_no_wrong_names(tmp_path):
    file = tmp_path / "names.journal"
    names = {f"n{i}": Registration(f"n{i}", f"PYRO:n{i}@h:{i + 1}") for i in range(4)}
    Journal(file, names.values()).close(remove=False)
    whole = file.read_bytes()
    assert list(replay(whole, file)) == list(names)
    for place in range(len(whole)):
        for data in (whole[:place], whole[:place] + bytes([whole[place] ^ 0x5A]) + whole[place + 1 :]):
            try:
                found = replay(data, file)
            except ConfigurationError:
                continue
            assert data.startswith(MAGIC)
            assert all(one.uri == names[name].uri for name, one in found.items())


@pytest.mark.skipif(os.name != "posix", reason="no modes")
@pytest.mark.parametrize("kind", ["sql", "dbm"])
def test_files_of_names_belong_to_their_user_alone(tmp_path, kind):
    before = os.umask(0)
    try:
        storage = open_storage(kind, tmp_path / "names")
        storage.apply([Change(1, "registered", Registration("a", "PYRO:a@h:1"), "e")])
        files = [file for file in tmp_path.iterdir() if file.stat().st_size]
        assert files
        assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
        storage.close()
    finally:
        os.umask(before)


def test_payloads_that_would_end_the_reader_are_errors():
    with pytest.raises(SerializationError):
        dumps(ExitsWhenPacked())
    with pytest.raises(SerializationError):
        loads(pickle.dumps(ExitsOnTheWay()))
