"""What one entry may say."""

import pytest

from agentlab.lab import fields
from agentlab.lab import model as models
from agentlab.lab.fields import name_problem
from agentlab.lab.model import SECTIONS, AgentModel, FileModel
from agentlab.settings import SERIALIZERS, TRANSPORTS
from agentlab.wire.kinds import AgentAddressSerializer, AgentAddressTransport
from tests.lab.written import lab, one_problem, problems


@pytest.mark.parametrize("name", ["Laser", "laser-2", "_x", "3d", "bench.laser", "Lüfter", "x" * 100])
def test_names(name):
    assert name_problem(name) is None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "cannot be a name"),
        ("a b", "cannot be a name"),
        ("a/b", "cannot be a name"),
        (".a", "cannot be a name"),
        ("-a", "cannot be a name"),
        ("a\n", "cannot be a name"),
        ("a:b", "cannot be a name"),
        ("x" * 101, "101 characters"),
        ("Pyro.NameServer", "name server's own"),
        (3, "write it in quotes: '3'"),
        (True, "truth value"),
        (None, "null"),
        (1.5, "number"),
    ],
)
def test_what_cannot_be_a_name(name, said):
    assert said in name_problem(name)


def test_a_service_cannot_be_called_as_the_daemons_own_object(tmp_path):
    said = one_problem(tmp_path, "services: {daemon: {module: m, classname: C}}")
    assert said.startswith("1:12: services.daemon: found 'daemon'")
    assert lab(tmp_path, "agents: {daemon: {class: m.C}}").agents


def test_an_agent_has_the_defaults_of_the_contract(tmp_path):
    agent = lab(tmp_path, "agents: {A: {class: package.module.Class}}").agents["A"]
    assert agent.class_ == "package.module:Class"
    assert agent.model_dump(exclude={"class_"}) == {
        "attributes": {},
        "sockets": {},
        "serializer": None,
        "transport": None,
        "on_error": None,
        "restart": "transient",
        "host": "localhost",
        "addr": None,
        "tags": [],
        "nameserver": "default",
        "after": [],
        "start_timeout": 30.0,
        "stop_timeout": 5.0,
        "hang_timeout": 5.0,
        "description": "",
    }


def test_everything_of_everything_can_be_said(tmp_path):
    found = lab(
        tmp_path,
        """
        version: 1
        name: bench
        description: the whole of it
        settings: {LEASE: 2.0, SERIALIZER: json}
        nameservers:
          - default: {ns_port: 9190}
          - second: {ns_port: 0, storage_type: sql, storage_file: x.sqlite}
        daemons:
          d: {host: 0.0.0.0, port: 9200, nathost: lab.example.org, natport: 80, servertype: multiplex, nameservers: [default],
              restart: transient, start_timeout: 3, stop_timeout: 1}
          default: {unixsocket: d.sock}
        services:
          s: {module: m.n, classname: C, parameters: {port: COM3}, instancemode: session, daemon: d, description: a thing,
              nameservers: [default, second], tags: [x]}
        agents:
          A:
            class: m:Outer.C
            attributes: {gain: 2}
            sockets: {out: PUSH, inbox: {kind: PULL, handler: on_x, transport: tcp, serializer: raw, addr: "127.0.0.1:9300"}}
            serializer: json
            transport: tcp
            on_error: stop
            restart: permanent
            host: 127.0.0.1
            addr: 127.0.0.1:9400
            tags: [a]
            nameserver: second
            after: [s]
            start_timeout: 10
            stop_timeout: 0.5
            hang_timeout: null
        groups:
          g: {strategy: rest_for_one, members: [A, d], intensity: 0, period: 3, backoff: {first: 0, factor: 1, most: 5}}
        autolaunch: {nameservers: [default], daemons: null, services: [], agents: [A]}
        """,
    )
    assert found.name == "bench" and found.description == "the whole of it"
    assert found.settings == {"LEASE": 2.0, "SERIALIZER": "json"}
    assert list(found.nameservers) == ["default", "second"] and found.nameservers["second"].name == "second"
    assert found.daemons["d"].natport == 80 and found.daemons["default"].unixsocket == "d.sock"
    assert found.services["s"].target == "m.n:C" and found.services["s"].nameservers == ["default", "second"]
    agent = found.agents["A"]
    assert agent.class_ == "m:Outer.C" and agent.hang_timeout is None and agent.nameserver == "second"
    assert agent.sockets["out"].kind == "PUSH" and agent.sockets["inbox"].handler == "on_x"
    assert found.groups["g"].backoff.most == 5 and found.groups["g"].intensity == 0
    launched = {"nameservers": ["default"], "daemons": None, "services": [], "agents": ["A"], "instruments": None}
    assert found.autolaunch == launched


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("{}", "class: is missing"),
        ("{class: Laser}", "class: 'Laser' names no class; write package.module:Class"),
        ("{class: 'a b:C'}", "class: 'a b:C' names no class"),
        ("{class: 'a:'}", "names no class"),
        ("{class: 3}", "class: found 3"),
        (
            "{class: m.C, restart: permanant}",
            "found 'permanant', allowed are permanent, transient, temporary; did you mean 'permanent'?",
        ),
        ("{class: m.C, on_error: retry}", "allowed are continue, stop, restart or null"),
        ("{class: m.C, serializer: jsn}", "did you mean 'json'?"),
        ("{class: m.C, transport: udp}", "allowed are tcp, ipc, inproc"),
        ("{class: m.C, start_timeout: 0}", "start_timeout: found 0"),
        ("{class: m.C, stop_timeout: -1}", "stop_timeout: found -1"),
        ("{class: m.C, hang_timeout: '5'}", "hang_timeout: found '5'"),
        ("{class: m.C, hang_timeout: .inf}", "hang_timeout: found inf"),
        ("{class: m.C, hang_timeout: true}", "hang_timeout: found true"),
        ("{class: m.C, addr: 'localhost:99999'}", "addr: 99999 is no port"),
        ("{class: m.C, addr: 'a b'}", "addr: 'a b' is no host"),
        ("{class: m.C, host: ''}", "host: found ''"),
        ("{class: m.C, tags: word}", "tags: found 'word', allowed are a list"),
        ("{class: m.C, attributes: [1]}", "attributes: found a list, allowed are a mapping"),
        ("{class: m.C, attributes: {a b: 1}}", "attributes.a b: found 'a b', which cannot be the name of an attribute"),
        ("{class: m.C, sockets: {x: PUBS}}", "sockets.x"),
        ("{class: m.C, sockets: {x: PUBS}}", "did you mean 'PUB'?"),
        ("{class: m.C, sockets: {x: {handler: f}}}", "sockets.x.kind: is missing"),
        ("{class: m.C, sockets: {x: {kind: PULL, handler: 'f()'}}}", "'f()' is no name of a method"),
        ("{class: m.C, sockets: {a.b: PUB}}", "sockets.a.b: found 'a.b', which cannot be an alias"),
        ("{class: m.C, sockets: {'': PUB}}", "found '', which cannot be an alias"),
        ("{class: m.C, clas: m.C}", "clas: found an unknown key"),
        ("{class: m.C, clas: m.C}", "did you mean 'class'?"),
        ("[m.C]", "agents.A: found a list"),
        ("m.C", "agents.A: found 'm.C'"),
    ],
)
def test_what_an_agent_cannot_be(tmp_path, entry, said):
    assert said in one_problem(tmp_path, f"agents: {{A: {entry}}}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("daemons: {d: {port: 65536}}", "1:15: daemons.d.port: found 65536, allowed are whole numbers from 0 to 65535"),
        ("daemons: {d: {port: '80'}}", "take the quotes away"),
        ("daemons: {d: {port: '${P:80}'}}", "allowed are whole numbers from 0 to 65535; write it in block style, without quotes"),
        ("daemons:\n  d:\n    port: '${P:80}'", "take the quotes away"),
        ("daemons: {d: {port: ${P:80}}}", "needs quotes, and then is text: write it in block style, without quotes"),
        ("daemons: {d: {port: 80.5}}", "daemons.d.port: found 80.5"),
        ("daemons: {d: {servertype: threads}}", "did you mean 'thread'?"),
        ("services: {s: {classname: C}}", "services.s.module: is missing"),
        ("services: {s: {module: m, classname: C, instancemode: singel}}", "did you mean 'single'?"),
        ("services: {s: {module: 'm:C', classname: C}}", "'m:C' is no module"),
        ("services: {s: {module: m, classname: 'm:C'}}", "is no name of a class"),
        ("services: {s: {module: m, classname: C, parameters: 3}}", "parameters: found 3"),
        ("groups: {g: {members: []}}", "groups.g.members: found an empty list"),
        ("groups: {g: {}}", "groups.g.members: is missing"),
        ("agents: {A: {class: m.C}}\ngroups: {g: {members: [A], strategy: one_for_al}}", "did you mean 'one_for_all'?"),
        ("agents: {A: {class: m.C}}\ngroups: {g: {members: [A], intensity: -1}}", "intensity: found -1"),
        ("agents: {A: {class: m.C}}\ngroups: {g: {members: [A], period: 0}}", "period: found 0"),
        ("agents: {A: {class: m.C}}\ngroups: {g: {members: [A], backoff: {factor: 0.5}}}", "backoff.factor: found 0.5"),
        ("nameservers: {n: {ns_port: 70000}}", "nameservers.n.ns_port: found 70000"),
        ("nameservers: {n: {storage_type: sqll}}", "did you mean 'sql'?"),
        ("version: 2", "1:1: version: found 2, allowed are 1"),
        ("version: '1'", "version: found '1'"),
        ("agent: {}", "1:1: agent: found an unknown key, allowed are version,"),
        ("agent: {}", "did you mean 'agents'?"),
        ("settings: {LEESE: 3}", "1:12: settings.LEESE: no setting is called 'LEESE'; did you mean 'LEASE'?"),
        ("settings: {LEASE: -1}", "settings.LEASE: found -1: must be at least 0.1"),
        ("autolaunch: {agent: []}", "did you mean 'agents'?"),
        ("wires: {a: b}", "wires: found a mapping, allowed is a list"),
        ("wires: [null]", "wires[0]: found nothing (null), allowed is Agent.socket -> Agent.method"),
        ("agents: [A]", "agents: found a list, allowed is a mapping of names"),
        ("include: other.yml", "include: found 'other.yml', allowed are a list"),
    ],
)
def test_what_the_others_cannot_be(tmp_path, text, said):
    assert said in one_problem(tmp_path, text)


def test_all_that_is_wrong_in_one_entry_is_told_at_once(tmp_path):
    found = problems(
        tmp_path,
        """
        agents:
          A: {class: C, restart: allways, hang_timeout: 0, nameserver: nobody, after: [B], tag: x, on_error: restart}
        """,
    )
    assert [line.split(": ")[1].removeprefix("agents.A.") for line in found] == [
        "class",
        "restart",
        "hang_timeout",
        "nameserver",
        "after[0]",
        "tag",
    ]


def test_the_words_of_a_lab_file_are_those_of_the_program():
    assert set(AgentAddressSerializer) == set(SERIALIZERS) == set(fields.Serializer.__args__)
    assert set(AgentAddressTransport) == set(TRANSPORTS) == set(fields.Transport.__args__)


def test_every_key_is_described():
    todo, seen = (
        [FileModel, *SECTIONS.values(), models.SocketModel, models.WireModel, models.AutolaunchModel, models.BackoffModel],
        [],
    )
    for model in todo:
        seen += [(model.__name__, name) for name, info in model.model_fields.items() if not info.description]
        assert model.__doc__
    assert seen == []


def test_models_do_not_change():
    agent = AgentModel(class_="m:C")
    with pytest.raises(ValueError, match="frozen"):
        agent.restart = "permanent"
