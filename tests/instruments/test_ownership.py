"""Ownership: a model that every history must agree with, and threads that try to break it. Time is handed in."""

from __future__ import annotations

import itertools
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agentlab.errors import LockedError
from agentlab.instruments.engine import ownership
from agentlab.instruments.engine.claims import Client, Grant, Lost, Ticket, Waited
from agentlab.instruments.engine.ownership import Ownership

ANNA, BERT, CARL = Client("a", "anna"), Client("b", "bert"), Client("c", "carl")


@pytest.fixture
def own():
    numbers = itertools.count(1)
    return Ownership(10.0, what="psu", new_token=lambda: f"t{next(numbers)}", wall=lambda now: now + 1000)


def test_nobody_owns_it_at_first_and_anybody_may_write(own):
    assert own.check(ANNA, 0.0) is None
    assert own.owner(0.0) == ""
    assert own.next_time() is None
    info = own.info(0.0)
    assert (info["owner"], info["since"], info["queue"], info["required"]) == ("", None, [], False)


def test_the_owner_alone_may_write_by_identity_or_token(own):
    grant = own.acquire(ANNA, 0.0, reason="calibration")
    assert grant == Grant("t1", 10.0)
    assert own.check(ANNA, 1.0) == "t1"
    assert own.check(Client("x", "else", "t1"), 1.0) == "t1"
    with pytest.raises(LockedError) as caught:
        own.check(BERT, 2.0)
    error = caught.value
    assert (error.owner, error.since, error.reason) == ("anna", 1000.0, "calibration")
    assert str(error) == "psu is owned by anna for 2 s (calibration); wait for it, or break the lock"


def test_who_does_not_wait_is_refused_at_once(own):
    own.acquire(ANNA, 0.0)
    with pytest.raises(LockedError):
        own.acquire(BERT, 0.0)


def test_a_lease_runs_out_at_its_moment_and_is_told_once(own):
    own.acquire(ANNA, 0.0)
    assert own.next_time() == 10.0
    assert own.events(9.999) == []
    assert own.owner(9.999) == "anna"
    (lost,) = own.events(10.0)
    assert isinstance(lost, Lost) and lost.holding.label == "anna"
    assert own.events(10.0) == []
    assert own.check(BERT, 10.0) is None


def test_renewals_keep_it_for_days(own):
    own.acquire(ANNA, 0.0)
    now = 0.0
    for _ in range(100_000):
        now += 9.9
        own.renew("t1", now)
    assert own.check(ANNA, now) == "t1"
    assert own.info(now)["since"] == 1000.0


def test_a_renewal_too_late_fails_even_if_nobody_took_it(own):
    own.acquire(ANNA, 0.0)
    with pytest.raises(LockedError, match="owned by nobody"):
        own.renew("t1", 10.0)
    own.acquire(BERT, 10.0)
    with pytest.raises(LockedError, match="owned by bert"):
        own.renew("t1", 11.0)
    with pytest.raises(LockedError):
        own.release("t1", 11.0)
    assert own.check(BERT, 11.0) == "t2"


def test_who_has_lost_it_may_not_write_though_it_is_free(own):
    own.acquire(ANNA, 0.0)
    with pytest.raises(LockedError, match="no longer owned by anna"):
        own.check(Client("a", "anna", "t1"), 20.0)
    assert own.check(ANNA, 20.0) is None


def test_waiters_are_served_in_order(own):
    own.acquire(ANNA, 0.0)
    tickets = [own.acquire(one, 0.0, timeout=100.0, tag=one.label) for one in (BERT, CARL)]
    assert all(isinstance(one, Ticket) for one in tickets)
    assert own.info(0.0)["queue"] == ["bert", "carl"]
    assert own.release("t1", 1.0)
    (grant,) = own.events(1.0)
    assert (grant.ticket, grant.ticket.tag) == (tickets[0], "bert")
    assert own.check(BERT, 1.0) == grant.token
    assert own.release(grant.token, 2.0)
    assert own.events(2.0)[0].ticket is tickets[1]


def test_a_lost_lease_goes_to_the_next_who_waits_with_a_lease_from_then(own):
    own.acquire(ANNA, 0.0)
    own.acquire(BERT, 1.0, timeout=100.0, lease=5.0)
    lost, grant = own.events(12.0)
    assert (lost.holding.label, grant.ticket.client.label) == ("anna", "bert")
    assert own.next_time() == 17.0


def test_a_wait_ends_when_its_time_is_over(own):
    own.acquire(ANNA, 0.0, reason="long run")
    ticket = own.acquire(BERT, 1.0, timeout=3.0)
    assert own.next_time() == 4.0
    (waited,) = own.events(4.0)
    assert isinstance(waited, Waited) and waited.ticket is ticket
    assert (waited.error.owner, waited.error.reason) == ("anna", "long run")
    own.release("t1", 5.0)
    assert own.events(5.0) == []


def test_a_wait_that_ended_in_the_same_moment_gets_nothing(own):
    own.acquire(ANNA, 0.0)
    own.acquire(BERT, 0.0, timeout=10.0)
    events = own.events(10.0)
    assert [type(one) for one in events] == [Lost, Waited]
    assert own.check(CARL, 10.0) is None


def test_who_leaves_the_row_is_passed_over(own):
    own.acquire(ANNA, 0.0)
    bert = own.acquire(BERT, 0.0, timeout=100.0)
    carl = own.acquire(CARL, 0.0, timeout=100.0)
    assert own.withdraw(bert)
    assert not own.withdraw(bert)
    own.release("t1", 1.0)
    assert own.events(1.0)[0].ticket is carl


def test_the_owner_may_acquire_again_and_must_release_as_often(own):
    own.acquire(ANNA, 0.0)
    assert own.acquire(ANNA, 1.0) == Grant("t1", 10.0, again=True)
    assert own.release("t1", 2.0) is False
    assert own.owner(2.0) == "anna"
    assert own.release("t1", 3.0) is True
    assert own.owner(3.0) == ""


def test_an_owner_comes_back_with_its_token_under_a_new_identity(own):
    own.acquire(ANNA, 0.0, reason="scan")
    own.acquire(ANNA, 0.0)
    back = Client("a2", "anna again")
    assert own.acquire(back, 5.0, token="t1") == Grant("t1", 10.0, again=True)
    assert own.next_time() == 15.0
    assert own.check(back, 6.0) == "t1"
    with pytest.raises(LockedError):
        own.check(ANNA, 6.0)
    assert own.info(6.0)["owner"] == "anna again"
    assert own.release("t1", 6.0) is True, "the old identity's nesting is gone with it"


def test_an_old_token_is_worth_nothing(own):
    own.acquire(ANNA, 0.0)
    own.release("t1", 1.0)
    own.acquire(BERT, 1.0)
    with pytest.raises(LockedError):
        own.acquire(ANNA, 2.0, token="t1")
    assert own.acquire(ANNA, 20.0, token="t1") == Grant("t3", 10.0, again=False)


def test_breaking_ends_it_for_the_next_who_waits(own):
    assert own.break_(0.0) is None
    own.acquire(ANNA, 0.0)
    own.acquire(BERT, 0.0, timeout=100.0)
    assert own.break_(1.0).label == "anna"
    (grant,) = own.events(1.0)
    assert grant.ticket.client is BERT
    with pytest.raises(LockedError):
        own.renew("t1", 1.0)


def test_what_was_accepted_under_an_ownership_is_not_done_under_another(own):
    assert own.holds(None, 0.0)
    own.acquire(ANNA, 0.0)
    assert own.holds("t1", 0.0)
    assert not own.holds(None, 0.0)
    own.release("t1", 1.0)
    assert not own.holds("t1", 1.0)
    own.acquire(ANNA, 1.0)
    assert not own.holds("t1", 1.0), "the same client, but another stretch"


def test_writing_may_need_ownership():
    own = Ownership(required=True, what="psu")
    with pytest.raises(LockedError, match="psu is written by its owner only"):
        own.check(ANNA, 0.0)
    own.acquire(ANNA, 0.0)
    own.check(ANNA, 0.0)


@pytest.mark.parametrize("lease", [0, -1, float("nan"), float("inf"), "10", True, 400 * 86400])
def test_a_lease_that_is_no_time_is_refused(own, lease):
    with pytest.raises(ValueError, match="a lease of .* cannot be"):
        own.acquire(ANNA, 0.0, lease=lease)
    assert own.owner(0.0) == ""


def test_the_row_can_be_emptied(own):
    own.acquire(ANNA, 0.0)
    ticket = own.acquire(BERT, 0.0, timeout=9.0)
    assert own.drain() == [ticket]
    assert own.info(0.0)["queue"] == []


def test_tokens_are_not_told_and_differ():
    own = Ownership()
    tokens = set()
    for now in range(100):
        grant = own.acquire(ANNA, float(now))
        tokens.add(grant.token)
        assert grant.token not in str(own.info(float(now)))
        own.release(grant.token, float(now))
    assert len(tokens) == 100


class OwnershipModel(RuleBasedStateMachine):
    """The plainest thing that could be right, beside the real one."""

    def __init__(self):
        super().__init__()
        self.own = Ownership(4.0, what="psu")
        self.now = 0.0
        self.clients = [Client(str(n), f"client {n}") for n in range(3)]
        self.owner = None  # (client, token, until, depth)
        self.row = []  # (client, ticket, until)
        self.expected = []
        self.spent = set()

    def advance(self):
        while self.owner is not None and self.owner[2] <= self.now:
            self.expected.append(("lost", self.owner[0].id, None))
            self.end()
        for entry in [one for one in self.row if one[2] <= self.now]:
            self.row.remove(entry)
            self.expected.append(("waited", entry[0].id, None))

    def end(self):
        self.spent.add(self.owner[1])
        self.owner = None
        while self.row:
            client, _, until = self.row.pop(0)
            if until > self.now:
                self.owner = [client, None, self.now + 4.0, 1]
                self.expected.append(("grant", client.id, self.owner))
                return
            self.expected.append(("waited", client.id, None))

    @rule(seconds=st.sampled_from([0.0, 0.5, 1.0, 3.0, 4.0]))
    def time_passes(self, seconds):
        self.now += seconds

    @rule(who=st.integers(0, 2), timeout=st.sampled_from([0.0, 1.0, 6.0]))
    def acquire(self, who, timeout):
        client = self.clients[who]
        self.advance()
        self.look()
        try:
            got = self.own.acquire(client, self.now, timeout=timeout)
        except LockedError:
            assert self.owner is not None and self.owner[0] is not client and timeout == 0
            return
        if self.owner is None:
            assert isinstance(got, Grant) and not got.again and got.token not in self.spent
            self.owner = [client, got.token, self.now + 4.0, 1]
        elif self.owner[0] is client:
            assert got.again and got.token == self.owner[1]
            self.owner[2:] = [max(self.owner[2], self.now + 4.0), self.owner[3] + 1]
        else:
            assert isinstance(got, Ticket)
            self.row.append((client, got, self.now + timeout))

    @precondition(lambda self: self.owner is not None)
    @rule()
    def renew(self):
        token = self.owner[1]
        self.advance()
        if token is None or self.owner is None or self.owner[1] != token:
            if token is not None:
                with pytest.raises(LockedError):
                    self.own.renew(token, self.now)
            return
        self.owner[2] = max(self.owner[2], self.now + 4.0)
        assert self.own.renew(token, self.now) == self.owner[2]

    @precondition(lambda self: self.owner is not None and self.owner[1] is not None)
    @rule()
    def release(self):
        token = self.owner[1]
        self.advance()
        if self.owner is None or self.owner[1] != token:
            with pytest.raises(LockedError):
                self.own.release(token, self.now)
            return
        self.owner[3] -= 1
        ended = self.owner[3] == 0
        assert self.own.release(token, self.now) is ended
        if ended:
            self.end()

    @rule()
    def break_it(self):
        self.advance()
        held = self.own.break_(self.now)
        assert (held is None) == (self.owner is None)
        if held is not None:
            assert held.client == self.owner[0].id
            self.end()

    @precondition(lambda self: self.row)
    @rule(data=st.data())
    def leave_the_row(self, data):
        self.advance()
        self.look()
        if self.row:
            entry = data.draw(st.sampled_from(self.row))
            self.row.remove(entry)
            assert self.own.withdraw(entry[1])

    @rule()
    def look(self):
        self.advance()
        for event in self.own.events(self.now):
            assert self.expected, event
            kind, client, owner = self.expected.pop(0)
            match event:
                case Grant():
                    assert (kind, client) == ("grant", event.ticket.client.id)
                    owner[1] = event.token
                case Lost():
                    assert (kind, client) == ("lost", event.holding.client)
                case Waited():
                    assert (kind, client) == ("waited", event.ticket.client.id)
        assert self.expected == []

    @invariant()
    def only_the_owner_may_write(self):
        self.advance()
        for client in self.clients:
            try:
                self.own.check(client, self.now)
                allowed = True
            except LockedError:
                allowed = False
            assert allowed == (self.owner is None or self.owner[0].id == client.id)


OwnershipModel.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestOwnershipModel = OwnershipModel.TestCase


def attempt(own, client, times, inside):
    """Acquire and release as fast as it goes; give how often it was granted, refused, and granted beside somebody else."""
    granted = refused = wrong = 0
    for _ in range(times):
        try:
            got = own.acquire(client, 0.0)
        except LockedError:
            refused += 1
            continue
        inside.append(client.id)
        wrong += inside != [client.id]
        granted += 1
        inside.remove(client.id)
        assert own.release(got.token, 0.0)
    return granted, refused, wrong


def compete(own, attempts=100_000, workers=8):
    """Let many threads compete that are switched every microsecond."""
    inside = []
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(workers) as pool:
            clients = [Client(str(n), f"client {n}") for n in range(workers)]
            results = list(pool.map(lambda client: attempt(own, client, attempts // workers, inside), clients))
    finally:
        sys.setswitchinterval(before)
    return [sum(column) for column in zip(*results, strict=True)]


def test_a_hundred_thousand_attempts_of_many_threads_give_no_wrong_grant():
    granted, refused, wrong = compete(Ownership(1e6))
    assert wrong == 0
    assert granted + refused == 100_000
    assert granted > 1000
    assert refused > 1000


def test_the_row_of_those_who_wait_has_an_end(monkeypatch):
    monkeypatch.setattr(ownership, "MOST_IN_ROW", 3)
    row = Ownership()
    row.acquire(Client("0"), 0.0)
    for n in range(1, 4):
        assert isinstance(row.acquire(Client(str(n)), 0.0, timeout=5.0), Ticket)
    with pytest.raises(LockedError):
        row.acquire(Client("4"), 0.0, timeout=5.0)
    assert len(row.info(0.0)["queue"]) == 3
