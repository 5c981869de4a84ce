"""The command: measure, show, keep."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from agentlab import run_nameserver
from benchmarks import calls, data, instruments, lab, life, names, report, runs
from benchmarks.measure import Row

FIGURES: dict[str, Callable[[int, float], list[Row]]] = {
    "raw": data.raw,
    "dict": data.pickled,
    "array": data.array,
    "many": data.many,
    "pubsub": data.publish,
    "request": data.request,
    "calls": calls.calls,
    "start": life.start,
    "crowd": life.crowd,
    "idle": life.idle,
    "names": names.names,
    "renewals": names.renewals,
    "death": names.death,
    "up": lab.up,
    "crash": lab.crash,
    "ls": lab.ls,
    "rows": runs.rows,
    "load": runs.load,
    "read": instruments.reading,
    "refuse": instruments.refusing,
    "readings": instruments.publishing,
    "estop": instruments.stopping,
}


def main() -> int:
    """Run the figures that are asked for; a full run is kept, and its table goes into the documentation."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a rough run of about 30 s; nothing is kept")
    parser.add_argument("--only", action="append", choices=FIGURES, help="just this figure (may be repeated); nothing is kept")
    parser.add_argument("--rounds", type=int, help="rounds per figure (default 9, quick 5)")
    parser.add_argument(
        "--table", action="store_true", help="write the table of the documentation from the kept result, measure nothing"
    )
    options = parser.parse_args()
    if options.table:
        report.write_table(report.load())
        return 0
    rounds = options.rounds or (5 if options.quick else 9)
    scale = 0.4 if options.quick else 1.0
    rows: list[Row] = []
    nameserver = run_nameserver()
    try:
        for name in options.only or FIGURES:
            print(f"{name} ...", file=sys.stderr, flush=True)
            rows += FIGURES[name](rounds, scale)
    finally:
        nameserver.shutdown()
    result = report.result(rows, rounds)
    report.show(result)
    if not options.quick and not options.only:
        report.keep(result)
        report.write_table(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
