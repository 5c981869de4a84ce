"""What users give for services and their name servers, made into specs and addresses."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from agentlab.errors import ConfigurationError
from agentlab.services.model import Service, ServiceSpec, checked_nameservers
from agentlab.settings import NAMESERVER_VARIABLE

Services = Mapping[str, Any] | Iterable[ServiceSpec]
"""Name to class, ``module:Class`` or service; or a list of services."""


def default_nameservers(given: Iterable[Any] | None) -> list[str]:
    """Give addresses of name servers: those given, else what ``AGENTLAB_NAMESERVER_ADDRESS`` says, if anything."""
    if given is None:
        said = os.environ.get(NAMESERVER_VARIABLE)
        given = [said] if said else []
    return checked_nameservers(given, "nameservers") or []


def listed(services: Services) -> list[ServiceSpec]:
    """Give services as a list; a name to which one is given becomes its name."""
    if not isinstance(services, Mapping):
        return list(services)
    return [
        _renamed(name, target) if isinstance(target, ServiceSpec) else Service(target, name) for name, target in services.items()
    ]


def registered_at(default: list[str], spec: Any) -> ServiceSpec:
    """Give a service that says where it is registered: where it does not, at the default ones.

    Raises:
        ConfigurationError: that is no service.
    """
    if not isinstance(spec, ServiceSpec):
        raise ConfigurationError(f"{spec!r} is no service; write Service(Class, name=...), or a dict of name and class")
    addresses = default if spec.nameservers is None else spec.nameservers
    return ServiceSpec(spec.name, spec.target, spec.parameters, spec.instancemode, addresses, spec.description, spec.tags)


def _renamed(name: str, spec: ServiceSpec) -> ServiceSpec:
    return ServiceSpec(name, spec.target, spec.parameters, spec.instancemode, spec.nameservers, spec.description, spec.tags)
