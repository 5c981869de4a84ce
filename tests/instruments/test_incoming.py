"""What comes with a call from another process, and is rubbish."""

from __future__ import annotations

from typing import Any

import pytest

from agentlab.errors import InstrumentError
from agentlab.instruments.engine.claims import Client, Grant, Holding
from agentlab.instruments.serving.incoming import FOREVER, LONGEST_TEXT, NAMELESS, caller_of, one_line, seconds

SECRET = "c0ffee" * 5


def note(**changed: Any) -> dict[str, Any]:
    return {"client": "1", "label": "Anna", "token": None, "limit": None, **changed}


def test_who_calls() -> None:
    assert caller_of(note(limit=2)) == (Client("1", "Anna", None), 2.0)
    assert caller_of(note(client="", label="")) == (NAMELESS, None)  # nobody is taken for the instrument itself
    assert caller_of(note(token=SECRET, label="")) == (Client("1", "1", SECRET), None)
    assert caller_of(note(label="An\nna\x1b[31m\ud800" + "x" * 10_000))[0].label.startswith("An na [31m x")
    assert len(caller_of(note(label="x" * 10_000))[0].label) == LONGEST_TEXT + 1


@pytest.mark.parametrize("bad", [5, "text", ["client"], note(token=7), note(token=b"x"), note(limit="2"), note(limit=True)])
def test_what_is_no_note(bad: Any) -> None:
    with pytest.raises(InstrumentError):
        caller_of(bad)


def test_times() -> None:
    assert [seconds("x", value) for value in (0, -1, 2.5, float("inf"), 10**400, -(10**400))] == [0, 0, 2.5, FOREVER, FOREVER, 0]
    for bad in (None, float("nan"), "1", True, [], 1j):
        with pytest.raises(InstrumentError, match="seconds"):
            seconds("a wait", bad)


def test_texts() -> None:
    assert [one_line(value) for value in (None, "", " a\tb\r\n", 7, {"a": 1})] == ["", "", "a b", "(int)", "(dict)"]
    one_line("\ud800\udfff").encode()


def test_no_token_is_ever_printed() -> None:
    held = Holding("1", "Anna", SECRET, 0.0, 1.0, 1.0, "")
    assert SECRET not in repr([Client("1", "Anna", SECRET), Grant(SECRET, 1.0), held])
