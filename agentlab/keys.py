"""The lab's key on this machine: 32 random bytes in a file that only the user can read, made at first use.

Whoever can read the file belongs to the lab. Loopback TCP proves it by a challenge, ZeroMQ's CURVE derives
its key pair from it. Certificates for other machines will stand beside it.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
import stat
from pathlib import Path

import platformdirs

from agentlab.errors import ConfigurationError
from agentlab.settings import private_dir

KEY_SIZE = 32
DIRECTORY_VARIABLE = "AGENTLAB_KEYS_DIR"

_cache: dict[Path, bytes] = {}


def keys_dir() -> Path:
    """Give the directory of key files: ``AGENTLAB_KEYS_DIR``, else ``keys`` in the user's data directory."""
    chosen = os.environ.get(DIRECTORY_VARIABLE)
    return Path(chosen) if chosen else Path(platformdirs.user_data_dir("agentlab")) / "keys"


def lab_key() -> bytes:
    """Give the 32 bytes of the lab's key; make the file at first use.

    Raises:
        ConfigurationError: the file cannot be made or read, has the wrong size, or others can read it.
    """
    path = keys_dir() / "lab.key"
    if path not in _cache:
        _cache[path] = _read(path) if path.exists() else _make(path)
    return _cache[path]


def derive(purpose: str, size: int = KEY_SIZE) -> bytes:
    """Give a key for one purpose (HMAC-SHA256 of its name under the lab's key), at most 32 bytes."""
    return hmac.new(lab_key(), b"agentlab " + purpose.encode(), hashlib.sha256).digest()[:size]


def _make(path: Path) -> bytes:
    private_dir(path.parent, setting=DIRECTORY_VARIABLE)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_SIZE))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)  # of two processes that make it at once, the first wins and both use its key
    except OSError as error:
        raise ConfigurationError(
            f"cannot make the lab's key {str(path)!r}: {error.strerror}; set {DIRECTORY_VARIABLE} to a directory of yours"
        ) from None
    finally:
        draft.unlink(missing_ok=True)  # also one that a full disk cut short
    return _read(path)


def _read(path: Path) -> bytes:
    try:
        info = path.stat()
        if os.name == "posix" and (stat.S_IMODE(info.st_mode) & 0o077 or info.st_uid != os.getuid()):
            raise ConfigurationError(f"others may read or own the lab's key {str(path)!r}; run: chmod 600 on a file of yours")
        key = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"cannot read the lab's key {str(path)!r}: {error.strerror}") from None
    if len(key) != KEY_SIZE:
        raise ConfigurationError(f"the lab's key {str(path)!r} has {len(key)} bytes, not {KEY_SIZE}; remove it to make a new one")
    return key
