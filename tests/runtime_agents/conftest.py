"""Fixtures for the live tests of agents: a name server, and what is needed to see the ends of processes."""

from __future__ import annotations

import contextlib

import pytest

from agentlab import AgentLabError, run_nameserver


@pytest.fixture
def ns():
    """A name server; it and all its agents are ended after the test."""
    server = run_nameserver()
    yield server
    with contextlib.suppress(AgentLabError):  # a test may have ended it
        server.shutdown(4.0)
    server.release()


@pytest.fixture(params=["forkserver", "spawn"])
def start_method(request):
    return request.param
