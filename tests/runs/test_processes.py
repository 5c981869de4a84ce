"""Runs and other processes: one that is killed in the middle, ten that read, a million points."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from agentlab.runs import RunStore, sweep
from agentlab.runs.model import Axis, Column
from tests.timing import soon

HEAD = """
import os, signal, sys, time
from agentlab.runs import RunStore, sweep

class Dac:
    name, unit, value = "dac.voltage", "V", None
    def put(self, value, timeout=None):
        self.value = value

class Dmm:
    name, unit = "dmm.voltage", "V"
    def __init__(self, dac, at):
        self.dac, self.at, self.count = dac, at, 0
    def get(self):
        self.count += 1
        if self.count == self.at:
            {end}
        return Reading(self.dac.value * 2.0)

class Reading:
    quality = "good"
    def __init__(self, value):
        self.value = value

dac = Dac()
sweep(dac, range(1000), reads=Dmm(dac, 500))
"""
KILLED = "os.kill(os.getpid(), signal.SIGKILL)"
HANGS = "print('here', flush=True); time.sleep(60)"


def program(end):
    return [sys.executable, "-c", HEAD.replace("{end}", end)]


class Dac:
    name, unit, value = "dac.voltage", "V", None

    def __init__(self):
        self.puts = []

    def put(self, value, timeout=None):
        self.puts.append(value)


def test_a_scan_that_is_killed_at_point_500_has_499_rows_and_goes_on(store):
    done = subprocess.run(program(KILLED), check=False, timeout=60, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    run = store.run("last")
    assert len(run) >= 499
    assert (run.state, run.info.reason) == ("aborted", "its process was killed")
    assert run.data["dmm.voltage"].tolist() == [2.0 * i for i in range(len(run))]

    dac = Dac()

    class Dmm:
        name, unit = "dmm.voltage", "V"

        def get(self):
            return dac.puts[-1] * 2.0

    again = sweep(dac, range(1000), reads=Dmm(), resume=run)
    assert dac.puts == list(range(len(run), 1000))
    assert (again.id, again.state, len(again)) == (run.id, "done", 1000)
    assert again.data["dmm.voltage"].tolist() == [2.0 * i for i in range(1000)]


def test_an_interrupted_scan_is_aborted_at_once_and_says_how_to_go_on(store):
    process = subprocess.Popen(
        program(HANGS),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509 - it takes no lock
    )
    try:
        assert process.stdout.readline() == "here\n"
        assert (store.run("last").state, len(store.run("last"))) == ("running", 499)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
        process.communicate()
    assert "run 1 in" in errors and "has 499 of 1000 points; sweep(..., resume=1) goes on" in errors
    info = store.run("last").info
    assert (info.state, info.reason, info.rows) == ("aborted", "interrupted", 499)


READERS = """
import json, os
import numpy, sqlalchemy  # once for all of them
from agentlab.runs import RunStore

def read():
    store = RunStore()
    seen, looks = 0, 0
    for row in store.follow(1, timeout=30):
        assert row["y"] == seen, (row, seen)
        seen += 1
        if seen % 50 == 0:
            looks += 1
            data = store.run(1).data["y"]
            assert len(data) >= seen and data[-1] == len(data) - 1, (len(data), seen)
            assert store.runs()[0].info.rows >= len(data)
    return [seen, looks]

print("ready", flush=True)
for _ in range(10):
    if os.fork() == 0:
        try:
            said = read()
        except BaseException as error:
            said = repr(error)
        os.write(1, (json.dumps(said) + "\\n").encode())
        os._exit(0)
for _ in range(10):
    os.wait()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="ten interpreters would take their time")
def test_ten_readers_at_once_see_every_row_and_the_store_is_never_locked(store):
    rows = 400
    writer = store.begin("", [Axis("x", "", tuple(range(rows)))], [Column("y")])
    readers = subprocess.Popen([sys.executable, "-c", READERS], stdout=subprocess.PIPE, text=True)
    try:
        assert readers.stdout.readline() == "ready\n"
        for i in range(rows):
            writer.append([0.0, i, float(i)])
        writer.finish("done")
        said, _ = readers.communicate(timeout=60)
    finally:
        readers.kill()
        readers.communicate()
    assert [json.loads(line) for line in said.splitlines()] == [[rows, rows // 50]] * 10


def test_two_scans_at_once_write_into_one_store(store):
    def measure(name):
        sweep(None, range(300), reads=lambda: 1.0, name=name, store=RunStore(store.path))

    threads = [threading.Thread(target=measure, args=(f"run {i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted((run.name, run.state, len(run)) for run in store.runs()) == [(f"run {i}", "done", 300) for i in range(4)]


def test_many_processes_may_make_the_store_at_the_same_moment(store):
    code = "from agentlab.runs import RunStore; input(); RunStore().begin('x').finish('done')"
    makers = [
        subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)
    ]
    try:
        for maker in makers:
            maker.stdin.write("\n")
            maker.stdin.flush()
        errors = [maker.communicate(timeout=60)[1] for maker in makers]
    finally:
        for maker in makers:
            maker.kill()
            maker.communicate()
    assert errors == [""] * 3
    assert [run.id for run in store.runs()] == [1, 2, 3]


def test_a_million_points_are_loaded_in_less_than_ten_seconds(store):
    rows = 1_000_000
    with store.begin("", [Axis("x", "V", tuple(map(float, range(rows))))], [Column("y", "V")]) as writer:
        writer.extend([1e9 + i, float(i), i * 0.5] for i in range(rows))
    began = time.perf_counter()
    data = store.run("last").data
    seconds = time.perf_counter() - began
    assert len(data["y"]) == rows
    assert data["y"][-1] == (rows - 1) * 0.5
    assert seconds < soon(10)


def test_rows_that_are_measured_fast_cost_little(store):
    """A row on its own takes about 0.1 ms here; a measurement over a network takes longer than that anyway."""
    began = time.perf_counter()
    run = sweep(None, range(2000), reads=lambda: 1.0, progress=False)
    assert (time.perf_counter() - began) / len(run) < soon(0.005)


def test_importing_the_package_and_describing_a_store_is_light():
    code = textwrap.dedent("""
        import sys
        import agentlab.runs
        assert "sqlalchemy" not in sys.modules and "numpy" not in sys.modules
        from agentlab.runs.model import Grid
        from agentlab.runs.parts import read_readers
        from agentlab.runs import History
        assert "sqlalchemy" in sys.modules
        assert not {"numpy", "pandas", "PIL", "rich", "pydantic", "yaml"} & set(sys.modules)
    """)
    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=60, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
