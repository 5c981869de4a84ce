"""Runs verbs of the command line in this process: milliseconds instead of half a second each, and otherwise the same."""

import pytest

from agentlab.cli.main import app
from tests.cli.program import Outcome, checked


class Runner:
    """Runs verbs, and gives exit code and what they wrote.

    Args:
        capsys: pytest's.
    """

    def __init__(self, capsys):
        self._capsys = capsys

    def __call__(self, *args, tracebacks=False):
        """Run a verb; a traceback in what it writes is only well where it is asked for, as with logs."""
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            app(list(map(str, args)))
        code = ended.value.code
        outcome = self._capsys.readouterr()
        outcome = Outcome(0 if code is None else code, outcome.out, outcome.err)
        return outcome if tracebacks else checked(outcome)
