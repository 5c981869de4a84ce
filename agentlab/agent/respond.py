"""Answering requests: the same for REP, ASYNC_REP and SYNC_PUB, whatever form the handler has."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator
from concurrent.futures import Future
from typing import Any

from agentlab.agent.handlers import resolve
from agentlab.agent.link import Link
from agentlab.agent.loop import FAILURES
from agentlab.errors import AgentLabError, SerializationError

Reply = Callable[[list[Any]], object]


class Responder:
    """Gives requests to a handler and its result, or its error, to `reply`. A requester never waits in vain.

    The handler may return the reply, yield it once (it is sent at once, the rest of the generator runs after),
    or be an ``async def`` function.
    """

    def __init__(self, link: Link, handler: Any) -> None:
        self._link = link
        self.set_handler(handler)

    def set_handler(self, handler: Any) -> None:
        """Give the requests to another handler."""
        self._call = resolve(self._link.desk.agent, handler)

    def respond(self, frames: list[Any], reply: Reply) -> bool:
        """Handle one request; False when the reply comes later, from a coroutine."""
        link = self._link
        try:
            request = link.decode_request(frames)
        except SerializationError as error:
            link.bad(error)
            reply(link.encode_error(error))
            return True
        try:
            result = self._call(request)
            if inspect.iscoroutine(result):
                link.desk.coroutines.start(result, lambda future: self._finish(future, reply))
                return False
            if not inspect.isgenerator(result):
                reply(link.encode(result))
                return True
        except FAILURES as error:
            reply(link.encode_error(error))
            raise
        self._run_generator(result, reply)
        return True

    def _run_generator(self, generator: Generator[Any, Any, Any], reply: Reply) -> None:
        try:
            frames = self._link.encode(next(generator))
        except StopIteration:
            error = AgentLabError("the handler's generator yielded no reply; yield exactly one")
            reply(self._link.encode_error(error))
            raise error from None
        except FAILURES as error:
            reply(self._link.encode_error(error))
            raise
        reply(frames)
        for _ in generator:
            generator.close()
            raise AgentLabError("the handler yielded a second reply, which nobody waits for; yield exactly one")

    def _finish(self, future: Future[Any], reply: Reply) -> None:
        error = future.exception() if not future.cancelled() else AgentLabError("the agent has stopped")
        if error is None:
            try:
                reply(self._link.encode(future.result()))
                return
            except SerializationError as unfit:
                error = unfit
        reply(self._link.encode_error(error))
        self._link.desk.faults.failed(error, "an async handler")
