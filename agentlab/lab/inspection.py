"""What the classes of a lab file are: imported in a throw-away process, which tells it as plain values.

Importing is running somebody's program: it may print, hang, end the process or crash it. None of that reaches the caller,
and what one module does is said of its own classes alone.
"""

from __future__ import annotations

import json
import pickle
import signal
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from agentlab.errors import AgentStartError
from agentlab.lab.facts import Facts, Job, facts_from
from agentlab.runtime.child import start_child

TARGET = "agentlab.lab.looking:main"
LIMIT = 20.0
"""Seconds that all imports of a lab may take together."""


def inspect_classes(
    targets: Iterable[str], directory: Path, *, limit: float = LIMIT, drivers: Mapping[str, Job] | None = None
) -> dict[str, Facts]:
    """Import classes in a process of their own, and tell what they are. Blocks for as long as the imports take.

    A module that hangs costs the limit, one that ends the process a new process for the rest.

    Args:
        targets: Classes as ``package.module:Class``.
        directory: Where modules are searched first: the folder of the lab file.
        limit: Seconds that the imports of one process may take together.
        drivers: Classes that are to be drivers of instruments, by whatever key.

    Returns:
        What is known of each target, and of each driver by its key.
    """
    found: dict[str, Facts] = {}
    left: dict[str, Job] = {target: (target, None) for target in sorted(set(targets))} | dict(drivers or {})
    with tempfile.TemporaryDirectory(prefix="agentlab-check-") as folder:
        while left:
            suspects, reason = _run(left, directory, Path(folder), limit, found)
            found |= dict.fromkeys(suspects, Facts(problem=reason))
            left = {key: job for key, job in left.items() if key not in found}
    return found


def _run(left: dict[str, Job], directory: Path, folder: Path, limit: float, found: dict[str, Facts]) -> tuple[list[str], str]:
    """Let one process tell what it can; give what it stumbled over and how, or nothing and an empty text."""
    report, said = folder / "report", folder / "said"
    report.write_bytes(b"")
    payload = pickle.dumps((left, str(directory.resolve()), str(report)))
    with said.open("w+b") as output:
        try:
            child = start_child(TARGET, payload, name="check", stdout=output.fileno(), stderr=output.fileno())
        except AgentStartError as error:
            return list(left), f"cannot be looked at: {error}"
        try:
            in_time = child.join(limit)
        finally:
            child.kill()
            child.join()
    begun = ""
    for line in report.read_text("utf-8").splitlines():
        entry = json.loads(line)
        begun = entry["begun"]
        if "facts" in entry:
            found[begun] = facts_from(entry["facts"])
    if begun == "" or begun in found:
        if set(left) <= set(found):
            return [], ""
        return list(left)[:1], "cannot be looked at: the process that should have done it ended"
    module = left[begun][0].partition(":")[0]
    suspects = [key for key, (target, _) in left.items() if key not in found and target.partition(":")[0] == module]
    return suspects, _mishap(module, child.exitcode if in_time else None, limit, said)


def _mishap(module: str, code: int | None, limit: float, said: Path) -> str:
    if code is None:
        cure = "do at import only what is quick, and the rest in on_init or the constructor"
        return f"cannot be imported: module {module} took longer than {limit:g} s; {cure}"
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    lines = [line.strip() for line in said.read_text("utf-8", "replace").splitlines() if line.strip()]
    last = f", after it wrote {lines[-1][:200]!r}" if lines else ""
    return f"cannot be imported: the process {how} while it imported module {module}{last}"
