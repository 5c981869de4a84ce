"""What enters and leaves a service or a daemon: the same payloads and answers as an agent's (:mod:`agentlab.agent.door`)."""

from __future__ import annotations

from typing import Any

from agentlab.agent.door import ERROR, RESULT, UNIMPORTABLE
from agentlab.control.answers import Later
from agentlab.control.auth import Peer
from agentlab.control.payload import UnimportableError, dumps, loads
from agentlab.control.remote_errors import error_to_bytes
from agentlab.errors import RefusedError, SerializationError
from agentlab.settings import config


class PayloadDoor:
    """Reads calls and writes answers; what is called is decided below.

    Args:
        name: Who is called, for messages.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._security: str = config["SECURITY"]
        self.bad_messages = 0

    def handle(self, payload: bytes, peer: Peer) -> bytes | Later:
        """Execute a call and give its answer, or the promise of one; never raises. Any thread."""
        try:
            method, args, kwargs, _safe, *more = loads(payload, security=self._security)
            path = tuple(more[0]) if more else ()
            token = str(more[1]) if len(more) > 1 else ""
        except UnimportableError as error:
            return UNIMPORTABLE + error.module.encode()
        except (SerializationError, TypeError, ValueError) as error:
            self.bad_messages += 1
            return self.failure(error)
        try:
            return self._called(str(method), tuple(args), dict(kwargs), path, token, peer)
        except BaseException as error:  # noqa: BLE001 - the control daemon's door: everything goes to the caller
            return self.failure(error)

    def result(self, method: str, value: Any) -> bytes:
        """Give the answer of a call that has ended well."""
        try:
            return RESULT + dumps(value, security=self._security)
        except (SerializationError, RefusedError) as error:
            return self.failure(type(error)(f"the result of {method}() of service {self._name!r} cannot be sent: {error}"))

    def failure(self, error: BaseException) -> bytes:
        """Give the answer of a call that has not."""
        return ERROR + error_to_bytes(error, security=self._security)

    def _called(
        self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any], path: tuple[str, ...], token: str, peer: Peer
    ) -> bytes | Later:
        raise NotImplementedError
