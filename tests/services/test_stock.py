"""Objects of stock Pyro5, called by agentlab's proxies where security is none; and services called by stock clients."""

from __future__ import annotations

import threading

import Pyro5.api
import pytest

from agentlab import (
    CallTimeoutError,
    ConnectError,
    NSProxy,
    Proxy,
    RefusedError,
    SerializationError,
    config,
    run_nameserver,
)
from tests.services.conftest import eventually
from tests.services.drivers import Counter


@Pyro5.api.expose
class Greeter:
    def __init__(self) -> None:
        self._color = "blue"
        self.seen: list[str] = []
        self._go = threading.Event()

    def greet(self, name: str, times: int = 1) -> str:
        return f"hello {name}" * times

    def fail(self) -> None:
        raise ZeroDivisionError("as asked")

    def blob(self) -> bytes:
        return b"\x00\xff"

    def wait(self) -> None:
        self._go.wait(20)

    @Pyro5.api.oneway
    def note(self, text: str) -> None:
        self.seen.append(text)

    @property
    def color(self) -> str:
        return self._color

    @color.setter
    def color(self, value: str) -> None:
        self._color = value


@pytest.fixture
def open_lab(monkeypatch):
    monkeypatch.setenv("AGENTLAB_SECURITY", "none")
    ns = run_nameserver()
    yield ns
    ns.shutdown(4.0)


class StockDaemon:
    """A daemon of stock Pyro5 in a thread."""

    def __init__(self, obj, port: int = 0) -> None:
        self.daemon = Pyro5.api.Daemon(port=port)
        self.uri = str(self.daemon.register(obj, "greeter"))
        self.port = self.daemon.sock.getsockname()[1]
        self.thread = threading.Thread(target=self.daemon.requestLoop, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.daemon.shutdown()
        self.thread.join(5)
        self.daemon.close()


def test_a_stock_object_is_called_by_its_name(open_lab):
    greeter = Greeter()
    stock = StockDaemon(greeter)
    try:
        Pyro5.api.locate_ns(host=open_lab.addr().host, port=open_lab.addr().port).register("greeter", stock.uri)
        with Proxy("greeter") as proxy:
            assert proxy.greet("you", times=2) == "hello youhello you"
            assert proxy.color == "blue"
            proxy.color = "red"
            assert proxy.color == "red"
            assert proxy.blob() == b"\x00\xff"
            with pytest.raises(ZeroDivisionError, match="as asked"):
                proxy.fail()
            with pytest.raises(AttributeError, match="object 'greeter' has no method or attribute 'gret'; did you mean 'greet'"):
                proxy.gret("you")
            with pytest.raises(SerializationError, match="cannot be sent by serpent"):
                proxy.greet(threading.Lock())
            proxy.oneway.note("cast")
            eventually(lambda: greeter.seen == ["cast"])
            assert [f.result(3) for f in [proxy.future.greet("a"), proxy.future.greet("b")]] == ["hello a", "hello b"]
            with pytest.raises(CallTimeoutError, match=r"has not answered wait\(\) within 0.1 s"):
                proxy.timeout(0.1).wait()
            assert {"greet", "color"} <= set(dir(proxy))
            assert repr(proxy).startswith("<Proxy of object 'greeter' at PYRO:greeter@")
            greeter._go.set()
    finally:
        greeter._go.set()
        stock.close()


def test_a_stock_object_is_called_by_its_uri_and_after_a_restart(open_lab):
    stock = StockDaemon(Greeter())
    with Proxy(stock.uri) as proxy:
        assert proxy.greet("you") == "hello you"
        proxy.release()  # a stock daemon in this process goes on to serve connections that it has
        stock.close()
        with pytest.raises(ConnectError):
            proxy.greet("you")
        stock = StockDaemon(Greeter(), stock.port)
        try:
            assert proxy.greet("again") == "hello again"
        finally:
            proxy.release()
            stock.close()


def test_a_stock_object_is_refused_where_keys_are_asked_for():
    stock = StockDaemon(Greeter())
    try:
        with pytest.raises((RefusedError, ConnectError)):
            Proxy(stock.uri, timeout=0.2)
    finally:
        stock.close()


def test_stock_clients_call_services(open_lab, kit):
    assert config["SECURITY"] == "none"
    daemon = kit.daemon()
    uri = daemon.register(Counter, "counter", parameters={"start": 5})
    ours = kit.proxy("counter")
    assert ours.add() == 6
    with Pyro5.api.Proxy(uri) as stock:
        assert stock.add(by=4) == 10
        assert stock.value == 10
        stock.value = 2
        assert ours.value == 2
        with pytest.raises(ValueError, match="below zero"):
            stock.value = -1
        with pytest.raises(AttributeError):
            stock._private()
        with pytest.raises(Exception, match="generator"):
            stock.count_up(3)
        assert stock.ping() == "pong"
    assert NSProxy().list()["counter"] == uri
    names = Pyro5.api.locate_ns(host=open_lab.addr().host, port=open_lab.addr().port)
    with Pyro5.api.Proxy(names.lookup("counter")) as stock:
        assert stock.double(4) == 8
    daemon.stop_service("counter")
    with Pyro5.api.Proxy(uri) as stock, pytest.raises(RuntimeError, match="stopped"):
        stock.add()
