"""Proxies for those who are more than agents: which class stands for which kind.

The classes are named as texts, as they stand on floors above: one is imported when somebody has said that it is of that kind.
Who says a kind that is not here is called as an agent is.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentlab.runtime.proxy import Proxy

PROXIES = {"instrument": "agentlab.instruments.client.proxy:InstrumentProxy"}
"""Kind, as ``_describe`` gives it -> class of its proxies."""


def proxy_class(kind: str) -> type[Proxy] | None:
    """Give the class of the proxies of a kind; None: :class:`~agentlab.runtime.proxy.Proxy` itself does."""
    place = PROXIES.get(kind)
    if place is None:
        return None
    module, _, name = place.partition(":")
    found: type[Proxy] = getattr(importlib.import_module(module), name)
    return found
