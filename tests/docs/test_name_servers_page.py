"""The page about name servers from a file can be followed line by line."""

from __future__ import annotations

import socket

import yaml

from agentlab.nameserver import NameServerConfig, read_nameserver_configs
from tests.docs.following import DOCS, Command, Follower, matches, steps

PAGE = "name_servers.rst"
FILE = DOCS / "files" / "name_servers" / "ns_cfg.yml"


def free_port() -> int:
    """Give a port that is free for both TCP and UDP at this moment."""
    while True:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            port = tcp.getsockname()[1]
            try:
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def test_every_line_of_the_page_does_what_it_says(tmp_path):
    ports = {"9090": str(free_port()), "9091": str(free_port())}

    def other_ports(text: str) -> str:
        for port, other in ports.items():
            text = text.replace(port, other)
        return text

    data = tmp_path / "data"
    follower = Follower(tmp_path, {"XDG_DATA_HOME": str(data)}, other_ports)
    assert follower.follow(PAGE) >= 5
    kept = data / "agentlab" / "nameservers" / "production.sqlite"
    assert kept.exists(), "the page says that the default file is one of the name server's name in the data directory"


def test_the_table_has_every_key_with_its_default():
    text = (DOCS / PAGE).read_text("utf-8")
    for key, field in NameServerConfig.model_fields.items():
        default = "null" if field.default is None else str(field.default)
        assert any(line.startswith(f"``{key}``") and f"``{default}``" in line for line in text.splitlines()), key


def test_a_plain_mapping_means_the_same_as_the_list(tmp_path):
    listed = read_nameserver_configs(FILE)
    whole = yaml.safe_load(FILE.read_text("utf-8"))
    entries = {name: keys for entry in whole["nameservers"] for name, keys in entry.items()}
    plain = tmp_path / "plain.yml"
    plain.write_text(yaml.safe_dump({"nameservers": entries}, sort_keys=False), "utf-8")
    assert read_nameserver_configs(plain) == listed


def test_the_follower_sees_a_difference():
    assert matches(["a 1 …", "b"], "a 1 and more \n\nb\n")
    assert matches(["…b"], "x\ny\nb")
    assert not matches(["a"], "a\nb")
    assert matches(["a", "…"], "a")
    assert not matches(["pid 12  0.5"], "pid 7 1.25")
    assert matches(["pid 12  0.5, 2026-01-31 09:31:05"], "pid 7 1.25, 2026-11-22 10:01:02", loosely=True)
    assert not matches(["pid 12"], "pid x", loosely=True)
    assert not matches([], "something")


def test_the_follower_finds_the_commands():
    commands = [step for step in steps(PAGE) if isinstance(step, Command)]
    assert [command.exitcode for command in commands if "prodution" in command.text] == [2]
    assert all("  #" not in command.text for command in commands)
