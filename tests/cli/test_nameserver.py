"""``agentlab nameserver``: in the foreground until it is told to end."""

import os
import signal

import pytest

from agentlab import NSProxy, run_agent
from tests.cli.program import agentlab, complaint, finish, start


@pytest.fixture
def server():
    process = start("nameserver", "127.0.0.1:0")
    yield process
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)


def _address(server):
    line = server.stdout.readline()
    assert line.startswith("name server at 127.0.0.1:"), line
    return line.split(";")[0].split()[-1]


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_a_signal_and_ends_well(server, number):
    address = _address(server)
    with NSProxy(address) as ns:
        assert ns.agents() == []
    server.send_signal(number)
    outcome = finish(server, 10)
    assert (outcome.code, outcome.out, outcome.err) == (0, "name server has ended\n", "")


def test_agents_find_each_other_there(server):
    address = _address(server)
    agent = run_agent("A", address)
    assert agentlab("ping", "A", "--nsaddr", address).code == 0
    agent.shutdown()
    with NSProxy(address) as ns:
        ns.shutdown()  # asked from afar, it ends as well
    assert finish(server, 10).code == 0


def test_a_port_in_use(server):
    address = _address(server)
    line = complaint(agentlab("nameserver", address), 2)
    assert address in line
    assert "choose another" in line
