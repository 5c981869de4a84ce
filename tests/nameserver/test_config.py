"""Name servers described in YAML: what is read, what is refused, and one that serves as it is described."""

import logging
import os
import pickle
import re
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from agentlab import ConfigurationError, NSProxy, SocketAddress, config, run_nameserver
from agentlab.nameserver import NameServerConfig, read_nameserver_configs, start_ns_loop
from agentlab.nameserver.client import NameServerClient
from agentlab.settings import NAMESERVER_VARIABLE
from agentlab.transport.network import outward_address
from agentlab.yamlfile.problems import ProblemsError

SEED = """\
nameservers:
    - default:
        host: localhost
        ns_port: 9090
        ns_bchost: localhost
        ns_bcport: 9091
        ns_autoclean: 0.0
        storage_type: memory
    - production:
        host: camacholab.ee.byu.edu
        ns_port: 9090
        ns_bchost: null
        ns_bcport: 9091
        ns_autoclean: 15.0
        storage_type: sql
    - development:
        host: localhost
        ns_port: 9090
"""
"""The example of the document that this module follows, letter by letter."""


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "ns_cfg.yml"
        path.write_text(textwrap.dedent(text), "utf-8")
        return path

    return write


@pytest.fixture
def data_dir(tmp_path, monkeypatch):
    """Keep the user's data directory out of it; Linux takes another from the environment."""
    monkeypatch.setattr("platformdirs.user_data_dir", lambda name: str(tmp_path / "data" / name))
    return tmp_path / "data" / "agentlab" / "nameservers"


def complaints(path, *, strict=False):
    with pytest.raises(ProblemsError) as caught:
        read_nameserver_configs(path, strict=strict)
    return [str(problem).removeprefix(f"{path.parent}{os.sep}") for problem in caught.value.problems]


def test_the_example_of_the_document(write, caplog):
    configs = read_nameserver_configs(write(SEED))
    assert list(configs) == ["default", "production", "development"]
    assert configs["default"] == NameServerConfig(ns_bchost="localhost")
    assert configs["production"] == NameServerConfig(host="camacholab.ee.byu.edu", ns_autoclean=15.0, storage_type="sql").named(
        "production"
    )
    assert configs["development"] == NameServerConfig().named("development")
    (warning,) = caplog.messages  # it has two of them on one port
    assert "ns_cfg.yml:18:9: nameservers[2].development.ns_port: found localhost:9090, which 'default' has too; give" in warning
    (problem,) = complaints(write(SEED), strict=True)
    assert problem.startswith("ns_cfg.yml:18:9: nameservers[2].development.ns_port: ")


@pytest.mark.parametrize(
    "text",
    [
        "nameservers:\n- default: {ns_port: 0}\n- other:\n",
        "nameservers:\n  default: {ns_port: 0}\n  other:\n",
        "nameservers:\n  - default:\n      ns_port: 0\n  - other\n",
        "version: 1\nx-anchors: &a {ns_port: 0}\nnameservers:\n  - default: *a\n  - other: {}\nagents: {Laser: {class: 'a:B'}}\n",
    ],
)
def test_a_list_a_map_and_a_whole_lab_file(write, text, caplog):
    configs = read_nameserver_configs(write(text), strict=True)
    assert configs == {"default": NameServerConfig(ns_port=0), "other": NameServerConfig().named("other")}
    assert caplog.messages == []


def test_a_lab_file_that_says_nothing_of_name_servers_has_the_default_one(write):
    assert read_nameserver_configs(write("agents: {}")) == {"default": NameServerConfig()}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("storage_type: mysql", "found 'mysql', allowed are memory, dbm, sql; did you mean 'sql'?"),
        ("storage_type: Memory", "found 'Memory', allowed are memory, dbm, sql; did you mean 'memory'?"),
        ("ns_port: 65536", "found 65536, allowed are whole numbers from 0 to 65535"),
        ("ns_port: -1", "found -1, allowed are whole numbers from 0 to 65535"),
        ("ns_port: '9090'", "found '9090', allowed are whole numbers from 0 to 65535; take the quotes away"),
        ("ns_port: null", "found nothing (null), allowed are whole numbers from 0 to 65535"),
        ("ns_bcport: 70000", "found 70000, allowed are whole numbers from 0 to 65535 or null"),
        ("ns_autoclean: -0.5", "found -0.5, allowed are numbers of at least 0"),
        ("ns_autoclean: .inf", "found inf (not finite), allowed are numbers of at least 0"),
        ("host: 5", "found 5, allowed are text that is not empty; put it in quotes"),
        ("host: ''", "found '', allowed are text that is not empty"),
        ("storage_file: [a]", "found a list, allowed are text that is not empty or null"),
        ("security: tls", "found 'tls', allowed are keys, none or null"),
    ],
)
def test_a_wrong_value(write, line, says):
    key = line.split(":")[0]
    path = write(f"nameservers:\n  - default:\n      {line}\n")
    assert complaints(path) == [f"ns_cfg.yml:3:7: nameservers[0].default.{key}: {says}"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nameserver: []", "1:1: found no section nameservers, only nameserver; did you mean 'nameservers'?"),
        ("[1]", "1:1: found no mapping, allowed is a mapping with the key nameservers"),
        ("nameservers:", "1:1: nameservers: found no name server; write at least one, as - default:"),
        ("nameservers: []", "1:1: nameservers: found no name server"),
        ("nameservers: 5", "1:1: nameservers: found a single value, allowed are a list or a mapping of name servers"),
        ("nameservers: [5]", "1:15: nameservers[0]: found no name, allowed is a name with its settings, as default:"),
        ("nameservers: {a: 5}", "1:15: nameservers.a: found 5, allowed are a mapping with the keys host, ns_port, "),
        ("nameservers:\n  - a:\n    host: x\n", "2:5: nameservers[0]: found 2 keys (a, host), allowed is one name; indent what"),
        ("nameservers:\n  - a:\n  - a:\n", "3:5: nameservers[1].a: found the name 'a' twice, first in line 2; give each its own"),
        ("nameservers:\n  a:\n  a:\n", "3:3: nameservers.a: found twice, first in line 2"),
        ("nameservers: {../../a: }", "nameservers.../../a: found the name '../../a', allowed are letters, digits, and - . _"),
        ("", "1:1: the file is empty"),
        ("nameservers: \x00", "1:14: is binary, not YAML text"),
        ("nameservers: !!python/object/apply:os.abort []", "1:14: nameservers: found the tag '!!python/object/apply:os.abort'"),
    ],
)
def test_a_wrong_file(write, text, says):
    (complaint,) = complaints(write(text))
    assert says in complaint


def test_everything_wrong_is_told_at_once(write):
    path = write("nameservers:\n  - a: {ns_port: 99999, storage_type: x}\n  - b: {ns_autoclean: -1, host: 5}\n")
    assert [line.split(": ")[1] for line in complaints(path)] == [
        "nameservers[0].a.ns_port",
        "nameservers[0].a.storage_type",
        "nameservers[1].b.ns_autoclean",
        "nameservers[1].b.host",
    ]


def test_unknown_keys_are_a_warning_or_an_error(write, caplog):
    path = write("nameserver: 1\nnameservers:\n  - a:\n      ns_prot: 5\n")
    with caplog.at_level(logging.WARNING):
        assert read_nameserver_configs(path) == {"a": NameServerConfig().named("a")}
    first, second = caplog.messages
    assert re.search(r"ns_cfg.yml:1:1: nameserver: found an unknown section.*did you mean 'nameservers'\?", first)
    assert re.search(r"ns_cfg.yml:4:7: nameservers\[0\].a.ns_prot: found an unknown key.*did you mean 'ns_port'\?", second)
    said = complaints(path, strict=True)
    assert [line.split(": ")[0] for line in said] == ["ns_cfg.yml:1:1", "ns_cfg.yml:4:7"]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("localhost", "127.0.0.1", True),
        ("localhost", "0.0.0.0", True),
        ("a.example", "A.Example", True),
        ("a.example", "b.example", False),
        ("127.0.0.1", "127.0.0.2", False),
    ],
)
def test_two_on_one_port(write, one, other, same):
    path = write(f"nameservers: [a: {{host: {one}}}, b: {{host: {other}}}, c: {{ns_port: 0}}, d: {{ns_port: 0}}]")
    if same:
        assert len(complaints(path, strict=True)) == 1
    else:
        assert len(read_nameserver_configs(path, strict=True)) == 4


def test_variables_of_the_environment(write, monkeypatch):
    monkeypatch.setenv("LAB_PORT", "1234")
    configs = read_nameserver_configs(
        write("nameservers:\n  - a:\n      ns_port: ${LAB_PORT}\n      host: ${LAB_HOST:localhost}\n")
    )
    assert (configs["a"].ns_port, configs["a"].host) == (1234, "localhost")


# --- what a server is given -----------------------------------------------------------------------------------------


def test_the_options_of_a_server(tmp_path, write, data_dir):
    assert NameServerConfig().server_options() == {
        "host": "localhost",
        "port": 9090,
        "security": None,
        "storage_type": "memory",
        "storage_file": None,
        "autoclean": 0.0,
        "broadcast": None,
    }
    assert not data_dir.exists()
    full = NameServerConfig(host="public", ns_bchost="localhost", ns_autoclean=2, storage_type="sql", security="none")
    options = full.named("lab").server_options()
    assert (options["host"], options["broadcast"]) == (outward_address(), ("localhost", 9091))
    assert (options["security"], options["autoclean"]) == ("none", 2.0)
    assert options["storage_file"] == str(data_dir / "lab.sqlite")
    assert data_dir.stat().st_mode & 0o077 == 0
    assert NameServerConfig(storage_type="dbm").server_options()["storage_file"] == str(data_dir / "default.dbm")
    assert NameServerConfig(ns_bchost="localhost", ns_bcport=None).server_options()["broadcast"] is None
    text = "nameservers: [a: {storage_type: sql, storage_file: names/a.db}, b: {storage_type: sql, storage_file: /b.db}]"
    configs = read_nameserver_configs(write(text), strict=False)
    assert configs["a"].server_options()["storage_file"] == str(tmp_path / "names" / "a.db")
    assert configs["b"].server_options()["storage_file"] == str(Path("/b.db").absolute())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="XDG")
def test_the_data_directory_is_the_users_choice(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "mine"))
    path = NameServerConfig(storage_type="sql").server_options()["storage_file"]
    assert path == str(tmp_path / "mine" / "agentlab" / "nameservers" / "default.sqlite")


def test_a_data_directory_that_cannot_be(data_dir):
    data_dir.parent.mkdir(parents=True)
    data_dir.write_text("a file")
    with pytest.raises(ConfigurationError, match=r"^name server 'default': storage_file: .*; name another storage_file$"):
        NameServerConfig(storage_type="sql").server_options()


def test_a_config_is_a_value(write):
    one = read_nameserver_configs(write("nameservers: [a: {ns_port: 5}]"))["a"]
    other = read_nameserver_configs(write("# moved by a comment\nnameservers:\n  a: {ns_port: 5}\n"))["a"]
    assert one == other == pickle.loads(pickle.dumps(one))
    assert hash(one) == hash(other)
    assert one != one.named("b")
    assert one != NameServerConfig(ns_port=6).named("a")
    assert {field.description for field in NameServerConfig.model_fields.values()}.isdisjoint({None, ""})


def test_a_host_that_is_not_here(write):
    configs = read_nameserver_configs(
        write("nameservers:\n- a: {host: 192.0.2.55}\n- b: {host: nowhere.invalid}\n- c: {host: public}\n- d:\n")
    )
    with pytest.raises(
        ProblemsError, match=r"ns_cfg.yml:2:7: nameservers\[0\].a.host: '192.0.2.55' is not this machine; write loc"
    ):
        configs["a"].check_host()
    with pytest.raises(ProblemsError, match=r"ns_cfg.yml:3:7: nameservers\[1\].b.host: host 'nowhere.invalid' cannot be found"):
        configs["b"].check_host()
    configs["c"].check_host()
    configs["d"].check_host()
    with pytest.raises(ConfigurationError, match=r"^name server 'default': host: '192.0.2.55' is not this machine"):
        run_nameserver(NameServerConfig(host="192.0.2.55"))


# --- serving --------------------------------------------------------------------------------------------------------


def test_in_a_process_of_its_own(tmp_path):
    path = tmp_path / "names.sqlite"
    described = NameServerConfig(ns_port=0, storage_type="sql", storage_file=str(path), ns_autoclean=30.0).named("lab")
    with run_nameserver(described) as ns:
        assert os.environ[NAMESERVER_VARIABLE] == str(ns.addr())
        ns.register("stage", "PYRO:stage@127.0.0.1:1")
        ns.shutdown()
    again = run_nameserver(described)
    try:
        assert again.list()["stage"] == "PYRO:stage@127.0.0.1:1"
    finally:
        again.remove("stage")
        again.shutdown()


def test_another_security_than_the_programs_is_refused_before_anything_starts():
    with pytest.raises(ConfigurationError, match="name server 'lab' has security 'none' and this program 'keys'"):
        run_nameserver(NameServerConfig(ns_port=0, security="none").named("lab"))
    assert NAMESERVER_VARIABLE not in os.environ


def test_security_of_the_child_alone():
    config["SECURITY"] = "none"
    ns = run_nameserver(NameServerConfig(ns_port=0, security="none"))
    assert ns.ping() == "pong"
    ns.shutdown()


def test_in_a_thread_until_a_client_shuts_it_down():
    addresses = []
    ready = threading.Event()

    def serve():
        start_ns_loop(NameServerConfig(ns_port=0), on_ready=lambda address: (addresses.append(address), ready.set()))

    thread = threading.Thread(target=serve)
    thread.start()
    assert ready.wait(10)
    with NameServerClient(addresses[0]) as names:
        assert names.ping() == "pong"
        names.shutdown()
    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    ("settings", "kind", "says"),
    [
        ("ns_port: PORT", socket.SOCK_STREAM, "3:7: nameservers[0].lab.ns_port: cannot listen at localhost:PORT: "),
        ("ns_port: PORT", socket.SOCK_DGRAM, "3:7: nameservers[0].lab.ns_port: cannot listen at localhost:PORT (udp): "),
        (
            "ns_port: 0\n      security: none\n      ns_bchost: localhost\n      ns_bcport: PORT",
            socket.SOCK_DGRAM,
            "6:7: nameservers[0].lab.ns_bcport: cannot hear broadcasts at localhost:PORT",
        ),
        ("ns_port: 0\n      host: public", None, "4:7: nameservers[0].lab.host: refused to listen on "),
        ("ns_port: 0\n      storage_type: sql\n      storage_file: .", None, "5:7: nameservers[0].lab.storage_file: cannot keep"),
    ],
)
def test_what_hinders_it_is_told_with_its_line(write, settings, kind, says):
    if "public" in settings and outward_address().startswith("127."):
        pytest.skip("no network")
    with socket.socket(socket.AF_INET, kind or socket.SOCK_STREAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
        if kind == socket.SOCK_STREAM:
            taken.listen()
        path = write(f"nameservers:\n  - lab:\n      {settings.replace('PORT', port)}\n")
        with pytest.raises(ProblemsError) as caught:
            start_ns_loop(read_nameserver_configs(path)["lab"])
    assert f"ns_cfg.yml:{says.replace('PORT', port)}" in str(caught.value)
    assert config["SECURITY"] == "keys"  # as before


SCRIPT = """
from agentlab.nameserver import read_nameserver_configs, start_ns_loop

configs = read_nameserver_configs("./ns_cfg.yml")
start_ns_loop(configs["default"], on_ready=lambda address: print(address, flush=True))
print("ended")
"""


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_the_script_of_the_document(write):
    folder = write(SEED.replace("9090", "0").replace("ns_bchost: localhost", "ns_bchost: null")).parent
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        with NSProxy(SocketAddress.parse(process.stdout.readline().strip())) as ns:
            assert ns.agents() == []
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=10) == ("ended\n", "")
        assert process.returncode == 0
    finally:
        process.kill()
        process.communicate()


def test_agents_do_without_yaml_and_pydantic():
    code = "import sys, agentlab, agentlab.nameserver, agentlab.runtime.agentmain, agentlab.runtime.nsmain; "
    code += "print([m for m in ('yaml', 'pydantic') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True, timeout=30) == "[]\n"
