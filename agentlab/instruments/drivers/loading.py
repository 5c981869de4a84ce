"""From a text such as ``pymeasure.instruments.hp:HP34401A`` to a driver: import the class, choose the adapter, check arguments.

It happens in the instrument's own process: importing a vendor's library elsewhere would take its ports and its threads.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from agentlab.errors import AgentLabError, DriverError, nearest
from agentlab.instruments.drivers.driver import Driver
from agentlab.instruments.model.spec import InstrumentSpec

_ADAPTERS = (
    ("agentlab.instruments.scpi.device", ("ScpiDevice",), "agentlab.instruments.scpi.driver:ScpiDriver"),
    ("pymeasure", ("CommonBase", "Instrument"), "agentlab.instruments.drivers.pymeasure:PyMeasureDriver"),
    ("qcodes", ("InstrumentBase", "Instrument"), "agentlab.instruments.drivers.qcodes:QCoDeSDriver"),
    ("ophyd_async", ("Device",), "agentlab.instruments.drivers.ophyd:OphydDriver"),
    ("pyvisa", ("Resource", "MessageBasedResource"), "agentlab.instruments.scpi.driver:ScpiDriver"),
)
"""Package and class names that tell a kind of driver by its bases, and the adapter for it. The libraries are not imported."""
_ANY = "agentlab.instruments.drivers.anyclass:AnyClassDriver"
_EXTRAS = {
    "pymeasure": 'pip install "agentlab[pymeasure]"',
    "qcodes": 'pip install "agentlab[qcodes]"',
    "ophyd_async": 'pip install "agentlab[ophyd]"',
    "pyvisa": "pip install pyvisa pyvisa-py",
    "pyvisa_py": "pip install pyvisa-py",
    "pyvisa_sim": "pip install pyvisa-sim",
    "serial": 'pip install "agentlab[serial]"',
    "usb": "pip install pyusb",
    "numpy": 'pip install "agentlab[numpy]"',
}
"""What brings a library that a driver is missing."""


def load_driver(spec: InstrumentSpec) -> Driver:
    """Give the driver that a description names, not opened: nothing has been built and no device has been talked to.

    Importing the driver's module runs that module, so call it in the thread that is to own the driver.

    Args:
        spec: What the instrument is.

    Returns:
        An adapter for the kind of class; an instance of the class itself where it is a Driver.

    Raises:
        DriverError: there is no such class, a library is missing (the text says how to get it), or an argument does not fit.
    """
    cls = load_class(spec.driver)
    try:
        return _loaded(spec, cls)
    except AgentLabError:
        raise
    except ModuleNotFoundError as error:
        raise _missing(error, str(spec.driver)) from error
    except Exception as error:  # a metaclass, or a class that makes its members when they are looked at
        raise DriverError(f"the class of driver {spec.driver!r} cannot be looked at: {_line(error)}") from error


def _loaded(spec: InstrumentSpec, cls: type) -> Driver:
    if issubclass(cls, Driver):
        check_arguments(cls, spec.positional(), spec.kwargs)
        driver: Driver = cls(*spec.positional(), **spec.kwargs)
        return driver
    adapter = _imported(adapter_of(cls))
    if not _is_resource(cls):  # PyVISA builds its resources itself, from an address
        given = adapter.arguments(spec, cls) if hasattr(adapter, "arguments") else (spec.positional(), spec.kwargs)
        check_arguments(cls, *given)
    made: Driver = adapter(spec, cls)
    return made


def load_class(driver: str | type) -> type:
    """Give the class that a text names; a class is given as it is.

    Args:
        driver: ``package.module:Class``, also ``package.module:Outer.Inner``.

    Raises:
        DriverError: there is none, or its module cannot be imported.
    """
    if isinstance(driver, type):
        return driver
    module, _, name = driver.partition(":")
    if not (module and name) or module.startswith("."):
        raise DriverError(f"{driver!r} names no class; write package.module:Class")
    found: Any = _module(module, driver)
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except ModuleNotFoundError as error:  # a package that loads its classes when they are asked for
            raise _missing(error, driver) from error
        except AttributeError:
            raise DriverError(f"{module!r} has no class {name!r}{nearest(part, _classes(found))}") from None
        except Exception as error:
            raise DriverError(f"class {name!r} of {module!r} cannot be had: {_line(error)}") from error
    if not isinstance(found, type):
        raise DriverError(f"{driver!r} is {type(found).__name__}, no class; the class travels, never an object of it")
    return found


def adapter_of(cls: type) -> str:
    """Give the adapter for a class as ``module:Class``, told by the modules and names of its bases."""
    for base in cls.__mro__:
        for package, names, adapter in _ADAPTERS:
            if base.__name__ in names and (base.__module__ == package or base.__module__.startswith(f"{package}.")):
                return adapter
    return _ANY


def check_arguments(cls: type, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Check the arguments of a class against its signature, before it is built.

    Raises:
        DriverError: an argument too many, one that is missing, or a name that there is not (the text names the nearest).
    """
    if inspect.isabstract(cls):
        missing = ", ".join(sorted(map(str, getattr(cls, "__abstractmethods__", ()))))
        raise DriverError(f"{cls.__name__} is an abstract class; give one that has {missing}")
    signature = _signature(cls)
    if signature is None:
        return
    named = [n for n, p in signature.parameters.items() if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)]
    takes_any = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    for key in kwargs:
        if key not in named and not takes_any:
            raise DriverError(f"{cls.__name__} takes no argument {key!r}{nearest(key, named)}")
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        close = [
            f"{key!r} for {hit[0]!r}" for key in kwargs if key not in named and (hit := difflib.get_close_matches(key, named, 1))
        ]
        hint = f"; did you write {', '.join(close)}?" if close else ""
        raise DriverError(f"{cls.__name__}{_shown(signature)} cannot be built: {error}{hint}") from None


def build(spec: InstrumentSpec, cls: type) -> Any:
    """Build an instance of the driver's class. It may talk to the device and take its time: call it in the driver's thread.

    The description's ``timeout`` is handed in where the class has a parameter of that name and the arguments do not say it.

    Raises:
        Exception: whatever the class raises.
    """
    kwargs = dict(spec.kwargs)
    if spec.timeout is not None and "timeout" not in kwargs and _takes(cls, "timeout"):
        kwargs["timeout"] = spec.timeout
    made = cls(*spec.positional(), **kwargs)
    if cls not in type(made).__mro__:  # __new__ may give anything
        raise DriverError(f"{cls.__name__}(...) gave {type(made).__name__}, no {cls.__name__}; name the class that is to be used")
    return made


def let_go(error: BaseException) -> None:
    """Empty the frames of an error and of its causes: a half-built instance in them would keep the device's only connection."""
    seen: set[int] = set()
    rest: list[BaseException | None] = [error]
    while rest:
        one = rest.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        if one.__traceback__ is not None:
            traceback.clear_frames(one.__traceback__)
        rest += [one.__cause__, one.__context__]


def missing_library(error: ModuleNotFoundError, what: str) -> DriverError:
    """Give the error to raise where a driver's library is not installed: it says what brings it."""
    return _missing(error, what)


def _takes(cls: type, name: str) -> bool:
    signature = _signature(cls)
    found = None if signature is None else signature.parameters.get(name)
    return found is not None and found.kind in (found.KEYWORD_ONLY, found.POSITIONAL_OR_KEYWORD)


def _signature(cls: type) -> inspect.Signature | None:
    """Give what a class takes; None where it does not tell, as some that are written in C."""
    try:
        if "__call__" not in vars(type(cls)):
            return inspect.signature(cls)
        # a metaclass that takes anything and hands it on, as that of QCoDeS, would be believed
        made = next(vars(base)[key] for base in cls.__mro__ for key in ("__init__", "__new__") if key in vars(base))
        made = made.__func__ if isinstance(made, staticmethod) else made
        found = inspect.signature(made)
        return found.replace(parameters=list(found.parameters.values())[1:])
    except Exception:  # noqa: BLE001 - a door: a metaclass, or a __signature__ of somebody's; Python tells when it is built
        return None


def _shown(signature: inspect.Signature) -> str:
    names = [str(p.replace(annotation=p.empty)) for p in signature.parameters.values()]
    return f"({', '.join(names)})"


def _line(error: BaseException) -> str:
    """Give an error of the user's module in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")


def _imported(text: str) -> Any:
    module, _, name = text.partition(":")
    return getattr(importlib.import_module(module), name)


def _module(name: str, driver: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise _missing(error, driver) from error
    except (Exception, SystemExit) as error:
        # the user's own module, or a vendor's, which raises what it likes; its traceback is the cause
        raise DriverError(f"the module of driver {driver!r} cannot be imported: {_line(error)}") from error


def _missing(error: ModuleNotFoundError, driver: str) -> DriverError:
    lost = error.name or ""
    if not lost:  # raised by hand
        return DriverError(f"driver {driver!r} needs a library that is not installed: {_line(error)}")
    top = lost.partition(".")[0]
    if top in _EXTRAS:
        has_not = "" if lost == top else f", or has no {lost!r}"
        return DriverError(f"driver {driver!r} needs {top}, which is not installed{has_not}; {_EXTRAS[top]}")
    if f"{driver.partition(':')[0]}.".startswith(f"{lost}."):
        return DriverError(f"no module is called {lost!r} in {driver!r}; is it installed, or on PYTHONPATH?")
    return DriverError(f"driver {driver!r} needs module {lost!r}, which is not installed; install it in the agent's environment")


def _classes(module: Any) -> list[str]:
    """Give the names that may be meant: those of a package's own list first, as it may load them only when they are asked for."""
    listed = vars(module).get("__all__")
    try:
        names = list(listed) if isinstance(listed, (list, tuple, set)) else []
        names += [name for name, value in list(vars(module).items()) if isinstance(value, type) and not listed]
    except Exception:  # noqa: BLE001 - a door: the names are a help only
        return []
    return [name for name in dict.fromkeys(names) if isinstance(name, str) and not name.startswith("_")]


def _is_resource(cls: type) -> bool:
    return any(base.__module__.startswith("pyvisa.") and base.__name__ == "Resource" for base in cls.__mro__)
