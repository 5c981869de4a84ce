"""Requests that wait for their replies."""

from __future__ import annotations

from agentlab.agent.requests import Pending, PendingRequests, number_from_bytes, number_to_bytes


def test_numbers_are_never_used_twice():
    pending = PendingRequests()
    numbers = [pending.next_number() for _ in range(100)]
    assert len(set(numbers)) == 100


def test_a_request_is_taken_once():
    pending, request = PendingRequests(), Pending(print, None)
    number = pending.next_number()
    pending.add(number, request)
    assert len(pending) == 1
    assert pending.take(number) is request
    assert pending.take(number) is None
    assert pending.take(12345) is None
    assert len(pending) == 0


def test_all_are_taken_in_their_order():
    pending = PendingRequests()
    requests = [Pending(print, None, str(n)) for n in range(3)]
    for request in requests:
        pending.add(pending.next_number(), request)
    assert pending.take_all() == requests
    assert pending.take_all() == []
    assert len(pending) == 0


def test_numbers_on_the_wire():
    for number in (1, 2, 255, 256, 2**40):
        frame = number_to_bytes(number)
        assert len(frame) == 8
        assert number_from_bytes(frame) == number
    for wrong in (b"", b"1234567", b"123456789"):
        assert number_from_bytes(wrong) is None
