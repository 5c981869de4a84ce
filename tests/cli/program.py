"""Runs the command line as a user does: as a process, by its exit code and what it writes."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass

LIMIT = 60.0
COMMAND = [sys.executable, "-m", "agentlab"]


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


def agentlab(*args, cwd=None, env=None, limit=LIMIT):
    """Run it to its end; whatever it was asked, it must not show a traceback."""
    done = subprocess.run(
        [*COMMAND, *map(str, args)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        cwd=cwd,
        env=env,
        timeout=limit,
    )
    return checked(Outcome(done.returncode, done.stdout, done.stderr))


def start(*args, cwd=None):
    """Start it with pipes, in a process group of its own, so that a signal for it reaches nobody else."""
    return subprocess.Popen(
        [*COMMAND, *map(str, args)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        cwd=cwd,
        start_new_session=True,
        preexec_fn=_hear_interrupts if os.name == "posix" else None,  # noqa: PLW1509 - it takes no lock
    )


def _hear_interrupts():
    """A shell lets what it starts in the background ignore Ctrl-C, and that is inherited."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def finish(process, limit=LIMIT):
    """Wait for the end of what was started."""
    try:
        out, err = process.communicate(timeout=limit)
    finally:
        process.kill()
    return checked(Outcome(process.returncode, out, err))


def checked(outcome):
    assert "Traceback" not in outcome.out + outcome.err, outcome.out + outcome.err
    return outcome


def complaint(outcome, code):
    """Give the one line that an outcome consists of."""
    assert outcome.code == code, outcome
    lines = outcome.err.splitlines()
    assert len(lines) == 1, outcome.err
    assert lines[0].startswith("agentlab: ")
    return lines[0]
