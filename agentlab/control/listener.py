"""The socket on which a daemon is reached, and the file of a unix one."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from agentlab.control.security import refuse_open_bind
from agentlab.control.uri import Location
from agentlab.errors import WrongAddressError

BACKLOG: Final = 1024
PATH_LIMIT: Final = 107
LOCK_PATIENCE: Final = 2.0


class Listener:
    """A listening socket. Made by :func:`listen_unix` or :func:`listen_tcp`.

    Args:
        sock: The socket, listening.
        location: Where it is reached.
        inode: Device and inode of a unix socket's file.
    """

    def __init__(self, sock: socket.socket, location: Location, inode: tuple[int, int] | None = None) -> None:
        self.sock = sock
        self.location = location
        self._inode = inode

    def close(self) -> None:
        """Stop listening; remove the file unless somebody else has put another in its place. Twice is fine."""
        if self.location.path is not None and self._inode is not None:
            path = Path(self.location.path)
            with _directory_lock(path.parent), contextlib.suppress(FileNotFoundError):
                if _inode(path) == self._inode:
                    path.unlink()
            self._inode = None
        self.sock.close()


def listen_unix(path: str) -> Listener:
    """Listen on a unix socket whose file only this user may use.

    A file that a dead process left is replaced; one where somebody listens is not.

    Raises:
        WrongAddressError: the path is too long, or cannot stand in a URI.
        OSError: ``Address already in use``, ``Permission denied`` and the like, with the path.
    """
    size = len(os.fsencode(path))
    if size > PATH_LIMIT:
        raise WrongAddressError(
            f"the path of socket {path!r} has {size} bytes, at most {PATH_LIMIT} work; set IPC_DIR to a shorter one"
        )
    if ":" in path:
        raise WrongAddressError(f"the path of socket {path!r} has a colon, which cannot stand in a URI; choose another")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # The lock keeps two starting processes from taking each other's fresh file for a dead one's.
        with _directory_lock(Path(path).parent):
            _bind_unix(sock, path)
            Path(path).chmod(0o600)  # before anybody can connect, whatever the umask is
            sock.listen(BACKLOG)
            return Listener(sock, Location(path=path), _inode(Path(path)))
    except OSError as error:
        sock.close()
        raise OSError(error.errno, error.strerror, path) from None


def listen_tcp(host: str, port: int, mode: str) -> Listener:
    """Listen on a TCP port; 0 takes a free one.

    Raises:
        RefusedError: other machines could connect, and ``mode`` is ``'keys'``.
        OSError: ``Address already in use``, ``Permission denied`` and the like, with host and port.
    """
    refuse_open_bind(host, mode)
    try:
        family, _, _, _, address = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except OSError as error:
        raise WrongAddressError(f"host {host!r} cannot be found: {error.strerror}; give an address of this machine") from None
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # elsewhere the option lets a second process steal the port
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
        return Listener(sock, Location(host=host or str(address[0]), port=sock.getsockname()[1]))
    except OSError as error:
        sock.close()
        raise OSError(error.errno, error.strerror, f"{host}:{port}") from None


def _bind_unix(sock: socket.socket, path: str) -> None:
    try:
        sock.bind(path)
    except OSError as error:
        if error.errno != errno.EADDRINUSE or not _is_dead(path):
            raise
        Path(path).unlink(missing_ok=True)
        sock.bind(path)


def _is_dead(path: str) -> bool:
    """Tell whether the file is a socket on which nobody listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # a live one whose queue is full would block
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return Path(path).is_socket()
        except OSError:
            return False
    return False


def _inode(path: Path) -> tuple[int, int]:
    info = path.lstat()
    return info.st_dev, info.st_ino


@contextlib.contextmanager
def _directory_lock(directory: Path) -> Iterator[None]:
    """Hold the directory against other daemons that start or end there; no file is left. Gives up after 2 s."""
    try:
        import fcntl

        descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    except (ImportError, OSError):
        yield  # what is wrong with the directory, bind() says better
        return
    try:
        deadline = time.monotonic() + LOCK_PATIENCE
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() > deadline:  # its holder is frozen, or the file system knows no locks
                    break
                time.sleep(0.002)
        yield
    finally:
        os.close(descriptor)
