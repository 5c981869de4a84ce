"""Answers that come later, connections that visit, deadlines of connections that have gone."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from agentlab.control import session
from agentlab.control.daemon import Later
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
