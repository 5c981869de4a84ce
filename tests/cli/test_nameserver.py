"""``agentlab nameserver``: in the foreground until it is told to end."""

import contextlib
import json
import os
import re
import signal
import socket
import textwrap

import psutil
import pytest

from agentlab import NameServerUnavailableError, NSProxy, run_agent
from agentlab.cli.main import app
from tests.cli.program import Outcome, agentlab, complaint, finish, start
from tests.nameserver.test_config import SEED


@pytest.fixture
def server():
    process = start("nameserver", "127.0.0.1:0")
    yield process
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)


def _address(server):
    line = server.stdout.readline()
    assert line.startswith("name server at 127.0.0.1:"), line
    return line.split(";")[0].split()[-1]


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_a_signal_and_ends_well(server, number):
    address = _address(server)
    with NSProxy(address) as ns:
        assert ns.agents() == []
    server.send_signal(number)
    outcome = finish(server, 10)
    assert (outcome.code, outcome.out, outcome.err) == (0, "name server has ended\n", "")


def test_agents_find_each_other_there(server):
    address = _address(server)
    agent = run_agent("A", address)
    assert agentlab("ping", "A", "--nsaddr", address).code == 0
    agent.shutdown()
    with NSProxy(address) as ns:
        ns.shutdown()  # asked from afar, it ends as well
    assert finish(server, 10).code == 0


def test_a_port_in_use(server):
    address = _address(server)
    line = complaint(agentlab("nameserver", address), 2)
    assert address in line
    assert "choose another" in line


# --- from a file ----------------------------------------------------------------------------------------------------


@pytest.fixture
def write(tmp_path):
    def write(text):
        (tmp_path / "ns_cfg.yml").write_text(textwrap.dedent(text), "utf-8")
        return tmp_path

    return write


@pytest.fixture
def serve(tmp_path):
    """Start the command in the folder of the file; end it at the end of the test."""
    started = []

    def serve(*args):
        started.append(start("nameserver", "-c", "./ns_cfg.yml", *args, cwd=tmp_path))
        return started[-1]

    yield serve
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run the command in this process, which takes milliseconds: for what ends before anything is served."""
    monkeypatch.chdir(tmp_path)

    def run(*args):
        with pytest.raises(SystemExit) as end:
            app(list(args))
        written = capsys.readouterr()
        return Outcome(end.value.code, written.out, written.err)

    return run


def _served(line):
    return re.match(r"name server (\w+) at ([\d.]+:\d+)( \(instead of at port \d+, which \w+ has\))?; for other programs: ", line)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_the_example_of_the_document_serves_at_once(write, serve):
    # On other ports, as somebody else of this machine may use these. One of its hosts is no machine of ours.
    port = free_port()
    write(SEED.replace("9090", str(port)).replace("9091", "0").replace("camacholab.ee.byu.edu", "nowhere.invalid"))
    process = serve()
    first, second = (_served(process.stdout.readline()) for _ in range(2))
    assert (first[1], first[2], first[3]) == ("default", f"127.0.0.1:{port}", None)
    assert (second[1], second[3]) == ("development", f" (instead of at port {port}, which default has)")
    assert second[2] != first[2]
    for served in (first, second):
        with NSProxy(served[2]) as ns:
            assert ns.agents() == []
    process.send_signal(signal.SIGINT)
    outcome = finish(process, 10)
    assert (outcome.code, outcome.out) == (2, "name server has ended\n")
    useless, line = sorted(outcome.err.splitlines(), reverse=True)
    assert useless.startswith("agentlab: ns_cfg.yml:5:9: nameservers[0].default.ns_bchost: opens nothing under security keys")
    assert line.startswith("agentlab: ns_cfg.yml:10:9: nameservers[1].production.host: host 'nowhere.invalid' cannot be found")


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_all_three_serve_on_this_machine(write, serve, tmp_path):
    port = free_port()
    storage = f"storage_type: sql\n        storage_file: {tmp_path / 'production.sqlite'}"
    write(
        SEED.replace("9090", str(port))
        .replace("9091", "0")
        .replace("camacholab.ee.byu.edu", "localhost")
        .replace("storage_type: sql", storage)
    )
    process = serve("--json")
    rows = [json.loads(process.stdout.readline()) for _ in range(3)]
    assert [row["name"] for row in rows] == ["default", "production", "development"]
    assert [row["remark"] != "" for row in rows] == [False, True, True]
    assert len({row["address"] for row in rows}) == 3
    assert (tmp_path / "production.sqlite").exists()
    for row in rows:
        with NSProxy(row["address"]) as ns:
            ns.shutdown()  # when the last has been asked to end, nothing is left to wait for
    assert finish(process, 10).code == 0


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_one_of_a_file(write, serve):
    port = free_port()
    write(SEED.replace("9090", str(port)).replace("9091", "0"))
    process = serve("-l", "development")
    served = _served(process.stdout.readline())
    assert (served[1], served[2], served[3]) == ("development", f"127.0.0.1:{port}", None)
    again = complaint(
        agentlab("nameserver", "--config", "ns_cfg.yml", "--launch", "default", cwd=write(SEED.replace("9090", str(port)))), 2
    )
    assert f"ns_cfg.yml:4:9: nameservers[0].default.ns_port: cannot listen at localhost:{port}: " in again
    process.send_signal(signal.SIGTERM)
    outcome = finish(process, 10)
    assert (outcome.code, outcome.out, outcome.err) == (0, "name server has ended\n", "")


@pytest.mark.parametrize(
    ("text", "args", "says"),
    [
        (SEED, ["-l", "prodction"], "ns_cfg.yml has no name server 'prodction'; did you mean 'production'? known names: "),
        (SEED.replace("camacholab.ee.byu.edu", "nowhere.invalid"), ["-l", "production"], "ns_cfg.yml:10:9: nameservers[1].produ"),
        (
            SEED,
            ["--strict"],
            "ns_cfg.yml:18:9: nameservers[2].development.ns_port: found localhost:9090, which 'default' has too",
        ),
        (None, [], "ns_cfg.yml: there is no such file"),
        ("", [], "ns_cfg.yml:1:1: the file is empty"),
        ("\0\1", [], "ns_cfg.yml:1:1: is binary, not YAML text"),
        ("a: [", [], "ns_cfg.yml:1:5: not YAML: "),
        ("nameservers:\n  - a: {ns_prot: 1}\n", ["--strict"], "ns_cfg.yml:2:9: nameservers[0].a.ns_prot: found an unknown key"),
        (
            "nameservers:\n  - a: {storage_type: x}\n",
            [],
            "ns_cfg.yml:2:9: nameservers[0].a.storage_type: found 'x', allowed are mem",
        ),
        (
            "nameservers:\n  - a:\n      ns_port: 0\n      storage_type: sql\n      storage_file: /dev/null/x\n",
            ["-l", "a"],
            "ns_cfg.yml:5:7: nameservers[0].a.storage_file: ",
        ),
        (
            "nameservers:\n  - a: {ns_port: 0, storage_type: sql, storage_file: /dev/null/x}\n  - b: {ns_port: 0}\n",
            ["--strict"],
            "ns_cfg.yml:2:40: nameservers[0].a.storage_file: ",
        ),
        (SEED, ["127.0.0.1:0"], "'127.0.0.1:0' and --config both say where to listen"),
    ],
)
def test_a_file_that_cannot_be_followed(tmp_path, write, run, text, args, says):
    if text is not None:
        write(text)
    line = complaint(run("nameserver", "-c", "ns_cfg.yml", *args), 2)
    assert line.startswith(f"agentlab: {says}")


def test_every_problem_has_its_line(write, run):
    write("nameservers:\n  - a: {ns_port: 99999}\n  - b: {ns_autoclean: -1}\n")
    outcome = run("nameserver", "-c", "ns_cfg.yml")
    assert outcome.code == 2
    assert [line.split(": ")[1] for line in outcome.err.splitlines()] == ["ns_cfg.yml:2:9", "ns_cfg.yml:3:9"]


def test_options_of_a_file_without_one(run):
    assert "--config FILE" in complaint(run("nameserver", "-l", "x"), 2)


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_one_that_is_killed_is_told_and_the_others_go_on(write, serve, tmp_path):
    write("nameservers: {a: {ns_port: 0}, b: {ns_port: 0}}")
    process = serve()
    addresses = [_served(process.stdout.readline())[2] for _ in range(2)]
    below = psutil.Process(process.pid).children(recursive=True)
    next(child for child in below if child.ppid() != process.pid).kill()  # between them is the fork server
    assert re.match(r"agentlab: name server '[ab]' has ended by itself, with exit code -9\n", process.stderr.readline())
    answers = []
    for address in addresses:
        with contextlib.suppress(NameServerUnavailableError), NSProxy(address, timeout=0.5) as ns:
            answers.append(ns.ping())
    assert answers == ["pong"]
    process.send_signal(signal.SIGTERM)
    assert finish(process, 10).code == 1
