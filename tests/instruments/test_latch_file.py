"""A latch that outlives its process: the file, and what the engine makes of it."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path

import pytest

from agentlab.errors import LatchedError
from agentlab.instruments.engine.instrument import Instrument
from agentlab.instruments.engine.latch import Latched
from agentlab.instruments.engine.latch_file import LatchFile, latch_path
from agentlab.instruments.model.spec import InstrumentSpec
from agentlab.testing.waiting import wait_condition
from tests.instruments.fake_driver import FakeDriver

SMOKE = Latched("smoke", "Anna", 1000.0)


def test_it_is_there_while_it_is_latched_and_for_this_user_alone(tmp_path: Path) -> None:
    file = LatchFile(tmp_path / "latches" / "psu.json")
    assert file.read() is None
    file.keep(lambda: None)
    assert not (tmp_path / "latches").exists()  # nothing is made without need
    file.keep(lambda: SMOKE)
    path = tmp_path / "latches" / "psu.json"
    if os.name == "posix":
        assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(path.parent.stat().st_mode)) == (0o600, 0o700)
    assert LatchFile(path).read() == SMOKE
    assert [one.name for one in path.parent.iterdir()] == ["psu.json"]
    file.keep(lambda: None)
    file.keep(lambda: None)
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("rubbish", [b"", b"{", b"[]", b"null", b'"on"', b'{"reason": "smoke"}', b"\xff\xfe", b"7"])
def test_what_cannot_be_read_counts_as_latched(tmp_path: Path, rubbish: bytes) -> None:
    path = tmp_path / "psu.json"
    path.write_bytes(rubbish)
    file = LatchFile(path)
    found = file.read()
    assert found is not None
    assert str(path) in found.reason
    file.keep(lambda: None)
    assert not path.exists()


def test_a_directory_in_its_place_counts_as_latched(tmp_path: Path) -> None:
    assert LatchFile(tmp_path).read() is not None


def test_each_instrument_has_a_file_of_its_own_whatever_its_name(tmp_path: Path) -> None:
    places = {latch_path(tmp_path, name) for name in ("psu", "../psu", "p\x00su", "Psu")}
    assert len(places) == 4
    assert {place.parent for place in places} == {tmp_path}


def _engine(path: Path) -> tuple[Instrument, FakeDriver]:
    driver = FakeDriver()
    spec = InstrumentSpec("psu", "none:None", safe={"voltage": 0.0})
    return Instrument(spec, load=lambda _: driver, latch_file=LatchFile(path)), driver


def test_it_is_latched_before_anything_can_be_set_and_made_safe_again(tmp_path: Path) -> None:
    path = tmp_path / "psu.json"
    first, _ = _engine(path)
    first.start()
    first.set("voltage", 5.0).wait(10)
    first.estop("smoke", "Anna")
    assert path.exists()
    first.close()  # not a word of reset
    again, driver = _engine(path)
    early = again.set("voltage", 7.0)
    again.start()
    with pytest.raises(LatchedError, match="by Anna: smoke"):
        early.wait(10)
    assert wait_condition(lambda: again.status()["state"] == "safe")
    assert [what for what in driver.did if "voltage" in str(what)] == [("set", "voltage", 0.0)]
    assert again.reset()["reason"] == "smoke"
    assert not path.exists()
    again.set("voltage", 7.0).wait(10)
    again.close()


def test_a_directory_that_cannot_be_made_is_told_and_the_latch_holds(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    engine, _ = _engine(tmp_path / "link" / "psu.json")
    with caplog.at_level(logging.ERROR):
        assert engine.estop("smoke")["latched"]
    assert "would be forgotten by a restart" in caplog.text
    with pytest.raises(LatchedError):
        engine.set("voltage", 1.0).wait(10)
