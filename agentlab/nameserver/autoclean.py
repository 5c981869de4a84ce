"""Taking away names without a lease whose holder is gone: a thread beside the name server's loop asks at every URI.

Only connections are opened, and closed at once; nothing is sent or read, so a silent peer delays nobody. Many are tried at
the same time. A holder counts as alive where anybody accepts a connection: a program that was given the port of a dead
one keeps its name alive, and whoever wants the name takes it then with ``replace=True``.
"""

from __future__ import annotations

import errno
import logging
import os
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

from agentlab.control.uri import Location, parse_uri
from agentlab.errors import NameServerError, WrongAddressError
from agentlab.nameserver.probe import Verdict, verdict_of
from agentlab.nameserver.registration import Registration

log = logging.getLogger("agentlab.nameserver")

PARALLEL = 64
"""Connections that are tried at the same time."""
CONNECT_TIMEOUT = 2.0
UNREACHABLE_LIMIT = 20.0
"""Seconds that a holder must have been out of reach before its name is taken away: a cable may be unplugged."""
_UNDER_WAY = (errno.EINPROGRESS, errno.EWOULDBLOCK)
_PATIENCE = 3.0

Judged = Callable[[Location, Verdict], object]


class Names(Protocol):
    """What the cleaner asks of a name server."""

    def list(self) -> dict[str, Registration]:
        """Give everybody."""

    def remove(self, name: str, uri: str | None = None, instance: str | None = None) -> bool:
        """Take a name away from that very holder."""


@dataclass
class Patience:
    """Since when which place has been out of reach. Pure.

    Args:
        limit: Seconds until that is as good as dead.
    """

    limit: float = UNREACHABLE_LIMIT
    _since: dict[Location, float] = field(default_factory=dict)

    def is_over(self, place: Location, verdict: Verdict, now: float) -> bool:
        """Take in a verdict; tell whether the names there are to go."""
        if verdict is not Verdict.UNREACHABLE:
            self._since.pop(place, None)
            return verdict is Verdict.DEAD
        return now - self._since.setdefault(place, now) >= self.limit

    def keep_only(self, places: Iterable[Location]) -> None:
        """Forget every other place."""
        wanted = set(places)
        self._since = {place: since for place, since in self._since.items() if place in wanted}


def by_place(registrations: Iterable[Registration]) -> dict[Location, list[Registration]]:
    """Give those that have no lease, by the place to try. A URI that cannot be tried stands nowhere, so it stays."""
    places: dict[Location, list[Registration]] = {}
    for one in registrations:
        if one.lease is not None:
            continue
        try:
            place = parse_uri(one.uri)[1]
        except WrongAddressError:
            continue
        if place.path is None or hasattr(socket, "AF_UNIX"):
            places.setdefault(place, []).append(one)
    return places


class Autocleaner:
    """The thread. Started by ``with``, ended with it, within a moment even while it waits for somebody.

    Args:
        names: The name server; its calls come from the thread.
        period: Seconds between the beginnings of two rounds.
        patience: How long somebody may be out of reach.
        timeout: Seconds after which one who does not answer counts as out of reach.
    """

    def __init__(self, names: Names, period: float, patience: Patience | None = None, timeout: float = CONNECT_TIMEOUT) -> None:
        self._names, self._period, self._timeout = names, period, timeout
        self._patience = Patience() if patience is None else patience
        self._waker, self._wake_end = socket.socketpair()
        self._ending = False
        # A daemon, as a name of a host may be looked up for long, and nothing can cut that short.
        self._thread = threading.Thread(target=self._run, name="agentlab-autoclean", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending = True
        self._waker.close()
        self._thread.join(_PATIENCE)

    def _run(self) -> None:
        with self._wake_end:
            next_round = time.monotonic() + self._period
            while not self._ending:
                with selectors.DefaultSelector() as sleeping:
                    sleeping.register(self._wake_end, selectors.EVENT_READ)
                    sleeping.select(max(0.0, next_round - time.monotonic()))
                now = time.monotonic()
                if now < next_round:
                    continue  # woken: it is to end
                next_round = now + self._period
                try:
                    self._round()
                except Exception:  # whatever one registration has in it, the next round comes
                    log.exception("autoclean gave up a round")

    def _round(self) -> None:
        places = by_place(self._names.list().values())
        self._patience.keep_only(places)
        # Judged one by one, as they are known: who comes back while the others are tried must not be taken for dead.
        try_all(places, lambda place, verdict: self._judge(places[place], place, verdict), self._wake_end, self._timeout)

    def _judge(self, registrations: list[Registration], place: Location, verdict: Verdict) -> None:
        if not self._patience.is_over(place, verdict, time.monotonic()):
            return
        for one in registrations:
            try:
                gone = self._names.remove(one.name, uri=one.uri)
            except NameServerError as error:
                log.warning("autoclean could not remove %r: %s", one.name, error)
            else:
                if gone:
                    log.info("autoclean removed %r: its holder at %s is %s", one.name, one.uri, verdict.value)


def try_all(
    places: Iterable[Location], judged: Judged, wake: socket.socket | None = None, timeout: float = CONNECT_TIMEOUT
) -> None:
    """Try to connect to every place, many at a time; blocks until all are judged.

    Args:
        places: Where to try.
        judged: Called with each place and what was found, in the order of their outcomes.
        wake: Ends all of it when it is readable.
        timeout: Seconds after which a place counts as out of reach.
    """
    waiting = deque(places)
    hosts: dict[str, str | None] = {}
    deadlines: dict[socket.socket, tuple[float, Location]] = {}  # in the order of time
    with selectors.DefaultSelector() as selector:
        if wake is not None:
            selector.register(wake, selectors.EVENT_READ)
        try:
            while waiting or deadlines:
                while waiting and len(deadlines) < PARALLEL:
                    place = waiting.popleft()
                    outcome = _begin(place, hosts)
                    if isinstance(outcome, Verdict):
                        judged(place, outcome)
                    else:
                        deadlines[outcome] = time.monotonic() + timeout, place
                        selector.register(outcome, selectors.EVENT_WRITE)
                for key, _ in selector.select(_until_first(deadlines)):
                    if key.fileobj is wake:
                        return
                    assert isinstance(key.fileobj, socket.socket)
                    _, place = deadlines[key.fileobj]
                    code = key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    _drop(key.fileobj, selector, deadlines)
                    judged(place, verdict_of(OSError(code, os.strerror(code)) if code else None))
                now = time.monotonic()
                for sock, (deadline, place) in list(deadlines.items()):
                    if deadline > now:
                        break
                    _drop(sock, selector, deadlines)
                    judged(place, Verdict.UNREACHABLE)
        finally:
            for sock in deadlines:
                sock.close()


def _until_first(deadlines: dict[socket.socket, tuple[float, Location]]) -> float:
    """Give the seconds until the first deadline; 0 where none runs: there is more to begin, or nothing left."""
    first = next(iter(deadlines.values()), None)
    return 0.0 if first is None else max(0.0, first[0] - time.monotonic())


def _drop(sock: socket.socket, selector: selectors.BaseSelector, deadlines: dict[socket.socket, tuple[float, Location]]) -> None:
    selector.unregister(sock)
    del deadlines[sock]
    sock.close()


def _begin(place: Location, hosts: dict[str, str | None]) -> socket.socket | Verdict:
    """Begin to connect; give the socket, or the verdict where it is clear at once."""
    if place.path is not None:
        target: Any = place.path
        family = socket.AF_UNIX
    else:
        host = _numeric(str(place.host), hosts)
        if host is None:
            return Verdict.UNREACHABLE
        target = (host, place.port)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:  # too many open files, no such family: nothing is known of the place
        log.warning("autoclean cannot try %s: %s", place, error)
        return Verdict.ALIVE
    sock.setblocking(False)
    try:
        sock.connect(target)
    except OSError as error:
        if place.path is None and error.errno in _UNDER_WAY:
            return sock
        sock.close()
        return verdict_of(error)
    except BaseException:
        sock.close()
        raise
    sock.close()
    return Verdict.ALIVE


def _numeric(host: str, hosts: dict[str, str | None]) -> str | None:
    """Give the numbers of a host's address, asked for once; None where nobody knows it."""
    if host not in hosts:
        try:
            hosts[host] = str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])
        except (OSError, UnicodeError):
            hosts[host] = None
    return hosts[host]
