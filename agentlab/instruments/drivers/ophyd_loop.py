"""One asyncio loop in a thread of its own, for devices that live in a loop: they are built, asked and closed in it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from agentlab.errors import CancelledCallError, DeviceTimeoutError

CLOSING = 5.0
"""Seconds that the tasks of a device have to end after they were cancelled."""
STOPPING = 2.0
"""Seconds that a device has to stop before the action that moves it is cancelled."""


class DeviceLoop:
    """Runs a device's coroutines one after the other for the driver's thread, and beside them what is urgent.

    The loop goes on between calls, as monitors and motions that a call has started need it.

    Args:
        name: The device, for the thread's name.
    """

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._current: asyncio.Task[Any] | None = None
        self._cancelled = False
        self._ending: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._work, name=f"ophyd-{name}", daemon=True)
        self._thread.start()

    def run(self, function: Callable[[], Any], timeout: float | None = None) -> Any:
        """Call a function in the loop and give its result, that of an awaitable once it is there. Blocks.

        Args:
            function: Runs in the loop's thread; it may give an awaitable or a plain value.
            timeout: Seconds until it is cancelled; None: no limit.

        Raises:
            CancelledCallError: :meth:`cancel` was called meanwhile.
            DeviceTimeoutError: it took longer than `timeout`.
            Exception: whatever it raises.
        """
        future = asyncio.run_coroutine_threadsafe(self._main(function, timeout), self._loop)
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            raise CancelledCallError("the action was cancelled: its driver was closed while it ran") from None

    def cancel(self, first: Callable[[], Any] | None = None) -> None:
        """Cancel what :meth:`run` runs, from any thread, without waiting.

        Args:
            first: Runs in the loop before it is cancelled, for at most two seconds, such as what stops a motor.
        """
        with suppress(RuntimeError):  # it was closed just now, which has cancelled all
            self._loop.call_soon_threadsafe(self._begin_end, first)

    def end(self, first: Callable[[], Any], timeout: float) -> None:
        """Run a function beside the running call, then cancel that, from any thread. Blocks.

        Args:
            first: Runs in the loop; what it raises is raised here once the call is cancelled.
            timeout: Seconds that it has.

        Raises:
            TimeoutError: the loop is blocked by a method that does not wait in it, `first` took too long, or the loop is closed.
            Exception: what `first` raises.
        """
        ending = self._end(first, timeout)
        try:
            future = asyncio.run_coroutine_threadsafe(ending, self._loop)
        except RuntimeError as error:
            ending.close()
            raise TimeoutError("the device's loop is closed") from error
        future.result(timeout + 1.0)

    def close(self) -> None:
        """Cancel all tasks and end the thread. Not to be called from the loop's own thread; twice is fine."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    # ------------------------------------------------------------------------------------ inside

    def _work(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            tasks = asyncio.all_tasks(self._loop)
            for task in tasks:
                task.cancel()
            if tasks:
                self._loop.run_until_complete(asyncio.wait(tasks, timeout=CLOSING))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            asyncio.set_event_loop(None)
            self._loop.close()

    async def _main(self, function: Callable[[], Any], seconds: float | None) -> Any:
        self._cancelled, self._current = False, asyncio.current_task()
        try:
            return await _limited(function, seconds)
        except asyncio.CancelledError:
            if not self._cancelled:
                raise
            raise CancelledCallError("the action was cancelled while it ran; what it had done stays done") from None
        except Exception as error:
            if not self._cancelled or isinstance(error, CancelledCallError):
                raise
            raise CancelledCallError(f"the action was cancelled while it ran, and ended with: {error}") from error
        finally:
            self._current = None

    def _begin_end(self, first: Callable[[], Any] | None) -> None:
        if self._current is None:
            return
        self._cancelled = True
        if first is None:
            self._current.cancel()
        else:
            self._ending = self._loop.create_task(self._end(first, STOPPING))
            self._ending.add_done_callback(lambda task: None if task.cancelled() else task.exception())  # it is told by the call

    async def _end(self, first: Callable[[], Any], seconds: float) -> None:
        task, self._cancelled = self._current, self._current is not None
        try:
            await _limited(first, seconds)
        finally:
            if task is not None and task is self._current:
                task.cancel()


async def _limited(function: Callable[[], Any], seconds: float | None) -> Any:
    found = function()
    if not isinstance(found, Awaitable):
        return found
    if seconds is None:
        return await found
    try:
        async with asyncio.timeout(seconds) as limit:
            return await found
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise DeviceTimeoutError(f"the device took longer than {seconds:g} s") from error
