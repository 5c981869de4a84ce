"""Name servers as a YAML file describes them."""

from __future__ import annotations

import difflib
import errno
import logging
import os
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import platformdirs
from pydantic import Field, PrivateAttr

from agentlab.errors import ConfigurationError
from agentlab.nameserver.places import numeric_host
from agentlab.settings import private_dir
from agentlab.transport.network import outward_address
from agentlab.yamlfile.document import Document, read_yaml
from agentlab.yamlfile.models import Model, validate
from agentlab.yamlfile.problems import Problem, Problems, ProblemsError, key_text

log = logging.getLogger("agentlab.nameserver")

SECTION = "nameservers"
LAB_SECTIONS = (
    "version",
    "name",
    "description",
    "settings",
    "include",
    "daemons",
    "services",
    "agents",
    "instruments",
    "interlocks",
    "simulated",
    "wires",
    "groups",
    "autolaunch",
)
"""What else a lab file holds; it may be read for its name servers alone."""

_NAME = re.compile(r"\w[\w.-]{0,99}")
_SUFFIXES = {"sql": "sqlite", "dbm": "dbm"}
_EVERYWHERE = ("0.0.0.0", "::", "*")  # noqa: S104 - compared, not bound


class NameServerConfig(Model):
    """One name server, as a file describes it. Immutable; equal to another that says the same, wherever it stands."""

    host: str = Field(
        default="localhost",
        min_length=1,
        description="where it listens; public: this machine's address on the network, as others see it",
    )
    ns_port: int = Field(default=9090, ge=0, le=65535, description="its port, of TCP and of UDP; 0: any that is free")
    ns_bchost: str | None = Field(
        default=None,
        min_length=1,
        description="where it answers programs that search by broadcast; null: nowhere",
    )
    ns_bcport: int | None = Field(
        default=9091,
        ge=0,
        le=65535,
        description="UDP port of those answers; null: none are given",
    )
    ns_autoclean: float = Field(
        default=0.0,
        ge=0.0,
        description="seconds between two checks of all registrations, which remove those that are dead; 0: no checks",
    )
    storage_type: Literal["memory", "dbm", "sql"] = Field(
        default="memory",
        description="where names are kept: in memory, in a dbm file (without metadata), in an SQLite database",
    )
    storage_file: str | None = Field(
        default=None,
        min_length=1,
        description="path of the dbm file or database, from this file's folder where it is relative; "
        "~ is your home; null: a file of its name in your data directory; not looked at for memory",
    )
    security: Literal["keys", "none"] | None = Field(
        default=None,
        description="keys: who connects proves the lab's key; none: anybody may connect; null: as is set for the program",
    )

    _name: str = PrivateAttr("default")
    _places: Mapping[str, Problem] = PrivateAttr(default_factory=dict)

    @property
    def name(self) -> str:
        """The name server's own name, as the file gives it."""
        return self._name

    def named(self, name: str) -> Self:
        """Give the same under another name."""
        copy = self.model_copy()
        copy._name = name
        return copy

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NameServerConfig) and (self._name, self.model_dump()) == (other._name, other.model_dump())

    def __hash__(self) -> int:
        return hash((self._name, *self.model_dump().values()))

    def server_options(self) -> dict[str, Any]:
        """Give the arguments of :class:`~agentlab.nameserver.server.NameServer`; plain values, so msgpack takes them.

        The directory of the default storage file is made.

        Raises:
            ConfigurationError: that directory cannot be made, or is not private.
        """
        broadcast = None if self.ns_bchost is None or self.ns_bcport is None else (_host(self.ns_bchost), self.ns_bcport)
        return {
            "host": _host(self.host),
            "port": self.ns_port,
            "security": self.security,
            "storage_type": self.storage_type,
            "storage_file": None if self.storage_type == "memory" else str(self._storage_path()),
            "autoclean": self.ns_autoclean,
            "broadcast": broadcast,
        }

    def check_host(self) -> None:
        """Find out whether this machine can listen at the host; asks the system for its address, which may take seconds.

        Raises:
            ConfigurationError: it is unknown, or another machine; with its place, where it was read from a file.
        """
        try:
            host = numeric_host(_host(self.host))
        except ConfigurationError as error:
            raise self.blame("host", str(error)) from None
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            try:
                probe.bind((host, 0))
            except OSError as error:
                if error.errno == errno.EADDRNOTAVAIL:
                    cure = "write localhost, public or an address of this machine, or start it on that machine"
                    raise self.blame("host", f"{self.host!r} is not this machine; {cure}") from None

    def blame(self, key: str, text: str) -> ConfigurationError:
        """Give an error about a key (empty: about the whole), with its place where it was read from a file."""
        place = self._places.get(key) or self._places.get("")
        if place is None:
            return ConfigurationError(f"name server {self._name!r}: {key + ': ' if key else ''}{text}")
        return ProblemsError([Problem(place.file, place.line, place.column, place.key, text)])

    def _storage_path(self) -> Path:
        if self.storage_file is not None:
            place = self._places.get("")
            folder = Path() if place is None else Path(place.file).parent
            return (folder / Path(self.storage_file).expanduser()).absolute()
        folder = Path(platformdirs.user_data_dir("agentlab")) / SECTION
        try:
            return private_dir(folder) / f"{self._name}.{_SUFFIXES[self.storage_type]}"
        except ConfigurationError as error:
            raise self.blame("storage_file", f"{str(error).rpartition(';')[0]}; name another storage_file") from None


def _host(host: str) -> str:
    return outward_address() if host == "public" else host


def read_nameserver_configs(
    path: str | os.PathLike[str], strict: bool = False, *, warn_of_clashes: bool = True
) -> dict[str, NameServerConfig]:
    """Read the name servers that a YAML file describes, a file of their own or a whole lab file.

    Under ``nameservers:`` stands a list of one-key maps, or a map, of names and settings.

    Args:
        path: The file.
        strict: Whether unknown keys, and two name servers on one port, are errors; otherwise they are logged as warnings.
        warn_of_clashes: Whether two name servers on one port are logged; where it is not strict.

    Returns:
        The name servers by name, in the order of the file.

    Raises:
        ProblemsError: the file cannot be read, or something in it cannot be; all problems at once (a ConfigurationError).
    """
    document = read_yaml(path)
    problems = Problems()
    configs: dict[str, NameServerConfig] = {}
    if not isinstance(document.data, dict):
        problems.add(document, (), "found no mapping, allowed is a mapping with the key nameservers")
    elif SECTION in document.data:
        _check_sections(document, problems, strict=strict)
        before = len(problems)
        configs = nameserver_configs(document, (SECTION,), problems=problems, strict=strict, warn_of_clashes=warn_of_clashes)
        if not configs and len(problems) == before:
            problems.add(document, (SECTION,), "found no name server; write at least one, as - default:")
    elif any(section in document.data for section in ("agents", "instruments", "services", "daemons")):
        configs = {"default": NameServerConfig()}  # what the lab gets that says nothing about it
    else:
        known = ", ".join(str(key) for key in document.data)[:200]
        problems.add(document, (), f"found no section {SECTION}, only {known}{_meant(document.data)}")
    problems.raise_if_any()
    return configs


def nameserver_configs(
    document: Document, path: Sequence[Any] = (SECTION,), *, problems: Problems, strict: bool = True, warn_of_clashes: bool = True
) -> dict[str, NameServerConfig]:
    """Give the name servers of one section of a document that was read; for lab files too.

    Args:
        document: The document.
        path: Where the section stands in it; nothing there, or null, means no name servers.
        problems: Takes what is wrong.
        strict: As for :func:`read_nameserver_configs`.
        warn_of_clashes: As there.
    """
    configs: dict[str, NameServerConfig] = {}
    where: dict[str, tuple[Any, ...]] = {}
    for name, at in _entries(document, tuple(path), problems):
        if name in where:
            first = document.mark(where[name]).line
            problems.add(document, at, f"found the name {name!r} twice, first in line {first}; give each its own")
            continue
        where[name] = at
        if not _NAME.fullmatch(name):
            problems.add(document, at, f"found the name {name[:50]!r}, allowed are letters, digits, and - . _ between them")
            continue
        bare = document.get(at) == name and isinstance(document.get(at[:-1]), list)  # an item that is nothing but a name
        config = NameServerConfig() if bare else validate(NameServerConfig, document, at, problems=problems, strict=strict)
        if config is not None:
            config._name = name
            config._places = {key: _place(document, (*at, key) if key else at) for key in ("", *NameServerConfig.model_fields)}
            configs[name] = config
    for text, at in _clashes(configs, where):
        if strict:
            problems.add(document, at, text)
        elif warn_of_clashes:
            log.warning("%s: %s: %s", document.mark(at), key_text(at), text)
    return configs


def _entries(document: Document, path: tuple[Any, ...], problems: Problems) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Give name and path of each entry, of a list as of a map."""
    section = document.get(path)
    if isinstance(section, dict):
        yield from ((str(name), (*path, name)) for name in section)
    elif isinstance(section, list):
        for number, item in enumerate(section):
            if isinstance(item, str):
                yield item, (*path, number)
            elif isinstance(item, dict) and len(item) == 1:
                yield str(next(iter(item))), (*path, number, *item)
            elif isinstance(item, dict) and item:
                keys = ", ".join(map(str, item))
                problems.add(
                    document,
                    (*path, number),
                    f"found {len(item)} keys ({keys[:80]}), allowed is one name; indent what belongs to it",
                )
            else:
                problems.add(document, (*path, number), "found no name, allowed is a name with its settings, as default:")
    elif section is not None:
        problems.add(document, path, "found a single value, allowed are a list or a mapping of name servers")


def _clashes(
    configs: Mapping[str, NameServerConfig], where: Mapping[str, tuple[Any, ...]]
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    seen: list[NameServerConfig] = []
    for config in configs.values():
        for other in seen:
            if config.ns_port == other.ns_port != 0 and same_host(config.host, other.host):
                text = f"found {config.host}:{config.ns_port}, which {other.name!r} has too; give each its own port"
                yield text, (*where[config.name], "ns_port")
                break
        seen.append(config)


def same_host(one: str, other: str) -> bool:
    """Tell whether two hosts of a file are certainly the same place to listen at; no name is looked up."""
    first, second = ("127.0.0.1" if host.lower() == "localhost" else host.lower() for host in (one, other))
    return first == second or first in _EVERYWHERE or second in _EVERYWHERE


def _place(document: Document, path: tuple[Any, ...]) -> Problem:
    mark = document.mark(path)
    return Problem(mark.file, mark.line, mark.column, key_text(path), "")


def _check_sections(document: Document, problems: Problems, *, strict: bool) -> None:
    for key in document.data:
        if key == SECTION or key in LAB_SECTIONS or str(key).startswith(("x-", ".")):  # the latter hold anchors
            continue
        text = f"found an unknown section, allowed are {SECTION} and those of a lab file{_meant([key])}"
        if strict:
            problems.add(document, (key,), text)
        else:
            log.warning("%s: %s: %s; it is ignored", document.mark((key,)), key, text)


def _meant(keys: Any) -> str:
    for key in keys:
        if close := difflib.get_close_matches(str(key), (SECTION, *LAB_SECTIONS), n=1):
            return f"; did you mean {close[0]!r}?"
    return ""
