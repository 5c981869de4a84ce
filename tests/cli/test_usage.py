"""What the command line says of itself and of wrong use; nothing here needs a name server."""

import json
import os
import re
import socket
import subprocess
import sys

import pytest

import agentlab as package
from agentlab.keys import lab_key
from agentlab.settings import NAMESERVER_VARIABLE, config
from tests.cli.program import COMMAND, agentlab, complaint

VERBS = ("demo", "info", "nameserver", "ls", "ping", "call")


def test_version():
    outcome = agentlab("--version")
    assert (outcome.code, outcome.out) == (0, f"agentlab {package.__version__}\n")


def test_without_a_verb_it_shows_its_verbs():
    outcome = agentlab()
    assert outcome.code == 0
    assert all(verb in outcome.out for verb in VERBS)
    assert outcome.out == agentlab("--help").out


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb):
    outcome = agentlab(verb, "--help")
    assert (outcome.code, outcome.err) == (0, "")
    assert "Usage" in outcome.out


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["qqqq"], "no such command 'qqqq'; see agentlab --help"),
        (["bogus"], "no such command 'bogus'; did you mean 'logs'? see agentlab --help"),
        (["inof"], "did you mean 'info'?"),
        (["--bogus"], "see agentlab --help"),
        (["demo", "--bogus"], "; see agentlab demo --help"),
        (["demo", "--seed", "x"], "invalid value for '--seed'"),
        (["demo", "surplus"], "surplus"),
        (["ping"], "missing argument 'NAME'"),
        (["call", "A"], "missing argument 'METHOD'"),
        (["call", "A", "-x"], "no such option: -x"),
        (["ls", "--nsaddr", ":1"], "is no host"),
        (["ls", "--nsaddr", "127.0.0.1:99999"], "99999 is no port"),
        (["nameserver", "127.0.0.1:x"], "a port is a number"),
        (["nameserver", "0.0.0.0:0"], "other machines could connect"),
    ],
)
def test_a_mistake_is_told_in_one_line(args, says):
    assert says in complaint(agentlab(*args), 2)


@pytest.mark.parametrize("args", [["ls"], ["ping", "A"], ["call", "A", "ping"]])
def test_no_name_server(args):
    with socket.socket() as nobody:  # bound, but it does not listen: nobody else can have the port meanwhile
        nobody.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{nobody.getsockname()[1]}"
        line = complaint(agentlab(*args, "--nsaddr", place), 2)
        assert line == complaint(agentlab(*args, env=os.environ | {NAMESERVER_VARIABLE: place}), 2)
    assert f"no name server answers at {place}" in line
    assert "agentlab nameserver" in line


def test_a_broken_setting_is_told_in_one_line():
    assert "AGENTLAB_LEASE is 'soon'" in complaint(agentlab("info", env=os.environ | {"AGENTLAB_LEASE": "soon"}), 2)


def test_info_shows_versions_settings_and_places_but_no_key(socket_dir):
    key = lab_key()
    outcome = agentlab("info", "--json")
    known = json.loads(outcome.out)
    assert known["versions"]["agentlab"] == package.__version__
    assert known["versions"]["libzmq"][0].isdigit()
    assert known["versions"]["pyzmq"][0].isdigit()
    assert known["settings"].keys() == set(config)
    assert known["settings"]["LEASE"]["value"] == config["LEASE"]
    assert known["places"]["sockets"] == str(socket_dir)
    table = agentlab("info")
    assert table.code == 0
    for word in (*config, "AGENTLAB_DEFAULT_SERIALIZER", "libzmq", "Pyro5", str(socket_dir)):
        assert word in table.out
    assert max(map(len, table.out.split("Settings")[1].splitlines())) <= 80
    for secret in (key.hex(), str(key)):
        assert secret not in outcome.out + table.out


def test_a_terminal_without_unicode_gets_no_traceback():
    outcome = agentlab("--help", env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert outcome.code == 0


def test_a_reader_that_leaves_gets_no_traceback():
    program = subprocess.Popen([*COMMAND, "info"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    program.stdout.close()
    error = program.stderr.read()
    program.stderr.close()
    assert program.wait(30) in (0, 1)
    assert error == b""


def test_the_installed_program_is_the_same():
    code = "import sys; from agentlab.cli.main import app; sys.argv = ['agentlab', 'ls', '--bogus']; app()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"agentlab: no such option.*--bogus.*; see agentlab ls --help\n", done.stderr)
