"""What a running lab changes in the process that runs it, and puts back: settings, the name server's address, ``sys.path``.

Children get all three as they are when they are started.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from agentlab.settings import NAMESERVER_VARIABLE, config


class Surrounding:
    """The changes of one lab. Several labs in one process share the settings; who came last puts back what it found."""

    def __init__(self) -> None:
        self._settings: dict[str, Any] | None = None
        self._address: tuple[str | None] | None = None
        self._told = ""
        self._directory: str | None = None

    def enter(self, settings: dict[str, Any], directory: Path) -> None:
        """Take over a lab's settings, and let its modules be found beside its file. Again for another lab: instead of these.

        Raises:
            ConfigurationError: a setting cannot be; nothing has changed.
        """
        before = config.snapshot()
        earlier = before if self._settings is None else self._settings
        config.restore(earlier)
        try:
            for key, value in settings.items():
                config[key] = value
        except BaseException:
            config.restore(before)
            raise
        self._settings = earlier
        self._leave_path()
        if str(directory) not in sys.path:
            self._directory = str(directory)
            sys.path.insert(0, self._directory)

    def tell_nameserver(self, address: str) -> None:
        """Let proxies of this process, and of what it starts, look here."""
        if self._address is None:
            self._address = (os.environ.get(NAMESERVER_VARIABLE),)
        os.environ[NAMESERVER_VARIABLE] = self._told = address

    def leave(self) -> None:
        """Put everything back; twice is fine. What somebody else has changed meanwhile stays."""
        if self._settings is not None:
            config.restore(self._settings)
            self._settings = None
        self._leave_path()
        if self._address is not None:
            (before,) = self._address
            self._address = None
            if os.environ.get(NAMESERVER_VARIABLE) == self._told:
                os.environ.pop(NAMESERVER_VARIABLE)
                if before is not None:
                    os.environ[NAMESERVER_VARIABLE] = before

    def _leave_path(self) -> None:
        directory, self._directory = self._directory, None
        if directory is not None and directory in sys.path:
            sys.path.remove(directory)
