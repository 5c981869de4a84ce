"""The words and values of which a lab file's entries consist: names, classes, addresses, and how each is checked. Pure."""

from __future__ import annotations

import difflib
import os
import re
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field

from agentlab.control.listener import PATH_LIMIT
from agentlab.errors import WrongAddressError
from agentlab.wire.address import address_to_host_port

MOST_NAME = 100

Restart = Literal["permanent", "transient", "temporary"]
Strategy = Literal["one_for_one", "one_for_all", "rest_for_one"]
OnError = Literal["continue", "stop", "restart"]
Serializer = Literal["raw", "pickle", "cloudpickle", "dill", "json", "msgpack"]
Transport = Literal["tcp", "ipc", "inproc"]
SocketKind = Literal["PUB", "SUB", "PUSH", "PULL", "REQ", "REP", "ASYNC_REP", "SYNC_PUB"]

_NAME = re.compile(r"\w[\w.-]*")
_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_IDENTIFIER = re.compile(r"[^\W\d]\w*")

RESTARTS = "permanent: always; transient: after a failure; temporary: never"


def name_problem(name: object, section: str = "") -> str | None:
    """Tell why something cannot be the name of an agent, service, daemon, name server or group; None: it can."""
    if not isinstance(name, str):
        return f"found {name!r} as a name, which YAML reads as a {_kind_of(name)}; write it in quotes: '{name}'"
    if not _NAME.fullmatch(name):
        cure = "a name begins with a letter, digit or _, and goes on with these, dots and dashes"
        return f"found {name!r}, which cannot be a name; {cure}"
    if name.startswith("Pyro."):
        return f"found {name!r}, but names that begin with Pyro. are the name server's own; take another name"
    if section == "services" and name == "daemon":
        return "found 'daemon', which every daemon calls its own control object; take another name"
    if len(name) > MOST_NAME:
        return f"found a name of {len(name)} characters, allowed are {MOST_NAME}; shorten it"
    return None


def _kind_of(value: object) -> str:
    if value is None:
        return "null"
    return {"bool": "truth value", "int": "number", "float": "number"}.get(type(value).__name__, type(value).__name__)


def _class_path(text: str) -> str:
    module, colon, name = text.partition(":") if ":" in text else text.rpartition(".")
    if not (colon and _DOTTED.fullmatch(module) and _DOTTED.fullmatch(name)):
        raise ValueError(f"{text!r} names no class; write package.module:Class")
    return f"{module}:{name}"


def _module(text: str) -> str:
    if not _DOTTED.fullmatch(text):
        raise ValueError(f"{text!r} is no module; write package.module")
    return text


def _class_name(text: str) -> str:
    if not _DOTTED.fullmatch(text):
        raise ValueError(f"{text!r} is no name of a class; the module stands in `module`")
    return text


def _address(text: str) -> str:
    try:
        address_to_host_port(text)
    except WrongAddressError as error:
        raise ValueError(str(error)) from None
    return text


def socket_from(value: Any) -> Any:
    """Give a socket's mapping for the kind alone, which may stand for it.

    Raises:
        ValueError: it is a text, but no kind.
    """
    if not isinstance(value, str):
        return value
    kinds = get_args(SocketKind)
    if value in kinds:
        return {"kind": value}
    close = difflib.get_close_matches(value, kinds, n=1)
    raise ValueError(f"found {value!r}, allowed are {', '.join(kinds)}{f'; did you mean {close[0]!r}?' if close else ''}")


def _method(text: str) -> str:
    if not _IDENTIFIER.fullmatch(text):
        raise ValueError(f"{text!r} is no name of a method; write it without brackets and arguments")
    return text


Module = Annotated[str, AfterValidator(_module)]
ClassName = Annotated[str, AfterValidator(_class_name)]
ClassPath = Annotated[str, AfterValidator(_class_path)]
Address = Annotated[str, AfterValidator(_address)]
Method = Annotated[str, AfterValidator(_method)]


def _socket_path(text: str) -> str:
    size = len(os.fsencode(text))
    if size > PATH_LIMIT:
        raise ValueError(f"the path has {size} bytes, sockets have at most {PATH_LIMIT}; give a shorter one")
    return text


SocketPath = Annotated[str, AfterValidator(_socket_path)]
Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0)]
