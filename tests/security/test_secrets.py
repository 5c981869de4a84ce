"""The lab's key is nowhere but in its file: not in logs, errors, arguments, environments, pickles or listings."""

from __future__ import annotations

import contextlib
import os
import pickle
from pathlib import Path

import cloudpickle
import psutil
import pytest
import zmq
from zmq.utils import z85

from agentlab import AgentLabError, Proxy, SerializationError, config, keys, run_agent
from agentlab.nameserver.client import NameServerClient
from agentlab.settings import runtime_dir
from agentlab.transport.security import curve_pair
from tests.security.conftest import Pair
from tests.security.helpers import bare, dial, throw

PURPOSES = ("curve", "control", "heartbeat")


def secrets():
    """Give every secret of the lab in each form in which it could be shown."""
    for secret in (keys.lab_key(), *map(keys.derive, PURPOSES)):
        yield from (secret, secret.hex().encode(), z85.encode(secret), repr(secret)[2:-1].encode())
    yield curve_pair()[1]


def found_in(where, data):
    data = data if isinstance(data, bytes) else str(data).encode("utf-8", "surrogateescape")
    return [f"{where}: secret {number}" for number, secret in enumerate(secrets()) if secret in data]


def test_the_search_would_find_them():
    assert found_in("x", keys.lab_key().hex())
    assert found_in("x", b"..." + keys.lab_key() + b"...")
    assert found_in("x", f"{keys.derive('control')!r}")


def test_no_secret_in_processes_and_their_environments(ns):
    pair = Pair("tcp", "pickle")
    pair.round(1)
    family = [psutil.Process(), *psutil.Process().children(recursive=True)]
    assert pair.pid in {process.pid for process in family}
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess, FileNotFoundError):
            assert found_in("argv", Path(f"/proc/{process.pid}/cmdline").read_bytes()) == []
            assert found_in("environ", Path(f"/proc/{process.pid}/environ").read_bytes()) == []
    environ = pair.victim.execute_as_method(lambda agent: dict(os.environ))
    assert found_in("environment of the agent", repr(environ)) == []


def test_no_secret_in_what_travels(ns):
    pair = Pair("tcp", "pickle")
    for thing in (pair.victim, Proxy("Victim"), ns, pair.sockets, config.snapshot()):
        for dumps in (pickle.dumps, cloudpickle.dumps):
            assert found_in(type(thing).__name__, dumps(thing)) == []
        assert found_in("repr", repr(thing)) == []
    with NameServerClient(ns.addr()) as names:
        assert found_in("listing", repr(names.list())) == []
    assert found_in("agents", repr(ns.agents())) == []
    assert found_in("info", repr(ns.info())) == []


def test_no_secret_in_logs_and_errors(ns, capfd, caplog):
    """Whatever goes wrong: refused keys, garbage, handlers and starts that fail."""
    caplog.set_level("DEBUG")
    pair = Pair("tcp", "pickle")
    pair.victim.set_attr(_DEBUG=True)
    for _, place in pair.places():

        def foreign(peer):
            peer.curve_publickey, peer.curve_secretkey = zmq.curve_keypair()
            peer.curve_serverkey = curve_pair()[0]

        with bare(zmq.DEALER, place, prepare=foreign) as peer:
            peer.send(b"x")
            with dial(place) as stranger:
                throw(stranger, b"GET / HTTP/1.0\r\n\r\n")
    addr = ns.addr()
    for data in (b"AGL1" + bytes(64), b"PYRO" + bytes(100), b"AGLK", b"x" * 1000):
        with dial(f"tcp://{addr}") as stranger:
            throw(stranger, data)
            with contextlib.suppress(OSError):
                assert found_in("answer", stranger.recv(4096)) == []
    texts = []
    for fault in (
        lambda: pair.victim.execute_as_function(int, "no number"),
        lambda: run_agent("Victim"),
        lambda: run_agent("open", addr="0.0.0.0:0"),
        lambda: run_agent("slow", nsaddr="127.0.0.1:1"),
    ):
        with pytest.raises((ValueError, AgentLabError, RuntimeError, OSError)) as caught:
            fault()
        texts.append(str(caught.value))
    with pytest.raises(SerializationError) as caught:
        pair.honest.execute_as_method(lambda agent: agent.send("PULL", (x for x in ())))
    texts.append(str(caught.value))
    pair.round()
    texts += [*capfd.readouterr(), caplog.text, pair.victim.last_error(), pair.honest.last_error()]
    assert any(texts)
    assert found_in("texts", "\n".join(texts)) == []


def test_no_secret_in_the_runtime_directory(ns):
    run_agent(transport="tcp").bind("PUSH")
    for path in runtime_dir().iterdir():
        if path.is_file():
            assert found_in(path.name, path.read_bytes()) == []
        assert found_in("name", path.name) == []
