"""What a class is, as plain values: found out in a throw-away process, see :mod:`agentlab.lab.looking`."""

from __future__ import annotations

import importlib
import inspect
import traceback
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agentlab.agent.agent import Agent
from agentlab.agent.handlers import accepts_positions
from agentlab.errors import nearest
from agentlab.services import surface


@dataclass(frozen=True)
class Call:
    """What a constructor or method can be called with.

    Attributes:
        names: Names of its parameters.
        required: Those without a default.
        anything: Whether it takes any keyword.
    """

    names: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    anything: bool = False


@dataclass(frozen=True)
class Facts:
    """What is known of a class.

    Attributes:
        problem: Why nothing is known, in one line; empty: all is well.
        is_agent: Whether it inherits from Agent.
        methods: Method -> whether it can be called with a message alone, and with a message and a topic.
        binds: The sockets that it declares: alias -> ``kind`` and ``handler``.
        taken: Names that `attributes` may not have.
        attributes: Names of attributes for which it gives a default or a type; none where it takes any.
        used: Names that its methods use, and that it has from Agent: attributes besides those.
        public: Names of public methods and properties.
        constructor: How it is made.
        connect: How its ``connect`` is called; None: it has none.
        says_all: Whether the problem is a whole sentence, which names the class itself.
        driver_problem: Why it cannot be an instrument's driver, or not with these arguments; empty: it can.
        table_problems: What is wrong in its table of commands, each as the values of a :class:`Problem`.
        parameters: Of a driver: name -> what is known of the parameter; None: it is none, or nobody knows.
        actions: Of a driver: names of its actions.
        timeouts: Of a driver: action -> seconds that the device may take for it, where the driver says so.
        whole: Whether an instance of the driver has no more parameters than these.
        missing: Of the names that the file uses of the instrument, those that an instance of the driver cannot have.
        missing_in_rules: Likewise of the actions that interlock rules call.
        address_problem: Why there can be no device at its address; empty: there may be one, or nobody knows.
    """

    problem: str = ""
    is_agent: bool = False
    methods: Mapping[str, tuple[bool, bool]] = field(default_factory=dict)
    binds: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    taken: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    used: tuple[str, ...] = ()
    public: tuple[str, ...] = ()
    constructor: Call = Call(anything=True)
    connect: Call | None = None
    says_all: bool = False
    driver_problem: str = ""
    table_problems: tuple[tuple[str, int, int, str, str], ...] = ()
    parameters: Mapping[str, Mapping[str, Any]] | None = None
    actions: tuple[str, ...] = ()
    timeouts: Mapping[str, float] = field(default_factory=dict)
    whole: bool = False
    missing: tuple[str, ...] = ()
    missing_in_rules: tuple[str, ...] = ()
    address_problem: str = ""


Job = tuple[str, dict[str, Any] | None]
"""A class as ``package.module:Class``, and the instrument whose driver it is to be, as an InstrumentSpec's dict, or None."""


def facts_from(plain: dict[str, Any]) -> Facts:
    """Build again what :func:`dataclasses.asdict` and JSON have taken apart."""
    return Facts(
        problem=plain["problem"],
        is_agent=plain["is_agent"],
        methods={name: (bool(alone), bool(with_topic)) for name, (alone, with_topic) in plain["methods"].items()},
        binds=plain["binds"],
        taken=tuple(plain["taken"]),
        attributes=tuple(plain["attributes"]),
        used=tuple(plain["used"]),
        public=tuple(plain["public"]),
        constructor=_rebuilt(plain["constructor"]),
        connect=None if plain["connect"] is None else _rebuilt(plain["connect"]),
        says_all=plain["says_all"],
        driver_problem=plain["driver_problem"],
        table_problems=tuple((str(f), int(n), int(c), str(k), str(t)) for f, n, c, k, t in plain["table_problems"]),
        parameters=plain["parameters"],
        actions=tuple(plain["actions"]),
        timeouts=plain["timeouts"],
        whole=plain["whole"],
        missing=tuple(plain["missing"]),
        missing_in_rules=tuple(plain["missing_in_rules"]),
        address_problem=plain["address_problem"],
    )


def _rebuilt(plain: dict[str, Any]) -> Call:
    return Call(tuple(plain["names"]), tuple(plain["required"]), plain["anything"])


# --- in the throw-away process ----------------------------------------------------------------------------------------


def look(target: str, directory: str, base: frozenset[str]) -> Facts:
    """Import a class and tell what it is. Its module may do what it likes: what it raises becomes the problem.

    Args:
        target: The class, as ``package.module:Class``.
        directory: The folder of the lab file, for near names.
        base: Names that every agent has.
    """
    module, _, path = target.partition(":")
    try:
        value: Any = importlib.import_module(module)
    except KeyboardInterrupt:
        raise
    except SystemExit as error:
        return Facts(
            problem=f"cannot be imported: module {module} ends the program, with sys.exit({error.code!r}){_where(error)}"
        )
    except BaseException as error:  # noqa: BLE001 - whatever a user's module raises is told in a line
        return Facts(problem=_import_problem(module, error, directory))
    for part in path.split("."):
        try:
            value = _member(value, part)
        except AttributeError:
            names = [name for name in dir(value) if isinstance(inspect.getattr_static(value, name, object), type)]
            return Facts(problem=f"cannot be found: module {module} has no class {part!r}{nearest(part, names)}")
        except Exception as error:  # noqa: BLE001 - a module that loads its names when they are asked for
            return Facts(problem=_import_problem(module, error, directory))
    if not isinstance(value, type):
        return Facts(problem=f"is no class: {target} is a {type(value).__name__}; name a class")
    try:
        return class_facts(value, base)
    except Exception as error:  # noqa: BLE001 - a metaclass or descriptor of the user's
        return Facts(problem=f"cannot be looked at: {one_line(error)}")


def _member(value: Any, name: str) -> Any:
    """Give what is called so, without running anybody's code, but for a module that loads its names when they are asked for."""
    try:
        return inspect.getattr_static(value, name)
    except AttributeError:
        if not isinstance(value, types.ModuleType):
            raise
        return getattr(value, name)


def _import_problem(module: str, error: BaseException, directory: str) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name and (module == error.name or module.startswith(error.name + ".")):
        near = nearest(error.name, sorted(_modules(Path(directory))))
        return f"cannot be imported: no module is called {error.name!r}{near}; searched first: {directory}"
    return f"cannot be imported: {one_line(error)}{_where(error)}"


def _modules(directory: Path) -> Iterator[str]:
    for path in directory.iterdir():
        if path.suffix == ".py" or (path / "__init__.py").exists():
            yield path.stem


def one_line(error: BaseException) -> str:
    """Give an error in one line of a bearable length, its type first."""
    text = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _where(error: BaseException) -> str:
    """Name the user's line that raised: the last one that is not the import machinery's."""
    if isinstance(error, SyntaxError):
        return ""  # its text says it
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith("<") and f.filename != __file__]
    frames = [f for f in frames if not f.filename.endswith(("importlib/__init__.py", "importlib\\__init__.py"))]
    return f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""


def class_facts(cls: type, base: frozenset[str]) -> Facts:
    """Tell what a class is, without making one of it; `base` are the names that every agent has."""
    is_agent = issubclass(cls, Agent)
    connect = inspect.getattr_static(cls, "connect", None)
    return Facts(
        is_agent=is_agent,
        methods=dict(_methods(cls)) if is_agent else {},
        binds=_binds(cls) if is_agent else {},
        taken=tuple(sorted(base | _own(cls))) if is_agent else (),
        attributes=tuple(sorted(_declared(cls))) if is_agent else (),
        used=tuple(sorted(_used(cls))) if is_agent else (),
        public=tuple(sorted(_own(cls))),
        constructor=_call(cls),
        connect=None if is_agent or connect is None else _call(connect, skip=not isinstance(connect, staticmethod)),
    )


def _own(cls: type) -> set[str]:
    """Give the public methods and properties, without calling any."""
    return {*surface.method_names(cls), *surface.property_names(cls)}


def _below_agent(cls: type) -> list[type]:
    return [each for each in cls.__mro__ if each not in Agent.__mro__]


def _declared(cls: type) -> set[str]:
    """Give the attributes for which a class says a default or a type, without calling any; none where it takes any by itself."""
    found: set[str] = set()
    for each in _below_agent(cls):
        names = vars(each)
        if "__setattr__" in names or "__getattr__" in names:
            return set()
        found.update(name for name, value in names.items() if not (isinstance(value, type) or hasattr(type(value), "__get__")))
        try:
            found.update(inspect.get_annotations(each))
        except NameError:  # Python 3.14 looks into them, and some stand only where types are checked
            return set()
    return {name for name in found if not name.startswith("_") and not hasattr(Agent, name)}


def _used(cls: type) -> set[str]:
    """Give the names that stand in the methods of a class: one that is set or read there is meant, wherever it comes from."""
    found = {name for name in dir(Agent) if not name.startswith("_")}
    todo = [code for each in _below_agent(cls) for value in vars(each).values() if (code := _code(value)) is not None]
    while todo:
        code = todo.pop()
        found.update(code.co_names)
        found.update(const for const in code.co_consts if isinstance(const, str) and const.isidentifier())  # getattr(self, "x")
        todo += [const for const in code.co_consts if isinstance(const, types.CodeType)]
    return found


def _code(value: Any) -> types.CodeType | None:
    value = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
    code = getattr(inspect.unwrap(value) if callable(value) else value, "__code__", None)
    return code if isinstance(code, types.CodeType) else None


def _methods(cls: type) -> Iterator[tuple[str, tuple[bool, bool]]]:
    for name in dir(cls):
        value = inspect.getattr_static(cls, name, None)
        if (
            name.startswith("__")
            or isinstance(value, type)
            or not (callable(value) or isinstance(value, (classmethod, staticmethod)))
        ):
            continue
        own = 0 if isinstance(value, (classmethod, staticmethod)) else 1
        function = getattr(cls, name)
        yield name, (accepts_positions(function, own + 1), accepts_positions(function, own + 2))


def _binds(cls: type) -> dict[str, dict[str, Any]]:
    declared = getattr(cls, "binds", None)
    found: dict[str, dict[str, Any]] = {}
    for alias, value in declared.items() if isinstance(declared, Mapping) else ():
        said = value if isinstance(value, Mapping) else {"kind": value}
        handler = said.get("handler")
        found[str(alias)] = {
            "kind": str(said.get("kind")),
            "handler": handler if isinstance(handler, str) or handler is None else repr(handler),
            "by_name": isinstance(handler, str),
        }
    return found


def _call(function: Any, *, skip: bool = False) -> Call:
    try:
        function = function.__func__ if isinstance(function, (classmethod, staticmethod)) else function
        parameters = list(inspect.signature(function).parameters.values())[skip:]
    except (TypeError, ValueError):  # some classes that are written in C do not tell
        return Call(anything=True)
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    return Call(
        names=tuple(p.name for p in named),
        required=tuple(p.name for p in named if p.default is p.empty),
        anything=any(p.kind is p.VAR_KEYWORD for p in parameters),
    )
