"""Following a page of the documentation: its files are written, its commands are run, and what they print is compared.

A page says what to do by four things, taken in their order:

- ``.. literalinclude:: files/...`` with a ``:caption:``: that file is written under the caption's name;
- ``.. code-block:: console``: each line that begins with ``$`` is run, and must print the lines below it. ``…`` there stands
  for anything; a line ``…`` alone for any lines. Where the lines end with ``^C``, the command is left running until then, and
  what follows is what it prints at its end;
- ``$ ...  # in another terminal``: the same as any command; people need the remark, the test does not;
- ``# exit code 2`` below a command: what it must end with, else 0.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from agentlab.testing import wait_condition

DOCS = Path(__file__).resolve().parents[2] / "docs"
ANYTHING = "…"
CTRL_C = "^C"
_SOME = "(?s:.*?)"
_NUMBER = re.compile(r"\d+(?:(?:\\\.|\\-|:)\d+)*")  # in text that was escaped: 12, 1.5, 09:31:05, 2026-01-31
_ANY_NUMBER = r"\\d+(?:[.:-]\\d+)*"
_DOTS = re.compile("[\u2800-\u28ff]+")  # the braille characters of a curve in the terminal
_ANY_DOTS = "[\u2800-\u28ff]*"
PATIENCE = 8.0
"""Seconds in which a command that only looks may come to show what the page says."""
_DIRECTIVE = re.compile(r"^(\s*)\.\. (literalinclude|code-block):: (\S+)\s*$")
_CAPTION = re.compile(r"^\s+:caption: (\S+)\s*$")
_EXIT = re.compile(r"^# exit code (\d+)$")


@dataclass
class File:
    """A file that the page shows."""

    line: int
    name: str
    text: str


@dataclass
class Command:
    """A command of the page, and what it prints."""

    line: int
    text: str
    expected: list[str] = field(default_factory=list)
    exitcode: int = 0


def steps(page: str) -> Iterator[File | Command]:
    """Give what a page says to do."""
    lines = (DOCS / page).read_text("utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        found = _DIRECTIVE.match(line)
        if found is None:
            continue
        indent, kind, argument = found.groups()
        body = _body(lines[number:], len(indent))
        caption = next((match[1] for entry in body if (match := _CAPTION.match(entry))), None)
        if kind == "literalinclude" and argument.startswith("files/"):
            assert caption, f"{page}:{number}: a file to be saved needs its name as :caption:"
            yield File(number, caption, (DOCS / argument).read_text("utf-8"))
        elif kind == "code-block" and argument == "console":
            yield from _commands(body, number, len(indent) + 3)


def _body(lines: list[str], indent: int) -> list[str]:
    body = []
    for line in lines:
        if line.strip() and len(line) - len(line.lstrip()) <= indent:
            break
        body.append(line)
    return body


def _commands(body: list[str], number: int, indent: int) -> Iterator[Command]:
    command = None
    for offset, line in enumerate(body, 1):
        text = line[indent:].rstrip()
        if text.startswith("$ "):
            if command is not None:
                yield command
            command = Command(number + offset, text[2:].partition("  #")[0].strip())
        elif command is not None and (code := _EXIT.match(text)):
            command.exitcode = int(code[1])
        elif command is not None and text:
            command.expected.append(text)
    if command is not None:
        yield command


def matches(expected: list[str], printed: str, *, loosely: bool = False) -> bool:
    """Tell whether something printed is what the page says; blank lines and blanks at the ends of lines do not count.

    Args:
        expected: Lines of the page.
        printed: What was printed.
        loosely: Whether any number is as good as any other, any number of blanks, and any curve: for what is measured.
    """
    pattern = "".join(_SOME if line == ANYTHING else "\n" + _line(line, loosely=loosely) for line in expected)
    shown = "".join(f"\n{line.rstrip()}" for line in printed.splitlines() if line.strip())
    return re.fullmatch(pattern, shown) is not None


def _line(line: str, *, loosely: bool) -> str:
    parts = map(re.escape, line.split(ANYTHING))
    if loosely:
        parts = (re.sub(r"(\\ )+", r"\\s+", _DOTS.sub(_ANY_DOTS, _NUMBER.sub(_ANY_NUMBER, part))) for part in parts)
    return _SOME.join(parts)


class Follower:
    """Does in a folder what a page says.

    Args:
        folder: Where its files are.
        environ: Variables for its commands, besides those of this process.
        change: Changes each text before it is used: other ports, for example.
        again: How commands of agentlab begin that only look: they are run again for a while until they show what the page
            says, as a reader would look again.
        loosely: How commands begin whose numbers differ from run to run.
        append: File name -> text that is added to each file of that name.
        here: What this machine prints -> what the page has instead.
        limit: Seconds that a command may take.
    """

    def __init__(
        self,
        folder: Path,
        environ: dict[str, str],
        change: Callable[[str], str] = lambda text: text,
        *,
        again: Sequence[str] = (),
        loosely: Sequence[str] = (),
        here: Mapping[str, str] = MappingProxyType({}),
        append: Mapping[str, str] = MappingProxyType({}),
        limit: float = 20.0,
    ) -> None:
        self.folder, self.change, self.limit = folder, change, limit
        self.again, self.loosely = (tuple(f"agentlab {verb}" for verb in verbs) for verbs in (again, loosely))
        self.here = here
        self.append = append
        scripts = str(Path(sys.executable).parent)  # where this environment has `agentlab` and `python`
        path = os.pathsep.join([scripts, os.environ.get("PATH", "")])
        self.environ = os.environ | {"PATH": path, "COLUMNS": "80", "PYTHONDONTWRITEBYTECODE": "1"} | environ

    def follow(self, page: str) -> int:
        """Do all that a page says; give the number of its commands."""
        count = 0
        for step in steps(page):
            if isinstance(step, File):
                text = self.change(step.text) + self.append.get(step.name, "")
                (self.folder / step.name).write_text(text, "utf-8")
                continue
            count += 1
            expected = [self.change(line) for line in step.expected]
            where = f"docs/{page}:{step.line}: $ {step.text}"
            run = self._interrupted if CTRL_C in expected else self._run
            run(self.change(step.text), expected, step.exitcode, where)
        return count

    def _start(self, command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(  # the page's own text
            ["bash", "-c", f"exec {command}" if "|" not in command and ";" not in command else command],
            cwd=self.folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _run(self, command: str, expected: list[str], exitcode: int, where: str) -> None:
        if self.again and command.startswith(self.again):
            deadline = time.monotonic() + PATIENCE
            while time.monotonic() < deadline:
                with contextlib.suppress(AssertionError):
                    return self._run_once(command, expected, exitcode, where)
        return self._run_once(command, expected, exitcode, where)

    def _run_once(self, command: str, expected: list[str], exitcode: int, where: str) -> None:
        with self._start(command) as process:
            try:
                printed, _ = process.communicate(timeout=self.limit)
            except subprocess.TimeoutExpired:
                process.kill()
                printed, _ = process.communicate()
                raise AssertionError(f"{where}\ndid not end within {self.limit} s; it printed:\n{printed}") from None
        assert process.returncode == exitcode, f"{where}\nended with exit code {process.returncode}:\n{printed}"
        for found, instead in self.here.items():
            printed = printed.replace(found, instead)
        wanted = "\n".join(expected)
        loosely = command.startswith(self.loosely) if self.loosely else False
        assert matches(expected, printed, loosely=loosely), f"{where}\nprinted:\n{printed}\nthe page says:\n{wanted}"

    def _interrupted(self, command: str, expected: list[str], exitcode: int, where: str) -> None:
        """Wait until the command has printed what stands before the ^C, press it, compare what it prints then."""
        at = expected.index(CTRL_C)
        before, after = expected[:at], expected[at + 1 :]
        printed: list[str] = []
        with self._start(command) as process:
            stdout = process.stdout
            assert stdout is not None
            reader = threading.Thread(target=lambda: printed.extend(stdout), daemon=True)
            reader.start()
            try:
                seen = wait_condition(lambda: matches(before, "".join(printed)), timeout=self.limit)
                count = len(printed)
                process.send_signal(signal.SIGINT)
                code = process.wait(self.limit)
            finally:
                process.kill()
            reader.join(self.limit)
        shown = "".join(printed)
        assert seen, f"{where}\nprinted:\n{shown}\nthe page says:\n" + "\n".join(before)
        assert code == exitcode, f"{where}\nended with exit code {code} after ^C:\n{shown}"
        assert matches(after, "".join(printed[count:])), f"{where}\nprinted at its end:\n{''.join(printed[count:])}"
