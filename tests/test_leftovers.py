"""conftest.py must see what a test leaves: small test runs of their own whose tests leave something."""

CONFTEST = "from tests.conftest import *; leftovers.LIMIT = 0.3"
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
    threading.Timer(1.5, print).start()
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
STARTS_FORK_SERVER = """
import subprocess, sys
def test_it():
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", "agentlab.runtime.forkserver"])
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


CASES = {
    "child": (LEAVES_CHILD, r".*processes: pid .*time\.sleep\(600\).*"),
    "orphan": (LEAVES_ORPHAN, r".*processes: pid .*time\.sleep\(600\).*"),
    "zombie": (LEAVES_ZOMBIE, r".*processes: pid .*zombie.*"),
    "thread": (LEAVES_THREAD, r".*threads: .*Timer.*"),
    "socket": (LEAVES_SOCKET, r".*socket files: .*/forgotten"),
    "child_of_a_fork_server": (LEAVES_FORK_SERVER_CHILD, r".*processes: pid .*sleep\(600\) agentlab\.runtime\.forkserver.*"),
}


def test_what_a_test_leaves_is_an_error_that_names_it(pytester):
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(**{f"test_{case}": program for case, (program, _) in CASES.items()})
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=len(CASES), errors=len(CASES))
    for case, (_, named) in CASES.items():
        result.stdout.re_match_lines([rf".*test_{case}\.py::test_it left behind:", named])


def test_what_the_whole_run_leaves_is_an_error_too(pytester):
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(STARTS_FORK_SERVER)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.re_match_lines([r".*the whole run left behind:", r".*processes: pid .*agentlab\.runtime\.forkserver.*"])


def test_a_clean_run_passes_and_each_test_starts_with_the_same_settings(pytester):
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(CLEAN)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=2)
