"""The supervisor's state machine, with processes that are none and a clock that only the test moves."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentlab.errors import UnknownUnitError
from agentlab.lab.messages import Exited, NeedsParent, Pulse, Replace, Started, StartFailed
from agentlab.lab.policy import Backoff, Group
from agentlab.lab.units import Unit, sorted_units
from tests.lab.world import World, agent, plan

NS = Unit("nameserver/ns", "nameserver", restart="permanent")
DAEMON = Unit("daemon/d", "daemon", ("nameserver/ns",), restart="permanent")


def service(name, **options):
    return Unit(f"service/{name}", "service", ("daemon/d",), parent="daemon/d", restart="permanent", **options)


def lab(*more, **options):
    return World(plan(NS, DAEMON, service("s"), agent("a", "nameserver/ns", "service/s"), *more), **options)


# --- starting -----------------------------------------------------------------------------------------------------------


def test_everything_starts_in_the_order_of_its_needs():
    world = lab()
    world.start()
    assert world.log == ["start ns", "start d", "start s", "start a"]
    assert set(world.states().values()) == {"running"}
    assert world.keeper.is_settled()


def test_what_can_start_together_does_up_to_a_limit():
    world = World(plan("a", "b", "c", agent("last", "a")), quick=False, most_starting=2)
    world.start()
    assert world.take_log() == ["start a", "start b"]
    assert world.states() == {"a": "starting", "b": "starting", "c": "waiting", "last": "waiting"}
    assert world.reason("last") == "waits for agent/a"
    world.up("b")
    assert world.take_log() == ["start c"]
    world.up("a")
    assert world.take_log() == ["start last"]
    assert not world.keeper.is_settled()


def test_what_is_started_brings_what_it_needs_and_nothing_else():
    world = World(plan("a", agent("b", "a"), "c"))
    world.start("b")
    assert world.states() == {"a": "running", "b": "running", "c": "stopped"}


def test_a_wire_is_order_alone():
    world = World(plan(agent("client", follows=("agent/server",)), "server"), quick=False)
    assert list(world.keeper.plan.units) == ["agent/server", "agent/client"]
    world.start("client")
    assert world.take_log() == ["start client"]  # its server is not wanted: no reason to wait or to start it
    world.up("client")
    world.stop("client")
    world.end("client")
    world.start()
    assert world.take_log() == ["stop client", "start server"]
    world.up("server")
    assert world.take_log() == ["start client"]


def test_a_circle_of_wires_is_broken():
    units = sorted_units([agent("a", follows=("agent/b",)), agent("b", follows=("agent/c",)), agent("c", follows=("agent/a",))])
    assert list(units) == ["agent/c", "agent/b", "agent/a"]
    assert units["agent/c"].follows == ()


def test_a_circle_of_needs_is_an_error():
    with pytest.raises(ValueError, match="need each other in a circle: agent/a, agent/b"):
        sorted_units([agent("a", "b"), agent("b", "a"), agent("c")])


def test_a_first_start_that_fails_is_not_tried_again_and_holds_up_what_needs_it():
    world = World(plan("a", agent("b", "a"), agent("c", follows=("agent/b",)), "d"))
    world.refuses.add("a")
    world.start()
    assert world.states() == {"a": "failed", "b": "waiting", "c": "running", "d": "running"}
    assert (world.reason("a"), world.reason("b")) == ("it refused", "needs agent/a, which failed")
    assert world.keeper.is_settled()
    world.refuses.clear()
    world.start("a")
    assert set(world.states().values()) == {"running"}


def test_units_of_other_machines_are_left_alone():
    world = World(plan(agent("there", host="other", here=False), agent("here", "there")))
    world.start()
    assert world.states() == {"there": "elsewhere", "here": "running"}
    assert world.log == ["start here"]
    world.stop("there")
    world.shutdown()
    assert world.states() == {"there": "elsewhere", "here": "stopped"}


# --- ends that nobody asked for -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("restart", "exitcode", "state"),
    [
        ("permanent", 0, "running"),
        ("transient", 0, "done"),
        ("transient", 75, "running"),
        ("transient", -9, "running"),
        ("temporary", 0, "done"),
        ("temporary", 1, "failed"),
    ],
)
def test_an_end_goes_to_the_policy(restart, exitcode, state):
    world = World(plan(agent("a", restart=restart)))
    world.start()
    world.end("a", exitcode)
    assert world.state("a") == state
    assert world.keeper.records["agent/a"].incarnation == (2 if state == "running" else 1)


def test_what_depends_on_it_goes_on():
    world = lab()
    world.start()
    world.take_log()
    world.crash("ns")
    assert world.take_log() == ["start ns"]
    assert world.living == {"ns", "d", "s", "a"}


def test_a_restart_waits_for_a_need_that_is_on_its_way_but_not_for_one_that_is_gone():
    world = World(plan("a", agent("b", "a")), quick=False)
    world.start()
    world.up("a")
    world.up("b")
    world.crash("a")
    world.crash("b")
    assert (world.state("a"), world.state("b")) == ("starting", "waiting")
    world.up("a")
    world.up("b")
    world.stop("a")
    world.end("a")
    world.crash("b")
    world.pass_time(1.0)
    assert world.state("b") == "starting"


def test_repeated_crashes_wait_and_then_the_unit_is_given_up_and_says_why():
    world = World(plan("a"))
    world.start()
    for _ in range(5):
        world.crash("a")
        world.pass_time(1.0)
        assert world.state("a") == "running"
    world.crash("a", 3)
    assert world.state("a") == "failed"
    expected = "ended with exit code 3; given up: agent/a ended 6 times within 10 s; allowed are 5 restarts"
    assert world.reason("a") == expected
    assert world.events("a")[-2:] == ["crashed", "given_up"]
    world.start("a")  # a person may try again, from nothing
    world.crash("a")
    assert world.state("a") == "running"


def test_back_off_is_seen_and_ends_by_itself():
    world = World(plan("a"))
    world.start()
    world.crash("a")
    world.crash("a")
    assert world.state("a") == "backoff" and world.reason("a") == "killed by SIGKILL"
    world.pass_time(0.09)
    assert world.state("a") == "backoff"
    world.pass_time(0.02)
    assert world.state("a") == "running"
    assert world.keeper.next_time() is None


def test_one_for_all_stops_in_reverse_order_and_starts_in_order_when_all_have_ended():
    group = Group("g", ("agent/a", "agent/b", "agent/c"), "one_for_all")
    units = [agent("a"), agent("b", follows=("agent/a",)), agent("c", follows=("agent/b",)), agent("other")]
    world = World(plan(*units, groups=[group]), quick=False)
    world.start()
    for name in ("a", "other", "b", "c"):
        world.up(name)
    world.take_log()
    world.crash("b")
    assert world.take_log() == ["stop c"]
    world.end("c")
    assert world.take_log() == ["stop a"] and world.state("b") == "waiting"
    world.end("a")
    assert world.take_log() == ["start a"]
    world.up("a")
    world.up("b")
    assert world.take_log() == ["start b", "start c"]
    assert world.state("other") == "running"


def test_rest_for_one_leaves_the_earlier_ones_alone():
    group = Group("g", ("agent/a", "agent/b", "agent/c"), "rest_for_one")
    world = World(plan("a", "b", "c", groups=[group]))
    world.start()
    world.take_log()
    world.crash("b")
    assert world.log == ["stop c", "start b", "start c"]


def test_a_member_that_was_stopped_by_hand_is_not_brought_back_by_the_others():
    world = World(plan("a", "b", "c", groups=[Group("g", ("agent/a", "agent/b", "agent/c"), "one_for_all")]))
    world.start("a", "b")
    world.stop("b")
    world.crash("a")
    assert world.states() == {"a": "running", "b": "stopped", "c": "stopped"}  # c was never started


def test_a_group_that_is_given_up_stops_as_a_whole():
    group = Group("g", ("agent/a", "agent/b", "agent/c"), intensity=1)
    world = World(plan("a", "b", "c", groups=[group]))
    world.start()
    world.crash("a")
    world.take_log()
    world.crash("b")
    assert sorted(world.log) == ["stop a", "stop c"]
    assert world.states() == {"a": "stopped", "b": "failed", "c": "stopped"}
    cure = "; agentlab start group/g brings all of its group back"
    assert world.reason("a") == f"given up with agent/b{cure}"
    assert world.reason("b").startswith("killed by SIGKILL; given up: group 'g', last agent/b, ended 2 times within 10 s; ")
    assert world.reason("b").endswith(f"allowed are 1 restart{cure}")
    for name in world.keeper.plan.resolve_all("g"):
        world.start(name)
    assert set(world.states().values()) == {"running"}


def test_a_group_has_a_name_too_and_a_unit_goes_before_it():
    groups = [Group("g", ("agent/a", "agent/b")), Group("a", ("agent/b",))]
    the_plan = plan("a", "b", "c", groups=groups)
    both = ("agent/a", "agent/b")
    assert the_plan.resolve_all("g") == the_plan.resolve_all("group/g") == both
    assert the_plan.resolve_all("a") == ("agent/a",)
    assert the_plan.resolve_all("group/a") == ("agent/b",)
    for wrong, near in (("gg", "'g'"), ("group/gg", "'group/g'")):
        with pytest.raises(UnknownUnitError, match=f"the lab has no '{wrong}'; did you mean {near}"):
            the_plan.resolve_all(wrong)


def test_who_goes_along_is_told_why_and_who_never_began_is_not_told_of():
    restarts = {"a": "permanent", "b": "temporary"}
    units = [agent(name, restart=kind) for name, kind in restarts.items()]
    world = World(plan(*units, agent("c", "d"), "d", groups=[Group("g", ("agent/a", "agent/b"), "one_for_all")]))
    world.start("a", "b")
    world.crash("a", 3)
    assert world.states()["b"] == "stopped" and world.reason("b") == "stopped with agent/a"
    assert world.keeper.records["agent/a"].cause == "exit code 3"
    assert world.keeper.records["agent/c"].never_began and not world.keeper.records["agent/b"].never_began
    world.refuses.add("d")
    world.start("c")
    world.shutdown()
    assert "stopped" in world.events("a") and world.events("c") == []


def test_a_restart_that_fails_counts_as_one_more_failure():
    world = World(plan("a", groups=[Group("g", ("agent/a",), intensity=2, backoff=Backoff(0.0))]))
    world.start()
    world.refuses.add("a")
    world.crash("a")
    assert world.state("a") == "failed"
    assert world.events("a").count("restarting") == 2 and "it refused" in world.reason("a")


def test_another_failure_in_the_middle_of_a_groups_restart_begins_it_anew():
    group = Group("g", ("agent/a", "agent/b"), "one_for_all", backoff=Backoff(0.0))
    world = World(plan("a", "b", groups=[group]), quick=False)
    world.start()
    world.up("a")
    world.up("b")
    world.crash("a")
    world.end("b")
    world.up("a")
    world.take_log()
    world.fail("b")
    assert world.take_log() == ["stop a"]
    world.end("a")
    assert world.take_log() == ["start a", "start b"]


# --- daemons and services -----------------------------------------------------------------------------------------------


def test_services_end_with_their_daemon_and_come_back_with_it():
    world = lab(service("t", wanted=False))
    world.start("s")
    assert world.living == {"ns", "d", "s"}
    world.take_log()
    world.crash("d")
    assert world.take_log() == ["start d", "start s"]
    assert world.state("t") == "stopped"


def test_a_service_is_stopped_and_started_alone():
    world = lab()
    world.start()
    world.take_log()
    world.restart("s")
    assert world.take_log() == ["stop s", "start s"]
    world.stop("s")
    assert world.state("s") == "stopped"
    world.crash("d")
    assert world.state("s") == "stopped"


def test_a_service_that_its_daemon_does_not_know_takes_it_along():
    world = lab(service("t", wanted=False))
    world.start("a")
    world.quick = False
    world.start("t")
    life = world._life("t")
    world.lives.remove(life)
    world.take_log()
    world.tell(NeedsParent(life.unit, life.incarnation))
    assert world.take_log() == ["stop d"]
    assert (world.state("t"), world.state("d")) == ("waiting", "stopping")
    world.quick = True
    world.end("d")
    assert sorted(world.take_log()) == ["start d", "start s", "start t"]
    assert set(world.states().values()) == {"running"}


def test_services_of_a_daemon_that_is_stopped_are_shown_as_stopped():
    world = lab(service("t"))
    world.start()
    world.take_log()
    world.stop("d")
    assert world.take_log() == ["stop d"]
    assert (world.state("d"), world.state("s"), world.state("t")) == ("stopped", "stopped", "stopped")
    assert world.keeper.is_settled()
    world.start("d")
    assert set(world.states().values()) == {"running"}


def test_a_service_that_fails_leaves_its_neighbours_alone():
    world = lab(service("t"))
    world.refuses.add("t")
    world.start()
    assert world.states() == {"ns": "running", "d": "running", "s": "running", "a": "running", "t": "failed"}


def test_a_failing_service_does_not_end_its_daemon_when_it_fails_again_after_a_restart():
    world = lab()
    world.start()
    world.refuses.add("s")
    world.crash("d")
    world.pass_time(20.0)
    assert (world.state("d"), world.state("s"), world.state("a")) == ("running", "failed", "running")


# --- stopping -----------------------------------------------------------------------------------------------------------


def test_a_shutdown_goes_backwards_and_services_go_with_their_daemon():
    world = lab(quick=False)
    world.start()
    for name in ("ns", "d", "s", "a"):
        world.up(name)
    world.take_log()
    world.shutdown()
    for name in ("a", "d", "ns"):
        assert world.take_log() == [f"stop {name}"]
        world.end(name)
    assert world.living == set() and not world.keeper.is_shutting_down
    assert set(world.states().values()) == {"stopped"}


def test_one_that_does_not_stop_is_killed_after_its_own_time():
    world = World(plan(agent("a", stop_timeout=2.0)))
    world.ignores_stop.add("a")
    world.start()
    world.stop("a")
    world.pass_time(1.9)
    assert world.state("a") == "stopping" and world.living == {"a"}
    world.pass_time(0.2)
    assert world.state("a") == "stopped" and world.living == set()
    assert world.reason("a") == "killed: it did not stop within 2 s"


def test_all_that_is_left_shortly_before_the_deadline_is_killed_at_once():
    world = World(plan("a", agent("b", "a"), agent("c", "b")))
    world.ignores_stop |= {"a", "b", "c"}
    world.start()
    world.shutdown(2.0)
    world.pass_time(1.5)
    assert world.living == {"a", "b", "c"}
    world.pass_time(0.2)
    assert world.living == set()
    assert world.keeper.next_time() is None


def test_one_that_is_starting_is_stopped_too():
    world = World(plan("a", agent("b", "a")), quick=False)
    world.start()
    world.shutdown()
    assert world.take_log() == ["start a", "stop a"]
    world.up("a")  # it was faster
    assert world.state("a") == "stopping"
    world.end("a")
    assert world.states() == {"a": "stopped", "b": "stopped"}


def test_nothing_is_restarted_while_everything_stops():
    world = World(plan(agent("a", restart="permanent"), agent("b", restart="permanent")), quick=False)
    world.start()
    world.up("a")
    world.up("b")
    world.shutdown()
    world.crash("a", 1)
    world.crash("b", -11)
    assert world.states() == {"a": "stopped", "b": "stopped"}


def test_starting_what_is_stopping_brings_it_back():
    world = World(plan("a"), quick=False)
    world.start()
    world.up("a")
    world.stop("a")
    world.start("a")
    world.end("a")
    assert world.state("a") == "starting"


# --- hangs --------------------------------------------------------------------------------------------------------------


def watched(restart="transient"):
    world = World(plan(agent("a", restart=restart, hang_timeout=5.0)))
    world.start()
    return world


def look(world, turned, seconds, step=0.5, **more):
    for _ in range(int(seconds / step)):
        world.pass_time(step)
        if not world.lives:
            return
        world.pulse("a", world.now if turned is None else turned, **more)


def test_a_loop_that_does_not_turn_is_suspected_then_killed_and_started_again():
    world = watched()
    look(world, None, 2.0)
    turned = world.now
    look(world, turned, 2.0)
    assert world.state("a") == "running"
    look(world, turned, 1.0)
    assert world.state("a") == "suspected"
    look(world, turned, 2.0)
    assert "kill a" not in world.log
    look(world, turned, 0.5)
    assert world.log == ["start a", "kill a", "start a"]
    assert world.events("a")[-5:] == ["hung", "crashed", "restarting", "starting", "ready"]


def test_one_that_turns_again_is_trusted_again():
    world = watched()
    look(world, world.now, 4.0)
    assert world.state("a") == "suspected"
    look(world, None, 0.5)
    assert world.state("a") == "running" and world.events("a")[-1] == "recovered"


@pytest.mark.parametrize("more", [{"busy": True}, {"running": False}])
def test_one_that_is_busy_on_purpose_or_does_not_run_is_not_suspected(more):
    world = watched()
    look(world, world.now, 60.0, **more)
    assert world.state("a") == "running"


def test_one_whose_policy_brings_nothing_back_is_suspected_but_not_killed():
    world = watched("temporary")
    look(world, world.now, 60.0)
    assert world.state("a") == "suspected" and world.living == {"a"}


def test_a_supervisor_that_stood_still_itself_blames_nobody():
    world = watched()
    look(world, None, 2.0)
    turned = world.now
    world.pass_time(600.0)  # the machine slept, or we did: nobody turned, nobody looked
    world.pulse("a", turned)
    assert world.state("a") == "running"
    look(world, turned, 3.0)
    assert world.living == {"a"}
    look(world, turned, 3.0)
    assert world.log.count("kill a") == 1


# --- late and repeated events -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "late", [Started("agent/a", 1), StartFailed("agent/a", 1, "late"), Exited("agent/a", 1, 1), Pulse("agent/a", 1, 0.0)]
)
def test_what_an_older_incarnation_says_changes_nothing(late):
    world = World(plan(agent("a", hang_timeout=5.0)))
    world.start()
    world.crash("a")
    before = dict(vars(world.keeper.records["agent/a"]))
    world.tell(late)
    assert vars(world.keeper.records["agent/a"]) == before


def test_a_request_twice_is_as_good_as_once():
    world = World(plan("a"))
    for _ in range(2):
        world.start()
    for _ in range(2):
        world.stop("a")
    for _ in range(2):
        world.shutdown()
    assert world.log == ["start a", "stop a"]


# --- another plan -------------------------------------------------------------------------------------------------------


def test_another_plan_touches_only_what_changed():
    world = World(plan("keep", "change", "go", agent("last", "go")))
    world.start()
    world.take_log()
    new = plan("keep", agent("change", stop_timeout=1.0), "come", "last")
    world.tell(Replace(new, frozenset({"agent/change"}), ("agent/come",)))
    assert sorted(world.take_log()) == ["start change", "start come", "stop change", "stop go"]
    assert world.states() == {"keep": "running", "change": "running", "come": "running", "last": "running"}


def test_what_is_gone_stops_after_what_needed_it():
    world = World(plan("a", agent("b", "a")), quick=False)
    world.start()
    world.up("a")
    world.up("b")
    world.tell(Replace(plan("new"), start=("agent/new",)))
    assert world.take_log() == ["start a", "start b", "stop b", "start new"]
    world.lives.remove(next(life for life in world.lives if life.unit == "agent/b"))
    world.tell(Exited("agent/b", 1, 0))
    assert world.take_log() == ["stop a"]
    assert not world.keeper.is_settled()
    world.lives.remove(next(life for life in world.lives if life.unit == "agent/a"))
    world.tell(Exited("agent/a", 1, 0))
    world.up("new")
    assert world.keeper.is_settled() and world.keeper.living() == ["agent/new"]


def test_a_change_cures_what_had_failed_but_starts_nothing_that_was_stopped():
    world = World(plan("a", "b"))
    world.refuses.add("a")
    world.start()
    world.stop("b")
    world.refuses.clear()
    world.tell(Replace(plan("a", "b"), frozenset({"agent/a", "agent/b"})))
    assert world.states() == {"a": "running", "b": "stopped"}


def test_a_new_policy_holds_at_once_and_remembers_the_failures():
    world = World(plan("a"))
    world.start()
    world.crash("a")
    world.tell(Replace(plan("a", groups=[Group("agent/a", ("agent/a",), intensity=1)])))
    world.crash("a")
    assert world.state("a") == "failed"


def test_names_are_found_short_or_in_full():
    the_plan = plan(NS, agent("a"), Unit("service/a", "service"))
    assert the_plan.resolve("ns") == "nameserver/ns" and the_plan.resolve("agent/a") == "agent/a"
    with pytest.raises(UnknownUnitError, match="'a' may be agent/a or service/a; write it in full"):
        the_plan.resolve("a")
    with pytest.raises(UnknownUnitError, match="the lab has no 'agent/ab'; did you mean 'agent/a'"):
        the_plan.resolve("agent/ab")


# --- anything may happen at any time ------------------------------------------------------------------------------------

NAMES = [f"u{number}" for number in range(6)]
STEP = st.tuples(
    st.sampled_from(["up", "up", "fail", "end", "crash", "start", "stop", "restart", "wait", "hang", "replace", "late"]),
    st.sampled_from(NAMES),
    st.sampled_from([0.05, 0.5, 3.0, 12.0]),
)


@st.composite
def labs(draw):
    units = []
    for number, name in enumerate(NAMES):
        earlier = st.sampled_from([f"agent/{other}" for other in NAMES[:number]]) if number else st.nothing()
        units.append(
            agent(
                name,
                *(draw(st.sets(earlier, max_size=2)) if number else ()),
                follows=tuple(draw(st.sets(st.sampled_from([f"agent/{other}" for other in NAMES]), max_size=2))),
                restart=draw(st.sampled_from(["permanent", "transient", "temporary"])),
                hang_timeout=5.0,
                stop_timeout=1.0,
            )
        )
    if draw(st.booleans()):  # the third one is hosted by the second
        units[1] = dataclasses.replace(units[1], kind="daemon")
        units[2] = dataclasses.replace(units[2], kind="service", parent=units[1].name, needs=(units[1].name,))
    members = draw(st.lists(st.sampled_from([unit.name for unit in units]), unique=True, max_size=4))
    strategy = draw(st.sampled_from(["one_for_one", "one_for_all", "rest_for_one"]))
    return units, ([Group("g", tuple(members), strategy, draw(st.integers(0, 4)))] if members else [])


def play(world, step, units, groups):
    what, name, seconds = step
    life = world._life(name)
    if what in ("start", "stop", "restart"):
        getattr(world, what)(name)
    elif what == "wait":
        world.pass_time(seconds)
    elif what == "replace":
        others = [dataclasses.replace(unit, stop_timeout=seconds) for unit in units]
        world.tell(Replace(plan(*others, groups=groups), frozenset({f"agent/{name}"})))
    elif what == "late" and world.keeper.records[f"agent/{name}"].incarnation > 1:
        world.tell(Exited(f"agent/{name}", world.keeper.records[f"agent/{name}"].incarnation - 1, 1))
    elif life is None:
        return
    elif (what in ("up", "fail") and life.state == "starting") or (what in ("end", "crash") and life.state == "up"):
        getattr(world, what)(name)
    elif what == "hang":
        look_at = world.now
        for _ in range(12):
            world.pass_time(0.5)
            if world._life(name) is not None:
                world.pulse(name, look_at)


@settings(max_examples=300, deadline=None)
@given(labs(), st.lists(STEP, max_size=60), st.booleans())
def test_whatever_happens_there_is_one_life_of_each_and_nothing_is_left(the_lab, steps, all_at_once):
    units, groups = the_lab
    world = World(plan(*units, groups=groups), quick=False)  # asserts that no second incarnation is ever started
    world.start(*(NAMES if all_at_once else NAMES[:1]))
    for step in steps:
        play(world, step, units, groups)
        known = {life.unit for life in world.lives}
        assert known == set(world.keeper.living())
    # Left alone, with starts that succeed, everything comes to rest, and what is wanted and can be up is up.
    for _ in range(60):
        for life in list(world.lives):
            if life in world.lives and life.state == "starting":
                world.up(life.unit)
            elif life in world.lives and life.asked:
                world.end(life.unit)
        world.pass_time(1.0)
    assert world.keeper.is_settled()
    for record in world.keeper.records.values():
        assert record.state in ("running", "suspected", "stopped", "failed", "done") or record.blocked
    world.shutdown(5.0)
    world.pass_time(5.0)
    assert world.lives == [] and world.keeper.living() == []
    assert not any(record.goal for record in world.keeper.records.values())
