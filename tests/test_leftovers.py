"""conftest.py must see what a test leaves: each case is a small test run of its own that leaves one thing."""

import pytest

CONFTEST = "from tests.conftest import *; leftovers.LIMIT = 0.5"
LEAVES_CHILD = """
import subprocess, sys
def test_it():
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
"""
LEAVES_ORPHAN = """
import subprocess, sys
def test_it():
    grandchild = [sys.executable, "-c", "import time; time.sleep(600)"]
    subprocess.run([sys.executable, "-c", f"import subprocess; subprocess.Popen({grandchild!r}, start_new_session=True)"])
"""
LEAVES_ZOMBIE = """
import os
def test_it():
    if os.fork() == 0:
        os._exit(0)
"""
LEAVES_THREAD = """
import threading
def test_it():
    threading.Timer(3, print).start()
"""
LEAVES_SOCKET = """
import socket
def test_it(socket_dir):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(socket_dir / "forgotten"))
"""
LEAVES_FORK_SERVER_CHILD = """
import os, subprocess, sys
def test_it():
    child = [sys.executable, "-c", "import time; time.sleep(600)", "agentlab.runtime.forkserver"]
    program = f"import subprocess, time; subprocess.Popen({child!r}); print(flush=True); time.sleep(600)"
    server = subprocess.Popen([sys.executable, "-c", program, "agentlab.runtime.forkserver"], stdout=subprocess.PIPE)
    server.stdout.readline()
    server.stdout.close()
"""
CLEAN = """
import os, subprocess, sys, threading
from agentlab.settings import config
def test_first():
    subprocess.run([sys.executable, "-c", ""], check=True)
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(0.2)"]).wait()
    thread = threading.Thread(target=print)
    thread.start()
    thread.join()
    os.environ["AGENTLAB_NAMESERVER_ADDRESS"] = "127.0.0.1:1"
    os.environ["AGENTLAB_DEFAULT_LINGER"] = "7"
    config["TRANSPORT"] = "tcp"
def test_second(socket_dir):
    assert "AGENTLAB_NAMESERVER_ADDRESS" not in os.environ
    assert "AGENTLAB_DEFAULT_LINGER" not in os.environ
    assert config.snapshot() == {}
    assert os.environ["AGENTLAB_KEYS_DIR"].startswith(str(socket_dir.parent))
"""


@pytest.mark.parametrize(
    ("program", "named"),
    [
        (LEAVES_CHILD, r".*processes: pid .*time\.sleep\(600\).*"),
        (LEAVES_ORPHAN, r".*processes: pid .*time\.sleep\(600\).*"),
        (LEAVES_ZOMBIE, r".*processes: pid .*zombie.*"),
        (LEAVES_THREAD, r".*threads: .*Timer.*"),
        (LEAVES_SOCKET, r".*socket files: .*/forgotten"),
        (LEAVES_FORK_SERVER_CHILD, r".*processes: pid .*sleep\(600\) agentlab\.runtime\.forkserver.*"),
    ],
    ids=["child", "orphan", "zombie", "thread", "socket", "child of a fork server"],
)
def test_what_a_test_leaves_is_an_error_that_names_it(pytester, program, named):
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(program)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.re_match_lines([r".*test_it left behind:", named])


def test_a_clean_run_passes_and_each_test_starts_with_the_same_settings(pytester):
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(CLEAN)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=2)
