"""Wires, without any file."""

import pytest

from agentlab.lab.wires import KINDS, RECEIVERS, SENDERS, Connection, Drawn, Wire, WireError, clash, connections, parse, resolve
from agentlab.wire.kinds import guess_kind


def wire(text="A.out -> B.f", left=None, right=None, *, known=True, **more):
    drawn = parse({"from": text.split("->")[0].strip(), "to": text.split("->")[1].strip(), **more})
    return resolve(drawn, left or {}, right or {}, known=known)


@pytest.mark.parametrize(
    "text", ["Meter.power -> Scan.on_power", "  Meter.power->Scan.on_power ", "Meter.power  ->  Scan.on_power"]
)
def test_the_short_text(text):
    assert parse(text) == Drawn("Meter", "power", "Scan", "on_power")
    assert str(parse(text)) == "Meter.power -> Scan.on_power"


def test_names_may_have_dots_and_sockets_not():
    assert parse("bench.Meter.power -> b.c.f") == Drawn("bench.Meter", "power", "b.c", "f")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A.out",
        "A.out -> ",
        "-> B.f",
        "A -> B",
        "A.out -> B.f -> C.g",
        "A.out - > B.f",
        "A. -> B.f",
        ".x -> B.f",
        "A x.out -> B.f",
    ],
)
def test_what_is_no_wire(text):
    with pytest.raises(WireError, match="write 'Agent.socket -> Agent.method'"):
        parse(text)


def test_topic_and_topics():
    assert parse({"from": "A.x", "to": "B.f", "topic": "a"}).topics == ("a",)
    assert parse({"from": "A.x", "to": "B.f", "topics": ["a", "b"]}).topics == ("a", "b")
    with pytest.raises(WireError, match="both topic: and topics:"):
        parse({"from": "A.x", "to": "B.f", "topic": "a", "topics": ["b"]})


@pytest.mark.parametrize("kind", SENDERS)
def test_a_bound_socket_at_the_left_is_connected_to_by_the_right(kind):
    made = wire(left={"out": kind})
    assert (made.kind, made.server, made.client, made.bound) == (kind, "source", "B", ("A", "out"))
    assert made == wire(kind=kind)


@pytest.mark.parametrize("kind", RECEIVERS)
def test_a_bound_socket_at_the_right_is_connected_to_by_the_left(kind):
    made = wire(right={"f": kind})
    assert (made.kind, made.server, made.client, made.bound, made.client_alias) == (kind, "target", "A", ("B", "f"), "out")
    assert made == wire(kind=kind)


def test_the_twins_are_those_of_the_sockets():
    for kind, other in (SENDERS | RECEIVERS).items():
        assert guess_kind(kind).twin() == other
    assert set(KINDS) == {"REQ", "REP", "PUSH", "PULL", "PUB", "SUB", "ASYNC_REP", "SYNC_PUB"}


@pytest.mark.parametrize("left", KINDS)
@pytest.mark.parametrize("right", KINDS)
def test_two_bound_sockets_never_make_a_wire(left, right):
    with pytest.raises(WireError) as error:
        wire(left={"out": left}, right={"f": right})
    said = "both bind" if SENDERS.get(left) == right else "do not match"
    assert said in str(error.value) and f"A.out is a {left} socket and B.f a {right} socket" in str(error.value)


@pytest.mark.parametrize("kind", RECEIVERS)
def test_no_wire_begins_at_what_receives(kind):
    with pytest.raises(WireError, match=f"A.out is a {kind} socket, which receives"):
        wire(left={"out": kind})


@pytest.mark.parametrize("kind", SENDERS)
def test_no_wire_ends_at_what_sends(kind):
    with pytest.raises(WireError, match=f"B.f is a {kind} socket, which sends"):
        wire(right={"f": kind})


def test_an_unknown_kind_names_its_cure():
    with pytest.raises(WireError) as error:
        wire(left={"ouut": "PUB"})
    said = str(error.value)
    assert "nobody says what kind of socket A.out is; did you mean 'ouut'?" in said
    assert "`sockets: {out: PUB}`" in said and "`binds = {'out': 'PUB'}`" in said and "kind:" in said


def test_where_nobody_was_asked_the_kind_stays_open():
    made = wire(known=False)
    assert made.kind == "" and made.server == "source"
    assert wire(left={"out": "PUSH"}, known=False).kind == "PUSH"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"kind": "ASYNC_REQ"}, "give the kind of the end that binds: ASYNC_REP"),
        ({"kind": "SYNC_SUB"}, "SYNC_PUB"),
        ({"kind": "PUBB"}, "did you mean 'PUB'"),
        ({"kind": "PUSH", "topic": "a"}, "a wire of kind PUSH has no topics"),
        ({"kind": "SUB", "topics": ["a"]}, "has no topics"),
        ({"kind": "PULL", "alias": "x"}, "leave alias: out"),
        ({"kind": "PUB", "reply": "f"}, "reply: is for the replies of an ASYNC_REP"),
        ({"left": {"out": "PUB"}, "kind": "PUSH"}, "kind is PUSH, but the bound end is a PUB socket; leave kind: out"),
    ],
)
def test_what_does_not_fit(options, said):
    with pytest.raises(WireError) as error:
        wire(**options)
    assert said in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("kind", ["PUB", "SYNC_PUB"])
def test_topics_of_publishers(kind):
    assert wire(kind=kind, topics=["a", "b"]).topics == ("a", "b")


def test_what_an_agent_connects():
    made = [
        wire("A.out -> B.f", kind="PUB", topic="a"),
        wire("A.out -> B.g", kind="PUB", topics=["b", "c"], alias="mine"),
        wire("A.jobs -> B.h", kind="PUSH"),
        wire("B.ask -> C.answer", kind="ASYNC_REP", reply="on_reply"),
        wire("A.out -> C.f", kind="PUB"),
    ]
    assert connections(made, "B") == [
        Connection(("A", "out"), "mine", {"a": "f", "b": "g", "c": "g"}),
        Connection(("A", "jobs"), None, "h"),
        Connection(("C", "answer"), "ask", "on_reply"),
    ]
    assert connections(made, "C") == [Connection(("A", "out"), None, "f")]
    assert connections(made, "A") == []


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (("A.out -> B.f", {"kind": "PUB"}), ("A.out -> B.f", {"kind": "PUB"}), "A.out reaches B already, at f"),
        (
            ("A.out -> B.f", {"kind": "PUB", "topic": "a"}),
            ("A.out -> B.g", {"kind": "PUB", "topics": ["b", "a"]}),
            "for topic 'a'",
        ),
        (("A.out -> B.f", {"kind": "PUSH"}), ("A.out -> B.g", {"kind": "PUSH"}), "one handler gets each message"),
        (("A.out -> B.f", {"kind": "PULL"}), ("A.oot -> B.f", {"kind": "PULL"}), "A is connected to B.f already"),
        (("A.out -> B.f", {"kind": "PULL"}), ("A.out -> C.f", {"kind": "PULL"}), "take another name"),
        (("A.x -> B.f", {"kind": "PUB", "alias": "in"}), ("C.y -> B.g", {"kind": "PUB", "alias": "in"}), "take another name"),
        (("A.out -> B.f", {"kind": "PUB", "topic": "a"}), ("A.out -> B.g", {"kind": "PUB", "topic": "b"}), None),
        (("A.out -> B.f", {"kind": "PUB", "topic": "a"}), ("A.out -> B.g", {"kind": "PUB"}), None),
        (("A.out -> B.f", {"kind": "PUB"}), ("A.out -> C.f", {"kind": "PUB"}), None),
        (("A.x -> B.f", {"kind": "PUB"}), ("A.y -> B.f", {"kind": "PUB"}), None),
    ],
)
def test_wires_that_clash(first, second, said):
    one, two = (wire(text, **more) for text, more in (first, second))
    found = clash(two, one)
    assert found is None if said is None else said in found


def test_a_wire_is_a_value():
    assert Wire("A", "x", "B", "f", "PUB") == wire("A.x -> B.f", kind="PUB")
    assert len({wire("A.x -> B.f", kind="PUB"), wire("A.x -> B.f", kind="PUB")}) == 1
