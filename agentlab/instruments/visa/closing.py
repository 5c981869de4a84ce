"""Closing what PyVISA has opened, of which it forgets to close or to forget a part."""

from __future__ import annotations

import socket
from typing import Any

from agentlab.instruments.visa.translation import translated


def shut(resource: Any) -> None:
    """Close a resource; what a device that is gone says to that is of no use to anybody. Never raises; twice is fine."""
    library = resource.visalib
    try:
        handle = resource.session
        resource.close()
    except Exception as error:  # noqa: BLE001 - a door: closing what is broken raises anything
        translated(error)
        return
    for kept in ("sessions", "_last_status_in_session", "_ignore_warning_in_session"):
        # pyvisa-py 0.8 and PyVISA 1.16 keep these for ever: a device that is away for a week would fill the memory
        table = getattr(library, kept, None)
        if isinstance(table, dict):
            table.pop(handle, None)


def drop_sockets(error: BaseException) -> None:
    """Close what pyvisa-py 0.8 leaves open when it fails to open: only the error's own frames hold those sockets."""
    cause: BaseException | None = error
    while cause is not None:
        trace = cause.__traceback__
        while trace is not None:
            frame, trace = trace.tb_frame, trace.tb_next
            if str(frame.f_globals.get("__name__")).startswith("pyvisa_py."):
                for value in frame.f_locals.values():
                    for found in (value, *getattr(value, "__dict__", {}).values()):
                        if isinstance(found, socket.socket):
                            found.close()
        cause = cause.__context__


__all__ = ["drop_sockets", "shut"]
