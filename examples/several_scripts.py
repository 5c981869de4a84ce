"""Several scripts: one starts the laboratory, another one uses it, a third one closes it.

They agree on the name server's address, in the environment variable AGENTLAB_NAMESERVER_ADDRESS. In real life each is
started by hand, in a terminal of its own; the second one may be the first to start: it waits until the agents run.
"""

import os
import socket
import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).parent / "several_scripts"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def start(script, env, **options):
    return subprocess.Popen([sys.executable, str(SCRIPTS / script)], env=env, **options)


def main():
    env = {**os.environ, "AGENTLAB_NAMESERVER_ADDRESS": f"127.0.0.1:{free_port()}"}
    measure = start("measure.py", env, stdout=subprocess.PIPE, text=True)
    laboratory = start("laboratory.py", env)
    print("laboratory.py ended with", laboratory.wait(30), flush=True)
    said, _ = measure.communicate(timeout=30)
    print(said + "measure.py ended with", measure.returncode, flush=True)
    print("close.py ended with", start("close.py", env).wait(30), flush=True)


if __name__ == "__main__":
    main()
