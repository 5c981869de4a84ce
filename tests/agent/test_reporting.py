"""Where records go: as text for people, or as JSON for a program that reads them."""

from __future__ import annotations

import json
import logging
import time

import pytest

from agentlab import Agent
from agentlab.agent.reporting import RECORD


@pytest.fixture
def agent():
    made = Agent("Rita")
    yield made
    made._close()


def records(text):
    """Give the records in what a process has written, and the rest, as who reads it would."""
    found, rest = [], []
    for line in filter(None, text.split("\n")):  # str.splitlines() would split at the marks as well
        plain, mark, record = line.partition(RECORD)
        if plain or not mark:
            rest.append(plain)
        if mark:
            found.append(json.loads(record))
    return found, rest


def test_text_for_people(agent, capsys):
    agent.log_info("one")
    agent.log_warning("two")
    agent.log_error("three")
    out, err = capsys.readouterr()
    assert out.splitlines()[0].endswith("(Rita): one") and out.splitlines()[1].startswith("WARNING [")
    assert err.startswith("ERROR [")
    assert RECORD not in out + err


def test_json_for_programs(agent, capsys):
    agent._reporter.write_json()
    agent._reporter.set_debug(True)
    began = time.time()
    agent.log_debug("zero")
    agent.log_info("one\nof two lines: ü \udcff")
    print("plain")
    print("no end of line", end="")
    agent.log_warning(f"with a {RECORD} in it")
    agent.log_error("three")
    agent._reporter.logger.critical("four")
    try:
        raise ValueError("five")
    except ValueError:
        agent._reporter.logger.exception("it failed")
    out, err = capsys.readouterr()
    told, rest = records(out)
    assert rest == ["plain", "no end of line"]
    assert [(r["agent"], r["level"], r["message"]) for r in told] == [
        ("Rita", "DEBUG", "zero"),
        ("Rita", "INFO", "one\nof two lines: ü \udcff"),
        ("Rita", "WARNING", f"with a {RECORD} in it"),
    ]
    assert all(began <= r["time"] <= time.time() for r in told)
    wrong, rest = records(err)
    assert rest == []
    assert [(r["level"], r["message"]) for r in wrong[:2]] == [("ERROR", "three"), ("ERROR", "four")]
    assert wrong[2]["message"].startswith("it failed\nTraceback") and wrong[2]["message"].endswith("ValueError: five")


def test_what_the_library_says_in_that_process_is_told_in_its_name(agent, capsys):
    agent._reporter.write_json()
    logging.getLogger("agentlab.control").warning("somebody knocked")
    agent.log_warning("once only")
    told, _ = records(capsys.readouterr().out)
    assert [(r["agent"], r["message"]) for r in told] == [("Rita", "somebody knocked"), ("Rita", "once only")]
    agent._reporter.close()
    assert logging.getLogger("agentlab").handlers == []
