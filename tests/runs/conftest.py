import pytest

from agentlab.runs import RunStore


@pytest.fixture(autouse=True)
def own_store(tmp_path, monkeypatch):
    """No test writes into the user's own store."""
    monkeypatch.setenv("AGENTLAB_RUNS", str(tmp_path / "runs.sqlite"))


@pytest.fixture
def store(own_store):
    return RunStore()
