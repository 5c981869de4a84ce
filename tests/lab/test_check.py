"""What must hold between the entries of a lab file; no class is imported."""

import pytest

from agentlab import Agent
from agentlab.lab.facts import class_facts
from agentlab.lab.notes import notes
from agentlab.lab.sources import load
from agentlab.yamlfile.problems import Problems
from tests.lab.written import lab, one_problem, problems, write

A = "{class: m.C}"
S = "{module: m, classname: C}"


# --- references ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "agents: {A: {class: m.C, nameserver: defualt}}",
            "1:26: agents.A.nameserver: found 'defualt', but there is no such name server; did you mean 'default'?",
        ),
        (
            f"agents: {{A: {{class: m.C, after: [B]}}, Bb: {A}}}",
            "agents.A.after[0]: found 'B', but there is no such agent, instrument, service or daemon; did you mean 'Bb'?",
        ),
        (
            "agents: {A: {class: m.C, after: [group/g]}}",
            "found 'group/g', allowed are names and agent/NAME, instrument/NAME, service/NAME, daemon/NAME",
        ),
        (
            f"agents: {{A: {{class: m.C, after: [service/B]}}, B: {A}}}",
            "found 'B', but there is no such agent, instrument, service or daemon",
        ),
        ("services: {s: {module: m, classname: C, daemon: d}}", "services.s.daemon: found 'd', but there is no such daemon"),
        (
            f"services: {{s: {{module: m, classname: C, daemon: A}}}}\nagents: {{A: {A}}}",
            "found 'A', but there is no such daemon: 'A' is an agent",
        ),
        ("services: {s: {module: m, classname: C, nameservers: [default, x]}}", "services.s.nameservers[1]: found 'x'"),
        ("daemons: {d: {nameservers: [x]}}", "daemons.d.nameservers[0]: found 'x'"),
        (f"agents: {{A: {A}}}\ngroups: {{g: {{members: [A, B]}}}}", "groups.g.members[1]: found 'B'"),
        ("groups: {g: {members: [default, nameserver/default]}}", "found 'nameserver/default', allowed are names and"),
        (
            f"agents: {{A: {A}}}\nautolaunch: {{agents: [A, B]}}",
            "2:26: autolaunch.agents[1]: found 'B', but there is no such agent",
        ),
        (f"services: {{A: {S}}}\nautolaunch: {{agents: [A]}}", "no such agent: 'A' is a service"),
        ("autolaunch: {nameservers: [x]}", "autolaunch.nameservers[0]: found 'x'"),
    ],
)
def test_what_is_named_must_be_there(tmp_path, text, said):
    assert said in one_problem(tmp_path, text)


def test_what_is_there_by_itself_can_be_named(tmp_path):
    text = f"""
    agents: {{A: {{class: m.C, after: [s, daemon/default]}}}}
    services: {{s: {S}}}
    autolaunch: {{nameservers: [default], daemons: [default], agents: [agent/A]}}
    """
    assert problems(tmp_path, text) == []


def test_an_ambiguous_name_is_written_in_full(tmp_path):
    text = "nameservers: {a: {ns_port: 0}, b: {ns_port: 0}}\n"
    text += "agents: {x: {class: m.C, nameserver: a}, y: {class: m.C, nameserver: a, after: [WHO]}}\n"
    text += "services: {x: {module: m, classname: C, nameservers: [b]}}"
    assert "found 'x', which may be agent/x or service/x; write which one is meant" in one_problem(
        tmp_path, text.replace("WHO", "x")
    )
    assert problems(tmp_path, text.replace("WHO", "service/x")) == []


# --- names --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        f"agents: {{X: {A}}}\nservices: {{X: {S}}}",
        f"agents: {{X: {A}}}\ndaemons: {{X: {{nameservers: [default]}}}}",
        f"services: {{X: {S}}}\ndaemons: {{X: {{nameservers: [default]}}}}",
    ],
)
def test_a_name_server_gives_each_name_once(tmp_path, text):
    said = one_problem(tmp_path, text)
    assert (
        said.startswith("2:")
        and "lab.yml:1:" in said
        and "has the name 'X' too, and name server 'default' gives it to one" in said
    )


def test_one_name_at_two_name_servers_is_fine_and_so_is_a_daemon_that_registers_nowhere(tmp_path):
    text = "nameservers: {a: {ns_port: 0}, b: {ns_port: 0}}\n"
    text += (
        "agents: {X: {class: m.C, nameserver: a}}\nservices: {X: {module: m, classname: C, nameservers: [b]}}\ndaemons: {X: {}}"
    )
    assert problems(tmp_path, text) == []


# --- order and groups ---------------------------------------------------------------------------------------------


def agents(**after):
    return "agents:\n" + "".join(f"  {name}: {{class: m.C, after: [{', '.join(others)}]}}\n" for name, others in after.items())


@pytest.mark.parametrize(
    ("after", "shown"),
    [
        ({"A": ["A"]}, ["2:19: agents.A.after: waits for itself: A -> A; take one of them out of `after`"]),
        ({"A": ["B"], "B": ["A"]}, ["these agents wait for each other: A -> B -> A"]),
        ({"A": ["B"], "B": ["agent/C"], "C": ["D", "B"], "D": []}, ["B -> C -> B"]),
        ({"A": ["B"], "B": ["A"], "C": ["D"], "D": ["C"]}, ["A -> B -> A", "C -> D -> C"]),
        ({"A": ["B", "C"], "B": ["D"], "C": ["D"], "D": []}, []),
        ({"A": ["B", "B"], "B": []}, []),
    ],
)
def test_circles(tmp_path, after, shown):
    found = problems(tmp_path, agents(**after))
    assert len(found) == len(shown) and all(text in line for text, line in zip(shown, found, strict=True))


def test_a_chain_of_a_thousand_is_no_circle_and_takes_no_time(tmp_path):
    after = {f"a{n}": [f"a{n - 1}"] for n in range(1, 1000)} | {"a0": []}
    assert problems(tmp_path, agents(**after)) == []
    assert len(problems(tmp_path, agents(**(after | {"a0": ["a999"]})))) == 1


def test_a_unit_has_one_group(tmp_path):
    text = f"agents: {{A: {A}, B: {A}}}\ngroups:\n  g: {{members: [A, B]}}\n  h: {{members: [agent/B]}}\n  i: {{members: [A, A]}}"
    assert [line.replace(str(tmp_path), "") for line in problems(tmp_path, text)] == [
        "4:17: groups.h.members[0]: agent/B is in group 'g' already, at lab.yml:3:3; a unit has one group",
        "5:17: groups.i.members[0]: agent/A is in group 'g' already, at lab.yml:3:3; a unit has one group",
        "5:20: groups.i.members[1]: agent/A is in group 'g' already, at lab.yml:3:3; a unit has one group",
    ]
    text = f"agents: {{A: {A}}}\ngroups:\n  i: {{members: [A, agent/A]}}"
    assert "agent/A is in this group already" in one_problem(tmp_path, text)


def test_restart_on_error_needs_a_policy_that_restarts(tmp_path):
    said = one_problem(tmp_path, "agents: {A: {class: m.C, restart: temporary, on_error: restart}}")
    assert said.startswith("1:46: agents.A.on_error: found 'restart' together with restart: temporary")
    assert problems(tmp_path, "agents: {A: {class: m.C, restart: permanent, on_error: restart}}") == []


APART = """
nameservers: {one: {ns_port: 0}, two: {ns_port: 0}}
agents: {A: {class: m.A, nameserver: one, sockets: {x: PUB}}, B: {class: m.B, nameserver: SECOND}}
instruments: {dmm: {driver: m.D, nameserver: one}, psu: {driver: m.D, nameserver: SECOND}}
"""


def test_a_rule_never_finds_what_is_known_elsewhere(tmp_path):
    text = f"{APART}interlocks: ['dmm.v > 1 -> psu.safe()']"
    said = one_problem(tmp_path, text.replace("SECOND", "two"))
    assert ": interlocks[0]: dmm is known by name server 'one' and psu by 'two', so they never find each other" in said
    assert problems(tmp_path, text.replace("SECOND", "one")) == []
    told = {one.split(": ")[1] for one in problems(tmp_path, text.replace("SECOND", "tow"))}
    assert told == {"agents.B.nameserver", "instruments.psu.nameserver"}


def test_a_wire_never_finds_what_is_known_elsewhere(tmp_path):
    text = f"{APART}wires: [A.x -> B.go]"
    apart = [note for note in lab(tmp_path, text.replace("SECOND", "two")).notes if note.key == "wires[0]"]
    assert len(apart) == 1 and "A is known by name server 'one' and B by 'two', so they never find" in apart[0].text
    assert not any(note.key == "wires[0]" for note in lab(tmp_path, text.replace("SECOND", "one")).notes)


# --- who listens where --------------------------------------------------------------------------------------------


def two(first, second):
    return f"nameservers: {{default: {{ns_port: 0}}, {first}}}\ndaemons: {{d: {second}}}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "daemons: {a: {port: 9000}, b: {port: 9000}}",
            "1:32: daemons.b.port: daemon 'a' listens on localhost:9000 too, at lab.yml:1:15",
        ),
        ("daemons: {a: {port: 9000}, b: {port: 9000, host: 127.0.0.1}}", "daemons.b.port"),
        ("daemons: {a: {port: 9000, host: 0.0.0.0}, b: {port: 9000}}", "daemons.b.port"),
        ("daemons: {a: {port: 9000, host: x.org}, b: {port: 9000, host: X.org}}", "daemons.b.port"),
        (
            "daemons: {a: {port: 9090}}\nnameservers: {default: {}}",
            "daemons.a.port: name server 'default' listens on localhost:9090 too",
        ),
        ("nameservers: {a: {}, b: {}}", "nameservers.b.ns_port: found localhost:9090, which 'a' has too"),
        (
            "nameservers: {a: {ns_bchost: localhost}, b: {ns_port: 1, ns_bchost: localhost}}",
            "nameservers.b.ns_bcport: name server 'a' listens on localhost:9091 too",
        ),
        (
            "nameservers: {a: {ns_bchost: localhost, ns_bcport: 9}, b: {ns_port: 9}}",
            "nameservers.b.ns_port: name server 'a' listens on localhost:9 too",
        ),
        ("daemons: {a: {unixsocket: /run/x}, b: {unixsocket: /run/x}}", "daemon 'a' listens on /run/x too"),
        (
            "agents: {A: {class: m.C, addr: 'localhost:80'}, B: {class: m.C, addr: '127.0.0.1:80'}}",
            "agents.B.addr: agent 'A' listens on localhost:80 too",
        ),
        (
            "agents: {A: {class: m.C, transport: tcp, sockets: {x: {kind: PUB, addr: '127.0.0.1:8'}}}}\ndaemons: {d: {port: 8}}",
            "agents.A.sockets.x.addr: daemon 'd' listens on localhost:8 too",
        ),
        (
            "nameservers: {a: {storage_type: sql, storage_file: x}, b: {ns_port: 1, storage_type: dbm, storage_file: ./x}}",
            "nameservers.b.storage_file: name server 'a' keeps its names in",
        ),
    ],
)
def test_two_servers_on_one_place(tmp_path, text, said):
    assert said in one_problem(tmp_path, text)


@pytest.mark.parametrize(
    "text",
    [
        "daemons: {a: {port: 0}, b: {port: 0}}",
        "daemons: {a: {port: 9000}, b: {port: 9001}}",
        "daemons: {a: {port: 9000}, b: {port: 9000, host: other.example.org}}",
        "daemons: {a: {port: 9000, unixsocket: x}, b: {port: 9000}}",
        "nameservers: {a: {}, b: {ns_port: 9092, ns_bchost: localhost}}",
        "nameservers: {a: {storage_file: x}, b: {ns_port: 1, storage_file: x}}",
        "agents: {A: {class: m.C, transport: ipc, sockets: {x: {kind: PUB, addr: name}, y: {kind: PUB, addr: name}}}}",
        "agents: {A: {class: m.C, addr: localhost}, B: {class: m.C, addr: localhost}}",
        "nameservers: {a: {ns_port: 9091}, b: {ns_port: 1, ns_bchost: null}}",
    ],
)
def test_places_that_differ(tmp_path, text):
    assert problems(tmp_path, text) == []


def test_the_name_server_that_is_there_by_itself_listens_too(tmp_path):
    said = one_problem(tmp_path, "daemons: {d: {port: 9090}}")
    assert said.startswith("1:15: daemons.d.port: name server 'default' listens on localhost:9090 too, as it is there by itself")


def test_two_servers_in_two_files(tmp_path):
    (tmp_path / "b.yml").write_text("nameservers: {b: {}}\ndaemons: {d: {port: 5000}}")
    found = problems(tmp_path, "include: [b.yml]\nnameservers: {a: {}}\ndaemons: {c: {port: 5000}}")
    assert [line.split(";")[0] for line in found] == [
        "b.yml:1:15: nameservers.b.ns_port: name server 'a' listens on localhost:9090 too, at lab.yml:2:15",
        "b.yml:2:15: daemons.d.port: daemon 'c' listens on localhost:5000 too, at lab.yml:3:15",
    ]


# --- wires --------------------------------------------------------------------------------------------------------

ENDS = "agents: {A: {class: m.C, sockets: {out: PUB, jobs: PULL}}, B: {class: m.C, sockets: {answer: REP, inbox: PULL}}}\n"


@pytest.mark.parametrize(
    ("wire", "said"),
    [
        ("Q.out -> B.f", "wires[0]: found 'Q' in 'Q.out -> B.f', but there is no such agent; known names: 'A', 'B'"),
        ("A.out -> b.f", "found 'b' in 'A.out -> b.f'"),
        ("A.jobs -> B.f", "A.jobs is a PULL socket, which receives, so no wire begins there"),
        ("A.out -> B.answer", "A.out is a PUB socket and B.answer a REP socket, and these kinds do not match"),
        ("A.out -> B.f -> B.g", "which has 2 arrows"),
        ("{from: A.out}", "wires[0].to: is missing"),
        ("{from: A.out, to: B.f, kind: PUBB}", "did you mean 'PUB'?"),
        ("{from: A.out, to: B.f, topics: a}", "topics: found 'a', allowed are a list"),
        ("{from: A.x, to: B.inbox, topic: a}", "a wire of kind PULL has no topics"),
        ("{from: A.x, to: B.g, kind: PUSH, topic: a}", "a wire of kind PUSH has no topics"),
        ("{from: A.out, to: B.f, alias: answer}", "B binds a socket 'answer' itself"),
        ("A.jobs -> B.inbox", "do not match"),
        ("3", "found 3, allowed is Agent.socket -> Agent.method"),
    ],
)
def test_wires_that_cannot_be(tmp_path, wire, said):
    assert said in one_problem(tmp_path, f"{ENDS}wires:\n  - {wire}")


def test_a_service_has_no_wires(tmp_path):
    said = one_problem(tmp_path, f"services: {{s: {S}}}\nagents: {{A: {A}}}\nwires: [s.x -> A.f]")
    assert "there is no such agent: it is a service, and services have no sockets" in said


def test_wires_that_can_be(tmp_path):
    text = ENDS + (
        "wires:\n  - A.out -> B.f\n  - {from: A.x, to: B.answer}\n  - {from: A.y, to: B.g, kind: PUSH}\n"
        "  - {from: B.z, to: A.jobs}\n  - {from: A.out, to: A.mine, topic: own}"
    )
    made = lab(tmp_path, text).wires
    assert [(wire.kind, wire.server, wire.client) for wire in made] == [
        ("PUB", "source", "B"),
        ("REP", "target", "A"),
        ("PUSH", "source", "B"),
        ("PULL", "target", "B"),
        ("PUB", "source", "A"),
    ]


def test_two_handlers_for_one_message(tmp_path):
    said = problems(tmp_path, f"{ENDS}wires: [A.out -> B.f, A.out -> B.g]")
    cure = "one handler gets each message: leave this wire out, or let the handler call both"
    assert said == [f"2:23: wires[1]: A.out reaches B already, at f; {cure}"]


# --- notes --------------------------------------------------------------------------------------------------------


def test_what_is_allowed_but_perhaps_not_meant_is_noted(tmp_path):
    found = lab(
        tmp_path,
        """
        nameservers: {default: {}, spare: {ns_port: 1}}
        daemons: {d: {}, e: {nameservers: [default]}}
        services: {s: {module: m, classname: C, daemon: d}}
        agents: {A: {class: m.C, sockets: {x: PULL, y: PUB}}}
        """,
    )
    assert [str(note).partition("lab.yml:")[2] for note in found.notes] == [
        "2:28: nameservers.spare: is used by nobody in this lab",
        "3:18: daemons.e: hosts no service",
        "5:36: agents.A.sockets.x: a PULL socket needs a handler: give it one, unless on_init binds it",
    ]


class Oven(Agent):
    unit: str
    limit = 300.0

    def on_init(self):
        self.warm = self.stage * 2

    @property
    def heat(self):
        return [self.inner for _ in "x"]


class Bare(Agent):
    on_error = "stop"

    def on_init(self):
        self.x = 1


def test_an_attribute_that_a_class_does_not_have_is_noted_where_it_declares_some(tmp_path):
    attributes = "{unti: C, limit: 1, warm: 1, stage: 1, inner: 1}"
    path = write(tmp_path, f"agents: {{A: {{class: m.O, attributes: {attributes}}}, B: {{class: m.B, attributes: {{any: 1}}}}}}")
    found = Problems()
    sources = load(path, found, {})
    facts = {f"m:{cls.__name__[0]}": class_facts(cls, frozenset()) for cls in (Oven, Bare)}
    (note,) = notes(sources, facts)
    assert str(note).partition("lab.yml:")[2] == (
        "1:39: agents.A.attributes.unti: O has no attribute 'unti'; did you mean 'unit'? known names: 'limit', 'unit'"
    )
    assert [*notes(sources)] == []


def test_a_number_from_the_environment_that_quotes_make_text_is_noted(tmp_path):
    text = """
    agents:
      A:
        class: m.C
        attributes: {a: "${N}", b: "${WORD}", c: "x${N}", d: ["${N:5}"]}
    services: {s: {module: m, classname: C, parameters: {p: '${N}'}}}
    """
    said = "is text because of its quotes: '4.5'; for a number write it in block style, without quotes"
    found = lab(tmp_path, text, environ={"N": "4.5", "WORD": "w"})
    assert [str(note).partition("lab.yml:")[2] for note in found.notes] == [
        f"5:21: agents.A.attributes.a: {said}",
        f"5:59: agents.A.attributes.d[0]: {said}",
        f"6:57: services.s.parameters.p: {said}",
    ]


def test_a_host_that_nobody_knows_is_noted(tmp_path):
    found = lab(
        tmp_path,
        """
        daemons: {d: {host: "not a name"}}
        services: {s: {module: m, classname: C, daemon: d}}
        agents:
          Far: {class: m.C, host: no-such-machine.invalid}
          Near: {class: m.C, host: localhost}
          There: {class: m.C, host: 203.0.113.7}
        """,
    )
    assert [str(note).partition("lab.yml:")[2] for note in found.notes] == [
        "2:15: daemons.d.host: no machine is called 'not a name' here: the daemon will be left to another node",
        "5:21: agents.Far.host: no machine is called 'no-such-machine.invalid' here: the agent will be left to another node",
    ]


def test_everything_at_once(tmp_path):
    text = f"""
    agents:
      A: {{class: m.C, after: [B], addr: 'localhost:9090'}}
      B: {{class: m.C, after: [A, nobody], restart: allways, sockets: {{x: PUB}}}}
    services: {{A: {S}}}
    daemons: {{d: {{port: 9090, sevices: []}}}}
    groups: {{g: {{members: [A]}}, h: {{members: [A]}}}}
    wires: [A.x, B.x -> Q.f, B.x -> A.f]
    """
    found = problems(tmp_path, text)
    assert [line.split(": ")[0] + " " + line.split(": ")[1] for line in found] == [
        "3:31 agents.A.addr",
        "4:27 agents.B.after[0]",
        "4:30 agents.B.after[1]",
        "4:39 agents.B.restart",
        "5:12 services.A",
        "6:15 daemons.d.port",
        "6:27 daemons.d.sevices",
        "7:24 groups.g.members[0]",
        "7:43 groups.h.members[0]",
        "8:9 wires[0]",
        "8:14 wires[1]",
    ]
