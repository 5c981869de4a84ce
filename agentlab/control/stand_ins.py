"""What stands in for an exception of another process whose own class cannot, or must not, be had here.

It is a RemoteError and, so that ``except ValueError`` finds it, the builtin exception that its own class inherits from, or
the error of ours.
"""

from __future__ import annotations

import functools
from typing import Any, Final

from agentlab.errors import (
    BadReplyError,
    CancelledCallError,
    DeviceTimeoutError,
    InstrumentError,
    LimitError,
    OfflineError,
    RemoteError,
    UnitError,
)

_KINDS: Final = {
    kind.__name__: kind
    for kind in (
        ValueError, TypeError, KeyError, IndexError, LookupError, ZeroDivisionError, OverflowError, ArithmeticError,
        AttributeError, NotImplementedError, EOFError, TimeoutError, ConnectionError, PermissionError, FileNotFoundError, OSError,
        InstrumentError, OfflineError, DeviceTimeoutError, BadReplyError, LimitError, UnitError, CancelledCallError,
    )
}  # fmt: skip
"""Those that anybody catches, and that need no arguments of their own; the last are what drivers raise."""


def kind_of(error: BaseException) -> str:
    """Give the name of what an exception inherits from: the nearest that is caught by its name everywhere; empty: none."""
    return next((base.__name__ for base in type(error).__mro__ if _KINDS.get(base.__name__) is base), "")


def remote_error(kind: Any, message: str, type_name: str, remote_traceback: str) -> RemoteError:
    """Give the stand-in of an exception.

    Args:
        kind: What :func:`kind_of` gave there; anything else is passed over.
        message: As for :class:`~agentlab.errors.RemoteError`, and what follows too.
        type_name: Its class.
        remote_traceback: Where it was raised.
    """
    cls = _classes().get(kind, RemoteError) if isinstance(kind, str) else RemoteError
    return cls(message, type_name, remote_traceback)


@functools.cache
def _classes() -> dict[str, type[RemoteError]]:
    def reduce(self: RemoteError) -> tuple[Any, ...]:
        return remote_error, (kinds[type(self)], *self.args[:2], self.remote_traceback)

    space = {"__module__": RemoteError.__module__, "__qualname__": "RemoteError", "__doc__": RemoteError.__doc__}
    made = {name: type("RemoteError", (RemoteError, kind), {**space, "__reduce__": reduce}) for name, kind in _KINDS.items()}
    kinds = {cls: name for name, cls in made.items()}
    return made
