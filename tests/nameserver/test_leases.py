"""The rules of names and leases, against a clock turned by hand."""

from __future__ import annotations

import pytest

from agentlab.errors import ConfigurationError, NameServerError, NameTakenError, UnknownNameError
from agentlab.nameserver import leases
from agentlab.nameserver.leases import TOMBSTONE_SECONDS, NameTable
from agentlab.nameserver.registration import Registration, check_registration, registration_from_plain, unpack_registration


def reg(name="A", uri="u1", instance="i1", lease=3.0, since=1.0, **metadata):
    return Registration(name, uri, instance, metadata, lease, since)


@pytest.fixture
def table():
    return NameTable("e")


def kinds(changes):
    return [(c.kind, c.name) for c in changes]


def test_a_free_name_is_taken_in_and_found(table):
    change = table.register(reg(), 0.0)
    assert (change.number, change.kind, change.epoch, change.name) == (1, "registered", "e", "A")
    assert table.lookup("A") == reg()
    assert "A" in table and len(table) == 1


def test_the_same_claim_again_only_renews(table):
    table.register(reg(), 0.0)
    assert table.register(reg(since=9.0), 2.0) is None
    assert table.lookup("A").since == 1.0
    assert table.expire(4.9) == []
    assert kinds(table.expire(5.0)) == [("removed", "A")]


def test_a_second_live_holder_is_refused_with_the_first_ones_uri(table):
    table.register(reg(), 0.0)
    with pytest.raises(NameTakenError, match=r"name already registered: 'A' is held by u1; .*replace=True"):
        table.register(reg(uri="u2", instance="i2"), 2.9)
    assert table.lookup("A").uri == "u1" and table.number == 1


def test_two_agents_of_one_process_are_two_holders(table):
    table.register(reg(), 0.0)
    with pytest.raises(NameTakenError):
        table.register(reg(uri="u2", instance="i1"), 0.0)


def test_replace_takes_the_name_and_the_first_holders_renewal_does_not_take_it_back(table):
    table.register(reg(since=5.0), 0.0)
    change = table.register(reg(uri="u2", instance="i2", since=4.0), 1.0, replace=True)  # 4 < 5: clock set back
    assert change.kind == "changed" and table.lookup("A").since > 5.0
    with pytest.raises(NameTakenError):
        table.renew(reg(since=5.0), 1.5)
    assert table.lookup("A").uri == "u2"


def test_a_holder_whose_lease_is_over_is_replaced_even_before_the_sweep(table):
    table.register(reg(), 0.0)
    assert table.register(reg(uri="u2"), 3.0).kind == "changed"


def test_a_service_that_comes_back_at_its_own_uri_is_let_in(table):
    table.register(reg(), 0.0)
    change = table.register(reg(instance="i2", since=2.0), 1.0)
    assert change.kind == "changed" and table.lookup("A").instance == "i2"
    with pytest.raises(NameTakenError):
        table.renew(reg(instance="i1"), 1.5)  # what the first incarnation sent late


def test_without_a_lease_it_stays(table):
    table.register(reg(lease=None), 0.0)
    assert table.next_expiry() is None and table.expire(1e9) == []
    with pytest.raises(NameTakenError):
        table.register(reg(uri="u2"), 1e9)


def test_renewals_move_the_end_and_only_the_end(table):
    table.register(reg(), 0.0)
    for now in (1.0, 2.0, 3.0):
        assert table.renew(reg(), now) is None
    assert table.expire(5.9) == [] and table.number == 1
    assert table.next_expiry() == 6.0
    assert kinds(table.expire(6.0)) == [("removed", "A")]


def test_a_renewal_teaches_a_restarted_server(table):
    assert table.renew(reg(x=1), 0.0).kind == "registered"
    assert table.lookup("A").metadata == {"x": 1}


def test_a_frozen_holder_comes_back_after_its_lease(table):
    table.register(reg(), 0.0)
    table.expire(10.0)
    assert table.renew(reg(), 11.0).kind == "registered"


def test_a_late_renewal_does_not_raise_the_dead(table):
    table.register(reg(), 0.0)
    assert table.remove("A", uri="u1", instance="i1", now=1.0).kind == "removed"
    with pytest.raises(UnknownNameError):
        table.renew(reg(), 1.1)
    assert len(table) == 0
    assert table.register(reg(), 2.0).kind == "registered"  # but a call does
    assert table.renew(reg(), 2.5) is None


def test_who_goes_on_renewing_after_a_removal_stays_out_and_the_memory_of_others_ends(table):
    for name in ("A", "B"):
        table.register(reg(name), 0.0)
        table.remove(name, now=0.0)
    for now in (40.0, 80.0, 120.0):
        with pytest.raises(UnknownNameError):
            table.renew(reg("A"), now)
        table.expire(now)
    assert TOMBSTONE_SECONDS < 120.0
    assert table.renew(reg("B"), 120.0).kind == "registered"


def test_after_a_restart_the_newer_claim_wins_in_whatever_order_they_come():
    old, new = reg(since=1.0), reg(uri="u2", instance="i2", since=2.0)
    for first, second in ((old, new), (new, old)):
        table = NameTable()
        table.renew(first, 0.0)
        try:
            table.renew(second, 0.1)
        except NameTakenError:
            assert second is old
        assert table.lookup("A") == new


def test_newer_content_of_a_renewal_counts_older_does_not(table):
    table.register(reg(since=2.0, x=2), 0.0)
    assert table.renew(reg(since=1.0, x=1), 1.0) is None
    assert table.lookup("A").metadata == {"x": 2}
    assert table.next_expiry() == 3.0 and table.expire(3.5) == []  # it renewed all the same
    assert table.renew(reg(since=3.0, x=3), 3.6).kind == "changed"
    assert table.lookup("A").metadata == {"x": 3}


@pytest.mark.parametrize(
    ("condition", "gone"),
    [
        ({}, True),
        ({"uri": "u1"}, True),
        ({"instance": "i1"}, True),
        ({"uri": "u2"}, False),
        ({"instance": "i2"}, False),
        ({"uri": "u1", "instance": "i2"}, False),
    ],
)
def test_removal_compares(table, condition, gone):
    table.register(reg(), 0.0)
    assert (table.remove("A", **condition) is not None) is gone
    assert ("A" in table) is not gone


def test_removing_nobody_changes_nothing(table):
    assert table.remove("A") is None and table.number == 0


def test_changes_are_numbered_without_a_gap(table):
    changes = [table.register(reg(str(i), lease=1 + i), 0.0) for i in range(5)]
    changes += table.expire(3.0)
    changes.append(table.remove("4", now=3.0))
    changes.append(table.register(reg("3", instance="x", since=7), 3.0))
    assert [c.number for c in changes] == list(range(1, len(changes) + 1)) and len(changes) == 10
    assert kinds(changes[5:8]) == [("removed", "0"), ("removed", "1"), ("removed", "2")]


def test_a_server_that_stood_still_takes_nobody_away(table):
    table.register(reg(), 0.0)
    table.grant(60.0)
    assert table.expire(62.0) == []
    assert kinds(table.expire(63.0)) == [("removed", "A")]


def test_an_old_end_of_a_name_does_not_hit_its_next_holder(table):
    table.register(reg(lease=1.0), 0.0)
    table.remove("A")
    table.register(reg(uri="u2", instance="i2", lease=10.0), 0.5)
    assert table.expire(5.0) == [] and "A" in table


def test_ends_of_names_that_came_and_went_do_not_pile_up(table):
    for i in range(1000):
        table.register(reg(lease=80000.0, instance=str(i)), 0.0)
        table.remove("A")
    assert len(table._ends) < 100


def test_a_full_table_refuses_with_a_reason(table, monkeypatch):
    monkeypatch.setattr(leases, "MAX_NAMES", 2)
    table.register(reg("1"), 0.0)
    table.register(reg("2"), 0.0)
    with pytest.raises(NameServerError, match="holds 2 names already"):
        table.register(reg("3"), 0.0)
    assert table.register(reg("2", instance="n"), 0.0).kind == "changed"


def test_an_unknown_name_is_answered_with_the_nearest(table):
    table.register(reg("Alice"), 0.0)
    with pytest.raises(UnknownNameError, match="'Alcie'; did you mean 'Alice'"):
        table.lookup("Alcie")
    for i in range(2000):
        table.register(reg(f"x{i}"), 0.0)
    with pytest.raises(UnknownNameError, match="did you mean 'Alice'"):
        table.lookup("Alcie")


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, "lens laser scan"),
        ({"prefix": "l"}, "lens laser"),
        ({"regex": "la.*r"}, "laser"),
        ({"regex": "aser"}, ""),
        ({"tag": "optics"}, "lens laser"),
        ({"meta_all": ["optics", "class=Laser"]}, "laser"),
        ({"meta_any": ["class=Laser", "class=Scan"]}, "laser scan"),
        ({"meta_all": {"class": "Scan", "pid": 3}}, "scan"),
        ({"meta_any": {"pid": 3, "class": "Lens"}}, "lens scan"),
        ({"meta_any": []}, ""),
        ({"prefix": "l", "tag": "optics", "regex": "lens"}, "lens"),
    ],
)
def test_listing_by_every_condition(table, conditions, expected):
    table.register(Registration("lens", "u", "i", {"class": "Lens", "tags": ["optics"]}), 0.0)
    table.register(Registration("laser", "u", "i", {"class": "Laser", "tags": ["optics", "hot"]}), 0.0)
    table.register(Registration("scan", "u", "i", {"class": "Scan", "pid": 3}), 0.0)
    assert list(table.list(**conditions)) == expected.split()


def test_wrong_filters_say_so(table):
    table.register(reg(), 0.0)
    with pytest.raises(ConfigurationError, match="no regular expression"):
        table.list(regex="(")
    with pytest.raises(ConfigurationError, match="list or a mapping"):
        table.list(meta_all="optics")


@pytest.mark.parametrize("name", ["", "  ", None, 3, "a\nb", "a\0", "x" * 201])
def test_names_that_cannot_be(name):
    with pytest.raises(ValueError, match="a name m"):
        check_registration(reg(name))


@pytest.mark.parametrize("name", ["Alice", "the laser @ table 2", "Лазер", "x" * 200])
def test_names_that_can_be(name):
    assert unpack_registration(check_registration(reg(name, k=[1, {"a": b"b"}])).pack()) == reg(name, k=[1, {"a": b"b"}])


@pytest.mark.parametrize(
    "fields",
    [
        ["A", "", "i", {}, 3.0, 1.0],
        ["A", "u\n", "i", {}, 3.0, 1.0],
        ["A", "u" * 2000, "i", {}, 3.0, 1.0],
        ["A", "u", "i" * 65, {}, 3.0, 1.0],
        ["A", "u", "i", [], 3.0, 1.0],
        ["A", "u", "i", {1: 2}, 3.0, 1.0],
        ["A", "u", "i", {}, 0.01, 1.0],
        ["A", "u", "i", {}, float("nan"), 1.0],
        ["A", "u", "i", {}, float("inf"), 1.0],
        ["A", "u", "i", {}, True, 1.0],
        ["A", "u", "i", {}, 3.0, float("nan")],
        ["A", "u", "i", {}, 3.0],
        "ABCDEF",
        None,
    ],
)
def test_registrations_that_cannot_be(fields):
    with pytest.raises(ConfigurationError):
        registration_from_plain(fields)


def test_metadata_that_cannot_travel_is_refused_at_the_sender():
    with pytest.raises(ConfigurationError, match="cannot be packed"):
        reg(x=object()).pack()
    with pytest.raises(ConfigurationError, match="allowed are 8000"):
        reg(x="y" * 8000).pack()
