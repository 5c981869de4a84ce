"""Stock Pyro5 clients, where security is none; and what of Pyro5 stays closed even there."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import Pyro5.api
import Pyro5.client
import Pyro5.errors
import pytest

from agentlab.control.connection import ControlClient
from agentlab.errors import RefusedError, RemoteError
from tests.control.conftest import eventually

SERIALIZERS = ["serpent", "json", "msgpack"]


class Greeter:
    def __init__(self):
        self.seen = []
        self.threads = set()
        self.go = threading.Event()

    @Pyro5.api.expose
    def greet(self, name, times=1):
        return f"hello {name}" * times

    @Pyro5.api.expose
    @property
    def color(self):
        return "blue"

    @Pyro5.api.expose
    def fail(self):
        raise ZeroDivisionError("as asked")

    @Pyro5.api.expose
    def leave(self):
        raise SystemExit(1)

    @Pyro5.api.expose
    def count(self, n):
        yield from range(n)

    @Pyro5.api.expose
    @Pyro5.api.oneway
    def later(self, value):
        self.go.wait(20)
        self.threads.add(threading.current_thread().name)
        self.seen.append(value)

    def hidden(self):
        self.seen.append("hidden")


@pytest.fixture
def stock(kit):
    daemon = kit.daemon(security="none")
    greeter = Greeter()
    return daemon, greeter, daemon.serve_stock("greeter", greeter)


def proxy_of(uri, serializer):
    proxy = Pyro5.api.Proxy(uri)
    proxy._pyroSerializer = serializer
    proxy._pyroTimeout = 10
    return proxy


@pytest.mark.parametrize("serializer", SERIALIZERS)
def test_an_ordinary_object(stock, serializer):
    _, greeter, uri = stock
    with proxy_of(uri, serializer) as proxy:
        assert proxy.greet("you", times=2) == "hello youhello you"
        assert proxy.color == "blue"
        with pytest.raises(ZeroDivisionError, match="as asked"):
            proxy.fail()
        assert list(proxy.count(4)) == [0, 1, 2, 3]
        with pytest.raises(AttributeError):
            proxy.hidden()
        batch = Pyro5.api.BatchProxy(proxy)
        batch.greet("a")
        batch.greet("b")
        assert list(batch()) == ["hello a", "hello b"]
        proxy._pyroConnection.send(b"")
    assert greeter.seen == []


@pytest.mark.parametrize("serializer", SERIALIZERS)
def test_an_object_of_payloads(kit, serializer):
    casts = []
    daemon = kit.daemon("tcp", security="none")
    uri = daemon.serve("obj", lambda payload, peer: casts.append((payload, peer.kind)) or payload * 2)
    with proxy_of(uri, serializer) as proxy:
        if serializer == "json":
            with pytest.raises(Exception, match=r"JSON|serialize"):
                proxy.call(b"\x00\xff")
            return
        answer = proxy.call(b"\x00\xff")
        assert (answer if isinstance(answer, bytes) else __import__("serpent").tobytes(answer)) == b"\x00\xff" * 2
        proxy.cast(b"1")
        eventually(lambda: casts == [(b"\x00\xff", "open"), (b"1", "open")])
        proxy._pyroBind()
    with ControlClient(uri, security="none") as client:
        assert client.call(b"2") == b"22"


def test_a_failing_handler_is_an_exception_to_stock_clients(kit):
    uri = kit.daemon(security="none").serve("obj", lambda payload, peer: 1 / 0)
    with proxy_of(uri, "msgpack") as proxy, pytest.raises(Pyro5.errors.PyroError, match="division"):
        proxy.call(b"")
    with ControlClient(uri, security="none") as client, pytest.raises(RemoteError, match="division"):
        client.call(b"")


def test_our_client_calls_a_stock_daemon(kit):
    class Payloads:
        @Pyro5.api.expose
        def call(self, payload):
            return payload * 2

    path = kit.path()
    daemon = Pyro5.api.Daemon(unixsocket=path)
    uri = str(daemon.register(Payloads(), "obj"))
    thread = threading.Thread(target=daemon.requestLoop)
    thread.start()
    try:
        with ControlClient(uri, security="none") as client:
            assert client.call(b"ab") == b"abab"
            assert client.call(bytes(100_000)) == bytes(200_000)
    finally:
        daemon.shutdown()
        thread.join()


def test_marshal_and_compression_stay_refused(stock, monkeypatch):
    daemon, _, uri = stock
    with pytest.raises(Pyro5.errors.CommunicationError):
        proxy_of(uri, "marshal")._pyroBind()
    eventually(lambda: daemon.counters["refused"] == 1)
    with proxy_of(uri, "msgpack") as proxy:
        proxy.greet("x")
        proxy._pyroSerializer = "marshal"
        with pytest.raises(Pyro5.errors.CommunicationError):
            proxy.greet("x")
    monkeypatch.setattr(Pyro5.config, "COMPRESSION", True)
    with proxy_of(uri, "msgpack") as proxy:
        assert proxy.greet("x") == "hello x"
        with pytest.raises(Pyro5.errors.CommunicationError):
            proxy.greet("x" * 1000)
    assert daemon.counters["bad_messages"] == 2


def test_blobs_stay_refused(stock):
    daemon, _, uri = stock
    with proxy_of(uri, "msgpack") as proxy, pytest.raises(Pyro5.errors.CommunicationError):
        proxy.greet(Pyro5.client.SerializedBlob("info", "data"))  # its annotation would be unmarshalled
    assert daemon.counters["bad_messages"] == 1


def test_ping(stock):
    _, _, uri = stock
    with proxy_of(uri, "serpent") as proxy:
        proxy._pyroBind()
        from Pyro5.protocol import SendingMessage

        SendingMessage.ping(proxy._pyroConnection)
        assert proxy.greet("x") == "hello x"


def test_oneway_calls_do_not_make_a_thread_each(kit):
    daemon = kit.daemon(security="none", max_workers=4)
    greeter = Greeter()
    with proxy_of(daemon.serve_stock("greeter", greeter), "serpent") as proxy:
        for n in range(200):
            proxy.later(n)
        greeter.go.set()
        assert proxy.greet("x") == "hello x"
        eventually(lambda: sorted(greeter.seen) == list(range(200)))
    assert len(greeter.threads) <= 4
    assert all(name.startswith("control-worker") for name in greeter.threads)


def test_system_exit_costs_no_worker(kit):
    daemon = kit.daemon(security="none", max_workers=2)
    uri = daemon.serve_stock("greeter", Greeter())
    for _ in range(6):
        with proxy_of(uri, "serpent") as proxy, pytest.raises(Pyro5.errors.CommunicationError):
            proxy.leave()
    with proxy_of(uri, "serpent") as proxy:
        assert proxy.greet("x") == "hello x"


def test_two_hundred_stock_clients_at_once(stock):
    _, _, uri = stock
    proxies = [proxy_of(uri, "serpent") for _ in range(200)]
    for proxy in proxies:
        proxy._pyroBind()

    def use(proxy):
        proxy._pyroClaimOwnership()
        answer = proxy.greet("x")
        proxy._pyroRelease()
        return answer

    with ThreadPoolExecutor(20) as threads:
        assert set(threads.map(use, proxies)) == {"hello x"}


def test_sessions_have_their_own_instance(kit):
    @Pyro5.api.expose
    class Counter:
        def __init__(self):
            self.n = 0

        def up(self):
            self.n += 1
            return self.n

    uri = kit.daemon(security="none").serve_stock("counter", Counter)
    for _ in range(2):
        with proxy_of(uri, "serpent") as proxy:
            assert [proxy.up(), proxy.up()] == [1, 2]


def test_stock_objects_are_refused_under_keys(kit):
    with pytest.raises(RefusedError, match="none"):
        kit.daemon().serve_stock("greeter", Greeter())


def test_an_unknown_object_and_one_that_is_gone(stock):
    daemon, _, uri = stock
    with pytest.raises(Pyro5.errors.CommunicationError, match="nothing"):
        proxy_of(uri.replace("greeter", "nothing"), "serpent")._pyroBind()
    with proxy_of(uri, "serpent") as proxy:
        assert proxy.greet("x")
        daemon.unserve("greeter")
        with pytest.raises(Pyro5.errors.DaemonError, match="unknown object"):
            proxy.greet("x")


def test_pyro_s_settings_are_not_touched():
    import subprocess
    import sys

    program = (
        "import Pyro5; before = Pyro5.config.as_dict()\n"
        "from agentlab.control.daemon import ControlDaemon\n"
        "daemon = ControlDaemon(host='127.0.0.1', security='none'); daemon.serve('a', lambda p, q: p); daemon.start()\n"
        "from agentlab.control.connection import ControlClient\n"
        "uri = daemon.serve('b', lambda p, q: p)\n"
        "assert ControlClient(uri, security='none').call(b'1') == b'1'\n"
        "from Pyro5 import serializers\n"
        "assert Pyro5.config.as_dict() == before and set(serializers.serializers) == {'serpent', 'marshal', 'json', 'msgpack'}\n"
        "daemon.close()"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True, env=dict(os.environ))


def test_under_keys_pyro_is_not_even_imported():
    import subprocess
    import sys

    program = (
        "import sys\n"
        "from agentlab.control import connection, daemon, payload, remote_errors\n"
        "with daemon.ControlDaemon(host='127.0.0.1') as served:\n"
        "    with connection.ControlClient(served.serve('a', lambda p, q: p)) as client:\n"
        "        assert client.call(b'1') == b'1'\n"
        "assert 'Pyro5' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env=dict(os.environ))
