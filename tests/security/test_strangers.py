"""Strangers at the data sockets: whatever they send, the agent lives and honest peers lose nothing."""

from __future__ import annotations

import contextlib
import random
import time

import psutil

from tests.security.helpers import GREETING, HUGE, HUGE_COMMAND, dial, garbage, ready, throw

CONNECTIONS = 150
PEER_OF = {"REP": "REQ", "PULL": "PUSH", "SUB": "PUB", "PUB": "SUB", "ASYNC_REP": "DEALER", "SYNC_PUB": "SUB"}


def test_random_bytes_lose_no_honest_message(pair):
    chance = random.Random(seed := random.randrange(1 << 32))
    print("seed", seed)
    pair.round()
    for _, place in pair.places():
        for _ in range(CONNECTIONS):
            with dial(place) as stranger:
                throw(stranger, garbage(chance))
        pair.round(2)
    pair.newcomer()


def test_random_bytes_on_connections_that_stay(pair):
    chance = random.Random(seed := random.randrange(1 << 32))
    print("seed", seed)
    with contextlib.ExitStack() as opened:
        for _, place in pair.places():
            for _ in range(CONNECTIONS):
                throw(opened.enter_context(dial(place)), garbage(chance))
        pair.round()
        pair.newcomer()
    pair.round()


def test_a_frame_of_eight_gibibytes_is_not_believed(pair):
    before = psutil.Process(pair.pid).memory_info().rss
    with contextlib.ExitStack() as opened:
        for kind, place in pair.places():
            for data in (HUGE, HUGE_COMMAND, GREETING + HUGE, GREETING + HUGE_COMMAND, GREETING + ready(PEER_OF[kind]) + HUGE):
                stranger = opened.enter_context(dial(place))
                throw(stranger, data)
                throw(stranger, bytes(100_000))
        pair.round()
    assert psutil.Process(pair.pid).memory_info().rss - before < 50e6


def test_five_hundred_silent_connections(pair):
    for _, place in pair.places():
        with contextlib.ExitStack() as opened:
            for _ in range(500):
                opened.enter_context(dial(place))
            pair.round(2)
    pair.newcomer()


def test_eighty_connections_that_send_slowly(pair):
    text = GREETING + bytes(100)
    with contextlib.ExitStack() as opened:
        strangers = [opened.enter_context(dial(place)) for _, place in pair.places() for _ in range(80)]
        end, at = time.monotonic() + 1.5, 0
        while time.monotonic() < end:
            for stranger in strangers:
                throw(stranger, text[at : at + 1])
            at += 1
            pair.round(2)
            time.sleep(0.2)  # they are slow
        pair.newcomer()
