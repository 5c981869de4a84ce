"""Ownership on the owner's side, without any instrument: what asks is a function."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest

from agentlab.errors import ConnectError, LockedError
from agentlab.instruments.client import holding
from agentlab.instruments.client.holding import Keeper, Ownership, keeper
from agentlab.instruments.serving.identity import Identity
from agentlab.runtime import futures
from agentlab.testing.waiting import wait_condition


class Desk:
    """What an instrument would be asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, tuple[Any, ...]]] = []
        self.error: Exception | None = None

    def ask(self, method: str, args: tuple[Any, ...], _timeout: float | None) -> Any:
        self.asked.append((method, args))
        if self.error is not None:
            raise self.error
        return True

    def count(self, method: str) -> int:
        return sum(asked == method for asked, _ in self.asked)


@pytest.fixture(autouse=True)
def frequent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many renewals in a lease: they come soon, and a machine that stands still for a moment costs no lock."""
    monkeypatch.setattr(holding, "SHARE", 250.0)


def own(desk: Desk, lease: float = 5.0) -> tuple[Ownership, list[Ownership]]:
    forgotten: list[Ownership] = []
    return Ownership("psu", desk.ask, "t0ken", lease, forgotten.append), forgotten


def lock_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "agentlab-locks"]


def test_the_heartbeat_renews_and_release_ends_it() -> None:
    desk = Desk()
    held, forgotten = own(desk)
    assert wait_condition(lambda: desk.count("renew") >= 3)
    assert held.held
    assert not held.lost
    held.release()
    held.release()
    assert desk.asked[-1] == ("unlock", ("t0ken",))
    assert desk.count("unlock") == 1
    assert forgotten == [held]
    assert not held.held
    assert wait_condition(lambda: not lock_threads())  # nothing is held: no thread


def test_one_heartbeat_serves_all_locks_and_one_that_hangs_harms_no_other() -> None:
    hangs, lives = Desk(), Desk()
    release = threading.Event()

    def hang(_method: str, _args: tuple[Any, ...], _timeout: float | None) -> Any:
        release.wait(10.0)

    stuck = Ownership("frozen", hang, "x", 0.15, lambda _: None)
    held, _ = own(lives)
    try:
        assert len(lock_threads()) == 1
        assert wait_condition(lambda: stuck.lost)
        assert "0.15 s" in stuck.why
        assert held.held
        before = lives.count("renew")
        assert wait_condition(lambda: lives.count("renew") > before)
    finally:
        release.set()
        held.release()
    assert hangs.asked == []


def test_long_calls_of_futures_cost_nobody_a_lock() -> None:
    release = threading.Event()
    busy = [futures.submit("", "", False, lambda: release.wait(30.0)) for _ in range(futures.MOST_THREADS)]
    desk = Desk()
    try:
        assert wait_condition(lambda: all(one.running() for one in busy))
        held, _ = own(desk)
        assert wait_condition(lambda: desk.count("renew") >= 1)
        held.release()
    finally:
        release.set()
        assert all(one.result(5.0) for one in busy)


def test_a_heartbeat_that_gets_no_thread_for_a_while_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk()
    refused: list[str] = []
    start = threading.Thread.start

    def none_left(thread: threading.Thread) -> None:
        refused.append(thread.name)
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(futures, "MOST_THREADS", 2)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", none_left)
        with pytest.raises(RuntimeError):
            own(desk)
        patch.setattr(threading.Thread, "start", lambda t: none_left(t) if t.name == "agentlab-future" else start(t))
        keeper().callers = futures.Callers()
        held, _ = own(desk)
        assert wait_condition(lambda: refused.count("agentlab-future") > 3)
        assert held.held and desk.asked == []
    assert wait_condition(lambda: desk.count("renew") >= 2)
    held.release()
    assert wait_condition(lambda: not lock_threads())


def test_loss_is_told_and_the_next_write_raises() -> None:
    desk = Desk()
    held, forgotten = own(desk)
    desk.error = LockedError("psu was broken by Bob", "Bob")
    assert wait_condition(lambda: held.lost)
    with pytest.raises(LockedError, match="lost: psu was broken by Bob"):
        held.check()
    assert forgotten == []  # whoever thinks that it owns it must be told at its next write
    held.release()
    assert forgotten == [held]


def test_an_agent_that_is_away_for_less_than_the_lease_costs_nothing() -> None:
    desk = Desk()
    held, _ = own(desk)
    desk.error = ConnectError("agent 'psu' does not answer")
    assert wait_condition(lambda: desk.count("renew") >= 1)
    assert held.held
    desk.error = None
    before = held._good_until
    assert wait_condition(lambda: held._good_until > before)
    assert held.held
    held.release()


def test_an_agent_that_stays_away_takes_the_lock_with_it() -> None:
    desk = Desk()
    held, _ = own(desk, lease=0.06)
    desk.error = ConnectError("agent 'psu' does not answer")
    assert wait_condition(lambda: held.lost)
    assert "does not answer" in held.why
    held.release()


def test_blocks_within_blocks_share_one_lock() -> None:
    desk = Desk()
    held, _ = own(desk, lease=5.0)
    with held:
        with held:
            pass
        assert held.held
    assert not held.held
    with pytest.raises(LockedError, match="was released"), held:
        pass


def test_releasing_what_cannot_be_told_is_no_error() -> None:
    desk = Desk()
    held, forgotten = own(desk, lease=5.0)
    desk.error = ConnectError("agent 'psu' does not answer")
    held.release()
    assert forgotten == [held]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_fork_is_somebody_else() -> None:
    desk = Desk()
    held, _ = own(desk, lease=30.0)
    identity = Identity()
    identity.holding = held
    mine = identity.note(None)
    assert mine["token"] == "t0ken"
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        note = identity.note(None)
        held.release()
        right = note["client"] != mine["client"] and note["token"] is None and not desk.asked and keeper().pid == os.getpid()
        os.write(writing, b"y" if right else b"n")
        os._exit(0)
    os.close(writing)
    told = os.read(reading, 1)
    os.close(reading)
    os.waitpid(child, 0)
    assert told == b"y"
    assert held.held
    held.release()


def test_the_note_leaves_the_agent_time_to_answer() -> None:
    identity = Identity()
    assert identity.note(None)["limit"] is None
    assert identity.note(2.0)["limit"] == pytest.approx(1.95)
    assert identity.note(0.1)["limit"] == pytest.approx(0.09)
    assert f":{os.getpid()}" in identity.note(None)["label"]
    assert identity.note(None)["client"] != Identity().note(None)["client"]


def test_a_keeper_without_locks_has_no_thread() -> None:
    empty = Keeper()
    empty.drop(object())  # type: ignore[arg-type]
    assert empty._thread is None
