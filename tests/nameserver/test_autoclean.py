"""Who is taken away without a lease, and that nobody waits for the silent."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import threading
import time

import pytest

from agentlab.control.uri import Location
from agentlab.errors import NameServerError
from agentlab.nameserver import autoclean
from agentlab.nameserver.autoclean import Autocleaner, Patience, by_place, try_all
from agentlab.nameserver.probe import Verdict, verdict_of
from agentlab.nameserver.registration import Registration
from tests.nameserver.live import wait_until
from tests.timing import soon

ALIVE, DEAD, UNREACHABLE = Verdict.ALIVE, Verdict.DEAD, Verdict.UNREACHABLE
A, B = Location(host="a", port=1), Location(path="/b")


def test_what_the_outcome_of_a_connection_means():
    assert verdict_of(None) is ALIVE
    for code in (errno.EAGAIN, errno.EACCES, errno.EPERM):
        assert verdict_of(OSError(code, "")) is ALIVE
    for code in (errno.ECONNREFUSED, errno.ENOENT, errno.ENOTDIR):
        assert verdict_of(OSError(code, "")) is DEAD
    for code in (errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ECONNRESET):
        assert verdict_of(OSError(code, "")) is UNREACHABLE
    assert verdict_of(TimeoutError()) is UNREACHABLE


def test_the_dead_go_at_once_and_the_unreachable_after_twenty_seconds():
    patience = Patience()
    assert patience.is_over(A, DEAD, 0.0)
    assert not patience.is_over(A, ALIVE, 0.0)
    assert [patience.is_over(A, UNREACHABLE, now) for now in (1.0, 20.9, 21.0)] == [False, False, True]
    assert not patience.is_over(A, ALIVE, 22.0)  # the cable is in again
    assert [patience.is_over(A, UNREACHABLE, now) for now in (30.0, 49.0, 50.0)] == [False, False, True]
    patience.keep_only([B])
    assert not patience.is_over(A, UNREACHABLE, 60.0)


def test_who_is_tried():
    one = Registration("one", "PYRO:x@a:1")
    two = Registration("two", "PYRO:y@a:1")
    unix = Registration("unix", "PYRO:z@./u:/b")
    others = [
        Registration("leased", "PYRO:x@a:1", lease=3.0),
        Registration("name", "PYRONAME:x"),
        Registration("port", "PYRO:x@a:99999"),
        Registration("text", "what is this"),
    ]
    assert by_place([one, *others, unix, two]) == {A: [one, two], B: [unix]}


@pytest.fixture
def holders(tmp_path):
    """Give places: some where somebody listens, a silent one that takes no more connections, some where nobody is."""
    with contextlib.ExitStack() as stack:
        live = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        places = {
            "live": Location(host="127.0.0.1", port=live.getsockname()[1]),
            "by name": Location(host="localhost", port=live.getsockname()[1]),
            "gone": Location(host="127.0.0.1", port=_free_port()),
            "unknown host": Location(host="nowhere.invalid", port=1),
        }
        silent = stack.enter_context(socket.socket())
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        for _ in range(2):  # Linux takes one more than it was told to
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(silent.getsockname())
        places["silent"] = Location(host="127.0.0.1", port=silent.getsockname()[1])
        if hasattr(socket, "AF_UNIX"):
            path = str(tmp_path / "s")
            there = stack.enter_context(socket.socket(socket.AF_UNIX))
            there.bind(path)
            there.listen()
            stale = str(tmp_path / "stale")
            with socket.socket(socket.AF_UNIX) as old:
                old.bind(stale)
            places.update(unix=Location(path=path), stale=Location(path=stale), missing=Location(path=str(tmp_path / "no" / "s")))
        yield places


def _free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_places_are_tried_side_by_side_and_the_silent_delay_nobody(holders):
    names = {place: name for name, place in holders.items()}
    found, order = {}, []

    def judged(place, verdict):
        found[names[place]] = verdict
        order.append(names[place])

    start = time.monotonic()
    try_all(reversed(list(holders.values())), judged, timeout=0.3)
    assert time.monotonic() - start < soon(2.0)
    expected = {"live": ALIVE, "by name": ALIVE, "gone": DEAD, "unknown host": UNREACHABLE, "silent": UNREACHABLE}
    expected |= {"unix": ALIVE, "stale": DEAD, "missing": DEAD} if "unix" in holders else {}
    assert found == expected and order[-1] == "silent"


def test_more_places_than_are_tried_at_once(monkeypatch, holders):
    monkeypatch.setattr(autoclean, "PARALLEL", 3)
    found = []
    places = [holders["live"], holders["gone"], holders["silent"]] * 4
    try_all(places, lambda place, verdict: found.append(verdict), timeout=0.05)
    assert sorted(v.value for v in found) == ["alive"] * 4 + ["dead"] * 4 + ["unreachable"] * 4


def test_trying_ends_when_it_is_told_to(holders):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        found = []
        timer = threading.Timer(0.05, ours.send, (b"x",))
        timer.start()
        start = time.monotonic()
        try_all([holders["silent"]], lambda *one: found.append(one), theirs, timeout=30.0)
        assert time.monotonic() - start < soon(3.0) and found == []
        timer.join()


class Names:
    """A name server that is a dict."""

    def __init__(self, **uris):
        self.held = {name: Registration(name, uri) for name, uri in uris.items()}
        self.rounds, self.full = 0, False

    def list(self):
        self.rounds += 1
        return dict(self.held)

    def remove(self, name, uri=None, instance=None):
        if self.full:
            raise NameServerError("refused: no room")
        return self.held[name].uri == uri and bool(self.held.pop(name))


def test_rounds_take_away_who_is_dead_and_nobody_else(holders, caplog):
    caplog.set_level("INFO")
    names = Names(**{name.replace(" ", "_"): place.uri("x") for name, place in holders.items()}, odd="PYRONAME:y", text="?")
    with Autocleaner(names, 0.02, timeout=0.1):
        wait_until(lambda: not {"gone", "stale", "missing"} & set(names.held))
        rounds = names.rounds
        wait_until(lambda: names.rounds > rounds + 1, 6.0)
        assert set(names.held) == {name.replace(" ", "_") for name in holders} - {"gone", "stale", "missing"} | {"odd", "text"}
    assert "autoclean removed 'gone': its holder at PYRO:x@127.0.0.1" in caplog.text


def test_who_is_out_of_reach_for_long_goes(holders):
    names = Names(silent=holders["silent"].uri("x"), live=holders["live"].uri("x"))
    with Autocleaner(names, 0.02, Patience(0.15), timeout=0.02):
        assert wait_until(lambda: set(names.held) == {"live"}) > 0.1


def test_it_ends_at_once_while_it_waits_for_a_silent_peer(holders):
    names = Names(silent=holders["silent"].uri("x"))
    with Autocleaner(names, 0.01):
        wait_until(lambda: names.rounds)
        start = time.monotonic()
    assert time.monotonic() - start < soon(1.0)


def test_it_never_dies(holders, caplog):
    names = Names(gone=holders["gone"].uri("x"))
    names.full = True
    real, names.list = names.list, lambda: 1 / 0
    with Autocleaner(names, 0.01):
        wait_until(lambda: "gave up a round" in caplog.text)
        names.list = real
        wait_until(lambda: "could not remove 'gone': refused: no room" in caplog.text)
        names.full = False
        wait_until(lambda: not names.held)


@pytest.mark.skipif(os.name != "posix", reason="file descriptors")
def test_it_leaves_no_descriptor_open(holders):
    psutil = pytest.importorskip("psutil")
    before = psutil.Process().num_fds()
    try_all([*holders.values()], lambda *_: None, timeout=0.05)
    assert psutil.Process().num_fds() == before
