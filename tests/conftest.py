"""For every test: own keys and sockets, the environment put back, and nothing left behind."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from agentlab.settings import NAMESERVER_VARIABLE, config
from tests import leftovers

pytest_plugins = ["pytester"]

ROOT = Path(__file__).resolve().parent.parent


WORKERS = 3
"""Test processes at least, however few cores there are: a test of this suite waits for other processes half of its time."""


@pytest.hookimpl(optionalhook=True)  # pytest-xdist's, for `-n auto`, which pyproject.toml asks for
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Run the files of a folder side by side; a single file, or single tests, here and now (as -n0 does)."""
    files = {argument.partition("::")[0] for argument in config.args}
    alone = len(files) == 1 and not Path(files.pop()).is_dir()
    return 0 if alone else min(max(WORKERS, os.cpu_count() or 1), 8)


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """Let reports of texts that no encoding knows (names of files may have them) reach the main process."""
    return _encodable((yield))


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    return type(value)(map(_encodable, value)) if type(value) in {list, tuple} else value


def _variables() -> dict[str, str]:
    return {name: text for name, text in os.environ.items() if name.startswith("AGENTLAB_")}


def _restore(variables: dict[str, str]) -> None:
    for name in set(_variables()) - set(variables):
        del os.environ[name]
    os.environ.update(variables)


@pytest.fixture(scope="session", autouse=True)
def socket_dir() -> Iterator[Path]:
    """Give the directory of this run's socket files; keep the user's keys, sockets and settings out of the tests.

    At the end of the run no process, thread or socket file may be left, the fork server included.
    """
    # A unix socket's path ends at 107 bytes, so this one is short; pytest's own temporary directories are not.
    base = Path(tempfile.mkdtemp(prefix="al-", dir="/tmp" if os.name == "posix" else None))
    users, path = _variables(), os.environ.get("PYTHONPATH")
    sockets = base / "s"
    sockets.mkdir(mode=0o700)
    _restore(
        {
            "AGENTLAB_KEYS_DIR": str(base / "k"),
            "AGENTLAB_IPC_DIR": str(sockets),
            "AGENTLAB_STATE_DIR": str(base / "l"),
            "AGENTLAB_RUNS": str(base / "runs.sqlite"),
        }
    )
    # Processes that tests start run the code that is tested, not an older one that happens to be installed.
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *([path] if path else [])])
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a shell's background; a program under test would inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    before = leftovers.snapshot(sockets)
    try:
        yield sockets
        _stop_fork_server()
        left = leftovers.wait_until_clean(lambda: leftovers.find_new(before, sockets, fork_server_may_stay=False))
        if left:
            leftovers.clean_up(before, sockets, fork_server_may_stay=False)
            pytest.fail(leftovers.report(left, "the whole run"), pytrace=False)
    finally:
        _restore(users)
        os.environ.pop("PYTHONPATH")
        if path:
            os.environ["PYTHONPATH"] = path
        shutil.rmtree(base, ignore_errors=True)


@pytest.fixture(autouse=True)
def no_leftovers(socket_dir: Path, request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a process, a thread or a socket file; put ``config`` and the environment back."""
    variables, settings = _variables(), config.snapshot()
    before = leftovers.snapshot(socket_dir)
    os.environ.pop(NAMESERVER_VARIABLE, None)
    yield
    config.restore(settings)
    _restore(variables)
    left = leftovers.wait_until_clean(lambda: leftovers.find_new(before, socket_dir, fork_server_may_stay=True))
    if left:
        leftovers.clean_up(before, socket_dir, fork_server_may_stay=True)
        pytest.fail(leftovers.report(left, request.node.nodeid), pytrace=False)


def _stop_fork_server() -> None:
    child = sys.modules.get("agentlab.runtime.child")  # a run that never imported it has started none
    if child is not None:
        child.shutdown()
