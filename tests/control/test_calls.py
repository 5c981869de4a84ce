"""Calls over real sockets: answers, casts, waiting, many threads, endings."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from agentlab.control.connection import ControlClient
from agentlab.errors import (
    CallTimeoutError,
    ConfigurationError,
    ConnectError,
    ConnectionLostError,
    RefusedError,
    RemoteError,
    SerializationError,
)
from agentlab.settings import config
from tests.control.conftest import echo, eventually
from tests.timing import soon

WHERE = ["unix", "tcp"]
SECURITY = ["keys", "none"]


@pytest.mark.parametrize("security", SECURITY)
@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("size", [0, 1, 1000, 65_500, 65_536, 3_000_000])
def test_a_payload_comes_back(kit, where, security, size):
    daemon = kit.daemon(where, security=security)
    client = kit.client(daemon.serve("obj", lambda payload, peer: payload[::-1]), security=security)
    payload = os.urandom(size)
    assert client.call(payload) == payload[::-1]
    assert client.call(b"abc") == b"cba"
    assert daemon.counters["calls"] == 2
    assert daemon.counters["connections"] == 1


@pytest.mark.parametrize("where", WHERE)
def test_a_hundred_megabytes(kit, where):
    client = kit.client(kit.daemon(where).serve("obj", echo))
    payload = bytes(100_000_000)
    assert client.call(payload, timeout=60) == payload


@pytest.mark.parametrize(
    ("where", "security", "kind"), [("unix", "keys", "unix"), ("tcp", "keys", "hmac"), ("unix", "none", "open")]
)
def test_the_handler_knows_its_peer(kit, where, security, kind):
    peers = []
    daemon = kit.daemon(where, security=security)
    uri = daemon.serve("obj", lambda payload, peer: peers.append(peer) or b"")
    kit.client(uri, security=security).call(b"")
    (peer,) = peers
    assert peer.kind == kind
    if where == "unix":
        assert (peer.uid, peer.pid, peer.address) == (os.geteuid(), os.getpid(), daemon.location.path)
    else:
        assert re.fullmatch(r"127\.0\.0\.1:\d+", peer.address)
    with pytest.raises(AttributeError):
        peer.uid = 0


def test_a_cast_returns_at_once_and_holds_up_nothing(kit):
    go, done = threading.Event(), threading.Event()

    def handler(payload, peer):
        if payload == b"cast":
            go.wait(10)
            done.set()
        return payload

    daemon = kit.daemon()
    client = kit.client(daemon.serve("obj", handler))
    client.cast(b"cast")
    assert client.call(b"x", timeout=5) == b"x"  # on the same connection, while the cast still runs
    assert not done.is_set()
    go.set()
    assert done.wait(5)
    assert dict(daemon.counters) == {"connections": 1, "refused": 0, "bad_messages": 0, "calls": 1, "oneway": 1}


def test_casts_do_not_make_a_thread_each(kit):
    go, ran = threading.Event(), []
    daemon = kit.daemon(max_workers=5)

    def handler(payload, peer):
        go.wait(20)
        ran.append(payload)
        return b""

    client = kit.client(daemon.serve("obj", handler))
    for _ in range(300):
        client.cast(b"")
    assert sum("control-worker" in thread.name for thread in threading.enumerate()) <= 5
    go.set()
    eventually(lambda: len(ran) == 300)


def test_more_calls_than_workers_wait_their_turn(kit):
    running, most, lock = [0], [0], threading.Lock()
    daemon = kit.daemon(max_workers=3)

    def handler(payload, peer):
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.01)  # the handler's work
        with lock:
            running[0] -= 1
        return payload

    client = kit.client(daemon.serve("obj", handler))
    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda n: client.call(b"%d" % n, timeout=20), range(60)))
    assert answers == [b"%d" % n for n in range(60)]
    assert most[0] == 3


def test_fifty_threads_never_get_each_other_s_answers(kit):
    daemon = kit.daemon()
    client = kit.client(daemon.serve("obj", lambda payload, peer: payload * 2))
    with ThreadPoolExecutor(50) as threads:
        wrong = [
            n for n, got in enumerate(threads.map(lambda n: client.call(b"%d," % n), range(5000))) if got != b"%d,%d," % (n, n)
        ]
    assert wrong == []
    assert len(client._idle) <= 4
    assert daemon.counters["calls"] == 5000


def test_a_thousand_idle_clients_cost_no_thread(kit):
    daemon = kit.daemon()
    uri = daemon.serve("obj", echo)
    clients = [kit.client(uri) for _ in range(1000)]
    assert all(client.call(b"x") == b"x" for client in clients)
    eventually(lambda: len(daemon._loop._selector.get_map()) == 1002)  # all given back
    assert sum("control-worker" in thread.name for thread in threading.enumerate()) <= 128
    assert all(client.call(b"y") == b"y" for client in clients)
    assert daemon.counters["connections"] == 1000


def test_idle_workers_end(kit, monkeypatch):
    monkeypatch.setattr("agentlab.control.workers.IDLE_LIFE", 0.05)
    client = kit.client(kit.daemon().serve("obj", echo))
    client.call(b"")
    eventually(lambda: not any("control-worker" in thread.name for thread in threading.enumerate()))
    assert client.call(b"x") == b"x"


# ------------------------------------------------------------------------------------------------ waiting


def test_a_timeout_ends_the_call_and_not_the_client(kit):
    go, ran = threading.Event(), []

    def handler(payload, peer):
        if payload == b"slow":
            go.wait(20)
        ran.append(payload)
        return payload

    client = kit.client(kit.daemon().serve("obj", handler))
    client.call(b"")
    start = time.monotonic()
    with pytest.raises(CallTimeoutError, match="may have run"):
        client.call(b"slow", timeout=0.1)
    assert 0.09 < time.monotonic() - start < soon(2)
    go.set()
    assert client.call(b"next", timeout=5) == b"next"  # and not the late answer
    eventually(lambda: ran.count(b"slow") == 1)


def test_the_waiter_is_told_and_may_give_up(kit):
    go, told = threading.Event(), []
    client = kit.client(kit.daemon().serve("obj", lambda payload, peer: payload if go.wait(20) else b""))

    def on_wait(waited):
        told.append(waited)
        if len(told) == 3:
            raise TimeoutError("given up")  # of a type that a broken connection has too

    with pytest.raises(TimeoutError, match="given up"):
        client.call(b"", on_wait=on_wait, wait_step=0.05)
    assert len(told) == 3
    assert all(waited >= 0.05 * (n + 1) for n, waited in enumerate(told))
    assert client._idle == []
    go.set()
    told.clear()
    assert client.call(b"x", on_wait=on_wait) == b"x"
    assert told == []


def test_a_large_call_to_one_that_takes_nothing_ends_in_a_timeout(kit):
    go = threading.Event()
    daemon = kit.daemon(max_workers=1)
    client = kit.client(daemon.serve("obj", lambda payload, peer: b"%d" % go.wait(20)))
    kit.client(client.uri).cast(b"")  # keeps the only worker
    with pytest.raises(CallTimeoutError):
        client.call(bytes(10_000_000), timeout=0.2)
    with pytest.raises(TimeoutError, match="enough"):
        client.call(bytes(10_000_000), on_wait=lambda _: (_ for _ in ()).throw(TimeoutError("enough")), wait_step=0.1)
    go.set()


def test_a_listener_that_accepts_nothing_is_no_connection(kit):
    listener = socket.socket(socket.AF_UNIX)
    path = kit.path()
    listener.bind(path)
    listener.listen()
    client = kit.client(f"PYRO:obj@./u:{path}", connect_timeout=0.1)
    with pytest.raises(ConnectError, match="frozen"):
        client.call(b"")
    listener.close()
    Path(path).unlink()


# ------------------------------------------------------------------------------------------------ endings


@pytest.mark.parametrize("uri", ["PYRO:a@./u:/tmp/agentlab-nobody", "PYRO:a@127.0.0.1:1"])
def test_nobody_there(uri, kit):
    with pytest.raises(ConnectError, match=re.escape(uri)):
        kit.client(uri).call(b"")


def test_an_object_that_is_not_served(kit):
    daemon = kit.daemon()
    uri = daemon.serve("obj", echo)
    with pytest.raises(ConnectError, match="'other'"):
        kit.client(uri.replace("obj", "other")).call(b"")
    client = kit.client(uri)
    client.call(b"")
    daemon.unserve("obj")
    with pytest.raises(ConnectError, match="'obj'"):  # which says that it has not run
        client.call(b"")
    daemon.serve("obj", echo)
    client.call(b"")


def test_a_call_that_runs_while_its_object_is_given_up_is_answered(kit):
    daemon = kit.daemon()
    running, go = threading.Event(), threading.Event()

    def slow(payload, peer):
        running.set()
        assert go.wait(5.0)
        return payload

    client = kit.client(daemon.serve("obj", slow))
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(client.call, b"1")
        assert running.wait(5.0)
        daemon.unserve("obj")
        go.set()
        assert answer.result(5.0) == b"1"
    with pytest.raises(ConnectError, match="no object 'obj' is served here any more"):  # on the same connection
        client.call(b"")
    assert daemon.counters["connections"] == 1
    assert daemon.counters["bad_messages"] == 0


@pytest.mark.parametrize("where", WHERE)
def test_a_kept_connection_that_ended_is_noticed_and_replaced(kit, where):
    ran = []
    first = kit.daemon(where)
    place = {"unixsocket": first.location.path} if where == "unix" else {"port": first.location.port}
    client = kit.client(first.serve("obj", lambda payload, peer: ran.append(1) or b"1"))
    for _ in range(20):
        assert client.call(b"") == b"1"
    first.close()
    with pytest.raises(ConnectError):
        client.call(b"")
    second = kit.daemon(where, **place)
    second.serve("obj", lambda payload, peer: ran.append(2) or b"2")
    assert client.call(b"") == b"2"
    assert ran == [1] * 20 + [2]


def test_closing_lets_a_call_in_flight_be_answered(kit):
    entered, go = threading.Event(), threading.Event()
    daemon = kit.daemon()
    client = kit.client(daemon.serve("obj", lambda payload, peer: entered.set() or (go.wait(20) and b"done")))
    with ThreadPoolExecutor(2) as threads:
        answer = threads.submit(client.call, b"")
        assert entered.wait(5)
        closing = threads.submit(daemon.close, timeout=10)
        eventually(lambda: not Path(daemon.location.path).exists())
        go.set()
        assert answer.result(5) == b"done"
        closing.result(5)


@pytest.mark.parametrize("where", WHERE)
def test_closing_ends_a_call_that_takes_too_long(kit, where):
    entered, go = threading.Event(), threading.Event()
    daemon = kit.daemon(where)
    client = kit.client(daemon.serve("obj", lambda payload, peer: entered.set() or (go.wait(20) and b"done")))
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(client.call, b"")
        assert entered.wait(5)
        start = time.monotonic()
        daemon.close(timeout=0.1)
        assert time.monotonic() - start < soon(2)
        with pytest.raises(ConnectionLostError, match="may have run"):
            answer.result(5)
        go.set()


@pytest.mark.parametrize("where", WHERE)
def test_a_caller_that_went_away_before_its_answer_delays_no_end(kit, where):
    entered, go = threading.Event(), threading.Event()
    daemon = kit.daemon(where)
    client = kit.client(daemon.serve("obj", lambda payload, peer: entered.set() or (go.wait(20) and bytes(60_000))))
    with pytest.raises(CallTimeoutError):
        client.call(b"", timeout=0.05)
    assert entered.wait(5)
    client.close()
    go.set()
    eventually(lambda: not daemon._sessions)
    start = time.monotonic()
    daemon.close(timeout=20)
    assert time.monotonic() - start < soon(2)


def test_a_handler_may_close_its_daemon_and_still_answer(kit):
    daemon = kit.daemon()
    client = kit.client(daemon.serve("obj", lambda payload, peer: daemon.close() or b"bye"))
    assert client.call(b"", timeout=5) == b"bye"
    with pytest.raises((ConnectError, ConnectionLostError)):  # the latter if the call is sent before the end is seen
        client.call(b"")
    eventually(lambda: not daemon._sessions)


def test_closing_is_quick_and_twice_is_fine(kit):
    daemon = kit.daemon()
    uri = daemon.serve("obj", echo)
    clients = [kit.client(uri) for _ in range(30)]
    for client in clients:
        client.call(b"")
    start = time.monotonic()
    daemon.close()
    daemon.close()
    assert time.monotonic() - start < soon(2)
    assert not daemon._sessions
    never_started = kit.daemon(start=False)
    never_started.close()
    never_started.close()
    never_started.start()


def test_a_daemon_that_was_not_started_answers_once_it_is(kit):
    daemon = kit.daemon(start=False)
    client = kit.client(daemon.serve("obj", echo))
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(client.call, b"x")
        assert not answer.done()
        daemon.start()
        daemon.start()
        assert answer.result(5) == b"x"


def test_every(kit):
    ticks, threads = [], set()
    daemon = kit.daemon(start=False)
    start = time.monotonic()
    daemon.every(0.05, lambda: (ticks.append(time.monotonic() - start), threads.add(threading.current_thread().name)))
    daemon.every(0.02, lambda: 1 / 0)  # logged, and harms nobody
    daemon.start()
    eventually(lambda: len(ticks) >= 4)
    assert ticks[0] >= 0.05
    assert threads == {"control-io"}
    late = []
    daemon.every(0.05, lambda: late.append(1))
    eventually(lambda: late)
    daemon.every(0.01, daemon.close)
    eventually(lambda: daemon._loop._finished)


PROGRAM = """
import sys, time
from agentlab.control.daemon import ControlDaemon
daemon = ControlDaemon(unixsocket=sys.argv[1])
def handler(payload, peer):
    if payload == b"hang":
        time.sleep(60)
    return payload
daemon.serve("obj", handler)
daemon.start()
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other_process(kit):
    path = kit.path()
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    yield process, kit.client(f"PYRO:obj@./u:{path}", connect_timeout=0.3)
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()
    Path(path).unlink(missing_ok=True)


def test_a_killed_peer_is_noticed_at_once(other_process):
    process, client = other_process
    client.call(b"")
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(client.call, b"hang")
        eventually(lambda: not client._idle)
        time.sleep(0.1)  # until it hangs there; nothing tells
        start = time.monotonic()
        process.kill()
        with pytest.raises(ConnectionLostError):
            answer.result(20)
        assert time.monotonic() - start < soon(2)
    with pytest.raises(ConnectError):
        client.call(b"")


def test_a_frozen_peer_ends_in_a_timeout(other_process):
    process, client = other_process
    client.call(b"")
    process.send_signal(signal.SIGSTOP)
    eventually(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)
    told = []
    with pytest.raises(CallTimeoutError):
        client.call(b"x", timeout=0.3, on_wait=told.append, wait_step=0.1)
    assert len(told) >= 2
    with pytest.raises(ConnectError, match="frozen"):
        client.call(b"x")
    process.send_signal(signal.SIGCONT)
    assert client.call(b"x", timeout=10) == b"x"


def test_a_forked_child_uses_connections_of_its_own(kit):
    client = kit.client(kit.daemon("tcp").serve("obj", echo))
    client.call(b"")
    (inherited,) = client._idle
    client._pid = -1  # as after a fork
    assert client.call(b"x") == b"x"
    assert client._idle != [inherited]
    assert inherited.stream.sock.fileno() == -1


# ------------------------------------------------------------------------------------------------ errors


def test_what_a_handler_raises_is_told_and_the_connection_stays(kit, caplog):
    def handler(payload, peer):
        return {b"v": lambda: int("x"), b"s": lambda: sys.exit(3), b"n": lambda: None}.get(payload, lambda: payload)()

    daemon = kit.daemon(max_workers=1)
    client = kit.client(daemon.serve("obj", handler))
    for payload, type_name in [(b"v", "builtins.ValueError"), (b"s", "builtins.SystemExit"), (b"n", "builtins.TypeError")] * 2:
        with pytest.raises(RemoteError, match="the handler of object 'obj' failed") as raised:
            client.call(payload)
        assert raised.value.type_name == type_name
        client.cast(payload)
    assert client.call(b"x") == b"x"
    assert daemon.counters["connections"] == 1
    assert "invalid literal" in caplog.text


def test_too_much_is_refused_by_the_sender(kit):
    config["MAX_MESSAGE_SIZE"] = 100_000
    daemon = kit.daemon()
    client = kit.client(daemon.serve("obj", lambda payload, peer: payload * 2))
    with pytest.raises(SerializationError, match="MAX_MESSAGE_SIZE"):
        client.call(bytes(100_001))
    assert daemon.counters["connections"] == 0
    assert client.call(bytes(50_000)) == bytes(100_000)
    with pytest.raises(RemoteError, match="MAX_MESSAGE_SIZE"):
        client.call(bytes(50_001))
    assert client.call(b"x") == b"xx"
    config["MAX_MESSAGE_SIZE"] = 200_000  # the daemon keeps to what it was told
    with pytest.raises(ConnectionLostError):
        client.call(bytes(150_000))
    assert daemon.counters["bad_messages"] == 1


@pytest.mark.parametrize(("ours", "theirs", "text"), [("keys", "none", "SECURITY"), ("none", "keys", "lab's key")])
def test_different_security_is_named(kit, ours, theirs, text):
    daemon = kit.daemon("tcp", security=theirs)
    uri = daemon.serve("obj", echo)
    with pytest.raises(RefusedError, match=text):
        kit.client(uri, security=ours).call(b"")
    eventually(lambda: daemon.counters["refused"] == 1)


def test_another_key_is_refused(kit, monkeypatch, tmp_path, caplog):
    daemon = kit.daemon("tcp")
    ran = []
    uri = daemon.serve("obj", lambda payload, peer: ran.append(1) or b"")
    kit.client(uri).call(b"")
    other = kit.client(uri)
    mine = threading.get_ident()
    monkeypatch.setattr(
        "agentlab.control.security.keys.derive", lambda _: b"client-" * 5 if threading.get_ident() == mine else b"server-" * 5
    )
    with pytest.raises(RefusedError, match="key") as refused:
        other.call(b"")
    assert ran == [1]
    for secret in ("server-server", "client-client"):
        assert secret not in str(refused.value) + repr(refused.value) + repr(other) + uri + caplog.text + repr(daemon._security)


def test_the_lab_s_key_is_checked_early(monkeypatch, tmp_path):
    from agentlab.control.daemon import ControlDaemon

    (tmp_path / "lab.key").write_bytes(b"short")
    (tmp_path / "lab.key").chmod(0o600)
    monkeypatch.setenv("AGENTLAB_KEYS_DIR", str(tmp_path))
    with pytest.raises(ConfigurationError, match="5 bytes"):
        ControlDaemon(host="127.0.0.1")
    with pytest.raises(ConfigurationError, match="does not exist"):
        ControlClient("PYRO:a@b:1", security="maybe")
