"""`async def` handlers: they run on an asyncio loop that the agent owns, in one thread, started with the first of them."""

from __future__ import annotations

import inspect
import threading
import traceback
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from agentlab.agent.loop import Loop
from agentlab.errors import RemoteError

if TYPE_CHECKING:
    import asyncio  # imported when it is needed: it takes 25 ms, and most programs never run a coroutine


class Coroutines:
    """Runs the coroutines that handlers return; their results come back to the agent's own loop."""

    def __init__(self, loop: Loop, on_error: Callable[[BaseException, str], None]) -> None:
        self._loop = loop
        self._on_error = on_error
        self._aio: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def take(self, result: Any) -> bool:
        """Run `result` if it is a coroutine, and log what it raises; False when it is none."""
        if not inspect.iscoroutine(result):
            return False
        self.start(result, self._report)
        return True

    def start(self, coroutine: Coroutine[Any, Any, Any], done: Callable[[Future[Any]], object]) -> None:
        """Run a coroutine; `done` is called with its future in the agent's loop."""
        import asyncio

        future = asyncio.run_coroutine_threadsafe(without_exit(coroutine), self._running())
        future.add_done_callback(lambda finished: self._loop.post(lambda: done(finished)))

    def _report(self, future: Future[Any]) -> None:
        if not future.cancelled() and (error := future.exception()) is not None:
            self._on_error(error, "an async handler")

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._aio is None:
            import asyncio

            self._aio = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._aio.run_forever, name="agentlab-asyncio", daemon=True)
            self._thread.start()
        return self._aio

    def close(self, timeout: float = 1.0) -> None:
        """Cancel what runs and end the thread; twice is fine."""
        aio, self._aio = self._aio, None
        if aio is None or self._thread is None:
            return
        aio.call_soon_threadsafe(_cancel_all, aio)
        self._thread.join(timeout)
        if not self._thread.is_alive():
            aio.close()


async def without_exit(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Await a coroutine; sys.exit() in it would end the asyncio loop, and every other handler with it."""
    try:
        return await coroutine
    except SystemExit as error:
        raise RemoteError(str(error), "builtins.SystemExit", traceback.format_exc()) from error


def _cancel_all(aio: asyncio.AbstractEventLoop) -> None:
    import asyncio

    tasks = asyncio.all_tasks(aio)
    for task in tasks:
        task.cancel()
    if tasks:
        asyncio.gather(*tasks, return_exceptions=True).add_done_callback(lambda _: aio.stop())
    else:
        aio.stop()
