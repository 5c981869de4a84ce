"""The figures of instruments that others wrote, with room for a machine that does other things too."""

from __future__ import annotations

import statistics
from concurrent.futures import ThreadPoolExecutor

import pytest
import pyvisa

from agentlab import Proxy, run_nameserver
from agentlab.errors import DeviceTimeoutError
from agentlab.testing.waiting import wait_condition
from tests.instruments.live import Benches, timed
from tests.timing import soon

CLIENTS, QUERIES = 8, 1000


@pytest.fixture(scope="module")
def lab():
    ns = run_nameserver()
    found = Benches(ns.addr())
    yield found
    found.close()
    ns.shutdown(4.0)
    ns.release()


@pytest.fixture(scope="module")
def psu(lab):
    return lab.run("psu")


def test_eight_clients_with_a_thousand_mixed_queries_get_no_wrong_value(lab, psu):
    psu.voltage = 2.0

    def client(number: int) -> list[object]:
        proxy, wrong = Proxy("psu", lab.nsaddr), []
        for turn in range(QUERIES // 4):
            text = f"{number}-{turn}"
            for found, right in (
                (proxy.echo(text), text),
                (proxy.voltage, 2.0),
                (proxy.get("current").value, 0.5),
                (proxy.mode, "CV"),
            ):
                if found != right:
                    wrong.append((found, right))
        return wrong

    with ThreadPoolExecutor(CLIENTS) as pool:
        assert [one for many in pool.map(client, range(CLIENTS)) for one in many] == []


def test_after_a_timeout_the_next_hundred_replies_are_right(lab, psu):
    for _ in range(3):
        with pytest.raises(DeviceTimeoutError):
            _ = psu.late
        for turn in range(100):
            assert psu.echo(str(turn)) == str(turn)
            assert psu.current == 0.5


def test_status_is_quick_in_the_middle_of_a_long_action(lab, psu):
    call = Proxy("psu", lab.nsaddr).timeout(20).future.slow(3)
    assert wait_condition(lambda: psu.status()["state"] == "busy")
    times = sorted(timed(psu.status) for _ in range(200))
    assert psu.status()["action"]
    psu.cancel()
    psu.reset()
    assert times[180] < soon(0.05), times[180:]
    call.exception(10)


def test_a_remote_read_adds_less_than_a_millisecond(lab, psu):
    manager = pyvisa.ResourceManager("@py")
    resource = manager.open_resource(lab.server.address("b0"), read_termination="\n", write_termination="\n")
    try:
        bare = statistics.median(timed(lambda: resource.query("VOLT?")) for _ in range(500))
    finally:
        resource.close()
        manager.close()
    remote = statistics.median(timed(lambda: psu.get("voltage")) for _ in range(500))
    assert remote - bare < soon(0.003), (remote, bare)
