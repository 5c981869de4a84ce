"""Running `run_nameserver()` twice at a prompt or in a notebook: the second is another, empty name server."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import pytest

from agentlab import SocketAddress
from agentlab.runtime import run as runs


@pytest.fixture
def alive(monkeypatch: pytest.MonkeyPatch) -> set[SocketAddress]:
    """Which name servers live; starting one is all that happens."""
    living: set[SocketAddress] = set()

    def start(*_: Any, **__: Any) -> tuple[None, SocketAddress]:
        living.add(address := SocketAddress("127.0.0.1", 9000 + len(living)))
        return None, address

    monkeypatch.setattr(runs, "start_nameserver", start)
    monkeypatch.setattr(runs, "is_gone", lambda address: address not in living)
    monkeypatch.setattr(runs, "_started", [])
    return living


def started() -> Any:
    return runs.run_nameserver(base=lambda address: address)  # type: ignore[arg-type,return-value]


def test_at_a_prompt_a_second_one_is_warned_of_and_the_first_named(
    alive: set[SocketAddress], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first = started()
    with pytest.warns(RuntimeWarning, match=rf"at {first} already.*NSProxy\('{first}'\)") as told:
        started()
    assert [one.filename for one in told] == [__file__]


def test_after_the_end_of_the_first_nothing_is_said(alive: set[SocketAddress], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    started()
    alive.clear()
    started()


def test_programs_may_have_several(alive: set[SocketAddress], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(sys, "ps1", raising=False)
    started()
    started()
    assert len(alive) == 2
