"""The door to PyVISA: the only module that imports it, and only when a session is opened.

PyVISA finds, opens and closes resources; how bytes are exchanged is the business of :mod:`~agentlab.instruments.visa.lines`.
"""

from __future__ import annotations

import difflib
import logging
import re
import threading
from collections.abc import Iterable
from typing import Any

from agentlab.errors import AgentLabError, DriverError, InstrumentError, OfflineError, nearest
from agentlab.instruments.visa.closing import drop_sockets, shut
from agentlab.instruments.visa.line import Line
from agentlab.instruments.visa.lines import line_of
from agentlab.instruments.visa.session import LARGEST, LONGEST, Session
from agentlab.instruments.visa.translation import said_by, translated

_WORDS: dict[str, tuple[str, dict[Any, str]]] = {
    "parity": ("Parity", {}),
    "stop_bits": ("StopBits", {1: "one", 1.5: "one_and_a_half", 2: "two"}),
    "flow_control": ("ControlFlow", {}),
}
"""Settings of a serial line whose values PyVISA has as enumerations, and what people write for some of them."""

_LACKING = {
    "ASRL": 'serial lines need PySerial; pip install "agentlab[serial]"',
    "USB": "USB needs PyUSB, and libusb; pip install pyusb",
    "GPIB": "GPIB needs linux-gpib or the driver of its card, and gpib-ctypes; pip install gpib-ctypes",
}
"""By the beginning of an address, what pyvisa-py needs for it besides."""
_OWN = ("visa_library", "timeout", "read_termination", "write_termination", "encoding", "largest", "greeting")
_opening = threading.local()
_managers = threading.Lock()  # two threads that make the first resource manager of a library would get two


def open_session(
    address: str,
    *,
    visa_library: str = "@py",
    timeout: float = 2.0,
    read_termination: str | None = None,
    write_termination: str | None = None,
    encoding: str = "ascii",
    largest: int = LARGEST,
    greeting: float = 0.0,
    **settings: Any,
) -> Session:
    r"""Open a device by its VISA address. Blocks while it connects, for at most `timeout` or so.

    Args:
        address: As ``TCPIP::192.0.2.7::5025::SOCKET``, ``ASRL/dev/ttyUSB0::INSTR``, ``GPIB::2::INSTR``.
        visa_library: What PyVISA is to use: ``@py`` is pyvisa-py, ``@ivi`` the vendor's library, ``devices.yaml@sim`` pyvisa-sim.
        timeout: Seconds for connecting, and for each reply where a call gives no other.
        read_termination: What ends a reply; None: a newline for sockets and serial lines, and what the bus tells for others.
        write_termination: What ends a command; None: a newline. (PyVISA's own default, CR LF, is refused by many devices.)
        encoding: Of commands and replies.
        largest: Bytes of the longest reply.
        greeting: Seconds of silence to wait for after opening, for a device that greets.
        **settings: Attributes of PyVISA's resource, such as ``baud_rate=9600``, ``parity="even"``, ``stop_bits=2``.

    Returns:
        A session. The caller closes it.

    Raises:
        OfflineError: nothing answers at that address.
        DriverError: it is no address, a setting is wrong, or a library is missing.
    """
    texts: dict[str, Any] = {"visa_library": visa_library, "encoding": encoding}
    texts |= {"read_termination": read_termination, "write_termination": write_termination}
    _check(address, timeout, greeting, largest, texts)
    # a sim device keeps its replies where a socket would lose them, so it is given the terminator like a serial line
    stream = _is_stream(address) or visa_library.endswith("@sim")
    end = ("\n" if stream else "") if read_termination is None else read_termination

    def connect() -> Line:
        return _connect(address, visa_library, timeout, end, settings)

    return Session(
        connect,
        name=address,
        timeout=timeout,
        read_termination=end,
        write_termination="\n" if write_termination is None else write_termination,
        encoding=encoding,
        largest=largest,
        greeting=greeting,
    )


def check_settings(names: Iterable[str], known: Iterable[str] = ()) -> None:
    """Check that settings can mean anything, before any device is asked. PyVISA is loaded only for those that it alone knows.

    Args:
        names: Of arguments of :func:`open_session`.
        known: Further ones.

    Raises:
        DriverError: one is neither an argument nor an attribute of any resource of PyVISA; the text names the nearest.
    """
    ours = {*known, *_OWN}  # what names the device and its table is said elsewhere
    if not (strange := [name for name in names if name not in ours]):
        return
    _import()
    from pyvisa import resources

    theirs = {one for kind in vars(resources).values() if isinstance(kind, type) for one in _attributes(kind)}
    for name in strange:
        if name not in theirs:
            likely = (set(difflib.get_close_matches(name, ours | theirs)) | ours) - {"settings", "self", "address"}
            raise DriverError(f"there is no setting {name!r} of a session{nearest(name, likely, limit=20)}")


def wrong_address(address: str, visa_library: str = "@py") -> str:
    """Give why a text is no address of a device, in a line; empty: it is one, or only opening it would tell. Opens nothing.

    A vendor's library has names of its own for devices, so only what pyvisa-py is given can be judged.
    """
    if visa_library.rpartition("@")[2] != "py":
        return ""
    try:
        from pyvisa.rname import InvalidResourceName, ResourceName
    except ImportError:  # told where it is needed
        return ""
    try:
        ResourceName.from_string(address)
    except InvalidResourceName:
        return _no_address(address)
    return ""


def _attributes(kind: type) -> list[str]:
    names = (one for one in dir(kind) if one[:1].islower() and not callable(getattr(kind, one)))
    return [one for one in names if one not in ("session", "visalib", "resource_manager")]  # PyVISA's own inside


def _import() -> Any:
    try:
        import pyvisa
    except ImportError as error:
        raise DriverError("PyVISA is not installed, which talks to the device; run: pip install pyvisa pyvisa-py") from error
    return pyvisa


def _check(address: Any, timeout: Any, greeting: Any, largest: Any, texts: dict[str, Any]) -> None:
    if not isinstance(address, str):
        raise DriverError(f"the address {address!r} is no text; write as 'TCPIP::192.0.2.7::5025::SOCKET'")
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 0 < timeout < LONGEST:
        raise DriverError(f"timeout {timeout!r} of {address} cannot be; give seconds above 0")
    if isinstance(greeting, bool) or not isinstance(greeting, (int, float)) or not 0 <= greeting < LONGEST:
        raise DriverError(f"greeting {greeting!r} of {address} cannot be; give seconds of silence to wait for, or 0")
    if isinstance(largest, bool) or not isinstance(largest, int) or largest < 1:
        raise DriverError(f"largest {largest!r} of {address} cannot be; give the bytes of the longest reply")
    for name, text in texts.items():
        if not isinstance(text, str) and (text is not None or not name.endswith("termination")):
            examples = {"encoding": "'ascii'", "visa_library": "'@py'"}
            raise DriverError(f"{name} {text!r} of {address} is no text; write as {examples.get(name, repr(chr(10)))}")


def _is_stream(address: str) -> bool:
    upper = address.upper()
    return upper.startswith("ASRL") or upper.endswith(("::SOCKET", "::RAW"))


def _connect(address: str, library: str, timeout: float, end: str, settings: dict[str, Any]) -> Line:
    manager = _manager(library)
    _opening.now = True
    try:
        resource = manager.open_resource(address, open_timeout=max(1, int(timeout * 1000)))
    except Exception as error:  # a door: pyvisa-py raises Exception itself, and whatever its libraries raise
        drop_sockets(error)
        raise _not_open(address, error) from error
    finally:
        _opening.now = False
    try:
        _apply(resource, settings)
        if end and not hasattr(resource, "read_termination"):
            raise DriverError(f"{address} is a {type(resource).__name__}, which exchanges no messages; give another address")
        return line_of(resource, address, end)
    except BaseException:
        shut(resource)
        raise


def _manager(library: str) -> Any:
    """Give PyVISA's resource manager, which is one per library and process; it is never closed here, as others may use it."""
    pyvisa = _import()
    try:
        with _managers:
            if _no_tracebacks not in pyvisa.logger.filters:
                pyvisa.logger.addFilter(_no_tracebacks)
            return pyvisa.ResourceManager(library)
    except Exception as error:  # a door: loading a vendor's library raises anything
        kind = library.rpartition("@")[2]
        cure = {
            "py": "run: pip install pyvisa-py",
            "sim": "run: pip install pyvisa-sim; the file of devices stands before the @, as devices.yaml@sim",
            "ivi": "install the vendor's VISA, or use visa_library='@py'",
        }.get(kind, "give '@py', '@ivi' or 'devices.yaml@sim'")
        last = " ".join((str(error).strip().splitlines() or [type(error).__name__])[-1].replace("\\n", "\n").split()[-30:])
        raise DriverError(f"visa library {library!r} cannot be used: {last}; {cure}") from error


def _no_tracebacks(record: logging.LogRecord) -> bool:
    """Keep pyvisa-py from logging a traceback for each attempt to reach a device that is away: our error says it."""
    return not (record.exc_info and getattr(_opening, "now", False))


def _not_open(address: str, error: Exception) -> AgentLabError:
    """Give our error for a resource that PyVISA did not open."""
    if isinstance(error, AgentLabError):
        return error
    ours, said = translated(error), said_by(error)
    if isinstance(ours, DriverError):
        why = "" if getattr(error, "abbreviation", "") == "VI_ERROR_INV_RSRC_NAME" else f": {said}"
        return DriverError(_no_address(address, why))
    if isinstance(error, OSError) or isinstance(ours, InstrumentError):
        return OfflineError(f"no device answers at {address}: {said}")
    if "install" in said.lower():  # pyvisa-py names the library that it lacks
        cure = next((text for start, text in _LACKING.items() if address.upper().startswith(start)), "")
        return DriverError(f"{address} cannot be opened: {cure or said}")
    return DriverError(f"{address!r} cannot be opened: {said}; see whether the address is right")


def _no_address(address: str, why: str = "") -> str:
    return f"{address!r} is no address of a device{why}; write as {_meant(address)!r}"


def _meant(address: str) -> str:
    """Give the address that somebody may have meant, who writes as elsewhere: a serial port's name, or host:port."""
    text = address.strip()
    if found := re.fullmatch(r"COM(\d+)", text, re.IGNORECASE):
        return f"ASRL{found[1]}::INSTR"
    if text.startswith("/dev/"):
        return f"ASRL{text}::INSTR"
    if found := re.fullmatch(r"(?:tcp://)?([\w.-]+):(\d+)", text, re.IGNORECASE):
        return f"TCPIP::{found[1]}::{found[2]}::SOCKET"
    return "TCPIP::192.0.2.7::5025::SOCKET"


def _apply(resource: Any, settings: dict[str, Any]) -> None:
    for name, value in settings.items():
        if name not in _attributes(type(resource)):
            raise DriverError(f"{resource.resource_name} has no setting {name!r}{nearest(name, _attributes(type(resource)))}")
        try:
            setattr(resource, name, _word(name, value))
        except (TypeError, ValueError, AttributeError) as error:
            said = " ".join(str(error).split())
            raise DriverError(f"{name} = {value!r} is refused by {resource.resource_name}: {said}") from error
        except Exception as error:
            raise translated(error) from error


def _word(name: str, value: Any) -> Any:
    if name not in _WORDS:
        return value
    from pyvisa import constants

    kind, words = _WORDS[name]
    members = getattr(constants, kind).__members__
    word = words.get(value, value)
    if isinstance(word, str):
        if word.lower() not in members:
            raise DriverError(f"{name} = {value!r}{nearest(word, members)}")
        return members[word.lower()]
    return word


__all__ = ["check_settings", "open_session", "wrong_address"]
