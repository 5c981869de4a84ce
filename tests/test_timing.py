"""The limits of time that the other tests use."""

import pytest

from tests import timing
from tests.timing import soon


@pytest.fixture
def looks(monkeypatch):
    """Let the machine be three times as slow as an idle one; count how often it was looked at."""
    found = []
    monkeypatch.setattr(timing, "slowness", lambda: found.append(1) or 3.0)
    return found


@pytest.mark.parametrize(("took", "holds", "count"), [(0.9, True, 0), (2.9, True, 1), (3.1, False, 1)])
def test_a_limit_that_was_passed_is_stretched_and_one_that_holds_costs_nothing(looks, took, holds, count):
    assert (took < soon(1.0)) is holds
    assert len(looks) == count


def test_how_slow_the_machine_is():
    assert 1.0 <= timing.slowness() <= timing.MOST
