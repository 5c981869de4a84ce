"""How many messages a bare PUSH loses that ends while its reader is full: ``python -m benchmarks.hangup``.

The reader stalls after its first message, the sender sends 1,500 of 40 bytes and closes with a linger of 2 s.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import zmq

MESSAGES, STALL, ROUNDS = 1_500, 0.3, 5

SENDER = """
import sys, zmq
context = zmq.Context()
socket = context.socket(zmq.PUSH)
socket.connect(sys.argv[1])
for _ in range(int(sys.argv[2])):
    socket.send(b"x" * 40)
socket.close(2000)
context.term()
"""


def lost(endpoint):
    context = zmq.Context()
    reader = context.socket(zmq.PULL)
    reader.bind(endpoint)
    bound = reader.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0")
    sender = subprocess.Popen([sys.executable, "-c", SENDER, bound, str(MESSAGES)])
    reader.recv()
    received = 1
    time.sleep(STALL)
    while reader.poll(500):
        reader.recv()
        received += 1
    sender.wait()
    reader.close(0)
    context.term()
    return MESSAGES - received


def main():
    with tempfile.TemporaryDirectory() as folder:
        for number in range(ROUNDS):
            ipc, tcp = lost(f"ipc://{Path(folder) / str(number)}"), lost("tcp://127.0.0.1:*")
            print(f"lost of {MESSAGES}: ipc {ipc}, tcp {tcp}")


if __name__ == "__main__":
    main()
