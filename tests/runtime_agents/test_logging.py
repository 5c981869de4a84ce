"""What agents say: on the console, through the logging module, and to Logger agents."""

from __future__ import annotations

import json
import os
import re
import signal
import threading

import pytest

from agentlab import Agent, Logger, config, run_agent, run_logger
from tests.runtime_agents.actors import Actor
from tests.runtime_agents.helpers import wait_until, within

STAMP = r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+\]"


@pytest.fixture
def logger(ns):
    return run_logger("logger")


@pytest.fixture
def agent(ns):
    return run_agent("agent", base=Actor)


def received(logger, level, text):
    return [line for line in logger.log_history[level] if text in line]


def test_console(capfd, ns):
    agent = run_agent("agent", base=Actor)  # here: pytest gives each phase of a test another stdout
    agent.log_info("some information")
    agent.log_warning("a warning")
    agent.log_error("an error")
    agent.log_debug("not shown")
    agent.set_attr(_DEBUG=True)
    agent.log_debug("shown")
    out, err = capfd.readouterr()
    assert re.search(rf"^{STAMP} \(agent\): some information$", out, re.MULTILINE)
    assert re.search(rf"^WARNING {STAMP} \(agent\): a warning$", out, re.MULTILINE)
    assert re.search(rf"^ERROR {STAMP} \(agent\): an error$", err, re.MULTILINE)
    assert "DEBUG" in out and "shown" in out and "not shown" not in out
    assert "an error" not in out


def test_text_with_percent_signs_and_other_things(capfd, ns):
    agent = run_agent("agent", base=Actor)  # here: pytest gives each phase of a test another stdout
    agent.log_info("100 % of %s {x}")
    agent.log_info({"a": 1})
    agent.log_info("über µ\nsecond line")
    out = capfd.readouterr().out
    assert "100 % of %s {x}" in out and "{'a': 1}" in out and "über µ" in out


def test_handler_error_is_logged_with_its_traceback(capfd, ns):
    agent = run_agent("agent", base=Actor)  # here: pytest gives each phase of a test another stdout
    agent.after(0, lambda agent: agent.fail(ValueError, "in a timer"))
    wait_until(lambda: agent.error_count() == 1)
    err = capfd.readouterr().err
    assert "ValueError: in a timer" in err and "Traceback" in err and "actors.py" in err


def test_log_history(capfd, ns, logger):
    agent = run_agent("agent", base=Actor)  # here: pytest gives each phase of a test another stdout
    agent.set_logger(logger)
    agent.log_info("one")
    agent.log_warning("two")
    agent.log_error("three")
    agent.log_debug("four")
    wait_until(lambda: received(logger, "ERROR", "three"))
    history = logger.log_history
    assert re.fullmatch(rf"{STAMP} \(agent\): one", history["INFO"][0])
    assert [len(history[level]) for level in ("DEBUG", "INFO", "WARNING", "ERROR")] == [0, 1, 1, 1]
    assert logger.get_attr("log_history")["WARNING"][0].endswith("(agent): two")
    agent.set_attr(_DEBUG=True)
    agent.log_debug("five")
    wait_until(lambda: received(logger, "DEBUG", "five"))
    out, err = capfd.readouterr()
    assert "one" not in out and "three" not in err, "it goes to the logger instead"


def test_set_logger_by_address_and_back_to_the_console(capfd, ns, logger):
    agent = run_agent("agent", base=Actor)  # here: pytest gives each phase of a test another stdout
    agent.set_logger(logger.addr("logger"))
    agent.log_info("by address")
    wait_until(lambda: received(logger, "INFO", "by address"))
    agent.set_logger(None)
    agent.log_info("to the console")
    assert "to the console" in capfd.readouterr().out
    agent.set_logger(logger)
    agent.set_logger(logger)
    agent.log_info("once")
    wait_until(lambda: received(logger, "INFO", "once"))
    assert len(received(logger, "INFO", "once")) == 1


def test_records_keep_their_order_and_come_from_any_thread(agent, logger):
    agent.set_logger(logger)
    for i in range(200):
        agent.unsafe.log_info(f"number {i:03}")
    wait_until(lambda: len(received(logger, "INFO", "number")) == 200)
    texts = [line[-3:] for line in received(logger, "INFO", "number")]
    assert texts == sorted(texts)

    def from_thread(agent):
        thread = threading.Thread(target=lambda: agent.log_info("from a thread"))
        thread.start()
        thread.join()

    agent.execute_as_method(from_thread)
    wait_until(lambda: received(logger, "INFO", "from a thread"))


def test_many_agents(ns, logger):
    agents = [run_agent(f"a{i}") for i in range(5)]
    for agent in agents:
        agent.set_logger(logger)
        agent.log_info("here")
    wait_until(lambda: len(received(logger, "INFO", "here")) == 5)
    assert {re.search(r"\((\w+)\)", line)[1] for line in received(logger, "INFO", "here")} == {f"a{i}" for i in range(5)}


def test_history_is_bounded(ns, agent):
    class Short(Logger):
        log_limit = 10

    logger = run_logger("short", base=Short)
    agent.set_logger(logger)
    for i in range(25):
        agent.log_info(i)
    wait_until(lambda: received(logger, "INFO", ": 24"))
    assert [line[-2:] for line in logger.log_history["INFO"]] == [str(i) for i in range(15, 25)]


def test_file_of_json_lines(ns, agent, tmp_path):
    path = tmp_path / "log.jsonl"
    logger = run_logger("filer", log_file=str(path))
    agent.set_logger(logger)
    agent.log_info("first über")
    agent.log_error("second\nline")
    wait_until(lambda: path.read_text().count("\n") == 2)
    first, second = map(json.loads, path.read_text().splitlines())
    assert (first["agent"], first["level"], first["message"]) == ("agent", "INFO", "first über")
    assert second["message"] == "second\nline" and second["time"] >= first["time"] > 1e9


def test_rotating_file(ns, agent, tmp_path):
    class Small(Logger):
        log_file_size = 2000
        log_file_count = 2

    logger = run_logger("filer", base=Small, log_file=str(tmp_path / "log.jsonl"))
    agent.set_logger(logger)
    for i in range(100):
        agent.log_info(f"message {i}")
    wait_until(lambda: received(logger, "INFO", "message 99"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["log.jsonl", "log.jsonl.1", "log.jsonl.2"]
    assert all(p.stat().st_size <= 2000 for p in tmp_path.iterdir())


def test_file_that_cannot_be_written(ns, tmp_path):
    with pytest.raises(RuntimeError, match="No such file or directory"):
        run_logger("filer", log_file=str(tmp_path / "nowhere" / "log.jsonl"))


def test_logger_that_ends_harms_nobody(capfd, agent, logger, ns):
    agent.set_logger(logger)
    agent.log_info("before")
    wait_until(lambda: received(logger, "INFO", "before"))
    logger.shutdown()
    wait_until(lambda: "logger" not in ns.agents())
    for i in range(10):
        agent.log_info(f"after {i}")
    assert agent.ping() == "pong"
    assert agent.add(1) == 2
    assert agent.error_count() == 0


def test_logger_that_is_behind_or_gone_costs_no_time(capfd, ns):
    """Thousands of records to a Logger that is frozen, then dead: none waits, those that find no room go to the console."""
    config["HWM"] = 100
    agent, logger = run_agent("agent", base=Actor), run_logger("logger")
    agent.set_logger(logger)
    pid = logger.execute_as_function(os.getpid)
    agent.log_info("first")
    wait_until(lambda: received(logger, "INFO", "first"))
    for end in (signal.SIGSTOP, signal.SIGKILL):
        os.kill(pid, end)
        with within(5.0):
            agent.execute_as_method(lambda agent: [agent.log_info(f"record {i} ." + "x" * 10_000) for i in range(1000)] and None)
            agent.unsafe.execute_as_method(lambda agent: agent.log_info("from another thread"))
    assert "record 999 " in capfd.readouterr().out
    assert agent.add(1) == 2


def test_lists_of_each_level(agent, logger):
    agent.set_logger(logger)
    agent.log_info("info"), agent.log_warning("warning"), agent.log_error("error")
    wait_until(lambda: received(logger, "ERROR", "error"))
    assert [len(lines) for lines in (logger.log_history_info, logger.log_history_warning, logger.log_history_error)] == [1, 1, 1]
    assert logger.get_attr("log_history_debug") == []


def test_subclass_of_logger_and_own_method_names(ns, agent):
    class Counting(Logger):
        def on_init(self):
            super().on_init()
            self.count = 0

        def record(self, record):
            super().record(record)
            self.count += 1

    logger = run_logger("counting", base=Counting)
    agent.set_logger(logger)
    agent.log_info("a"), agent.log_info("b")
    wait_until(lambda: logger.count == 2)


def test_everything_goes_through_the_logging_module(ns):
    class Tapped(Agent):
        def on_init(self):
            import logging

            self.records = []

            class Tap(logging.Handler):
                def emit(tap, record):
                    self.records.append((record.name, record.levelname, record.getMessage()))

            logging.getLogger("agentlab.agents").addHandler(Tap())

    agent = run_agent("tapped", base=Tapped)
    agent.log_info("hello")
    assert agent.records == [("agentlab.agents.tapped", "INFO", "hello")]
