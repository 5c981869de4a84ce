"""Reading lab files: several of them, variables, anchors, and files that are none."""

import copy
import pickle
import subprocess
import sys
import time

import pytest

from agentlab.errors import ConfigurationError
from agentlab.lab.file import LabFile, read_lab
from agentlab.yamlfile.problems import ProblemsError
from tests.lab.written import complaints, lab, one_problem, problems, write
from tests.timing import soon

SEED = """
nameservers:
    - default:
        host: localhost
        ns_port: 9090
        ns_bchost: localhost
        ns_bcport: 9091
        ns_autoclean: 0.0
        storage_type: memory
    - production:
        host: lab.example.org
        ns_port: 9090
        ns_bchost: null
        ns_bcport: 9091
        ns_autoclean: 15.0
        storage_type: sql
    - development:
        host: localhost
        ns_port: 9090
"""


def test_a_small_lab(tmp_path):
    found = lab(
        tmp_path,
        """
        agents:
          Meter: {class: devices.Meter, sockets: {power: PUB}}
          Scan: {class: "devices:Scan", after: [Meter]}
        services:
          catalogue: {module: devices, classname: Catalogue}
        wires:
          - Meter.power -> Scan.on_power
        """,
    )
    assert found.name == "lab" and found.version == 1 and found.path == tmp_path / "lab.yml"
    assert found.directory == tmp_path.resolve()
    assert list(found.nameservers) == list(found.daemons) == ["default"]
    assert found.nameservers["default"].ns_port == 9090
    assert [str(wire) for wire in found.wires] == ["Meter.power -> Scan.on_power"]
    assert found.where == {
        "service/catalogue": f"{tmp_path}/lab.yml:6:3",
        "agent/Meter": f"{tmp_path}/lab.yml:3:3",
        "agent/Scan": f"{tmp_path}/lab.yml:4:3",
    }
    counts = {"nameservers": 1, "daemons": 1, "services": 1, "agents": 2, "wires": 1}
    assert found.counts() == {**counts, "groups": 0, "instruments": 0, "interlocks": 0}
    assert found.autolaunch == dict.fromkeys(("nameservers", "daemons", "services", "agents", "instruments"))


def test_a_lab_without_services_has_no_daemon(tmp_path):
    assert lab(tmp_path, "agents: {A: {class: m.C}}").daemons == {}
    assert list(lab(tmp_path, "services: {s: {module: m, classname: C, daemon: d}}\ndaemons: {d: {}}").daemons) == ["d"]


def test_sections_may_be_empty(tmp_path):
    found = lab(
        tmp_path,
        "version: 1\nsettings:\ninclude:\nnameservers:\ndaemons:\nservices:\nagents:\nwires:\ngroups:\nautolaunch:\nname:",
    )
    assert isinstance(found, LabFile) and found.counts()["nameservers"] == 1 and found.name == "lab"


def test_daemons_and_name_servers_without_more_are_their_defaults(tmp_path):
    found = lab(tmp_path, "daemons:\n  d:\nnameservers:\n  n:")
    assert found.daemons["d"].port == 0 and found.nameservers["n"].ns_port == 9090


def test_two_readings_are_equal_and_a_change_shows(tmp_path):
    text = "agents: {A: {class: m.C, sockets: {x: PUB}}, B: {class: m.C}}\nwires: [A.x -> B.f]"
    one, two, other = lab(tmp_path, text), lab(tmp_path, text), lab(tmp_path, text.replace("PUB", "PUSH"))
    assert one == two and one != other
    assert one.agents["B"] == other.agents["B"] and one.agents["A"] != other.agents["A"]


def test_a_lab_can_be_pickled_and_copied(tmp_path):
    found = lab(tmp_path, "agents: {A: {class: m.C}}\nnameservers: {n: {ns_port: 0}}")
    assert pickle.loads(pickle.dumps(found)) == found == copy.deepcopy(found)


# --- several name servers -----------------------------------------------------------------------------------------


def test_name_servers_as_the_seed_writes_them(tmp_path):
    assert one_problem(tmp_path, SEED).startswith("19:9: nameservers[2].development.ns_port: found localhost:9090")
    found = lab(tmp_path, SEED.replace('ns_port: 9090\n"', "").rstrip()[:-4] + "9092")
    assert list(found.nameservers) == ["default", "production", "development"]
    assert found.nameservers["production"].ns_autoclean == 15.0 and found.nameservers["development"].name == "development"


def test_names_of_name_servers_are_what_their_own_reader_takes(tmp_path):
    found = lab(tmp_path, "nameservers:\n  - default\n  - 2: {ns_port: 0}\nagents: {A: {class: m.C, nameserver: '2'}}")
    assert {name: config.name for name, config in found.nameservers.items()} == {"default": "default", "2": "2"}
    assert found.where["nameserver/default"].endswith(":2:5") and found.where["nameserver/2"].endswith(":3:5")


def test_the_only_name_server_is_meant_where_none_is_called_default(tmp_path):
    text = "nameservers: {only: {}}\nagents: {A: {class: m.C}}\nservices: {s: {module: m, classname: C}}"
    found = lab(tmp_path, text)
    assert found.agents["A"].nameserver == "only" and found.services["s"].nameservers == ["only"]


def test_one_of_several_must_be_named(tmp_path):
    text = "nameservers: {a: {ns_port: 1}, b: {ns_port: 2}}\nagents: {A: {class: m.C}}\nservices: {s: {module: m, classname: C}}"
    assert problems(tmp_path, text) == [
        "2:10: agents.A.nameserver: is missing, and no name server is called 'default'; write which one is meant: a, b",
        "3:12: services.s.nameservers[0]: is missing, and no name server is called 'default'; write which one is meant: a, b",
    ]


# --- variables, anchors -------------------------------------------------------------------------------------------


def test_variables_of_the_environment(tmp_path):
    text = "nameservers:\n  default:\n    ns_port: ${PORT}\n    host: ${HOST:localhost}\nname: lab in ${ROOM:the cellar}"
    with pytest.raises(ProblemsError, match="environment variable PORT is not set"):
        lab(tmp_path, text, environ={})
    text = text.replace("${PORT}", "${PORT:9095}")
    assert lab(tmp_path, text, environ={}).nameservers["default"].ns_port == 9095
    found = lab(tmp_path, text, environ={"PORT": "9191", "ROOM": "215"})
    assert found.nameservers["default"].ns_port == 9191 and found.name == "lab in 215"
    assert "found 70000" in one_problem(tmp_path, text, environ={"PORT": "70000"})


def test_merge_keys_and_anchors(tmp_path):
    found = lab(
        tmp_path,
        """
        x-meter: &meter
          class: devices:Meter
          sockets: &sockets {power: PUB}
          restart: permanent
        agents:
          A: {<<: *meter, attributes: {gain: 2}}
          B:
            <<: *meter
            restart: temporary
          C: {class: m.C, sockets: *sockets}
        """,
    )
    assert found.agents["A"].restart == "permanent" and found.agents["A"].attributes == {"gain": 2}
    assert found.agents["B"].restart == "temporary" and found.agents["B"].class_ == "devices:Meter"
    assert found.agents["C"].sockets == found.agents["A"].sockets


def test_what_is_wrong_in_an_anchor_is_told_where_it_stands(tmp_path):
    text = "x-a: &a {restart: allways}\nagents:\n  A: {class: m.C, <<: *a}\n  B: {class: m.C, <<: *a}"
    found = problems(tmp_path, text)
    assert [line.split(" found")[0] for line in found] == ["1:10: agents.A.restart:", "1:10: agents.B.restart:"]


# --- include ------------------------------------------------------------------------------------------------------


def test_included_files_are_added_section_by_section(tmp_path):
    write(
        tmp_path,
        "agents: {B: {class: m.C, after: [A]}}\nwires: [A.x -> B.f]\nsettings: {HWM: 5}\nautolaunch: {agents: [B]}",
        "more/b.yml",
    )
    write(tmp_path, "include: [../c.yml]\nservices: {s: {module: m, classname: C, daemon: d}}\nname: other", "more/a.yml")
    write(tmp_path, "daemons: {d: {}}\nnameservers: {default: {ns_port: 0}}", "c.yml")
    found = lab(
        tmp_path,
        """
        include: [more/a.yml, more/b.yml, c.yml]
        agents: {A: {class: m.C, sockets: {x: PUB}}}
        settings: {LEASE: 2}
        autolaunch: {agents: [A]}
        """,
    )
    assert list(found.agents) == ["A", "B"] and list(found.services) == ["s"] and list(found.daemons) == ["d"]
    assert found.settings == {"LEASE": 2, "HWM": 5} and found.name == "lab"
    assert found.autolaunch["agents"] == ["A", "B"] and found.autolaunch["services"] is None
    assert [str(file.relative_to(tmp_path)) for file in found.files] == ["lab.yml", "more/a.yml", "more/../c.yml", "more/b.yml"]
    assert found.where["agent/B"].endswith("more/b.yml:1:10")


def test_problems_of_an_included_file_name_that_file(tmp_path):
    write(tmp_path, "agents:\n  B: {class: m.C, restart: allways}\nbad: 1", "b.yml")
    found = problems(tmp_path, "include: [b.yml]\nagents:\n  A: {class: C}")
    assert [line.split(" found")[0].split(" 'C'")[0] for line in found] == [
        "3:7: agents.A.class:",
        "b.yml:2:19: agents.B.restart:",
        "b.yml:3:1: bad:",
    ]


def test_one_name_in_two_files_names_both_places(tmp_path):
    text = "agents:\n  A: {class: m.C}\nsettings: {HWM: 1}\ndaemons: {d: {}}\n"
    write(tmp_path, text + "nameservers: [n: {ns_port: 1}]\ngroups: {g: {members: [A]}}", "b.yml")
    found = problems(
        tmp_path,
        "include: [b.yml]\nagents: {A: {class: m.C}}\nsettings: {HWM: 2}\ndaemons: {d: {}}\nnameservers: {n: {ns_port: 2}}\n"
        "groups: {g: {members: [d]}}",
    )
    assert found == [
        "b.yml:2:3: agents.A: the agent 'A' is there already, at lab.yml:2:10; take another name",
        "b.yml:3:12: settings.HWM: is set already, at lab.yml:3:12; take one of them away",
        "b.yml:4:11: daemons.d: the daemon 'd' is there already, at lab.yml:4:11; take another name",
        "b.yml:5:15: nameservers[0].n: the name server 'n' is there already, at lab.yml:5:15; take another name",
        "b.yml:6:10: groups.g: the group 'g' is there already, at lab.yml:6:10; take another name",
    ]


def test_a_circle_of_includes_is_shown(tmp_path):
    write(tmp_path, "include: [b.yml]", "a.yml")
    write(tmp_path, "include: [a.yml]", "b.yml")
    found = problems(tmp_path, "include: [a.yml]")
    assert found == ["b.yml:1:11: include[0]: includes itself: a.yml -> b.yml -> a.yml; take one of these includes away"]
    assert "lab.yml -> lab.yml" in one_problem(tmp_path, "include: [./lab.yml]")


def test_a_circle_through_a_link_is_one_too(tmp_path):
    (tmp_path / "again.yml").symlink_to(tmp_path / "lab.yml")
    assert "includes itself" in one_problem(tmp_path, "include: [again.yml]")


def test_included_files_that_are_none(tmp_path):
    (tmp_path / "folder.yml").mkdir()
    write(tmp_path, "", "empty.yml")
    write(tmp_path, "- a", "list.yml")
    write(tmp_path, "a: [", "broken.yml")
    found = problems(
        tmp_path, "include: [nofile.yml, folder.yml, empty.yml, list.yml, broken.yml]\nagents: {A: {class: m.C, after: [B]}}"
    )
    assert len(found) == 5  # and nothing of B: it may stand in one of those
    assert found[0].startswith("1:11: include[0]: found 'nofile.yml': there is no such file")
    assert found[1].startswith("1:23: include[1]: found 'folder.yml': is a directory")
    assert any(line.startswith("empty.yml:1:1: the file is empty") for line in found)
    assert any(line.startswith("list.yml:1:1: found a list, allowed is a mapping with the keys version,") for line in found)
    assert any(line.startswith("broken.yml:") and "not YAML" in line for line in found)


def test_files_beyond_number(tmp_path):
    for index in range(250):
        write(tmp_path, f"include: [f{index + 1}.yml]", f"f{index}.yml")
    assert "one file more than the 200 that a lab may have" in one_problem(tmp_path, "include: [f0.yml]")


# --- files that are no lab ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"),
        (b"# nothing but this\n", "the file is empty"),
        (b"- a\n", "1:1: found a list, allowed is a mapping"),
        (b"agents\n", "found 'agents', allowed is a mapping"),
        (b"\x00\x01\x02", "is binary"),
        (b"agents: \xff\n", "not UTF-8"),
        (b"a: !!python/object/apply:os.system ['touch pwned']\n", "found the tag"),
        (b"agents: {A: !!python/name:os.system x}\n", "found the tag"),
        (b"agents: !module:os {}\n", "found the tag"),
        (b"a: &a [*a]\n", "alias"),
        (b"a: " + b"[" * 5000, "nesting"),
        (b"x" * (10 * 1024 * 1024), "is larger than"),
        (b"agents:\n\tA: {}\n", "not YAML"),
        (b"agents: {A: {class: m.C}, A: {class: m.C}}\n", "found twice"),
        (b"agents: {}\nagents: {}\n", "found twice"),
        (b"agents: {}\n---\nagents: {}\n", "one document"),
        (
            b"a: &a [1,2,3,4,5,6,7,8,9]\n"
            + b"".join(b"%c: &%c [%s]\n" % (c, c, b",".join([b"*%c" % (c - 1)] * 9)) for c in range(98, 110)),
            "aliases",
        ),
    ],
)
def test_what_is_no_lab_file_is_one_line(tmp_path, content, said, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lab.yml").write_bytes(content)
    began = time.monotonic()
    found = complaints(tmp_path / "lab.yml")
    assert len(found) == 1 and said in found[0] and "\n" not in found[0] and len(found[0]) < 600
    assert time.monotonic() - began < soon(2) and not (tmp_path / "pwned").exists()


def test_a_missing_file_and_a_directory(tmp_path):
    with pytest.raises(ConfigurationError, match="there is no such file"):
        read_lab(tmp_path / "none.yml")
    with pytest.raises(ProblemsError, match="is a directory"):
        read_lab(tmp_path)


def test_relative_paths_are_shown_as_they_were_given(tmp_path, monkeypatch):
    write(tmp_path, "agents: {A: {class: C}}")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ProblemsError, match=r"^lab\.yml:1:14: agents\.A\.class: "):
        read_lab("lab.yml")


def test_200_agents_are_read_in_a_moment(tmp_path):
    lines = ["agents:"]
    for number in range(200):
        lines += [
            f"  a{number}:",
            "    class: devices:Meter",
            "    attributes: {gain: 3, list: [1, 2, 3]}",
            "    restart: permanent",
            f"    after: [{f'a{number - 1}' if number else ''}]",
            "    sockets: {power: PUB}",
        ]
    lines += ["wires:", *(f"  - a{number}.power -> a{number + 1}.on_power" for number in range(199))]
    path = write(tmp_path, "\n".join(lines))
    took = []
    for _ in range(3):
        began = time.process_time()
        assert len(read_lab(path, inspect=False).wires) == 199
        took.append(time.process_time() - began)
    assert min(took) < 0.3


def test_importing_the_package_loads_neither_yaml_nor_pydantic():
    program = "import sys, agentlab.lab as lab; assert not {'yaml', 'pydantic'} & set(sys.modules); lab.read_lab; import yaml"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_an_odd_file_is_told_of_to_the_end(tmp_path):
    found = problems(
        tmp_path,
        """
        1: x
        settings: {3: 4}
        agents: {A: {class: m.C, 4: 5, attributes: {6: 7}, sockets: {8: PUB}, after: [9]}}
        wires: [null, 3, [a], {from: 3, to: null}, {1: 2}, "", {from: A.x, to: A.y, topics: [1]}]
        groups: {g: {members: [1, null, [x]]}}
        include: [3, null]
        autolaunch: [a]
        """,
    )
    assert len(found) == 22 and all("\n" not in line and len(line) < 250 for line in found)
