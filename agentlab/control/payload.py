"""What a call carries, as bytes: pickle between ends that have proved the lab's key, msgpack between others.

What the other side can import goes by name, which is fast; what it cannot (``__main__``, notebooks, lambdas) by value.
"""

from __future__ import annotations

import importlib
import pickle
import re
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from agentlab.control import plain
from agentlab.control.known import loads_known
from agentlab.control.security import ControlSecurity
from agentlab.errors import RefusedError, SerializationError
from agentlab.wire.pickles import carry_spawned_main

PROTOCOL = 5

# A user's __reduce__ may raise anything, sys.exit() included; a key press is not its own.
_ANYTHING = (Exception, SystemExit)

_BY_VALUE_LOCK = threading.Lock()
_NO_ATTRIBUTE = re.compile(r"Can't get attribute '.*?' on <module '([^']+)'")


class UnimportableError(SerializationError):
    """A value refers to a module that cannot be imported here: send it again with ``by_value=(module,)``.

    Args:
        module: Name of the module.
        text: One line: what was missing.
    """

    def __init__(self, module: str = "", text: str = "") -> None:
        super().__init__(module, text)
        self.module = module

    def __str__(self) -> str:
        return f"module {self.module!r} is not as here on the other side ({self.args[1]}); install it there, or send it by value"


def dumps(value: Any, *, security: str | None = None, by_value: Iterable[str] = ()) -> bytes:
    """Give a value as bytes.

    Args:
        value: Anything that pickles; with security ``'none'`` plain data, tuples, sets and addresses.
        security: ``'keys'`` or ``'none'``; ``config['SECURITY']`` if None.
        by_value: Names of modules whose functions and classes travel with their code.

    Raises:
        SerializationError: the value, or something in it, cannot be turned into bytes.
        RefusedError: functions and objects do not travel where security is ``'none'``.
    """
    if ControlSecurity(security).open:
        return _dumps_plain(value)
    modules = tuple(by_value)
    if not modules:
        try:
            data = pickle.dumps(value, PROTOCOL)
        except _ANYTHING:  # by value may do, and says what not
            return _dumps_by_value(value, ())
        if b"__main__" not in data and b"__mp_main__" not in data:
            return data
    return _dumps_by_value(value, modules)


def loads(data: bytes, *, security: str | None = None, imports: bool = True) -> Any:
    """Give the value of bytes that :func:`dumps` made.

    Only for bytes of a peer that has proved the lab's key; with security ``'none'`` for those of anybody.

    Args:
        data: The bytes.
        security: ``'keys'`` or ``'none'``; ``config['SECURITY']`` if None.
        imports: Whether modules may be imported for it; False: what needs one that is not here is not rebuilt.

    Raises:
        UnimportableError: something in it is not importable here.
        SerializationError: the bytes are damaged or of the other security, or an object cannot be rebuilt.
    """
    if ControlSecurity(security).open:
        return plain.unpack(data)
    try:
        return pickle.loads(data) if imports else loads_known(data)
    except _ANYTHING as error:
        module = _missing_module(error)
        if module:
            raise UnimportableError(module, _line(error)) from error
        raise SerializationError(f"a value of {len(data)} bytes cannot be rebuilt: {_line(error)}") from error


def _dumps_plain(value: Any) -> bytes:
    try:
        return plain.pack(value)
    except TypeError as error:
        raise RefusedError(
            f"a value of type {_name(value)} does not travel where SECURITY is 'none' ({_line(error)});"
            " send plain data: None, bool, numbers, text, bytes, lists, tuples, sets, dicts, addresses"
        ) from None
    except (ValueError, OverflowError, RecursionError) as error:
        raise SerializationError(f"a value of type {_name(value)} cannot be turned into bytes: {_line(error)}") from None


def _dumps_by_value(value: Any, modules: tuple[str, ...]) -> bytes:
    import cloudpickle  # takes 10 ms to import, and most processes send only plain data

    carry_spawned_main()
    try:
        if not modules:
            return bytes(cloudpickle.dumps(value, PROTOCOL))
        with _by_value(modules):
            return bytes(cloudpickle.dumps(value, PROTOCOL))
    except SerializationError:
        raise
    except _ANYTHING as error:
        raise SerializationError(f"a value of type {_name(value)} cannot be turned into bytes: {_line(error)}") from error


@contextmanager
def _by_value(names: tuple[str, ...]) -> Iterator[None]:
    """Have cloudpickle send these modules' functions and classes with their code, meanwhile."""
    import cloudpickle

    with _BY_VALUE_LOCK:
        before = cloudpickle.list_registry_pickle_by_value()
        fresh = [module for name in names if (module := _module(name)).__name__ not in before]
        try:
            for module in fresh:
                cloudpickle.register_pickle_by_value(module)
            yield
        finally:
            after = cloudpickle.list_registry_pickle_by_value()
            for module in fresh:
                if module.__name__ in after:
                    cloudpickle.unregister_pickle_by_value(module)


def _module(name: str) -> ModuleType:
    try:
        return sys.modules.get(name) or importlib.import_module(name)
    except ImportError:
        raise SerializationError(f"module {name!r} cannot be sent by value: it is not importable on this side either") from None


def _missing_module(error: BaseException) -> str | None:
    if isinstance(error, ImportError):
        return error.name
    if isinstance(error, AttributeError):
        match = _NO_ATTRIBUTE.match(str(error))
        return match[1] if match else None
    return None


def _name(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _line(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - an exception of a user's class
        text = ""
    return f"{type(error).__name__}: {' '.join(text.split())[:300]}"
