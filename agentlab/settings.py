"""Defaults of a running program, read in one place: :data:`config` and the ``AGENTLAB_*`` environment variables.

A value is looked up when it is used: first what the program set (``config['TRANSPORT'] = 'tcp'``), then the
environment, then the default. What a program set reaches the agents that it starts afterwards.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentlab.errors import ConfigurationError, nearest

NAMESERVER_VARIABLE = "AGENTLAB_NAMESERVER_ADDRESS"
STATE_VARIABLE = "AGENTLAB_STATE_DIR"
SERIALIZERS = ("raw", "pickle", "cloudpickle", "dill", "json", "msgpack")
LEAST_MESSAGE_SIZE = 65536
"""Lowest possible limit of a message's size: whatever is smaller need not ask for the limit."""
TRANSPORTS = ("tcp", "ipc", "inproc")


def _one_of(*allowed: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if str(value) not in allowed:
            raise ValueError(f"allowed are {', '.join(allowed)}")
        return str(value)

    return check


def _safe(value: Any) -> bool:
    return value if isinstance(value, bool) else str(value).strip().lower() != "false"


def _number(least: float) -> Callable[[Any], float]:
    def check(value: Any) -> float:
        number = float(value)
        if not number >= least:
            raise ValueError(f"must be at least {least:g}")
        return number

    return check


def _seconds(value: Any) -> float:
    return float(value)


def _count(value: Any) -> int:
    number = int(value)
    if number < 0:
        raise ValueError("must not be negative")
    return number


def _message_size(value: Any) -> int:
    if (size := int(value)) < LEAST_MESSAGE_SIZE:
        raise ValueError(f"must be at least {LEAST_MESSAGE_SIZE}")
    return size


def _optional_path(value: Any) -> str | None:
    return None if value is None else os.fspath(value)


@dataclass(frozen=True)
class _Setting:
    default: Callable[[], Any]
    check: Callable[[Any], Any]
    variable: str | None
    doc: str


_SETTINGS: dict[str, _Setting] = {
    "SAFE": _Setting(
        lambda: True, _safe, "AGENTLAB_DEFAULT_SAFE", "whether proxy calls run in the agent's loop unless asked otherwise"
    ),
    "SERIALIZER": _Setting(
        lambda: "pickle", _one_of(*SERIALIZERS), "AGENTLAB_DEFAULT_SERIALIZER", "serializer of sockets bound without one"
    ),
    "LINGER": _Setting(
        lambda: 1.0, _seconds, "AGENTLAB_DEFAULT_LINGER", "seconds that a closing socket waits for unsent messages"
    ),
    "TRANSPORT": _Setting(
        lambda: "ipc" if os.name == "posix" else "tcp",
        _one_of(*TRANSPORTS),
        "AGENTLAB_DEFAULT_TRANSPORT",
        "transport of sockets bound without one",
    ),
    "IPC_DIR": _Setting(lambda: None, _optional_path, "AGENTLAB_IPC_DIR", "directory of socket files; None: runtime_dir()"),
    "SECURITY": _Setting(
        lambda: "keys",
        _one_of("keys", "none"),
        "AGENTLAB_SECURITY",
        "'keys', or 'none': anybody may connect, nothing is unpickled",
    ),
    "MAX_MESSAGE_SIZE": _Setting(
        lambda: 512 * 1024 * 1024, _message_size, "AGENTLAB_MAX_MESSAGE_SIZE", "bytes of the largest frame or call accepted"
    ),
    "START_METHOD": _Setting(
        lambda: "forkserver" if sys.platform.startswith("linux") else "spawn",
        _one_of("forkserver", "spawn"),
        "AGENTLAB_START_METHOD",
        "how agents' processes start",
    ),
    "LEASE": _Setting(lambda: 3.0, _number(0.1), "AGENTLAB_LEASE", "seconds that a registered name lives without renewal"),
    "HWM": _Setting(lambda: 1000, _count, "AGENTLAB_HWM", "messages that a socket queues per connection; 0 = no limit"),
    "START_TIMEOUT": _Setting(lambda: 30.0, _number(0.0), "AGENTLAB_START_TIMEOUT", "seconds that an agent may take to start"),
    "PATIENCE": _Setting(
        lambda: 10.0, _number(0.1), "AGENTLAB_PATIENCE", "seconds without any sign of life after which a waiting call gives up"
    ),
}


class Settings(MutableMapping[str, Any]):
    """Defaults by name, as a mapping: ``config['SERIALIZER'] = 'json'``.

    Deleting a key takes back what the program set. An unknown key or an impossible value is a
    :class:`~agentlab.errors.ConfigurationError`, raised where it is set.
    """

    def __init__(self) -> None:
        self._set: dict[str, Any] = {}

    def __getitem__(self, key: str) -> Any:
        setting = self._setting(key)
        if key in self._set:
            return self._set[key]
        text = os.environ.get(setting.variable) if setting.variable else None
        if text is None:
            return setting.default()
        return self._checked(key, text, f"environment variable {setting.variable}")

    def __setitem__(self, key: str, value: Any) -> None:
        self._setting(key)
        self._set[key] = self._checked(key, value, f"config[{key!r}]")

    def __delitem__(self, key: str) -> None:
        self._setting(key)
        self._set.pop(key, None)

    def __iter__(self) -> Iterator[str]:
        return iter(_SETTINGS)

    def __len__(self) -> int:
        return len(_SETTINGS)

    def __repr__(self) -> str:
        return f"Settings({dict(self)!r})"

    def snapshot(self) -> dict[str, Any]:
        """Give what the program has set, for a process that it starts."""
        return dict(self._set)

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over what :meth:`snapshot` gave in another process; what was set here is forgotten."""
        self._set = dict(snapshot)

    def describe(self) -> dict[str, tuple[Any, str | None, str]]:
        """Give for each key: its value now, its environment variable, what it means."""
        return {key: (self[key], s.variable, s.doc) for key, s in _SETTINGS.items()}

    @staticmethod
    def _setting(key: str) -> _Setting:
        try:
            return _SETTINGS[key]
        except (KeyError, TypeError):
            raise ConfigurationError(f"no setting is called {key!r}{nearest(str(key), _SETTINGS)}") from None

    @staticmethod
    def _checked(key: str, value: Any, where: str) -> Any:
        try:
            return _SETTINGS[key].check(value)
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"{where} is {value!r}: {error}") from None


config = Settings()
"""The settings of this process."""


def runtime_dir() -> Path:
    """Give the user's private directory for socket and lock files; make it when it is not there.

    Returns:
        ``config['IPC_DIR']`` where set, else ``agentlab`` under ``XDG_RUNTIME_DIR``, else a directory
        per user under the temporary directory. It has mode 0700 and belongs to the user.

    Raises:
        ConfigurationError: it cannot be made, or belongs to somebody else.
    """
    chosen = config["IPC_DIR"]
    if chosen is not None:
        return private_dir(Path(chosen))
    base = os.environ.get("XDG_RUNTIME_DIR")
    if base and Path(base).is_dir():
        return private_dir(Path(base) / "agentlab")
    return private_dir(Path(tempfile.gettempdir()) / f"agentlab-{_uid()}")


def state_dir() -> Path:
    """Give the directory of what outlives a program: ``AGENTLAB_STATE_DIR``, else the user's own. It need not exist."""
    chosen = os.environ.get(STATE_VARIABLE)
    if chosen:
        return Path(chosen)
    import platformdirs  # for those alone who keep something

    return Path(platformdirs.user_state_dir("agentlab"))


def private_dir(path: Path, *, setting: str = "IPC_DIR") -> Path:
    """Make a directory that only this user can enter, or check that it is one.

    Args:
        path: The directory.
        setting: What the user sets to have another one.

    Raises:
        ConfigurationError: it cannot be made, is no directory, or belongs to somebody else.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        info = path.lstat()
    except OSError as error:
        raise ConfigurationError(
            f"cannot make the private directory {str(path)!r}: {error.strerror}; set {setting} to another"
        ) from None
    if not stat.S_ISDIR(info.st_mode) or (os.name == "posix" and info.st_uid != _uid()):
        raise ConfigurationError(f"{str(path)!r} is not a directory of this user; remove it, or set {setting} to another")
    if os.name == "posix" and stat.S_IMODE(info.st_mode) != 0o700:
        path.chmod(0o700)
    return path


def _uid() -> int:
    return os.getuid() if hasattr(os, "getuid") else 0
