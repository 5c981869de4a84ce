"""How a publisher learns what its subscribers lost, without a socket."""

from __future__ import annotations

import os

from agentlab.agent.losses import LOST, LossReporter, LossReports


class Wire:
    """Both ends, with the subscriptions in between, and timers that run when told."""

    def __init__(self, *reports):
        self.reports = reports
        self.subscribed = set()
        self.due = []

    def subscribe(self, topic):
        assert topic.startswith(LOST)
        self.subscribed.add(topic)
        for reports in self.reports:
            reports.take(topic)

    def run(self):
        due, self.due = self.due, []
        for action in due:
            action()

    def reporter(self):
        return LossReporter(self.subscribe, self.subscribed.remove, lambda delay, action: self.due.append(action))


def test_losses_are_summed_and_reported_after_a_while():
    reports = LossReports(b"epo1")
    wire = Wire(reports)
    reporter = wire.reporter()
    reporter.note(b"epo1", 3)
    reporter.note(b"epo1", 4)
    assert reports.total == 0
    assert len(wire.due) == 1
    wire.run()
    assert reports.total == 7
    reporter.note(b"epo1", 1)
    wire.run()
    assert reports.total == 8
    assert len(wire.subscribed) == 1  # the report before was taken back


def test_each_publisher_hears_of_its_own_losses_alone():
    one, two = LossReports(b"epo1"), LossReports(b"epo2")
    wire = Wire(one, two)
    reporter = wire.reporter()
    reporter.note(b"epo1", 3)
    reporter.note(b"epo2", 5)
    wire.run()
    assert (one.total, two.total) == (3, 5)


def test_subscribers_are_added_up_and_saying_it_again_changes_nothing():
    reports = LossReports(b"epo1")
    wire = Wire(reports)
    for reporter in (wire.reporter(), wire.reporter()):
        reporter.note(b"epo1", 2)
    wire.run()
    assert reports.total == 4
    for topic in sorted(wire.subscribed):  # a connection came back
        reports.take(topic)
    assert reports.total == 4


def test_subscribers_that_were_forgotten_still_count():
    reports = LossReports(b"epo1", limit=2)
    wire = Wire(reports)
    for _ in range(10):
        wire.reporter().note(b"epo1", 1)
    wire.run()
    assert reports.total == 10
    assert len(reports._lost) == 2


def test_nonsense_is_ignored():
    reports = LossReports(b"epo1")
    for tail in (b"", b"x", os.urandom(19), os.urandom(20), os.urandom(21)):
        reports.take(LOST + tail)
    assert reports.total == 0
