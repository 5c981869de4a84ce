"""Fixtures for the tests of child processes."""

from __future__ import annotations

import pytest

from agentlab.runtime import child


@pytest.fixture(scope="package", autouse=True)
def _end_fork_server():
    yield
    child.shutdown()


@pytest.fixture(params=["forkserver", "spawn", "loopback"])
def method(request, monkeypatch):
    """Every way in which a child can be made; ``loopback`` is the one for systems without fork server."""
    if request.param == "loopback":
        monkeypatch.setattr(child, "_HAS_FORK_SERVER", False)
        return "spawn"
    return request.param


@pytest.fixture
def starting():
    """Stop, at the end, what a test started."""
    yield
    child.stop_all(0.5)
