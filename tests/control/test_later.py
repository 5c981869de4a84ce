"""Answers that come later, connections that visit, deadlines of connections that have gone."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from agentlab.control import session
from agentlab.control.answers import still_wanted
from agentlab.control.daemon import Later
from agentlab.errors import CallTimeoutError, RemoteError
from agentlab.settings import config
from tests.control.conftest import echo, eventually


def test_an_answer_may_come_later_from_another_thread(kit):
    delivers = []
    client = kit.client(kit.daemon("unix").serve("obj", lambda payload, peer: Later(delivers.append)))
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(client.call, b"")
        assert eventually(lambda: delivers)
        assert not answer.done()
        delivers[0](b"late")
        assert answer.result(3) == b"late"


def test_calls_that_wait_for_their_answers_hold_no_worker(kit):
    delivers = []
    daemon = kit.daemon("unix", max_workers=2)
    slow = kit.client(daemon.serve("slow", lambda payload, peer: Later(delivers.append)))
    quick = kit.client(daemon.serve("quick", echo))
    with ThreadPoolExecutor(20) as pool:
        answers = [pool.submit(slow.call, b"") for _ in range(20)]
        assert eventually(lambda: len(delivers) == 20)
        assert quick.call(b"still here", timeout=3) == b"still here"
        for number, deliver in enumerate(delivers):
            deliver(bytes([number]))
        assert sorted(answer.result(3) for answer in answers) == [bytes([number]) for number in range(20)]


def test_a_large_answer_that_comes_later(kit):
    answer = bytes(3_000_000)
    client = kit.client(kit.daemon("unix").serve("obj", lambda payload, peer: Later(lambda deliver: deliver(answer))))
    assert client.call(b"") == answer
    assert client.call(b"") == answer


def test_an_adopted_connection_is_served_by_its_visitor_until_it_leaves(kit):
    daemon, visitors, threads = kit.daemon("unix"), [], []

    def handler(payload, peer):
        threads.append(threading.current_thread())
        return Later(lambda deliver: deliver(payload))

    daemon.adopt(lambda visitor: visitors.append(visitor) is None)
    client = kit.client(daemon.serve("obj", handler))
    assert client.call(b"1") == b"1"
    assert eventually(lambda: visitors)
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(client.call, b"2")
        assert eventually(lambda: _readable(visitors[0]))
        visitors[0].serve()
        assert answer.result(3) == b"2"
        assert threads[1] is threading.current_thread()
        daemon.adopt(lambda visitor: False)
        visitors[-1].leave()
        assert client.call(b"3", timeout=3) == b"3"
        assert threads[2] is not threading.current_thread()


def _readable(visitor):
    import select

    return bool(select.select([visitor.fileno()], [], [], 0)[0])


def test_the_deadline_of_a_connection_that_has_gone_is_no_error(kit, monkeypatch, caplog):
    monkeypatch.setattr(session, "PREAMBLE_TIMEOUT", 0.3)
    daemon = kit.daemon("unix")
    uri = daemon.serve("obj", echo)
    for _ in range(5):
        client = kit.client(uri)
        assert client.call(b"x") == b"x"
        client.close()
    ticks = []
    daemon.every(0.2, lambda: ticks.append(time.monotonic()))
    assert eventually(lambda: len(ticks) > 2)
    assert client.call(b"x") == b"x"
    assert "failed" not in caplog.text


def test_an_answer_that_comes_later_and_is_too_large_is_an_error_and_the_connection_goes_on(kit):
    config["MAX_MESSAGE_SIZE"] = 100_000
    sizes = iter([100_001, 5])
    handler = lambda payload, peer: Later(lambda deliver: deliver(bytes(next(sizes))))  # noqa: E731
    daemon = kit.daemon("unix")
    client = kit.client(daemon.serve("obj", handler))
    with pytest.raises(RemoteError, match="the answer has 100001 bytes, at most 100000 are sent") as caught:
        client.call(b"")
    assert caught.value.type_name == "agentlab.errors.SerializationError"
    assert client.call(b"") == bytes(5)
    assert daemon.counters["connections"] == 1


def test_a_handler_can_tell_whether_anybody_waits_for_its_answer(kit):
    delivers = []
    client = kit.client(kit.daemon("unix").serve("obj", lambda payload, peer: Later(delivers.append)))
    with pytest.raises(CallTimeoutError):
        client.call(b"", timeout=0.05)
    eventually(lambda: not still_wanted(delivers[0]))
    client.cast(b"")
    client.close()
    assert eventually(lambda: len(delivers) == 2)
    assert still_wanted(delivers[1])  # nobody waits for it anyway
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(client.call, b"")
        assert eventually(lambda: len(delivers) == 3)
        assert still_wanted(delivers[2])
        for deliver in delivers:
            deliver(b"x")
        assert answer.result(3) == b"x"


def test_the_end_of_a_connection_is_told_by_its_number(kit):
    ended, peers = [], []
    daemon = kit.daemon("tcp")
    daemon.on_disconnect(ended.append)
    uri = daemon.serve("obj", lambda payload, peer: peers.append(peer) or b"")
    one, two = kit.client(uri), kit.client(uri)
    for client in (one, one, two):
        client.call(b"")
    assert len({peer.connection for peer in peers}) == 2
    assert all(daemon.is_connected(peer.connection) for peer in peers)
    one.close()
    eventually(lambda: ended == [peers[0]])
    assert not daemon.is_connected(peers[0].connection)
    assert daemon.is_connected(peers[2].connection)
    daemon.close()
    eventually(lambda: ended == [peers[0], peers[2]])
