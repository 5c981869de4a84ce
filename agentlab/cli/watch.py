"""``agentlab watch``: see what an agent publishes, or an instrument measures, live."""

from __future__ import annotations

import contextlib
import time
from datetime import datetime
from typing import Annotated, Any

import typer

from agentlab.agent.agent import Agent
from agentlab.cli.asking import Peer
from agentlab.cli.completion import complete_publisher
from agentlab.cli.door import mistake
from agentlab.cli.options import File, NsAddr, as_json_line, nameserver
from agentlab.cli.peers import member_peer
from agentlab.cli.tables import printable
from agentlab.errors import nearest
from agentlab.instruments.model.reading import Reading

KINDS = ("PUB", "SYNC_PUB")
PATIENCE = 3.0
READINGS = "readings"
"""The alias under which instruments publish; each topic is a parameter."""


def watch(
    socket: Annotated[
        str,
        typer.Argument(
            metavar="NAME.ALIAS",
            help="Such as Meter.power; dmm.voltage, a polled parameter of an instrument; or dmm, all that it polls.",
            show_default=False,
            autocompletion=complete_publisher,
        ),
    ],
    topic: Annotated[
        list[str] | None,
        typer.Option("--topic", metavar="TOPIC", help="Only what begins so; may be given again.", show_default="everything"),
    ] = None,
    count: Annotated[
        int | None, typer.Option("--count", "-n", min=1, metavar="N", help="End after so many.", show_default="none")
    ] = None,
    nsaddr: NsAddr = None,
    file: File = None,
    as_text_for_programs: Annotated[bool, typer.Option("--json", help="Print a line of JSON for each.")] = False,
) -> None:
    """Print the publications of a PUB or SYNC_PUB socket, or the readings of an instrument, as they come, until Ctrl-C.

    An agent that is started again is followed. Readings are printed with their unit, and their quality where it is not good.
    """
    with member_peer(socket, "alias", nsaddr, file, alone=True) as (whom, member):
        name, alias, only = whom.name, member or READINGS, ""
        if not member:
            _check_polls(whom)
        elif member != READINGS and whom.parameter(member, PATIENCE) is not None:
            _check_polled(whom, member)
            alias, only, topic = READINGS, member, [member]
        _check(whom, alias)
        of_instrument = whom.is_instrument and alias == READINGS
    from agentlab.runtime.directory import NameDirectory  # with the rest of what an agent's process uses

    if of_instrument:
        watcher: _Watcher = _ReadingWatcher(count, only, as_lines_of_json=as_text_for_programs)
    else:
        watcher = _Watcher(count, as_lines_of_json=as_text_for_programs)
    directory = NameDirectory(nameserver(nsaddr, file))
    agent = Agent("agentlab watch")
    agent._directory = directory
    try:
        agent.connect((name, alias), "watched", dict.fromkeys(_shortest(topic or [""]), watcher.take))
        with contextlib.suppress(KeyboardInterrupt):  # the usual way to end it
            agent._loop.run(lambda: not watcher.done)
        if watcher.error is not None:
            raise watcher.error
    finally:
        directory.close()
        agent._close()


def _check_polls(whom: Peer) -> None:
    """Refuse an instrument of which nothing is published."""
    found = whom.parameters(PATIENCE)
    if found and not any(one.get("poll") for one in found.values()):
        raise mistake(f"{whom.name} polls nothing, so nothing of it is published; give it poll: 1, or agentlab get {whom.name}")


def _check_polled(whom: Peer, name: str) -> None:
    """Refuse a parameter of which nothing is published."""
    if not whom.parameters(PATIENCE)[name].get("poll"):
        raise mistake(
            f"{whom.name}.{name} is not polled, so nothing of it is published; give the instrument poll: {{{name}: 1}}, "
            f"or ask once: agentlab get {whom.name}.{name}"
        )


def _check(whom: Peer, alias: str) -> None:
    """Refuse a socket that does not publish; the text names those that do."""
    sockets = {row["alias"]: row for row in whom.ask("_wiring", timeout=PATIENCE) if row["alias"] and row["role"] == "server"}
    good = [known for known, row in sockets.items() if row["kind"] in KINDS]
    if alias in good:
        return
    what = f"is a {sockets[alias]['kind']} socket" if alias in sockets else "is no bound socket"
    those = nearest(alias, good) if good else f"; {whom.name!r} publishes nothing"
    raise mistake(f"{whom.name}.{alias} {what}; only PUB and SYNC_PUB can be watched{those}")


def _shortest(topics: list[str]) -> list[str]:
    """Give the topics without those that another one lets through anyway: each publication is printed once."""
    return [topic for topic in topics if not any(topic != other and topic.startswith(other) for other in topics)]


class _Watcher:
    """Prints what comes, and counts it."""

    def __init__(self, count: int | None, *, as_lines_of_json: bool) -> None:
        self._left = count
        self._json = as_lines_of_json
        self.done = False
        self.error: OSError | None = None

    def take(self, _agent: Agent, message: Any, topic: str) -> None:
        """Print one publication."""
        if self.done:
            return
        try:
            self._print(message, topic)
        except OSError as error:  # nobody reads any more
            self.done, self.error = True, error

    def _print(self, message: Any, topic: str) -> None:
        now = time.time()
        if self._json:
            print(as_json_line({"time": now, "topic": topic, "message": message}), flush=True)
        else:
            print(_clock(now), printable(_text(topic, message), keep="\n\t"), flush=True)
        self._count()

    def _count(self) -> None:
        if self._left is not None:
            self._left -= 1
            self.done = self._left <= 0


class _ReadingWatcher(_Watcher):
    """Prints the readings of an instrument: all, or those of one parameter."""

    def __init__(self, count: int | None, only: str, *, as_lines_of_json: bool) -> None:
        super().__init__(count, as_lines_of_json=as_lines_of_json)
        self._only = only

    def _print(self, message: Any, topic: str) -> None:
        reading = Reading.from_dict(message)
        if self._only and reading.name != self._only:
            return  # a topic lets through whatever begins like it
        if self._json:
            print(as_json_line(message), flush=True)
        else:
            print(_clock(reading.timestamp), printable(_text("" if self._only else topic, reading)), flush=True)
        self._count()


def _clock(when: float) -> str:
    return f"{datetime.fromtimestamp(when).astimezone():%H:%M:%S.%f}"[:-3]


def _text(topic: str, message: Any) -> str:
    return f"{topic}: {message}" if topic else str(message)
