"""A writer that is killed again and again: opens, changes, closes, opens... as fast as it can; then what is there is compared.

A program of its own, as it forks: ``python -m tests.nameserver.kill_writer KIND FILE SEED ROUNDS``.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import random
import signal
import struct
import sys
import time

from agentlab.nameserver import storage_dbm
from agentlab.nameserver.registration import Change, Registration
from agentlab.nameserver.storage import open_storage

storage_dbm.COMPACT_FROM = 5000  # so that it is killed while it shortens a journal, too


def change(number):
    """Give the change of that number: most are leased, some are not, some go."""
    lease = None if number % 40 == 0 else 3.0
    one = Registration(f"n{number % 97}", f"PYRO:{number}@127.0.0.1:1", "i", {}, lease, float(number))
    return Change(number, "removed" if number % 3 == 2 else "registered", one, "e")


def apply(model, number):
    one = change(number)
    model.pop(one.name, None)
    if one.kind != "removed":
        model[one.name] = one.registration.uri


def write(kind, path, acknowledged, number, rng):
    while True:
        with contextlib.closing(open_storage(kind, path)) as storage:
            for _ in range(rng.randrange(1, 400)):
                storage.apply([change(number)])
                number += 1
                struct.pack_into("q", acknowledged, 0, number)


def main():
    kind, path, seed, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    rng = random.Random(seed)
    acknowledged = mmap.mmap(-1, 8)
    model, number = {}, 0
    for _ in range(rounds):
        struct.pack_into("q", acknowledged, 0, number)
        child = os.fork()
        if not child:
            write(kind, path, acknowledged, number, random.Random(rng.random()))
        time.sleep(rng.uniform(0.001, 0.06))  # the moment of the blow
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        (sure,) = struct.unpack_from("q", acknowledged, 0)
        with contextlib.closing(open_storage(kind, path)) as storage:
            found = {one.name: one.uri for one in storage.load()}
        before = number
        while number < sure:
            apply(model, number)
            number += 1
        if found != model:  # the one that was under way may be there, or not
            apply(model, number)
            number += 1
        assert found == model, (sure, {k: (found.get(k), model.get(k)) for k in found.keys() | model.keys()})
        print("killed after", sure - before)


if __name__ == "__main__":
    main()
