"""Errors of other libraries made ours: what says that a device is silent, gone, or has answered rubbish.

No library is imported for it: an error of PyVISA or PySerial can only exist where they are loaded already.
"""

from __future__ import annotations

import errno
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from agentlab.errors import (
    AgentLabError,
    BadReplyError,
    CancelledCallError,
    DeviceTimeoutError,
    DriverError,
    InstrumentError,
    OfflineError,
)

_GONE = frozenset(
    getattr(errno, name)
    for name in (
        *("EIO", "ENODEV", "ENXIO", "EBADF", "EPIPE", "ESHUTDOWN", "ENOTCONN", "ECONNRESET", "ECONNREFUSED", "ECONNABORTED"),
        *("ETIMEDOUT", "EHOSTUNREACH", "EHOSTDOWN", "ENETUNREACH", "ENETDOWN", "ENETRESET", "EREMOTEIO", "EPROTO"),
    )
    if hasattr(errno, name)
)
"""What the operating system says of a socket or a port whose other end is not there (any more)."""

_VISA: dict[str, type[InstrumentError]] = {
    "VI_ERROR_TMO": DeviceTimeoutError,
    "VI_ERROR_CONN_LOST": OfflineError,
    "VI_ERROR_RSRC_NFOUND": OfflineError,
    "VI_ERROR_NLISTENERS": OfflineError,
    "VI_ERROR_IO": OfflineError,
    "VI_ERROR_SYSTEM_ERROR": OfflineError,
    "VI_ERROR_INV_OBJECT": OfflineError,  # the session was closed by somebody
    "VI_ERROR_CLOSING_FAILED": OfflineError,
    "VI_ERROR_RSRC_BUSY": OfflineError,
    "VI_ERROR_RSRC_LOCKED": OfflineError,
    "VI_ERROR_NCIC": OfflineError,
    "VI_ERROR_NSYS_CNTLR": OfflineError,
    "VI_ERROR_INTF_NUM_NCONFIG": OfflineError,
    "VI_ERROR_ALLOC": OfflineError,
    "VI_ERROR_ASRL_PARITY": BadReplyError,
    "VI_ERROR_ASRL_FRAMING": BadReplyError,
    "VI_ERROR_ASRL_OVERRUN": BadReplyError,
    "VI_ERROR_BERR": BadReplyError,
    "VI_ERROR_INP_PROT_VIOL": BadReplyError,
    "VI_ERROR_OUTP_PROT_VIOL": BadReplyError,
    "VI_ERROR_RAW_RD_PROT_VIOL": BadReplyError,
    "VI_ERROR_RAW_WR_PROT_VIOL": BadReplyError,
    "VI_ERROR_INV_RSRC_NAME": DriverError,
    "VI_ERROR_LIBRARY_NFOUND": DriverError,
    "VI_ERROR_NSUP_ATTR": DriverError,
    "VI_ERROR_NSUP_ATTR_STATE": DriverError,
    "VI_ERROR_NSUP_OPER": DriverError,
    "VI_ERROR_NSUP_WIDTH": DriverError,
}
"""Source: VPP-4.3.2, 3.3, completion and error codes, by the name under which PyVISA shows them."""


def translated(error: BaseException) -> BaseException:
    """Give our error for one of another library that says that a device is silent, gone or not understood.

    Any thread; nothing is raised.

    Args:
        error: What a driver raised.

    Returns:
        An :class:`~agentlab.errors.OfflineError`, :class:`~agentlab.errors.DeviceTimeoutError`,
        :class:`~agentlab.errors.BadReplyError` or :class:`~agentlab.errors.DriverError` whose cause is that error; the error
        itself where it is ours already, or says something else. What is to end a program, as SystemExit, or cannot be
        carried to a caller, as StopIteration, is made an ordinary error.
    """
    try:
        return _translated(error)
    except BaseException:  # noqa: BLE001 - a door: foreign code, which may raise whatever it likes when it is only looked at
        ours = InstrumentError(f"the driver raised {type(error).__name__}, of which nothing can be told")
        ours.__cause__ = error
        return ours


def _translated(error: BaseException) -> BaseException:
    if isinstance(error, AgentLabError):
        str(error)  # raises here, not where it is told
        return error
    ours: BaseException
    if isinstance(error, _cancelled()):
        ours = CancelledCallError("the action was cancelled while it ran; what it had done stays done")
    elif not isinstance(error, Exception):  # a driver is not to end the agent, and even less its caller
        ours = InstrumentError(f"the driver wanted to end the program ({_one_line(error)}); only its call was ended")
    elif isinstance(error, (StopIteration, StopAsyncIteration)):
        ours = RuntimeError(f"the driver raised {_one_line(error)}")
    else:
        kind = _kind_of(error)
        if kind is None:
            return error
        ours = kind(_text(kind, error))
    ours.__cause__ = error
    return ours


def _cancelled() -> tuple[type[BaseException], ...]:
    """Give what asyncio raises in a task that is cancelled; nothing where nobody has loaded it."""
    asyncio = sys.modules.get("asyncio")
    return () if asyncio is None else (asyncio.CancelledError,)


def _one_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")


@contextmanager
def translating() -> Iterator[None]:
    """Raise what the block raises as :func:`translated` gives it."""
    try:
        yield
    except Exception as error:
        ours = translated(error)
        if ours is error:
            raise
        raise ours from error


def _kind_of(error: BaseException) -> type[InstrumentError] | None:
    for library in (_of_visa, _of_serial, _of_usb):
        found = library(error)
        if found is not None:
            return found
    if isinstance(error, TimeoutError):  # ETIMEDOUT is the kernel's word for a host that is gone, without a number it is a limit
        return OfflineError if error.errno == errno.ETIMEDOUT else DeviceTimeoutError
    if isinstance(error, (ConnectionError, EOFError)):
        return OfflineError
    if isinstance(error, OSError):
        return OfflineError if error.errno in _GONE or type(error).__name__ in {"gaierror", "herror"} else None
    if isinstance(error, UnicodeDecodeError):
        return BadReplyError
    if type(error) is Exception and str(error).startswith("could not connect"):
        return OfflineError  # pyvisa-py's word when a socket cannot be connected
    return None


def _of_visa(error: BaseException) -> type[InstrumentError] | None:
    if type(error).__module__.startswith("pyvisa_py.protocols."):  # rpc, vxi11, hislip: a reply that nobody understands
        return BadReplyError
    errors = sys.modules.get("pyvisa.errors")
    if errors is None:
        return None
    if isinstance(error, errors.VisaIOError):
        return _VISA.get(str(error.abbreviation))
    if isinstance(error, errors.InvalidSession):
        return OfflineError
    return DriverError if isinstance(error, errors.LibraryError) else None


def _of_serial(error: BaseException) -> type[InstrumentError] | None:
    serial = sys.modules.get("serial.serialutil")
    if serial is None or not isinstance(error, serial.SerialException):
        return None
    return DeviceTimeoutError if isinstance(error, serial.SerialTimeoutException) else OfflineError


def _of_usb(error: BaseException) -> type[InstrumentError] | None:
    usb: Any = sys.modules.get("usb.core")
    if usb is None or not isinstance(error, usb.USBError):
        return None
    return DeviceTimeoutError if error.errno == errno.ETIMEDOUT else OfflineError


_SAID = {
    OfflineError: "the device is not there",
    DeviceTimeoutError: "the device did not answer in time",
    BadReplyError: "the device's reply cannot be read",
    DriverError: "the device cannot be talked to like that",
}


def _text(kind: type[InstrumentError], error: BaseException) -> str:
    """Give one line: what it means, and what the library said."""
    return f"{_SAID[kind]}: {said_by(error)}"


_CODE = re.compile(r"VI_(?:ERROR|WARN|SUCCESS)_\w+ \((-?\d+)\): ")
_STATUS = re.compile(r"-1073807\d{3}\b")
_WORDS = {"-1073807339": "timed out", "-1073807343": "nothing there", "-1073807298": "input or output failed"}
"""What the commonest numbers of VISA mean in a word: VI_ERROR_TMO, VI_ERROR_RSRC_NFOUND, VI_ERROR_IO."""


def said_by(error: BaseException) -> str:
    """Give what an error of another library says, in one line and without VISA's numbers, which nobody knows by heart."""
    said = _CODE.sub("", " ".join(str(error).split()))
    return _STATUS.sub(lambda found: _WORDS.get(found[0], "VISA failed"), said) or type(error).__name__


__all__ = ["said_by", "translated", "translating"]
