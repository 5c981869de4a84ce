"""What IPython and notebooks show of an error: it asks every exception for `_render_traceback_`."""

from __future__ import annotations

import sys
from typing import Any

from agentlab.control.remote_errors import error_from_bytes, error_to_bytes
from agentlab.errors import AgentLabError, LimitError, RemoteError


def shown(error: BaseException) -> list[str]:
    try:
        raise error
    except AgentLabError as caught:
        return caught._render_traceback_()


def test_the_users_lines_and_the_error_and_no_more() -> None:
    lines = shown(LimitError("voltage takes at most 30 V"))
    assert lines[0] == "Traceback (most recent call last):"
    assert "test_notebook_errors.py" in lines[1]
    assert lines[2:] == ["LimitError: voltage takes at most 30 V"]


def test_where_another_process_raised_it_is_told_when_asked() -> None:
    came: Any = error_from_bytes(error_to_bytes(RemoteError("it broke", "vendor.Error")))
    lines = shown(came)
    assert lines[-2].endswith("print(sys.last_value.remote_traceback))")
    assert lines[-1] == "RemoteError: vendor.Error: it broke"
    assert "it broke" in came.remote_traceback
    expected: Any = error_from_bytes(error_to_bytes(LimitError("too much")))
    assert not any("remote_traceback" in line for line in shown(expected))  # its text says all
    assert "too much" in expected.remote_traceback


def test_our_own_frames_are_not_shown_and_notes_of_the_user_are() -> None:
    from agentlab.settings import config

    try:
        config["START_METHOD"] = "nonsense"
    except AgentLabError as error:
        error.add_note("set in lab.py")
        text = "\n".join(error._render_traceback_())
    assert "settings.py" not in text
    assert 'config["START_METHOD"]' in text
    assert text.endswith("set in lab.py")


def test_a_limit_of_the_users_for_tracebacks_is_no_error(monkeypatch: Any) -> None:
    monkeypatch.setattr(sys, "tracebacklimit", 0, raising=False)
    assert shown(LimitError("x")) == ["LimitError: x"]


def test_one_that_was_never_raised() -> None:
    assert LimitError("x")._render_traceback_() == ["LimitError: x"]
