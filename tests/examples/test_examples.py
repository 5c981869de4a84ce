"""Each example ends by itself, prints what stands here, says nothing on stderr, and leaves nothing behind."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
TIMEOUT = 60

EXPECTED = {
    "hello_world": """
        [TIME] (Laser): Hello world!
        """,
    "agents_and_proxies": """
        agents: ['Laser', 'Meter']
        method: tuned to 1532.5 nm
        attribute: 1532.5
        set from outside: 2.0
        by name: mW
        its own process: True
        """,
    "add_methods": """
        Laser shines with 1.5 mW
        energy: 3.0 mJ
        Laser shines with 0 mW
        once, as a method: 0 mW
        once, as a function: 6
        """,
    "push_pull": """
        received: [0.5, 1.0, 1.5]
        """,
    "push_pull_class": """
        5 readings, the highest 2.0 mW
        """,
    "request_reply": """
        at 5.0 mm
        at 7.5 mm
        no answer in time
        """,
    "request_reply_yield": """
        reply: moving to 5.0 mm
        on the way: 0.0
        arrived: 5.0
        """,
    "lambda_handlers": """
        in mW: [1000, 10000, 100000]
        in dBm: [0.0, 10.0, 20.0]
        doubled: 42
        seen: 3
        """,
    "async_handlers": """
        waiting in the oven: 2 done: 0
        done: ['sample A baked', 'sample B baked', 'sample C baked']
        """,
    "pub_sub": """
        display: ['frame 0', 'frame 1', 'frame 2']
        archive: ['frame 0', 'frame 1', 'frame 2']
        """,
    "pub_sub_topics": """
        plotted: [1.25]
        alarm/laser: interlock open
        alarm/water: chiller low
        archived: 4
        """,
    "subscribe_later": """
        power 1
        end 1
        POWER 2!
        temperature 2
        end 2
        end 3
        """,
    "async_request": """
        asked, and free to go on; pictures: []
        given up: 1
        WARNING [TIME] (Scan): Received response for an unknown request! 2
        pictures: ['picture of sample A', 'picture of sample C']
        """,
    "sync_publications": """
        history: [10, 20]
        point: 30
        """,
    "serializers": r"""
        raw: b'*IDN?'
        json: {'power': 1.5, 'range': [0, 2]}
        msgpack: {'power': 1.5, 'image': b'\x00\xff'}
        pickle: {'power': (1.5+2j), 'range': (0, 2)}
        cloudpickle: 42
        dill: 63
        json cannot write a set: SerializationError
        """,
    "numpy_streams": """
        images: 20
        first and last spot: (0, 0, 0) (19, 19, 38)
        """,
    "by_name_connections": """
        without a laser: ['Meter']
        powers: [1.0, 2.0]
        """,
    "timers": """
        readings: 10
        timers left: []
        timers now: 2
        stopped: True True
        stopped again: False
        """,
    "futures_and_await": """
        done at once: [False, False]
        x takes longer than 0.1 s
        X at 1.5 mm
        Y at 2.5 mm
        ['X at 0 mm', 'Y at 1 mm']
        """,
    "dispatcher_workers": """
        tasks done: 12
        results: [1, 4, 9, 16, 25, 36, 49, 64, 81, 100, 121, 144]
        """,
    "ventilator_sink": """
        results: 100 sum: 5050.0
        done by all workers together: 100
        """,
    "several_nameservers": """
        optics: ['Laser', 'Meter']
        vacuum: ['Meter']
        meter of optics: 1.5 mW
        meter of vacuum: 2e-9 mbar
        the default: True
        asked across: 2e-9 mbar
        still there: ['Laser', 'Meter']
        """,
    "nameserver_file": """
        in the file: ['optics', 'vacuum']
        optics: ['Meter']
        vacuum: ['Meter', 'gauge']
        vacuum, started again: True
        """,
    "service_catalogue": """
        City Library has {'Optics': Book(title='Optics', copies=2)}
        Optics is yours
        Optics is yours
        all copies of Optics are lent
        all copies of Optics are lent
        answered beside the queue: pong running
        """,
    "instance_modes": """
        single: the four clients counted to 400 together
        session: the four clients counted to [100, 100, 100, 100]
        percall: the four clients counted to [1, 1, 1, 1]
        the one object still has 400
        objects left: {'single': 1, 'session': 0, 'percall': 0}
        """,
    "several_scripts": """
        laboratory.py ended with 0
        shining with 3.0 mW
        the meter reads 1.5 mW
        measure.py ended with 0
        shutting down: ['Laser', 'Meter']
        close.py ended with 0
        """,
    "reading_errors": """
        a call: the door of the laboratory is open
        raised by: raise InterlockError("the door of the laboratory is open")
        a request: this laser emits from 1500 to 1600 nm, not 800
        a slip: agent 'Laser' has no attribute 'shin'; did you mean 'shine'?
        a handler: ZeroDivisionError: division by zero
        errors: 3 and still running: True
        """,
    "reliable_start": """
        fails: ConnectionError: no camera is plugged in
        dies: 'Crashing' ended with exit code 3 while starting
        hangs: 'Hanging' did not start within 0.5 s; give it a longer timeout or see why it hangs
        name in use: agentlab.errors.NameTakenError: name already registered: 'Laser' is held by ...
        second attempt: started
        agents: ['Hanging', 'Laser']
        """,
    "logging_agents": """
        [TIME] (Laser): warming up
        DEBUG [TIME] (Laser): shown
        INFO [TIME] (Laser): shining
        WARNING [TIME] (Laser): the chiller is warm
        ERROR [TIME] (Meter): no light
        """,
    "inline_debugging": """
        same process: True
        reading: 3.0
        trace: ['reading channel 2']
        agents: ['Meter', 'Scan']
        """,
    "graceful_shutdown": """
        Red: shutter closed
        Green: shutter closed
        left: ['Logbook']
        error: something goes wrong in the script
        all shut down
        """,
    "supervised_pipeline": """
        running: Source Worker1 Worker2 Sink
        Worker1 is killed
        crashed killed by SIGKILL
        restarting killed by SIGKILL; started again
        ready
        Worker2 hangs
        hung it hung: its loop has not turned
        restarting it hung: its loop has not turned
        ready
        Worker1 running restarts: 1
        Worker2 running restarts: 1
        """,
}

STDERR = {  # of examples about errors: what agents log there, without the tracebacks
    "reading_errors": [
        "ERROR [TIME] (Laser): call of shine() raised InterlockError: the door of the laboratory is open",
        "ERROR [TIME] (Laser): handler tune() raised ValueError: this laser emits from 1500 to 1600 nm, not 800",
        "ERROR [TIME] (Laser): handler <lambda> raised ZeroDivisionError: division by zero",
    ],
}

NOTEBOOK = """
    ['Laser', 'Meter']
    1530 nm  0.200  ####
    1540 nm  0.500  ##########
    1550 nm  1.000  ####################
    1560 nm  0.500  ##########
    1570 nm  0.200  ####
    1550
    """

RUN_NOTEBOOK = """
import sys, nbclient, nbformat
notebook = nbformat.read(sys.argv[1], as_version=4)
nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
for cell in notebook.cells:
    for output in cell.get("outputs", ()):
        print(output["text"].rstrip() if output["output_type"] == "stream" else output["data"]["text/plain"])
"""


def lines(text):
    return [line.strip() for line in text.strip().splitlines()]


def normal(text):
    """Give the lines of an output without what differs from run to run."""
    text = re.sub(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}\]", "[TIME]", text)
    return lines(re.sub(r"PYRO:.*", "...", text))


def execute(arguments, folder):
    """Run a program in an empty folder; give its result when it ended well and left that folder empty."""
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}  # so that the lines of the script and of its agents come in order
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(folder.iterdir()) == []
    return done


@pytest.mark.parametrize("name", EXPECTED)
def test_prints_what_it_promises(name, tmp_path):
    done = execute([str(EXAMPLES / f"{name}.py")], tmp_path)
    assert normal(done.stdout) == lines(EXPECTED[name])
    logged = normal(done.stderr)
    if name in STDERR:
        assert [line for line in logged if line.startswith(("ERROR ", "WARNING "))] == STDERR[name]
    else:
        assert logged == []


def test_notebook(tmp_path):
    done = execute(["-c", RUN_NOTEBOOK, str(EXAMPLES / "notebook.ipynb")], tmp_path)
    assert lines(done.stdout) == lines(NOTEBOOK)


def test_every_example_is_tested_and_listed():
    names = {path.stem for path in EXAMPLES.glob("*.py")}
    assert names == set(EXPECTED)
    listed = re.findall(r"^``(\w+\.\w+)``", (EXAMPLES / "README.rst").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted([*(f"{name}.py" for name in names), "notebook.ipynb"])


@pytest.mark.parametrize("path", sorted(EXAMPLES.rglob("*.py")), ids=lambda path: path.stem)
def test_is_short_and_explained(path):
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert len(text.splitlines()) <= 60
    assert ast.get_docstring(tree)
    assert "main" in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert text.endswith('if __name__ == "__main__":\n    main()\n')
