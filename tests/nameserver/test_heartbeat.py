"""The datagram: what is let in, what is not."""

from __future__ import annotations

import os
import random

import pytest

from agentlab.errors import AgentLabError, ConfigurationError, RefusedError
from agentlab.nameserver.heartbeat import WINDOW, Counter, HeartbeatDecoder, encode_heartbeat
from agentlab.nameserver.heartbeats import Heartbeat
from agentlab.nameserver.registration import Registration

KEY = b"k" * 32
NOW = 1_700_000_000.0
REG = Registration("A", "PYRO:x@./u:/tmp/x", "i", {"tags": ["t"]}, 3.0, 1.0)


def datagram(counter=0, registration=REG, key=KEY, now=NOW):
    return encode_heartbeat(registration.pack(), int(now * 1e9) + counter, key)


@pytest.mark.parametrize("key", [KEY, None])
def test_round_trip_gives_the_same_object_again(key):
    decoder = HeartbeatDecoder(key)
    first = decoder.decode(datagram(1, key=key), NOW)
    assert first == REG
    assert decoder.decode(datagram(2, key=key), NOW) is first


def test_every_flipped_bit_is_refused_also_of_a_known_registration():
    decoder = HeartbeatDecoder(KEY)
    decoder.decode(datagram(1), NOW)
    good = datagram(2)
    for i in range(len(good)):
        bad = bytearray(good)
        bad[i] ^= 1
        with pytest.raises(RefusedError):
            decoder.decode(bytes(bad), NOW)
    assert decoder.decode(good, NOW) == REG


def test_other_key_or_none_is_refused():
    with pytest.raises(RefusedError, match="without the lab's key"):
        HeartbeatDecoder(KEY).decode(datagram(key=b"j" * 32), NOW)
    with pytest.raises(RefusedError, match="without the lab's key"):
        HeartbeatDecoder(KEY).decode(datagram(key=None), NOW)


def test_a_replay_is_refused_now_and_after_a_restart():
    decoder = HeartbeatDecoder(KEY)
    caught = datagram(5)
    decoder.decode(caught, NOW)
    decoder.decode(datagram(6), NOW)
    for old in (caught, datagram(6), datagram(4)):
        with pytest.raises(RefusedError, match="seen before"):
            decoder.decode(old, NOW)
    with pytest.raises(RefusedError, match="61 s old; compare the clocks"):
        HeartbeatDecoder(KEY).decode(caught, NOW + WINDOW + 1)


def test_a_clock_set_back_does_not_stop_renewals():
    counter, decoder = Counter(), HeartbeatDecoder(KEY)
    for now in (NOW, NOW - 3600, NOW - 3599):
        decoder.decode(encode_heartbeat(REG.pack(), counter.next(int(now * 1e9)), KEY), now)


@pytest.mark.parametrize("key", [KEY, None])
def test_noise_is_refused_as_ours_and_never_remembered(key):
    rng = random.Random(7)
    decoder = HeartbeatDecoder(key)
    good = datagram(key=None)
    samples = [rng.randbytes(rng.randrange(400)) for _ in range(500)] + [good[:n] for n in range(len(good))] + [b"", b"ALH1"]
    samples += [good[:12] + rng.randbytes(rng.randrange(1, 300)) for _ in range(500)] + [
        good[:12] + b"\x91" * 5000,
        os.urandom(60000),
    ]
    for sample in samples:
        tagged = encode_heartbeat(sample[12:], int(NOW * 1e9), key) if key and rng.random() < 0.5 else sample
        with pytest.raises(AgentLabError):
            decoder.decode(tagged, NOW)
    assert not decoder._seen


def test_a_renewal_needs_a_lease():
    with pytest.raises(ConfigurationError, match="without a lease"):
        HeartbeatDecoder(None).decode(datagram(registration=Registration("A", "u"), key=None), NOW)


def test_a_beat_that_is_overtaken_by_the_close_is_only_not_sent(monkeypatch):
    heartbeat = Heartbeat("127.0.0.1:1", REG, security="none")

    def closing(*args):
        heartbeat.close()  # another thread does, in the middle of the beat
        return encode_heartbeat(*args)

    monkeypatch.setattr("agentlab.nameserver.heartbeats.encode_heartbeat", closing)
    assert heartbeat.beat() is False
    assert heartbeat.beat() is False
