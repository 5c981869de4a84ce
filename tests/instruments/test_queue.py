"""The queue of an instrument: order, deadlines, polls. Time is handed in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agentlab.instruments.engine.claims import Client
from agentlab.instruments.engine.queue import CALLS_BETWEEN_POLLS, Job, JobQueue

ANNA, BERT = Client("a", "anna"), Client("b", "bert")


def job(what="get", *, put_at=0.0, limit=None, client=ANNA, **more):
    return Job(what, lambda: None, put_at=put_at, limit=limit, client=client, **more)


def taken(queue, now=0.0, **more):
    found = []
    while (one := queue.take(now, **more)) is not None:
        found.append(one.what)
    return found


def test_calls_come_out_as_they_went_in_and_urgent_ones_first():
    queue = JobQueue()
    for what in "abc":
        queue.put(job(what))
    queue.put(job("stop"), urgent=True)
    assert len(queue) == 4
    assert taken(queue) == ["stop", "a", "b", "c"]
    assert not queue


def test_a_job_whose_time_is_over_is_never_given_and_comes_out_as_late_once():
    queue = JobQueue()
    queue.put(job("early", limit=1.0))
    queue.put(job("patient", limit=5.0))
    assert queue.next_deadline() == 1.0
    assert taken(queue, now=1.0) == ["patient"]
    assert [one.what for one in queue.found_late()] == ["early"]
    assert queue.found_late() == []


def test_a_deadline_is_over_at_its_very_moment_and_not_before():
    queue = JobQueue()
    queue.put(job("a", put_at=10.0, limit=1.0))
    assert queue.late(10.999) == []
    assert [one.what for one in queue.late(11.0)] == ["a"]
    assert taken(queue, 11.0) == []


def test_late_ones_are_found_while_nobody_takes():
    queue = JobQueue()
    for n in range(4):
        queue.put(job(str(n), limit=float(4 - n)))
    assert [one.what for one in queue.late(2.0)] == ["2", "3"]
    assert taken(queue, 2.0) == ["0", "1"]


def test_polls_give_way_but_not_for_ever():
    queue = JobQueue()
    queue.put_poll(job("poll", target="voltage"))
    for n in range(CALLS_BETWEEN_POLLS + 2):
        queue.put(job(str(n)))
    order = taken(queue)
    assert order.index("poll") == CALLS_BETWEEN_POLLS
    assert len(order) == CALLS_BETWEEN_POLLS + 3


def test_a_poll_is_taken_at_once_when_nobody_calls():
    queue = JobQueue()
    queue.put_poll(job("poll", target="voltage"))
    assert taken(queue) == ["poll"]


def test_one_poll_of_each_target_waits():
    queue = JobQueue()
    assert queue.put_poll(job("poll", target="voltage"))
    assert not queue.put_poll(job("poll", target="voltage"))
    assert queue.put_poll(job("poll", target="current"))
    assert len(taken(queue)) == 2
    assert queue.put_poll(job("poll", target="voltage"))


def test_forgotten_polls_can_be_put_again():
    queue = JobQueue()
    queue.put_poll(job("poll", target="voltage"))
    queue.drop_polls()
    assert not queue
    assert queue.put_poll(job("poll", target="voltage"))


def test_writes_that_are_passed_over_keep_their_places():
    queue = JobQueue()
    for what, writes in (("set a", True), ("get a", False), ("set b", True), ("get b", False)):
        queue.put(job(what, writes=writes, client=BERT if writes else ANNA))
    assert taken(queue, blocked=lambda one: one.writes) == ["get a", "get b"]
    assert taken(queue) == ["set a", "set b"]


def test_a_client_that_is_passed_over_keeps_its_order():
    queue = JobQueue()
    for what, client in (("set 1", ANNA), ("get 2", ANNA), ("get 3", BERT), ("get 4", ANNA)):
        queue.put(job(what, writes=what.startswith("set"), client=client))
    assert taken(queue, blocked=lambda one: one.writes) == ["get 3"]
    assert taken(queue) == ["set 1", "get 2", "get 4"]


def test_a_write_that_is_passed_over_can_still_be_late():
    queue = JobQueue()
    queue.put(job("set", writes=True, limit=1.0))
    queue.put(job("get"))
    assert taken(queue, now=2.0, blocked=lambda one: one.writes) == ["get"]
    assert [one.what for one in queue.found_late()] == ["set"]


def test_the_calls_of_one_client_can_be_withdrawn():
    queue = JobQueue()
    for n, client in enumerate((ANNA, BERT, ANNA, BERT)):
        queue.put(job(str(n), client=client))
    queue.put_poll(job("poll", target="voltage", client=ANNA))
    assert [one.what for one in queue.withdraw(lambda one: one.client is ANNA)] == ["0", "2"]
    assert taken(queue) == ["1", "3", "poll"]


def test_what_waits_is_told_as_plain_values():
    queue = JobQueue()
    queue.put(job("get voltage", put_at=1.0, limit=5.0))
    queue.put(job("fire", put_at=2.0, client=BERT))
    assert queue.waiting(3.0) == [
        {"what": "get voltage", "who": "anna", "waited": 2.0, "left": 3.0},
        {"what": "fire", "who": "bert", "waited": 1.0, "left": None},
    ]
    assert queue.first_put() == 1.0


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.booleans(), st.booleans(), st.one_of(st.none(), st.integers(0, 5))),
        st.tuples(st.just("poll"), st.integers(0, 2)),
        st.tuples(st.just("take"), st.booleans()),
        st.tuples(st.just("pass"), st.integers(0, 3)),
        st.tuples(st.just("late")),
    ),
    max_size=60,
)


@given(STEPS)
def test_no_job_is_lost_given_twice_or_given_too_late(steps):
    queue, now, number = JobQueue(), 0.0, 0
    inside, out = {}, []
    for step in steps:
        match step:
            case ("put", urgent, writes, limit):
                one = job(str(number), put_at=now, limit=limit, writes=writes, client=ANNA if writes else BERT)
                queue.put(one, urgent=urgent)
                inside[one] = (urgent, number)
                number += 1
            case ("poll", target):
                queue.put_poll(job("poll", put_at=now, target=str(target), poll=True))
            case ("take", writes):
                one = queue.take(now, None if writes else (lambda other: other.writes))
                if one is not None and not one.poll:
                    assert one.deadline is None or now < one.deadline
                    before = [
                        other for other, (urgent, place) in inside.items()
                        if (not urgent, place) < (not inside[one][0], inside[one][1])
                        and (writes or not other.writes) and (other.deadline is None or other.deadline > now)
                    ]  # fmt: skip
                    assert not before
                    out.append(one)
                    del inside[one]
            case ("pass", seconds):
                now += seconds
            case ("late",):
                for one in queue.late(now):
                    assert one.deadline is not None and one.deadline <= now
                    out.append(one)
                    del inside[one]
    for one in queue.found_late():
        out.append(one)
        del inside[one]
    assert len(out) == len(set(out))
    assert len(queue) == len(inside)
