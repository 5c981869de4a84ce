"""The instruments of a lab file: where their tables are, what their agents are given, and the rules that make them safe."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentlab.instruments.engine.interlocks import parse_interlock
from agentlab.instruments.engine.latch_file import latch_path
from agentlab.instruments.model.spec import InstrumentSpec
from agentlab.lab.instrument_model import InstrumentModel, with_table

if TYPE_CHECKING:
    from agentlab.lab.entries import InterlockEntry

BASE = "agentlab.instruments.agent:InstrumentAgent"
"""The class of instruments' agents."""
READINGS = "readings"
"""The alias under which every instrument publishes."""
HISTORY = "history.sqlite"
"""The file of the readings, beside the lab file, where the file only says that they are kept."""

_TABLE = re.compile(r"(?P<file>.+\.ya?ml)(?P<rest>@\w+)?")  # psu.yml; with PyVISA's simulation psu.yaml@sim


def located(model: InstrumentModel, folder: Path, home: Path) -> InstrumentModel:
    """Give an instrument whose relative files are where the file that it stands in says, wherever its process is started.

    Args:
        model: As the lab file says it, with its stand-in's driver where the lab is simulated.
        folder: The folder of the file in which it stands.
        home: The folder of the lab file itself.
    """
    kwargs = with_table(model.kwargs, model.parameters)
    said: dict[str, Any] = {
        "args": [_beside(value, folder) for value in model.args],
        "kwargs": {
            key: _beside(value, folder, always=key == "parameters" and isinstance(value, str)) for key, value in kwargs.items()
        },
    }
    if isinstance(model.parameters, str):
        said["parameters"] = {}
    if model.history is True:
        said["history"] = str(home / HISTORY)
    elif isinstance(model.history, str):
        said["history"] = str(file_beside(folder, model.history))
    return model.model_copy(update=said)


def _beside(value: Any, folder: Path, *, always: bool = False) -> Any:
    """Give a text that names a YAML file in the folder as that file's whole path; anything else as it is."""
    found = _TABLE.fullmatch(value) if isinstance(value, str) else None
    if found is None and not always:
        return value
    name, rest = (found["file"], found["rest"] or "") if found is not None else (value, "")
    path = file_beside(folder, name)
    return f"{path}{rest}" if always or path.is_file() else value


def file_beside(folder: Path, text: str) -> Path:
    """Give the path that a lab file means by a text: relative to its folder; ``~`` is somebody's home, where there is one."""
    try:
        return folder / Path(text).expanduser()
    except RuntimeError:  # nobody is called so, or this process has no home
        return folder / text


def tables_of(model: InstrumentModel) -> str:
    """Give a digest of the files that an instrument's arguments name, such as its table of commands; empty: they name none.

    Args:
        model: As :func:`located` gives it.
    """
    contents = [content for path in _files_of(model) if path.is_absolute() and (content := _content(path)) is not None]
    return hashlib.sha256(b"\0".join(contents)).hexdigest()[:16] if contents else ""


def _content(path: Path) -> bytes | None:
    """Give what is in a file; None: it is none, or nobody may read it, which its driver tells when it needs it."""
    try:
        return path.read_bytes() if path.is_file() else None
    except (OSError, ValueError):
        return None


def _files_of(model: InstrumentModel) -> Iterator[Path]:
    """Give the files that its arguments name: whatever is its table, and any other YAML file."""
    for key, value in (*enumerate(model.args), *model.kwargs.items()):
        if isinstance(value, str) and (found := _TABLE.fullmatch(value)) is not None:
            yield Path(found["file"])
        elif isinstance(value, str) and key == "parameters":
            yield Path(value)


def instrument_spec(
    name: str, model: InstrumentModel, interlocks: Iterable[str] = (), latches: Path | None = None
) -> InstrumentSpec:
    """Give what an instrument's agent is to hold.

    Args:
        name: Its name.
        model: As :func:`located` gives it.
        interlocks: The rules that it carries out.
        latches: Directory of the files in which latched safe states outlive agents.

    Raises:
        DriverError: it cannot be.
    """
    return InstrumentSpec(
        name,
        model.driver,
        model.address,
        tuple(model.args),
        with_table(model.kwargs, model.parameters),
        model.overrides,
        model.poll,
        model.safe,
        owner_required=model.owner.required,
        owner_lease=model.owner.lease,
        on_owner_lost=model.owner.on_lost,
        interlocks=list(interlocks),
        history=model.history if isinstance(model.history, str) else None,
        history_days=model.history_days,
        watchdog=model.watchdog,
        timeout=model.timeout,
        ping=model.ping,
        latch_file=None if latches is None else str(latch_path(latches, name)),
    )


def rules_by_target(entries: Iterable[InterlockEntry]) -> dict[str, list[str]]:
    """Give the interlock rules of each instrument that carries some out."""
    found: dict[str, list[str]] = {}
    for entry in entries:
        found.setdefault(entry.rule.target, []).append(entry.text)
    return found


def sources_of(rules: Iterable[str]) -> list[str]:
    """Give the instruments whose readings some rules look at, each once."""
    return list(dict.fromkeys(condition.source for text in rules for condition in parse_interlock(text).conditions))


def polled(model: InstrumentModel, facts: Mapping[str, Mapping[str, Any]] | None) -> Iterator[str]:
    """Give the names of the parameters of which readings are known to be published; ``*`` for all that can be read.

    Args:
        model: The instrument.
        facts: Its parameters, as its driver's class tells them; None: nobody has looked.
    """
    if isinstance(model.poll, dict):
        yield from model.poll
    elif model.poll is not None:
        yield "*"
    yield from (name for name, override in model.overrides.items() if override.get("poll"))
    yield from (name for name, one in (facts or {}).items() if one.get("poll"))
