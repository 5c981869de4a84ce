"""One object of a service's class: made, connected, called and closed, all in the thread that uses it."""

from __future__ import annotations

import asyncio
import inspect
import logging
from typing import Any

from agentlab.control.remote_errors import traceback_text
from agentlab.errors import ConfigurationError, nearest
from agentlab.services import surface

log = logging.getLogger(__name__)

ATTRIBUTE, ASSIGN = "_attribute", "_set"
"""What a proxy asks about attributes, besides calling methods."""
GET, SET = "get_attr", "set_attr"
"""The same as methods that every agent has, and a service unless its class has methods of that name."""


class Instance:
    """An object of a class. Everything in one thread, the one that built it.

    Args:
        name: The service's name, for messages.
        target: The class, or an object that is there already and is not closed with the service.
        parameters: Keyword arguments of its constructor, or of ``connect()`` where the class has one.
    """

    def __init__(self, name: str, target: Any, parameters: dict[str, Any]) -> None:
        self._name = name
        self._runner: asyncio.Runner | None = None
        self._made = isinstance(target, type)
        self.object: Any = None
        if not self._made:
            self.object = target
            return
        connects = callable(getattr(target, "connect", None))
        self.object = target() if connects else target(**parameters)
        if connects:
            try:
                self._finish(self.object.connect(**parameters))
            except BaseException:
                self.close()
                raise

    def ask(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a method, or read or set an attribute.

        Raises:
            Exception: whatever the object raises.
            AttributeError: it has no such public name; the text names the nearest.
            TypeError: the method gives a generator, which cannot be sent.
        """
        own = getattr(type(self.object), method, None)
        if method == ATTRIBUTE:
            return self._attribute(*args)
        if method == ASSIGN:
            return self._set(kwargs)
        if method == GET and own is None:
            is_value, value = self._attribute(*args)
            return value if is_value else getattr(self.object, args[0])
        if method == SET and own is None:
            return self._set(kwargs)
        return self._call(method, args, kwargs)

    def close(self) -> None:
        """Disconnect or close the object where it can be; what it raises is logged. Twice is fine."""
        thing, self.object = self.object, None
        if self._made and thing is not None:
            for name in ("disconnect", "close"):
                function = getattr(thing, name, None)
                if callable(function):
                    try:
                        self._finish(function())
                    except BaseException as error:  # noqa: BLE001 - the user's code; the others are to be closed all the same
                        self._not_closed(f"{name}()", error)
                    break
        del thing  # whatever it does when it is forgotten, it does in this thread
        runner, self._runner = self._runner, None
        if runner is not None:
            try:
                runner.close()
            except BaseException as error:  # noqa: BLE001 - a task of the user's that was left
                self._not_closed("a task", error)

    def _not_closed(self, what: str, error: BaseException) -> None:
        log.error("%s of service %r failed:\n%s", what, self._name, traceback_text(error))

    def _call(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        function = self._found(method)
        if not callable(function):
            raise TypeError(f"{method!r} of service {self._name!r} is an attribute, not a method; read it without brackets")
        if surface.is_generator(function):
            raise self._no_generator(method)
        result = self._finish(function(*args, **kwargs))
        if inspect.isgenerator(result) or inspect.isasyncgen(result):
            raise self._no_generator(method)
        return result

    def _attribute(self, name: str) -> tuple[bool, Any]:
        value = self._found(name)
        return (False, None) if callable(value) and not isinstance(value, type) else (True, self._finish(value))

    def _set(self, values: dict[str, Any]) -> None:
        kind = type(self.object)
        given: dict[Any, Any] = values  # from anybody
        for name, value in given.items():
            if not isinstance(name, str) or not name.isidentifier():
                raise AttributeError(f"service {self._name!r} has no attribute {ascii(name)[:100]}, and cannot be given one")
            self._check_public(name)
            if name in surface.method_names(kind):
                raise AttributeError(f"{name!r} of service {self._name!r} is a method, so it cannot be set; call it")
            setattr(self.object, name, value)

    def _found(self, name: str) -> Any:
        self._check_public(name)
        try:
            return getattr(self.object, name)
        except AttributeError:
            known = surface.public_names(type(self.object), self.object)
            if name in known:
                raise  # a property that failed with one
            raise AttributeError(f"service {self._name!r} has no method or attribute {name!r}{nearest(name, known)}") from None

    def _check_public(self, name: str) -> None:
        if name.startswith("_"):
            raise AttributeError(
                f"{name!r} of service {self._name!r} is private; only names without a leading underscore are served"
            )

    def _finish(self, result: Any) -> Any:
        """Run a coroutine to its end; anything else is given back."""
        if not inspect.isawaitable(result):
            return result
        if self._runner is None:
            self._runner = asyncio.Runner()
        return self._runner.run(_awaited(result))

    def _no_generator(self, method: str) -> TypeError:
        return TypeError(
            f"{method}() of service {self._name!r} gives a generator, which cannot be sent to another process; return a list"
        )


async def _awaited(thing: Any) -> Any:
    return await thing


def load(target: Any) -> Any:
    """Give the class, or the object, of a target; see :func:`~agentlab.services.surface.load_class`.

    Raises:
        ConfigurationError: there is no such class, or nothing of it is public.
    """
    found = surface.load_class(target)
    if inspect.isabstract(found):
        raise ConfigurationError(f"class {found.__qualname__} is abstract, so no object of it can be made; name a class below it")
    return found
