"""Tables of one look, and short texts for numbers and times. They fit 80 columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from unicodedata import category

if TYPE_CHECKING:
    from rich.table import Table

NUMBERS = ("pid", "messages/s", "errors", "rate", "queue", "CPU %", "memory", "since")
_UNITS = ("B", "K", "M", "G", "T")
_STYLES = {"running": "green", "stopped": "yellow", "ending": "yellow", "silent": "red", "refused": "red", "waiting": "red"}


def printable(text: str, *, keep: str = "") -> str:
    """Give a text as a terminal may get it: what would steer it, such as colours or a change of direction, is spelt out.

    Args:
        text: Whatever a device or a program said.
        keep: Characters that may stay all the same, such as ends of lines.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep or category(c) == "Zs" else ascii(c)[1:-1] for c in text)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """Give a table; columns of numbers stand to the right, states have their colour on a terminal."""
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, pad_edge=False)
    for heading in columns:
        made.add_column(heading, justify="right" if heading in NUMBERS else "left", overflow="fold")
    for row in rows:
        made.add_row(*(Text(printable(text), style=_STYLES.get(text, "")) for text in row))
    return made


def show(made: Table) -> None:
    """Print a table."""
    from rich.console import Console

    Console(highlight=False, markup=False).print(made)


def since_text(when: float | None, now: float) -> str:
    """Give a time of the past: the time of day, with the date when it is not today's.

    Args:
        when: Seconds since 1970; None gives a dash.
        now: The same.
    """
    if when is None:
        return "-"
    try:
        then, today = datetime.fromtimestamp(when).astimezone(), datetime.fromtimestamp(now).astimezone()
    except (ValueError, OverflowError, OSError):  # whoever registers may say what it likes
        return "?"
    if then.date() == today.date():
        return then.strftime("%H:%M:%S")
    return then.strftime("%d %b %H:%M" if then.year == today.year else "%Y-%m-%d")


def rate_text(rate: float | None) -> str:
    """Give a number of events per second, with as many digits as mean something; a dash for None."""
    if rate is None:
        return "-"
    if rate >= 1e5:
        return f"{rate / 1e6:.1f}M" if rate >= 1e6 else f"{rate / 1e3:.0f}k"
    return f"{rate:.0f}" if rate >= 10 or rate == 0 else f"{rate:.1f}"


def bytes_text(size: float | None) -> str:
    """Give a number of bytes as 512B, 29M, 1.2G; a dash for None."""
    if size is None:
        return "-"
    unit = 0
    while size >= 1000 and unit < len(_UNITS) - 1:
        size /= 1024
        unit += 1
    return f"{size:.1f}{_UNITS[unit]}" if size < 10 and unit else f"{size:.0f}{_UNITS[unit]}"


def count_text(number: int | None) -> str:
    """Give a count; a dash for None."""
    return "-" if number is None else str(number)
