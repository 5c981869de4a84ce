import subprocess
import sys

from agentlab import NSProxy, Proxy, run_nameserver

SCRIPT = """
from agentlab import run_agent
run_agent("Alice")
run_agent("Bob", detach=True)
"""

ns = run_nameserver()
subprocess.run([sys.executable, "-c", SCRIPT], check=True)
print(ns.agents())

Proxy("Bob").shutdown()
NSProxy().shutdown()
