"""Writes ``lab_file_reference.rst`` from the models of the lab file: ``python docs/make_lab_reference.py``.

A test compares the page with what this would write, so it is never out of date.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agentlab.lab import instrument_model as instruments
from agentlab.lab import model as models
from agentlab.lab.wires import RECEIVERS, SENDERS
from agentlab.nameserver.config import NameServerConfig
from agentlab.settings import Settings
from agentlab.yamlfile import words
from agentlab.yamlfile.models import Model

PAGE = Path(__file__).resolve().parent / "lab_file_reference.rst"
HEAD = ".. Made by `python docs/make_lab_reference.py`; do not edit.\n"

_SPECIAL = re.compile(r"([\\*|])")
_TRAILING = re.compile(r"(\w)_(?!\w)")
_NAMES = "names, each with {}"
_ALLOWED = {  # where the type alone would not say it
    "FileModel.nameservers": "names, each with a :ref:`name server <lab-file-nameservers>`; a list of such is fine too",
    "FileModel.daemons": _NAMES.format("a :ref:`daemon <lab-file-daemons>`"),
    "FileModel.services": _NAMES.format("a :ref:`service <lab-file-services>`"),
    "FileModel.agents": _NAMES.format("an :ref:`agent <lab-file-agents>`"),
    "FileModel.instruments": _NAMES.format("an :ref:`instrument <lab-file-instruments>`"),
    "FileModel.interlocks": "a list of :ref:`rules <lab-file-interlocks>`",
    "FileModel.wires": "a list of :ref:`wires <lab-file-wires>`",
    "FileModel.groups": _NAMES.format("a :ref:`group <lab-file-groups>`"),
    "FileModel.autolaunch": "see :ref:`autolaunch <lab-file-autolaunch>`",
    "FileModel.settings": "see :ref:`settings <lab-file-settings>`",
    "AgentModel.class_": "text: package.module:Class",
    "AgentModel.sockets": "aliases, each with a :ref:`socket <lab-file-sockets>`",
    "AgentModel.addr": "text: host:port, or null",
    "InstrumentModel.driver": "text: package.module:Class",
    "InstrumentModel.addr": "text: host:port, or null",
    "InstrumentModel.parameters": "names, each with :ref:`what is said of it <lab-file-parameters>`; or text",
    "InstrumentModel.poll": "a number greater than 0; or names, each with one; or null",
    "InstrumentModel.safe": "a mapping, a list of text, text, false or null",
    "InstrumentModel.history": "true, false, or text: a file",
    "InstrumentModel.owner": "see :ref:`owner <lab-file-owner>`",
    "InstrumentModel.simulated": "see :ref:`stand-ins <lab-file-simulated>`; or text: package.module:Class",
    "StandInModel.driver": "text: package.module:Class",
    "GroupModel.backoff": "see :ref:`backoff <lab-file-backoff>`",
}
_SECTIONS: list[tuple[str, str, type[Any]]] = [
    ("agents", "Agents", models.AgentModel),
    ("sockets", "Sockets of agents", models.SocketModel),
    ("instruments", "Instruments", models.InstrumentModel),
    ("parameters", "Parameters of instruments", instruments.OverrideModel),
    ("owner", "Owners of instruments", instruments.OwnerModel),
    ("simulated", "Stand-ins of instruments", instruments.StandInModel),
    ("wires", "Wires", models.WireModel),
    ("services", "Services", models.ServiceModel),
    ("daemons", "Daemons", models.DaemonModel),
    ("nameservers", "Name servers", NameServerConfig),
    ("groups", "Groups", models.GroupModel),
    ("backoff", "Backoff of groups", models.BackoffModel),
    ("autolaunch", "Autolaunch", models.AutolaunchModel),
]


def lab_file_reference() -> str:
    """Give the page: every key of the lab file, with what it allows, its default and its meaning."""
    lines = [
        HEAD,
        "Lab file reference",
        "==================",
        "",
        "Every key of a lab file, made from the models that check it. :doc:`lab_file` explains it. ``agentlab schema``",
        "gives the same to editors.",
        "",
        "The file",
        "--------",
        "",
        _sentences(models.FileModel),
        "",
        *_table(models.FileModel, "FileModel"),
    ]
    for anchor, title, model in _SECTIONS:
        lines += [f".. _lab-file-{anchor}:", "", title, "-" * len(title), "", _sentences(model), ""]
        lines += _table(model, model.__name__)
        if anchor == "wires":
            lines += _kinds()
        if anchor == "simulated":
            lines += _interlocks()
    lines += _settings()
    return "\n".join(lines).rstrip() + "\n"


def _sentences(model: type[Any]) -> str:
    if model is NameServerConfig:
        return "A process that knows who is where. The same keys stand in a file of name servers alone; see :doc:`name_servers`."
    return " ".join((model.__doc__ or "").split())


def _table(model: type[Any], owner: str) -> Iterator[str]:
    yield from (".. list-table::", "   :header-rows: 1", "   :widths: 18 34 16 52", "")
    yield from _row("key", "allowed", "default", "meaning")
    for name, info in model.model_fields.items():
        allowed = _ALLOWED.get(f"{owner}.{name}")
        yield from _row(
            f"``{info.alias or name}``",
            allowed or plain(words.allowed(info.annotation, info.metadata)),
            "needed" if info.is_required() else _default(info.get_default(call_default_factory=True)),
            plain(info.description or ""),
        )
    yield ""


def _row(*cells: str) -> Iterator[str]:
    for index, cell in enumerate(cells):
        yield f"   {'* -' if index == 0 else '  -'} {cell}".rstrip()


def _default(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Model):
        return "its defaults"
    if value in ("", [], {}):
        return "empty"
    return f"``{', '.join(map(str, value)) if isinstance(value, list) else value}``"


def _kinds() -> Iterator[str]:
    yield from ("The end that binds decides what stands at the other:", "")
    yield from (".. list-table::", "   :header-rows: 1", "   :widths: 20 20 80", "")
    yield from _row("bound socket", "end", "the other end")
    for kind in SENDERS:
        yield from _row(kind, "left", "right: a method of the target, which connects and gets the messages")
    for kind, client in RECEIVERS.items():
        yield from _row(kind, "right", f"left: the alias under which the source connects its {client}")
    yield ""


def _interlocks() -> Iterator[str]:
    yield from (".. _lab-file-interlocks:", "", "Interlocks", "----------", "")
    yield from ("What makes an instrument safe, whoever is there or not: a list of texts, each", "", ".. code-block:: text", "")
    yield "   condition { and condition | or condition } [, max_age time] -> what"
    yield from ("", ".. list-table::", "   :widths: 18 90", "")
    yield from _row(
        "condition", "``instrument.parameter``, an operator ``> >= < <= == !=``, a value: ``stage.temperature > 320 K``"
    )
    yield from _row("value", "a number with or without a unit, true, false, on, off, a word, or a text in quotes")
    yield from _row("time", "how old the rule's readings may be: a number of seconds, or one with a unit, ``10 s``")
    yield from _row("what", "``heater.safe()``, an action ``heater.off()``, or a set ``heater.power = 0 W``")
    yield from ("", "The instrument on the right carries it out. Readings that are missing, bad or stale violate the rule, so")
    yield "the instruments on the left must be polled. Stale is what is older than ``max_age``, or, in a rule without it, than"
    yield from ("three poll periods, 2 s at least. ``and`` and ``or`` do not stand in one rule. Or each a mapping:", "")
    yield from _table(instruments.InterlockModel, "InterlockModel")


def _settings() -> Iterator[str]:
    yield from (".. _lab-file-settings:", "", "Settings", "--------", "")
    yield "What ``agentlab.config`` holds, for every process of the lab. :doc:`configuration` has the defaults."
    yield from ("", ".. list-table::", "   :header-rows: 1", "   :widths: 30 90", "")
    yield from _row("key", "meaning")
    for key, (_, _, meaning) in Settings().describe().items():
        yield from _row(f"``{key}``", plain(meaning))


def plain(text: str) -> str:
    """Give text in which nothing means anything to reStructuredText, but what stands between back-quotes is literal."""
    text = re.sub(r"`([^`]+)`", r"``\1``", text)
    parts = re.split(r"(``[^`]+``)", text)
    return "".join(part if part.startswith("``") else _TRAILING.sub(r"\1\\_", _SPECIAL.sub(r"\\\1", part)) for part in parts)


if __name__ == "__main__":
    PAGE.write_text(lab_file_reference(), "utf-8")
    print(PAGE.name)  # noqa: T201 - says what it wrote
