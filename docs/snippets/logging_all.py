import json
from pathlib import Path

from agentlab import Logger, run_agent, run_logger, run_nameserver
from agentlab.testing import logger_received, sync_agent_logger


class FileLogger(Logger):
    log_file = "lab.jsonl"


ns = run_nameserver()
alice = run_agent("Alice")
alice.log_info("to the terminal")

logger = run_logger("Logger", base=FileLogger)
alice.set_logger(logger)
sync_agent_logger(alice, logger)

alice.log_info("to the Logger")
alice.log_warning("warm")
alice.log_debug("not shown")
alice.set_attr(_DEBUG=True)
alice.log_debug("shown")

logger_received(logger, "shown", log_name="DEBUG")
print([line.partition("] ")[2] for line in logger.log_history["WARNING"]])
print([line.partition("] ")[2] for line in logger.log_history["DEBUG"]])

last = json.loads(Path("lab.jsonl").read_text().splitlines()[-1])
print(last["agent"], last["level"], last["message"])

ns.shutdown()
