"""What a name server knows about a name, as values: registrations, changes, and what makes them well formed. No I/O."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgpack

from agentlab.errors import ConfigurationError

MAX_NAME = 200
MAX_URI = 1024
MAX_INSTANCE = 64
MAX_BYTES = 8000
"""Bytes of a packed registration: it has to fit into one datagram."""
MIN_LEASE = 0.1
MAX_LEASE = 86400.0

ChangeKind = Literal["registered", "changed", "removed"]
MetaFilter = Iterable[str] | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Registration:
    """Who has a name: one value, compared by its content.

    Args:
        name: The name, printable, at most 200 characters.
        uri: Where its holder is served. Two holders are the same one when their URIs are equal.
        instance: Random text of the holder's incarnation, so that a late goodbye removes nobody else.
        metadata: What it is: strings, numbers, bytes, lists and dicts; ``tags`` is a list of strings.
        lease: Seconds that it lives without renewal; None: until it is removed.
        since: When the name server took it in, seconds since 1970 by its clock. Of two claims the newer one wins.
    """

    name: str
    uri: str
    instance: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    lease: float | None = None
    since: float = 0.0

    def pack(self) -> bytes:
        """Give it as bytes; equal registrations of one process give equal bytes.

        Raises:
            ConfigurationError: the metadata holds what cannot be packed, or is too large for a datagram.
        """
        try:
            packed = bytes(msgpack.packb(self.plain()))
        except (TypeError, ValueError, OverflowError) as error:
            raise ConfigurationError(
                f"metadata of {self.name!r} cannot be packed: {error}; use strings, numbers, bytes, lists and dicts"
            ) from None
        if len(packed) > MAX_BYTES:
            raise ConfigurationError(
                f"registration of {self.name!r} takes {len(packed)} bytes, allowed are {MAX_BYTES}; shorten its metadata"
            )
        return packed

    def plain(self) -> list[Any]:
        """Give it as a list of plain values, for :func:`registration_from_plain`."""
        return [self.name, self.uri, self.instance, self.metadata, self.lease, self.since]

    def tags(self) -> tuple[str, ...]:
        """Give its tags; none where ``metadata['tags']`` is no list."""
        tags = self.metadata.get("tags", ())
        return tuple(str(tag) for tag in tags) if isinstance(tags, (list, tuple)) else ()

    def labels(self) -> set[str]:
        """Give its metadata as a set of strings: each tag, and ``key=value`` of each plain value."""
        plain = {f"{key}={value}" for key, value in self.metadata.items() if isinstance(value, (str, int, float))}
        return plain.union(self.tags())


@dataclass(frozen=True, slots=True)
class Change:
    """One step of a name server's table.

    Args:
        number: Counts the changes of one incarnation, from 1, without a gap.
        kind: ``registered``, ``changed`` (other holder or other content) or ``removed``.
        registration: As it is now; for ``removed``, as it was.
        epoch: Random text of the name server's incarnation.
    """

    number: int
    kind: ChangeKind
    registration: Registration
    epoch: str

    @property
    def name(self) -> str:
        """The name that changed."""
        return self.registration.name


def check_name(name: object) -> str:
    """Give the name back when it can be one.

    Raises:
        ConfigurationError: it is no text, blank, too long, or has characters that cannot be printed.
    """
    if not isinstance(name, str) or not name.strip():
        raise ConfigurationError(f"a name must be text that is not blank, got {name!r}")
    if len(name) > MAX_NAME:
        raise ConfigurationError(f"a name may have {MAX_NAME} characters, got {len(name)}: {name[:30]!r}...; shorten it")
    if not name.isprintable():
        raise ConfigurationError(f"a name must be printable, got {name!r}; leave out control characters")
    return name


def check_registration(registration: Registration) -> Registration:
    """Give the registration back when every field of it can be.

    Raises:
        ConfigurationError: a field has the wrong type, is too long or out of range.
    """
    r: Any = registration  # its fields may be anything: they came from anybody
    check_name(r.name)
    for label, text, limit in (("uri", r.uri, MAX_URI), ("instance", r.instance, MAX_INSTANCE)):
        if not isinstance(text, str) or len(text) > limit or not text.isprintable():
            raise ConfigurationError(f"{label} of {r.name!r} must be printable text of at most {limit} characters")
    if not r.uri:
        raise ConfigurationError(f"uri of {r.name!r} is empty; say where its holder is served")
    if not isinstance(r.metadata, dict) or not all(isinstance(key, str) for key in r.metadata):
        raise ConfigurationError(f"metadata of {r.name!r} must be a dict with text as keys")
    if r.lease is not None and not (_is_number(r.lease) and MIN_LEASE <= r.lease <= MAX_LEASE):
        raise ConfigurationError(f"lease of {r.name!r} is {r.lease!r}; allowed: {MIN_LEASE:g} to {MAX_LEASE:g} seconds, or None")
    if not _is_number(r.since):
        raise ConfigurationError(f"since of {r.name!r} must be a number of seconds")
    return registration


def registration_from_plain(plain: object) -> Registration:
    """Rebuild what :meth:`Registration.plain` gave.

    Raises:
        ConfigurationError: it is not such a list, or a field of it cannot be.
    """
    if not isinstance(plain, (list, tuple)) or len(plain) != 6:
        raise ConfigurationError("not a registration: six fields are needed")
    return check_registration(Registration(*plain))


def unpack_registration(packed: bytes) -> Registration:
    """Rebuild what :meth:`Registration.pack` gave; the bytes may be anybody's.

    Raises:
        ConfigurationError: they are not a registration.
    """
    if len(packed) > MAX_BYTES:
        raise ConfigurationError(f"not a registration: {len(packed)} bytes, allowed are {MAX_BYTES}")
    try:
        plain = msgpack.unpackb(packed)
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise ConfigurationError(f"not a registration: {error}") from None
    return registration_from_plain(plain)


def compile_regex(regex: str) -> re.Pattern[str]:
    """Compile a regular expression of a name.

    Raises:
        ConfigurationError: it is none.
    """
    try:
        return re.compile(regex)
    except re.error as error:
        raise ConfigurationError(f"{regex!r} is no regular expression: {error}") from None


def matches(
    registration: Registration,
    *,
    prefix: str | None = None,
    regex: re.Pattern[str] | None = None,
    meta_all: MetaFilter | None = None,
    meta_any: MetaFilter | None = None,
    tag: str | None = None,
) -> bool:
    """Tell whether a registration fulfils every condition given.

    Args:
        registration: The one in question.
        prefix: The name begins with it.
        regex: It matches at the beginning of the name.
        meta_all: All of these labels (a tag, or ``key=value``), or all of these items of a mapping.
        meta_any: At least one of them.
        tag: One of its tags.
    """
    if prefix and not registration.name.startswith(prefix):
        return False
    if regex is not None and not regex.match(registration.name):
        return False
    if tag is not None and tag not in registration.tags():
        return False
    if meta_all is not None and not all(_hits(registration, meta_all)):
        return False
    return meta_any is None or any(_hits(registration, meta_any))


def _hits(registration: Registration, wanted: MetaFilter) -> Iterable[bool]:
    if isinstance(wanted, Mapping):
        metadata = registration.metadata
        return (key in metadata and metadata[key] == value for key, value in wanted.items())
    if isinstance(wanted, str):
        raise ConfigurationError(f"a filter on metadata must be a list or a mapping, got the text {wanted!r}")
    labels = registration.labels()
    return (label in labels for label in wanted)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
