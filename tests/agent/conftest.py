"""Fixtures of the tests of agents: a name server for each test."""

from __future__ import annotations

import pytest

from agentlab import run_nameserver


@pytest.fixture
def ns():
    """A name server; what a test started with it is shut down at the test's end."""
    proxy = run_nameserver()
    yield proxy
    proxy.shutdown()
