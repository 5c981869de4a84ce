"""Exceptions between processes: as their own type where that can be rebuilt, as a description where not."""

from __future__ import annotations

import sys
import traceback
from typing import Any, Final

import msgpack

from agentlab.control import payload
from agentlab.control.security import ControlSecurity
from agentlab.control.stand_ins import kind_of, remote_error
from agentlab.errors import REMOTE_NOTE, InstrumentError, RemoteError, SerializationError

TRACEBACK_LIMIT: Final = 64 * 1024
TEXT_LIMIT: Final = 16 * 1024

_PLAIN: Final = (type(None), bool, int, float, str, bytes)


def error_to_bytes(exc: BaseException, *, security: str | None = None) -> bytes:
    """Describe an exception, with its traceback and those of its causes; never raises.

    Args:
        exc: Any exception.
        security: ``'keys'``: the exception itself goes along if it survives pickling. ``'none'``: its plain arguments.
    """
    module: Any = type(exc).__module__  # a class may say anything there
    described: dict[str, Any] = {
        "module": str.__str__(module) if isinstance(module, str) else "",
        "qualname": str.__str__(type(exc).__qualname__),
        "message": _text(exc)[:TEXT_LIMIT],
        "kind": kind_of(exc),
        "traceback": traceback_text(exc),
    }
    if isinstance(exc, Exception):
        if not ControlSecurity(security).open:
            described["pickled"] = _pickled(exc)
        else:
            described |= _plain_args(exc)
    try:
        return bytes(msgpack.packb(described, unicode_errors="surrogatepass"))
    except (ValueError, OverflowError):  # an argument beyond 64 bits
        described.pop("args", None)
        return bytes(msgpack.packb(described, unicode_errors="surrogatepass"))


def error_from_bytes(data: bytes, *, security: str | None = None, imports: bool = True) -> BaseException:
    """Rebuild what :func:`error_to_bytes` described; never raises.

    What would end the caller rather than tell it of a failure (SystemExit, KeyboardInterrupt) comes as RemoteError.
    With security ``'none'`` nothing is imported, and only exception classes that are here already are called.

    Args:
        data: The description.
        security: ``'keys'`` or ``'none'``; ``config['SECURITY']`` if None.
        imports: Whether the module of its class is imported where it is not here yet.

    Returns:
        The exception, or a RemoteError, which is also what its own type inherits from: see :mod:`agentlab.control.stand_ins`.
        It has the other process's traceback as ``remote_traceback`` and, unless it is an error of instruments, whose texts
        say all, as a note.
    """
    try:
        described = msgpack.unpackb(data, strict_map_key=False, unicode_errors="surrogatepass")
    except (ValueError, TypeError, RecursionError, MemoryError, msgpack.UnpackException):
        described = None
    if not isinstance(described, dict):
        return RemoteError("an error came whose description cannot be read")
    get = {key: value for key, value in described.items() if isinstance(key, str)}.get
    text, trace = str(get("message", "")), str(get("traceback", ""))
    name = f"{get('module', '')}.{get('qualname', '')}"
    error = (
        _unpickled(get("pickled"), imports)
        if not ControlSecurity(security).open
        else _called(get("module"), get("qualname"), get("args"), text)
    )
    if error is None:
        error = remote_error(get("kind"), text, name, trace)
    try:
        error.remote_traceback = trace  # type: ignore[attr-defined]
        if trace and not isinstance(error, InstrumentError):
            error.add_note(f"{REMOTE_NOTE}{trace.rstrip()}")
    except (Exception, SystemExit):  # noqa: BLE001 - a user's class may forbid attributes
        return RemoteError(text, name, trace)
    return error


def _plain_args(exc: Exception) -> dict[str, Any]:
    try:
        args = list(exc.args)
    except BaseException:  # noqa: BLE001 - a user's property
        return {}
    return {"args": args} if all(type(arg) in _PLAIN for arg in args) else {}


def _pickled(exc: Exception) -> bytes | None:
    """Give an exception as bytes, or None for one that would not arrive as it is."""
    try:
        data = payload.dumps(exc, security="keys")
        copy = payload.loads(data, security="keys")
        return data if type(copy) is type(exc) and str(copy) == str(exc) else None
    except BaseException:  # noqa: BLE001 - SerializationError, or what a user's __str__ or __reduce__ raises, sys.exit() included
        return None


def _unpickled(data: Any, imports: bool) -> Exception | None:
    if not isinstance(data, bytes):
        return None
    try:
        error = payload.loads(data, security="keys", imports=imports)
    except SerializationError:
        return None
    return error if isinstance(error, Exception) else None


def _called(module: Any, qualname: Any, args: Any, text: str) -> Exception | None:
    """Call an exception class that is here already. A module's own ``__getattr__`` is not asked: it might import."""
    found: Any = sys.modules.get(module) if isinstance(module, str) else None
    if found is None or not isinstance(qualname, str) or not isinstance(args, list):
        return None
    for part in qualname.split("."):
        found = getattr(found, "__dict__", {}).get(part)
        if not isinstance(found, type):
            return None
    if not issubclass(found, Exception) or not all(type(arg) in _PLAIN for arg in args):
        return None
    try:
        error = found(*args)
        return error if str(error)[:TEXT_LIMIT] == text else None
    except (Exception, SystemExit):  # noqa: BLE001 - it needs other arguments, or a user's __init__ or __str__ fails
        return None


def _text(exc: BaseException) -> str:
    try:
        return str.__str__(str(exc))
    except BaseException:  # noqa: BLE001 - a user's __str__; an answer is owed all the same
        return f"<{type(exc).__qualname__} without a readable text>"


def traceback_text(exc: BaseException) -> str:
    """Give the traceback of an exception as text, the end of a very long one; never raises, whatever its class does."""
    try:
        text = "".join(traceback.format_exception(exc))
    except BaseException:  # noqa: BLE001 - a user's __str__ or __repr__ deeper in the chain
        return f"{type(exc).__qualname__}: the traceback cannot be written\n"
    return text if len(text) <= TRACEBACK_LIMIT else "…\n" + text[-TRACEBACK_LIMIT:]
