"""Values that are rebuilt without importing anything, and what stands in for exceptions that cannot be."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from agentlab.control.known import loads_known
from agentlab.control.remote_errors import error_from_bytes, error_to_bytes
from agentlab.control.stand_ins import _KINDS, kind_of, remote_error
from agentlab.errors import LimitError, OfflineError, RemoteError

SOURCE = """
class ThingError(TimeoutError):
    pass
class Thing:
    pass
def use():
    return Thing()
"""


@pytest.fixture
def vendor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A module that can be imported; it is forgotten by whoever wants to see whether it is imported again."""
    (tmp_path / "a_vendor_of_tests.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    import a_vendor_of_tests  # type: ignore[import-not-found]

    yield a_vendor_of_tests
    sys.modules.pop("a_vendor_of_tests", None)


def test_what_is_here_is_rebuilt_and_nothing_else_imported(vendor: Any) -> None:
    data = pickle.dumps(vendor.Thing())
    assert type(loads_known(data)) is vendor.Thing
    del sys.modules["a_vendor_of_tests"]
    with pytest.raises(pickle.UnpicklingError, match="'a_vendor_of_tests', which was not imported here"):
        loads_known(data)
    assert "a_vendor_of_tests" not in sys.modules
    assert loads_known(pickle.dumps(Path("x"))) == Path("x")


def test_code_by_value_imports_nothing_either(vendor: Any) -> None:
    space: dict[str, Any] = {"a_vendor_of_tests": vendor, "__name__": "__main__"}
    exec("def use():\n    return a_vendor_of_tests.Thing()", space)  # as a notebook's function
    data = cloudpickle.dumps(space["use"])
    assert type(loads_known(data)()) is vendor.Thing
    del sys.modules["a_vendor_of_tests"]
    with pytest.raises(pickle.UnpicklingError):
        loads_known(data)
    assert "a_vendor_of_tests" not in sys.modules


def test_an_exception_comes_as_its_own_type_where_that_is_here(vendor: Any) -> None:
    data = error_to_bytes(vendor.ThingError("too late"), security="keys")
    assert type(error_from_bytes(data, security="keys", imports=False)) is vendor.ThingError
    del sys.modules["a_vendor_of_tests"]
    found = error_from_bytes(data, security="keys", imports=False)
    assert isinstance(found, RemoteError)
    assert isinstance(found, TimeoutError)
    assert str(found) == "a_vendor_of_tests.ThingError: too late"
    assert "a_vendor_of_tests" not in sys.modules
    assert type(error_from_bytes(data, security="keys")).__name__ == "ThingError"  # where nobody forbids it


def test_an_exception_that_holds_what_is_not_here(vendor: Any) -> None:
    data = error_to_bytes(KeyError(vendor.Thing()), security="keys")
    del sys.modules["a_vendor_of_tests"]
    found = error_from_bytes(data, security="keys", imports=False)
    assert isinstance(found, RemoteError)
    assert isinstance(found, KeyError)
    assert "a_vendor_of_tests" not in sys.modules


@pytest.mark.parametrize("kind", _KINDS)
def test_every_stand_in_is_two_things_and_survives_pickling(kind: str) -> None:
    error = remote_error(kind, "what was wrong", "vendor.Error", "where")
    for found in (error, pickle.loads(pickle.dumps(error))):
        assert isinstance(found, RemoteError)
        assert isinstance(found, _KINDS[kind])
        assert str(found) == "vendor.Error: what was wrong"
        assert (found.type_name, found.remote_traceback) == ("vendor.Error", "where")
        assert type(found).__name__ == "RemoteError"


class UnpluggedError(OfflineError):
    """An error of somebody's driver."""


def test_which_kind_an_exception_is_of() -> None:
    errors = (RuntimeError(), SystemExit(), UnpluggedError(), UnicodeError(), ConnectionResetError())
    assert [kind_of(one) for one in errors] == ["", "", "OfflineError", "ValueError", "ConnectionError"]
    for rubbish in ("", "SystemExit", "KeyboardInterrupt", None, 7, ["ValueError"]):
        assert type(remote_error(rubbish, "x", "y", "z")) is RemoteError


def test_expected_errors_carry_no_note_but_know_where_they_were_raised() -> None:
    expected = error_from_bytes(error_to_bytes(LimitError("31 V is too much")))
    assert not hasattr(expected, "__notes__")
    assert "LimitError: 31 V" in expected.remote_traceback  # type: ignore[attr-defined]
    assert "in the other process" in error_from_bytes(error_to_bytes(ValueError("x"))).__notes__[0]
