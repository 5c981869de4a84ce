"""Reading a YAML file into plain values that know where they stand in it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agentlab.yamlfile.composing import Builder, Lines, Position
from agentlab.yamlfile.problems import Problem, Problems, ProblemsError

MAX_SIZE = 1024 * 1024
"""Bytes of the largest file that is read."""
_NO_TEXT = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Source: YAML 1.2.2, 5.1, the characters that a file may hold."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a file; line and column count from 1, columns in characters."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Document:
    """A YAML file that was read.

    Args:
        data: Its value: dict, list, str, int, float, bool or None, and nothing else inside.
        path: The file.
        text: What stands in it.
        marks: Path of each value to line and column of its key and of itself.
        quoted: Path of each value that is all one ``${NAME}`` in quotes, and so text, though it looks like a number; to
            whether it stands within ``[]`` or ``{}``, where YAML allows no other way.
    """

    data: Any
    path: Path
    text: str
    marks: Mapping[tuple[Any, ...], tuple[Position, Position]] = field(repr=False)
    quoted: Mapping[tuple[Any, ...], bool] = field(default_factory=dict, repr=False)

    def mark(self, path: Sequence[Any]) -> Mark:
        """Give the place of the key at a path, of an item of a list that of its value.

        Of what is not there: the place of the nearest that should hold it.
        """
        return self._mark(path, 0)

    def value_mark(self, path: Sequence[Any]) -> Mark:
        """Give the place of the value at a path; of what is not there, that of the nearest that should hold it."""
        return self._mark(path, 1)

    def get(self, path: Sequence[Any], default: Any = None) -> Any:
        """Give the value at a path, or a default where there is none."""
        value = self.data
        for part in path:
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                return default
        return value

    def _mark(self, path: Sequence[Any], which: int) -> Mark:
        whole = tuple(path)
        for length in range(len(whole), -1, -1):
            if (found := self.marks.get(whole[:length])) is not None:
                return Mark(str(self.path), *found[which])
        return Mark(str(self.path), 1, 1)


def read_yaml(path: str | os.PathLike[str], *, environ: Mapping[str, str] | None = None, bool_keys: bool = False) -> Document:
    """Read a YAML file, safely: plain values only, merge keys and anchors included, nothing is ever built or run.

    Scalars mean what YAML 1.2 says (``yes`` and ``on`` are text, ``1e3`` is a number). In values, ``${NAME}`` and
    ``${NAME:default}`` are replaced from the environment and ``$$`` by ``$``; where that makes the whole of a value that stands
    without quotes, it is read again as a scalar, so a port becomes a number. Blocks while the file is read.

    Args:
        path: The file, of at most 1 MiB, in UTF-8.
        environ: Variables; None: those of this process.
        bool_keys: Whether ``true`` and ``false`` may be keys; otherwise they are a problem, as they rarely mean that.

    Raises:
        ProblemsError: it is missing, a directory, empty, binary, too big, not UTF-8, no YAML, has a key twice, a tag other than
            those of plain values, more than 100 levels, aliases that explode, or asks for a variable that is not set.
    """
    file = Path(path)
    text = _decode(str(file), _read(file))
    problems = Problems()
    builder = Builder(str(file), text, os.environ if environ is None else environ, problems, bool_keys=bool_keys)
    data = builder.build()
    problems.raise_if_any()
    return Document(data, file, text, builder.marks, builder.quoted)


def _read(file: Path) -> bytes:
    if _is_pipe(file):  # to read there may mean to wait for ever
        raise _whole(file, "is no file of text, but a pipe")
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_SIZE + 1)
    except FileNotFoundError:
        raise _whole(file, "there is no such file") from None
    except IsADirectoryError:
        raise _whole(file, "is a directory, not a YAML file") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or str(error)
        # Windows says of a directory only that it may not be opened. (Path.is_dir raises where the name is too long.)
        problem = "is a directory, not a YAML file" if os.path.isdir(file) else f"cannot be read: {reason}"  # noqa: PTH112
        raise _whole(file, problem) from None
    if len(content) > MAX_SIZE:
        raise _whole(file, f"is larger than {MAX_SIZE // 1024} KiB, which is more than any such file needs")
    return content


def _is_pipe(file: Path) -> bool:
    try:
        return file.is_fifo()
    except (OSError, ValueError):  # whoever opens it says why
        return False


def _decode(file: str, content: bytes) -> str:
    """Give the text, or say where it is none."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8-sig", "replace")
        if b"\0" in content:
            raise _at(file, before, "is binary, not YAML text") from None
        raise _at(file, before, f"byte 0x{content[error.start]:02x} is not UTF-8; save the file as UTF-8") from None
    if control := _NO_TEXT.search(text):
        said = "is binary, not YAML text" if control[0] == "\0" else f"found the control character {control[0]!r}; take it away"
        raise _at(file, text[: control.start()], said)
    return text


def _whole(file: Path, text: str) -> ProblemsError:
    return ProblemsError([Problem(str(file), 0, 0, "", text)])


def _at(file: str, before: str, text: str) -> ProblemsError:
    return ProblemsError([Problem(file, *Lines(before).at(len(before)), "", text)])
