"""What verbs load: what a verb does not use must not keep its user waiting. Counted by modules, so no clock can be wrong."""

import json
import os
import subprocess
import sys

import pytest

from agentlab import Agent, run_agent, run_nameserver
from agentlab.instruments import run_instrument
from tests.lab.fakelab import running

PROGRAM = """
import json, sys
from agentlab.cli.main import app
try:
    app(sys.argv[1:])
except SystemExit as ended:
    code = ended.code
print(json.dumps([code or 0, sorted(sys.modules)]), file=sys.stderr)
"""
HEAVY = frozenset(
    (
        # others', each of 10 to 200 ms; pydantic is not among them, as newer typers load it for every value
        "IPython",
        "Pyro5",
        "asyncio",
        "cloudpickle",
        "dill",
        "matplotlib",
        "multiprocessing",
        "numpy",
        "pint",
        "pyvisa",
        "rich.progress",
        "rich.live",
        "sqlalchemy",
        "yaml",
        "zmq",
        # ours: what an agent, a supervisor and a starter of processes consist of
        "agentlab.agent.agent",
        "agentlab.agent.loop",
        "agentlab.instruments.agent",
        "agentlab.instruments.engine.instrument",
        "agentlab.lab.file",
        "agentlab.lab.supervisor",
        "agentlab.nameserver.config",
        "agentlab.yamlfile.models",
        "agentlab.runtime.agentprocess",
        "agentlab.runtime.child",
        "agentlab.runtime.run",
        "agentlab.transport.sockets",
    )
)
"""What nobody needs who lists names, asks somebody, or looks at a lab that runs."""
ASKING = frozenset(("agentlab.control", "agentlab.nameserver.client", "concurrent.futures", "rich", "psutil", "msgpack"))
"""What is only needed where somebody is asked."""


def loaded(*args, **more):
    """Give what a verb has printed, and the modules that its process has then."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, args)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={**os.environ, "COLUMNS": "80"},
        **more,
    )
    code, modules = json.loads(done.stderr.splitlines()[-1])
    assert code == 0, done.stderr
    return done.stdout, frozenset(modules)


@pytest.fixture(scope="module")
def nsaddr():
    server = run_nameserver()
    run_agent("Axis", server.addr(), base=Agent)
    run_instrument("stage", "agentlab.instruments.simulated:Stage", nsaddr=server.addr())
    yield str(server.addr())
    server.shutdown()


def test_the_version_asks_nobody():
    out, modules = loaded("--version")
    assert out.startswith("agentlab ")
    assert modules & (HEAVY | ASKING) == frozenset()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("ls",), "Axis"),
        (("ping", "Axis"), "Axis answers after"),
        (("get", "Axis.name"), "Axis\n"),
        (("get", "stage.position"), " mm\n"),
        (("instruments",), "stage"),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, tuple) else "",
)
def test_who_asks_loads_no_agent(nsaddr, args, said):
    out, modules = loaded(*args, "--nsaddr", nsaddr)
    assert said in out
    assert modules & HEAVY == frozenset()


def test_ps_loads_no_supervisor(tmp_path):
    (tmp_path / "lab.yml").write_text("Laser")
    with running(tmp_path / "lab.yml") as lab:
        assert lab.ready.wait(5)
        out, modules = loaded("ps", cwd=tmp_path)
    assert "agent/Laser" in out
    assert modules & HEAVY == frozenset()
