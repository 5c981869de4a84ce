"""Where the running lab of a lab file keeps what is its own: lock, address, logs. Pure but for :meth:`Places.make`."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from agentlab.settings import STATE_VARIABLE, private_dir, runtime_dir, state_dir

__all__ = ["DEFAULT_FILE", "STATE_VARIABLE", "Places", "lab_dir", "lab_places", "state_dir"]

DEFAULT_FILE = "lab.yml"
_HASH_SIZE = 12  # hex digits: two labs of one user never share them, and a socket's path stays short


@dataclass(frozen=True)
class Places:
    """Paths that belong to one lab file. Made by :func:`lab_places`; none of them needs to exist.

    Attributes:
        file: The lab file, absolute, links followed.
        key: Twelve hex digits that stand for the path of the file.
        directory: The lab's private directory. It stays when the lab ends, with its logs.
    """

    file: Path
    key: str
    directory: Path

    @property
    def lock(self) -> Path:
        """The file that the one supervisor of the lab holds locked."""
        return self.directory / "lock"

    @property
    def program_lock(self) -> Path:
        """The file that a program which runs the lab itself holds locked too: nobody can ask that one."""
        return self.directory / "program"

    @property
    def address(self) -> Path:
        """The file with the URI of the supervisor's control socket; only there while it runs, or when it was killed."""
        return self.directory / "address"

    @property
    def output(self) -> Path:
        """What the supervisor itself wrote to stderr since its last start, where it was started in the background."""
        return self.directory / "supervisor.log"

    @property
    def logs(self) -> Path:
        """The directory of the lab's log files."""
        return self.directory / "logs"

    @property
    def latches(self) -> Path:
        """The directory of the files in which latched safe states outlive their agents, and the lab."""
        return self.directory / "latches"

    @property
    def object_id(self) -> str:
        """What the lab's control object is called; one lab is never taken for another that got its port."""
        return f"lab-{self.key}"

    @property
    def socket(self) -> Path:
        """The control socket, in the user's runtime directory, as paths of sockets must be short. Makes that directory."""
        return runtime_dir() / f"{self.object_id}.sock"

    def make(self) -> None:
        """Make the lab's directory, which only this user can enter.

        Raises:
            ConfigurationError: it cannot be made, or belongs to somebody else.
        """
        private_dir(self.directory, setting=STATE_VARIABLE)


def lab_places(path: str | os.PathLike[str] = DEFAULT_FILE) -> Places:
    """Give the places of a lab file. The same file under another name or through a link has the same ones."""
    file = Path(path).expanduser().resolve()
    key = hashlib.sha256(os.fsencode(file)).hexdigest()[:_HASH_SIZE]
    return Places(file, key, state_dir() / "labs" / key)


def lab_dir(path: str | os.PathLike[str] = DEFAULT_FILE) -> Path:
    """Give the private directory of a lab file's running lab; make it when it is not there.

    Raises:
        ConfigurationError: it cannot be made, or belongs to somebody else.
    """
    places = lab_places(path)
    places.make()
    return places.directory
