"""Writes ``command_line_reference.rst`` from the program itself: ``python docs/make_command_line_reference.py``.

A test compares the page with what this would write, so it is never out of date.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import typer

from agentlab.cli.main import app
from agentlab.cli.verbs import VERBS

PAGE = Path(__file__).resolve().parent / "command_line_reference.rst"
HEAD = ".. Made by `python docs/make_command_line_reference.py`; do not edit.\n"
WIDTH = 118

_SPECIAL = re.compile(r"([\\*`|])")
_TRAILING = re.compile(r"(\w)_(?!\w)")
_OPTION = re.compile(r"(?<![\w-])(--(?:[a-z][\w-]*)?)(?![\w-])")  # without quotes Sphinx would make one dash of two


def command_line_reference() -> str:
    """Give the page of all verbs, with their arguments and options, as ``--help`` tells them."""
    group = typer.main.get_command(app)
    lines = [
        HEAD,
        "Command line reference",
        "======================",
        "",
        "All commands with all their arguments and options, made from the program. :doc:`command_line` explains them.",
        "",
        ".. contents::",
        "   :local:",
        "   :depth: 2",
        "",
    ]
    for theme, verbs in VERBS.items():
        lines += [theme, "-" * len(theme), ""]
        for verb in verbs:
            lines += _verb(verb, group.commands[verb])  # type: ignore[attr-defined]
    return "\n".join(lines).rstrip() + "\n"


def _verb(name: str, command: Any) -> Iterator[str]:
    title = f"agentlab {name}"
    yield from (f".. _verb-{name}:", "", title, "~" * len(title), "")
    usage = " ".join(["agentlab", name, "[OPTIONS]", *(p.metavar or p.name.upper() for p in command.params if _is_argument(p))])
    yield from (".. code-block:: text", "", f"   {usage}", "")
    for paragraph in re.split(r"\n\s*\n", (command.help or "").strip()):
        yield from (*textwrap.wrap(plain(" ".join(paragraph.split())), WIDTH, break_on_hyphens=False), "")
    rows = [_row(parameter) for parameter in command.params if not parameter.hidden]
    if rows:
        yield from (".. list-table::", "   :widths: 38 82", "")
        for left, right in rows:
            yield from (f"   * - {left}", f"     - {right}")
        yield ""


def _is_argument(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "argument")


def _row(parameter: Any) -> tuple[str, str]:
    if _is_argument(parameter):
        left = f"``{parameter.metavar or parameter.name.upper()}``"
    else:
        names = ", ".join(f"``{option}``" for option in _options(parameter.opts))
        metavar = "" if parameter.is_flag else f" ``{parameter.metavar or 'TEXT'}``"
        left = names + metavar
    text = plain(" ".join((parameter.help or "").split()))
    default = _default(parameter)
    return left, f"{text}{' ' if text and default else ''}{default}"


def _options(opts: Iterable[str]) -> list[str]:
    """Give the names of an option, the short one first."""
    return sorted(opts, key=len)


def _default(parameter: Any) -> str:
    """Give what holds without it, as far as there is something to say."""
    shown = parameter.show_default
    if isinstance(shown, str):
        return f"Default: {plain(shown)}."
    if shown is False or parameter.default in (None, False, ()) or callable(parameter.default):
        return ""
    return f"Default: ``{parameter.default}``."


def plain(text: str) -> str:
    """Give text in which nothing means anything to reStructuredText."""
    return _OPTION.sub(r"``\1``", _TRAILING.sub(r"\1\\_", _SPECIAL.sub(r"\\\1", text)))


if __name__ == "__main__":
    PAGE.write_text(command_line_reference(), "utf-8")
