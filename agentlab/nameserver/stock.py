"""The name server as stock Pyro5 knows it, served under security "none" only.

Source: Pyro5's documentation of its name server, https://pyro5.readthedocs.io/en/latest/nameserver.html. A stock
registration has no lease and its metadata are our tags. One difference: it may replace another stock registration,
as always, but not an agent that lives.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from Pyro5.core import URI
from Pyro5.errors import NamingError
from Pyro5.server import expose

from agentlab.errors import AgentLabError
from agentlab.nameserver.protocol import STOCK_OBJECT_ID
from agentlab.nameserver.registration import Registration, compile_regex, matches
from agentlab.nameserver.service import NameService


@expose
class StockNameServer:
    """The calls of ``Pyro5.nameserver.NameServer``. Thread-safe.

    Args:
        service: Who answers.
        uri: Its own, which stock clients find listed under ``Pyro.NameServer``.
    """

    def __init__(self, service: NameService, uri: str) -> None:
        self._service = service
        self._self = Registration(STOCK_OBJECT_ID, uri, metadata={"tags": ["class:Pyro5.nameserver.NameServer"]})

    def ping(self) -> None:
        """Answer."""

    def count(self) -> int:
        """Give how many names there are, its own included."""
        return len(self._found())

    def lookup(self, name: str, return_metadata: bool = False) -> Any:
        """Give the URI of a name, or URI and metadata."""
        found = self._self if name == STOCK_OBJECT_ID else self._service.find(name)
        if found is None:
            raise NamingError(f"unknown name: {name}")
        return (URI(found.uri), found.labels()) if return_metadata else URI(found.uri)

    def register(self, name: str, uri: Any, safe: bool = False, metadata: Collection[str] | None = None) -> None:
        """Give a name to a URI; a plain registration is replaced, unless ``safe``."""
        if isinstance(metadata, str):
            raise TypeError("metadata should not be a str, but another iterable (set, list, etc)")
        text = str(URI(str(uri)))
        held = self._self if name == STOCK_OBJECT_ID else self._service.find(name)
        if held is not None and (safe or held is self._self):
            raise NamingError(f"name already registered: {name}")
        claim = Registration(name, text, "", {"tags": sorted(str(label) for label in metadata)} if metadata else {})
        self._translated(lambda: self._service.register(claim, replace=held is not None and held.lease is None))

    def set_metadata(self, name: str, metadata: Collection[str] | None) -> None:
        """Replace the tags of a plain registration."""
        held = self._service.find(name)
        if held is None:
            raise NamingError(f"unknown name: {name}")
        if held.lease is not None:
            raise NamingError(f"{name} is an agent, which tells its metadata itself")
        self.register(name, held.uri, metadata=metadata)

    def remove(self, name: str | None = None, prefix: str | None = None, regex: str | None = None) -> int:
        """Remove names; give how many went."""
        names = [name] if name else list(self._found(prefix=prefix, regex=regex)) if prefix or regex else []
        gone = self._translated(lambda: [self._service.remove(one) for one in names if one != STOCK_OBJECT_ID])
        return sum(gone)

    def list(self, prefix: str | None = None, regex: str | None = None, return_metadata: bool = False) -> dict[str, Any]:
        """Give URIs as text, or those with metadata, by name."""
        if prefix and regex:
            raise ValueError("you can only filter on one thing at a time")
        return self._shown(self._found(prefix=prefix or None, regex=regex or None), return_metadata)

    def yplookup(
        self, meta_all: Collection[str] | None = None, meta_any: Collection[str] | None = None, return_metadata: bool = True
    ) -> dict[str, Any]:
        """Give what has all, or any, of some metadata."""
        if meta_all and meta_any:
            raise ValueError("you can't use meta_all or meta_any at the same time")
        if not meta_all and not meta_any:
            return {}
        return self._shown(self._found(meta_all=meta_all or None, meta_any=meta_any or None), return_metadata)

    def _found(self, **conditions: Any) -> dict[str, Registration]:
        def search() -> dict[str, Registration]:
            found = self._service.list(**conditions)
            regex = conditions.pop("regex", None)
            if matches(self._self, regex=compile_regex(regex) if regex else None, **conditions):
                found = {STOCK_OBJECT_ID: self._self, **found}
            return found

        return self._translated(search)  # type: ignore[no-any-return]

    @staticmethod
    def _shown(found: dict[str, Registration], return_metadata: bool) -> dict[str, Any]:
        return {name: (one.uri, one.labels()) if return_metadata else one.uri for name, one in found.items()}

    @staticmethod
    def _translated(call: Any) -> Any:
        try:
            return call()
        except AgentLabError as error:  # a stock client cannot rebuild our errors
            raise NamingError(str(error)) from None
