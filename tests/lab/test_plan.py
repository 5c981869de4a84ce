"""From a lab file to units: who needs whom, what starts with the lab, and what a change touches."""

from __future__ import annotations

import textwrap

import pytest

from agentlab.errors import ConfigurationError, UnknownUnitError
from agentlab.lab.file import read_lab
from agentlab.lab.hosts import is_here
from agentlab.lab.plan import make_plan
from agentlab.lab.policy import Backoff

LAB = """
    nameservers: [{main: {ns_port: 9100}}, {second: {ns_port: 9101}}]
    daemons: {optics: {restart: transient, stop_timeout: 2.0, nameservers: [second]}}
    services:
      laser: {module: m, classname: Laser, daemon: optics, nameservers: [main]}
      stage: {module: m, classname: Stage, daemon: optics, nameservers: [main]}
      notes: {module: m, classname: Notes, nameservers: [main]}
    agents:
      Scan: {class: "m:Scan", nameserver: main, after: [laser], hang_timeout: null}
      Meter: {class: "m:Meter", nameserver: main, sockets: {power: PUB}, restart: permanent}
      Plot: {class: "m:Plot", nameserver: main, sockets: {rows: PULL}}
      Log: {class: "m:Log", nameserver: second, after: [agent/Meter]}
    wires:
      - Meter.power -> Scan.on_power
      - Scan.out -> Plot.rows
"""


@pytest.fixture
def read(tmp_path):
    def read(text, *replacements):
        text = textwrap.dedent(text)
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "lab.yml"
        path.write_text(text)
        return read_lab(path, inspect=False)

    return read


def planned(lab, here=lambda host: True):
    return make_plan(lab, here)


def test_who_needs_whom(read):
    units = planned(read(LAB)).units
    assert {name: set(unit.needs) for name, unit in units.items()} == {
        "nameserver/main": set(),
        "nameserver/second": set(),
        "daemon/optics": {"nameserver/second", "nameserver/main"},
        "daemon/default": {"nameserver/main"},
        "service/laser": {"daemon/optics", "nameserver/main"},
        "service/stage": {"daemon/optics", "nameserver/main"},
        "service/notes": {"daemon/default", "nameserver/main"},
        "agent/Meter": {"nameserver/main"},
        "agent/Scan": {"nameserver/main", "service/laser"},
        "agent/Plot": {"nameserver/main"},
        "agent/Log": {"nameserver/second", "agent/Meter"},
    }
    assert units["service/laser"].parent == "daemon/optics"


def test_who_connects_follows_who_binds(read):
    units = planned(read(LAB)).units
    assert units["agent/Scan"].follows == ("agent/Meter", "agent/Plot")
    order = list(units)
    assert order.index("agent/Scan") > max(order.index("agent/Meter"), order.index("agent/Plot"))


def test_each_comes_after_what_it_needs(read):
    units = planned(read(LAB)).units
    for number, unit in enumerate(units.values()):
        assert set(unit.needs) | set(unit.follows) <= set(list(units)[:number])


def test_times_and_policies_are_taken_over_and_a_services_are_its_daemons(read):
    units = planned(read(LAB)).units
    assert (units["agent/Meter"].restart, units["agent/Scan"].restart) == ("permanent", "transient")
    assert (units["agent/Meter"].hang_timeout, units["agent/Scan"].hang_timeout) == (5.0, None)
    assert (units["daemon/optics"].stop_timeout, units["service/laser"].stop_timeout) == (2.0, 2.0)
    assert units["service/laser"].restart == "transient"


def test_groups_name_full_units_and_ordered_ones_start_in_order(read):
    lab = read(
        LAB
        + """
    groups:
      g: {strategy: rest_for_one, members: [Plot, Scan, daemon/optics], intensity: 2, period: 3.0, backoff: {first: 0.5}}
      h: {members: [Meter, Log]}
"""
    )
    plan = planned(lab)
    group = plan.groups["g"]
    assert group.members == ("agent/Plot", "agent/Scan", "daemon/optics")
    assert (group.strategy, group.intensity, group.period, group.backoff) == ("rest_for_one", 2, 3.0, Backoff(0.5, 2.0, 10.0))
    assert plan.units["agent/Scan"].group == "g" and "agent/Plot" in plan.units["agent/Scan"].follows
    assert plan.units["daemon/optics"].follows == ()  # it is needed by Scan, through laser: a need goes before an order
    assert plan.units["agent/Log"].follows == ()  # one_for_one: the order means nothing


def test_autolaunch_brings_what_it_needs(read):
    plan = planned(read(textwrap.dedent(LAB) + "autolaunch: {nameservers: [], daemons: [], services: [], agents: [Scan]}\n"))
    wanted = {name for name, unit in plan.units.items() if unit.wanted}
    assert wanted == {"agent/Scan", "service/laser", "daemon/optics", "nameserver/main", "nameserver/second"}
    assert all(unit.wanted for unit in planned(read(LAB)).units.values())


def test_what_belongs_to_another_host_is_not_here(read):
    lab = read(LAB, ('class: "m:Meter"', 'class: "m:Meter", host: far.example'), ("optics: {", "optics: {host: far.example, "))
    plan = planned(
        lab.__class__(**{**vars(lab), "groups": {}}),
        lambda host: host != "far.example",
    )
    elsewhere = {name for name, unit in plan.units.items() if not unit.here}
    assert elsewhere == {"agent/Meter", "daemon/optics", "service/laser", "service/stage"}
    assert not any(plan.units[name].wanted for name in elsewhere)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.1.2.3", "::1", "0.0.0.0", "public"])
def test_this_machine_is_known_by_many_names(host):
    assert is_here(host)


@pytest.mark.parametrize("host", ["192.0.2.77", "no-such-host.invalid"])
def test_others_are_not_this_machine(host):
    assert not is_here(host)


# --- fingerprints -------------------------------------------------------------------------------------------------------


def changed(old, new):
    before, after = planned(old).units, planned(new).units
    return {name for name in after if before[name].fingerprint != after[name].fingerprint}


@pytest.mark.parametrize(
    ("replacement", "touched"),
    [
        (("after: [laser], hang", "attributes: {a: 1}, after: [laser], hang"), {"agent/Scan"}),
        (("restart: permanent", "restart: temporary"), set()),
        (("after: [laser], hang", "start_timeout: 3.0, hang"), set()),
        (("hang_timeout: null", "hang_timeout: 5.0"), {"agent/Scan"}),  # then it needs a pulse
        (("restart: permanent", "hang_timeout: 9.0, restart: permanent"), set()),
        (("Meter.power -> Scan.on_power", "Meter.power -> Scan.on_other"), {"agent/Scan"}),
        (("Scan.out -> Plot.rows", "Log.out -> Plot.rows"), {"agent/Scan", "agent/Log"}),
        (("power: PUB", "power: SYNC_PUB"), {"agent/Meter"}),
        (("classname: Stage", "classname: Stage, parameters: {port: 3}"), {"service/stage"}),
        (("optics: {", "optics: {servertype: multiplex, "), {"daemon/optics"}),
        (("ns_port: 9101", "ns_port: 9102"), {"nameserver/second", "daemon/optics", "agent/Log"}),
        (("ns_port: 9101", "ns_port: 9101, ns_autoclean: 3.0"), {"nameserver/second"}),
        (("    agents:", "    settings: {LEASE: 9.0}\n    agents:"), None),
    ],
)
def test_a_change_touches_no_more_than_it_must(read, replacement, touched):
    old = read(LAB)
    new = read(LAB, replacement) if not replacement[0].startswith("    ") else read(LAB.replace(*replacement))
    assert changed(old, new) == (set(planned(old).units) if touched is None else touched)


def test_the_same_file_read_twice_has_changed_nothing(read):
    assert changed(read(LAB), read(LAB)) == set()


def test_needs_in_a_circle_are_named(read):
    lab = read(LAB)
    agents = {**lab.agents, "Meter": lab.agents["Meter"].model_copy(update={"after": ["Log"]})}
    with pytest.raises(ConfigurationError, match="lab.yml: these need each other in a circle: agent/.*; take one"):
        planned(lab.__class__(**{**vars(lab), "agents": agents}))


def test_a_closure_is_in_the_order_of_the_start(read):
    plan = planned(read(LAB))
    assert plan.closure(["agent/Log"]) == ["nameserver/main", "nameserver/second", "agent/Meter", "agent/Log"]
    with pytest.raises(UnknownUnitError, match="did you mean 'Meter'"):
        plan.resolve("Metre")
