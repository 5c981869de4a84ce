"""What is wrong in a file: a problem knows its place, and all of one reading are told at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from agentlab.errors import ConfigurationError

Key = str | int | float
"""What stands before a colon, or the number of an item in a list."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a file.

    Args:
        file: The file's path, as it was given.
        line: Line of the key, from 1; 0: the file as a whole is meant.
        column: Column of the key in characters, from 1; 0 as for the line.
        key: Where in the file's data, as ``agents.Laser.restart``; may be empty.
        text: One line: what was found, what is allowed.
    """

    file: str
    line: int
    column: int
    key: str
    text: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return ": ".join(part for part in (place, self.key, self.text) if part)


class ProblemsError(ConfigurationError):
    """A file has problems; as text they are one line each.

    Args:
        problems: All of them.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        super().__init__(tuple(problems))

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The problems, in the order of the file where one reading found them."""
        found: tuple[Problem, ...] = self.args[0]
        return found

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


class Place(Protocol):
    """A line and a column in a file."""

    @property
    def file(self) -> str:
        """The file's path."""

    @property
    def line(self) -> int:
        """From 1."""

    @property
    def column(self) -> int:
        """From 1."""


class Places(Protocol):
    """What knows where its values stand: a :class:`~agentlab.yamlfile.document.Document`, or several made one."""

    def mark(self, path: Sequence[Any]) -> Place:
        """Give the place of a key."""


class Problems:
    """Collects problems, so that a user sees all of them at once. Not thread-safe."""

    def __init__(self) -> None:
        self._found: list[Problem] = []

    def add(self, document: Places, path: Sequence[Any], text: str) -> None:
        """Note a problem at a path of a document; of a key that is not there, the place of what should hold it is told."""
        mark = document.mark(path)
        self.append(Problem(mark.file, mark.line, mark.column, key_text(path), text))

    def append(self, problem: Problem) -> None:
        """Note a problem, once."""
        if problem not in self._found:
            self._found.append(problem)

    def extend(self, problems: Iterable[Problem] | ProblemsError) -> None:
        """Note those of an error, of another collection, or of any iterable."""
        for problem in problems.problems if isinstance(problems, ProblemsError) else problems:
            self.append(problem)

    def in_order(self) -> list[Problem]:
        """Give them file by file, those of one file by line and column."""
        files = list(dict.fromkeys(problem.file for problem in self._found))
        return sorted(self._found, key=lambda p: (files.index(p.file), p.line, p.column))

    def raise_if_any(self) -> None:
        """Raise ProblemsError with all of them, in order; nothing where there is none."""
        if self._found:
            raise ProblemsError(self.in_order())

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[Problem]:
        return iter(self._found)


def key_text(path: Sequence[Any]) -> str:
    """Give a path as users read it: ``nameservers[0].default.ns_port``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else str(part)
    return text
