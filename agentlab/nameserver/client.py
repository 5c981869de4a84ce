"""Asking a name server: who has a name, who is there, who comes and goes."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Self

from agentlab.control.connection import ControlClient
from agentlab.errors import (
    CallTimeoutError,
    CommunicationError,
    ConnectionLostError,
    NameServerUnavailableError,
    UnknownNameError,
)
from agentlab.nameserver import protocol
from agentlab.nameserver.places import nameserver_address, numeric_host
from agentlab.nameserver.protocol import Snapshot
from agentlab.nameserver.registration import (
    Change,
    MetaFilter,
    Registration,
    check_registration,
    compile_regex,
    registration_from_plain,
)
from agentlab.wire.address import SocketAddress

if TYPE_CHECKING:
    from agentlab.nameserver.follow import Watch

__all__ = ["Change", "NameServerClient", "Registration", "Snapshot"]


class NameServerClient:
    """The calls of one name server. Any number of threads may use it at once; each call blocks up to ``timeout``.

    Connections are opened when they are needed, and a name server that was restarted is connected again unnoticed.

    Args:
        address: ``host:port``, a SocketAddress, or None: what ``AGENTLAB_NAMESERVER_ADDRESS`` says.
        security: ``keys`` or ``none``; None: as configured.
        timeout: Seconds that a call may take.

    Raises:
        NameServerUnavailableError: no address is given, and the environment names none.
    """

    def __init__(self, address: Any = None, *, security: str | None = None, timeout: float = 3.0) -> None:
        self.address: SocketAddress = nameserver_address(address)
        self.timeout = timeout
        place = SocketAddress(numeric_host(self.address.host), self.address.port)
        uri = f"PYRO:{protocol.OBJECT_ID}@{place}"
        self._control = ControlClient(uri, security=security, connect_timeout=timeout)

    def __repr__(self) -> str:
        return f"NameServerClient({self.address})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the next call opens one again."""
        self._control.close()

    def ping(self) -> str:
        """Give ``'pong'`` when the name server answers.

        Raises:
            NameServerUnavailableError: it does not. Every call may raise this.
        """
        return str(self._call("ping"))

    def register(
        self,
        name: str,
        uri: str,
        *,
        instance: str,
        metadata: dict[str, Any] | None = None,
        lease: float | None = None,
        replace: bool = False,
    ) -> Registration:
        """Give a name to a URI.

        Args:
            name: Printable text of at most 200 characters.
            uri: Where its holder is served.
            instance: Random text of the holder's incarnation.
            metadata: What it is: strings, numbers, bytes, lists, dicts; ``tags`` a list of strings.
            lease: Seconds that it stays without renewal (see
                :class:`~agentlab.nameserver.heartbeats.Heartbeat`); None: until it is removed.
            replace: Whether to take the name from a live holder.

        Returns:
            The registration as the name server holds it, for :class:`~agentlab.nameserver.heartbeats.Heartbeat`.

        Raises:
            NameTakenError: somebody else has the name and lives.
            ConfigurationError: name, lease or metadata cannot be.
        """
        claim = check_registration(Registration(name, uri, instance, metadata or {}, lease))
        claim.pack()
        return registration_from_plain(self._call("register", registration=claim.plain()[:5], replace=replace))

    def lookup(self, name: str) -> Registration:
        """Give who has a name.

        Raises:
            UnknownNameError: nobody; the text names the nearest names.
        """
        return registration_from_plain(self._call("lookup", name=name))

    def find(self, name: str) -> Registration | None:
        """Give who has a name, or None."""
        plain = self._call("find", name=name)
        return None if plain is None else registration_from_plain(plain)

    def remove(self, name: str, *, uri: str | None = None, instance: str | None = None) -> bool:
        """Take a name away; with ``uri`` or ``instance`` only from that very holder.

        Returns:
            Whether it went by this call. Where the connection broke meanwhile and the call was repeated, False may
            mean that it went the first time.
        """
        return bool(self._call("remove", name=name, uri=uri, instance=instance))

    def list(
        self,
        *,
        prefix: str | None = None,
        regex: str | None = None,
        meta_all: MetaFilter | None = None,
        meta_any: MetaFilter | None = None,
        tag: str | None = None,
    ) -> dict[str, Registration]:
        """Give the registrations that fulfil every condition given, by name.

        Args:
            prefix: The name begins with it.
            regex: It matches at the beginning of the name.
            meta_all: All of these labels (a tag, or ``key=value``), or all of these items of a mapping.
            meta_any: At least one of them.
            tag: One of its tags.

        Raises:
            ConfigurationError: a condition cannot be.
        """
        # Matched here: a regular expression can run for hours, and must not do so in the name server.
        pattern: re.Pattern[str] | None = None if regex is None else compile_regex(regex)
        asked = {"prefix": prefix, "tag": tag, "meta_all": _plain(meta_all), "meta_any": _plain(meta_any)}
        rows = self._call("list", **{key: value for key, value in asked.items() if value is not None})
        return {row[0]: Registration(*row) for row in rows if pattern is None or pattern.match(row[0])}

    def snapshot(self) -> Snapshot:
        """Give all registrations and where in the feed they stand."""
        return protocol.snapshot_from_plain(self._call("snapshot"))

    def endpoints(self) -> dict[str, Any]:
        """Give where the name server is: ``address`` of calls (TCP) and renewals (UDP), ``feed``."""
        return dict(self._call("endpoints"))

    def announce(self) -> tuple[str, int]:
        """Have the feed tell its position at once; give it, too: epoch and number."""
        epoch, number = self._call("announce")
        return epoch, number

    def info(self) -> dict[str, Any]:
        """Give what the name server counts: names, changes, seconds up, renewals, and what it dropped why."""
        return dict(self._call("info"))

    def shutdown(self) -> None:
        """Ask the name server to end; it does within a second."""
        try:
            self._call("shutdown")
        except NameServerUnavailableError as error:
            if not isinstance(error.__cause__, ConnectionLostError):  # it may be gone before its answer is
                raise

    def watch(self, callback: Callable[[Change], object]) -> Watch:
        """Have every change told, from a thread of its own, until the watch is closed.

        Args:
            callback: Called with a :class:`Change`; first with one ``registered`` for everybody who is there already.

        Raises:
            NameServerUnavailableError: nobody answers now. Later absences are waited out in silence.
        """
        self.ping()
        from agentlab.nameserver.follow import Watch  # with ZeroMQ: whoever only asks for a name follows no feed

        return Watch(self, callback)

    def wait_for(self, name: str, timeout: float) -> Registration:
        """Give who has a name, as soon as somebody has.

        Args:
            name: The name.
            timeout: Seconds to wait at most.

        Raises:
            UnknownNameError: nobody had it in time.
            NameServerUnavailableError: the name server did not answer all that time.
        """
        deadline = time.monotonic() + timeout
        try:
            found = self.find(name)
        except NameServerUnavailableError:
            if timeout <= 0:
                raise
            found = None  # it may be about to start
        if found is not None:
            return found
        from agentlab.nameserver.follow import Follower

        follower = Follower(self)
        try:
            while (left := deadline - time.monotonic()) > 0:
                follower.step(left)
                found = follower.mirror.find(name)
                if found is not None:
                    return found
        finally:
            follower.close()
        if follower.error is not None:
            raise follower.error
        try:
            return self.lookup(name)
        except UnknownNameError as error:
            raise UnknownNameError(f"waited {timeout:g} s: {error}") from None

    def _call(self, method: str, **arguments: Any) -> Any:
        return protocol.decode_reply(self._exchange(protocol.encode_request(method, arguments)))

    def _exchange(self, payload: bytes) -> bytes:
        """Send a request; once more where the connection broke, as each may be repeated."""
        deadline = time.monotonic() + self.timeout
        try:
            try:
                return self._control.call(payload, timeout=self.timeout)
            except ConnectionLostError:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise
                return self._control.call(payload, timeout=left)
        except CommunicationError as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: CommunicationError) -> NameServerUnavailableError:
        what = f"within {self.timeout:g} s" if isinstance(error, CallTimeoutError) else f"({error})"
        return NameServerUnavailableError(
            f"no name server answers at {self.address} {what}; start one there (run_nameserver), or pass another address"
        )


def _plain(wanted: MetaFilter | None) -> Any:
    if wanted is None or isinstance(wanted, (str, dict)):
        return wanted
    return {**wanted} if isinstance(wanted, Mapping) else [*wanted]
