"""The bare side of the data figures: loops as somebody who knows pyzmq writes them, without agents."""

from __future__ import annotations

import pickle
import sys
from itertools import cycle, islice
from time import perf_counter

import zmq

from benchmarks.payloads import ARRAY, RAW, READING, TOPICS
from benchmarks.peer import serve


class Sender:
    """Binds and sends."""

    def __init__(self, kind: int, endpoint: str) -> None:
        self.socket = zmq.Context.instance().socket(kind)
        if kind == zmq.PUB:
            self.socket.set_hwm(0)  # else it would drop
        self.socket.bind(endpoint)

    def raw(self, count: int) -> None:
        """16 bytes."""
        send, message = self.socket.send, RAW
        for _ in range(count):
            send(message)

    def reading(self, count: int) -> None:
        """A small dict, pickled."""
        send, dumps, message = self.socket.send, pickle.dumps, READING
        for _ in range(count):
            send(dumps(message, 5))

    def array(self, count: int) -> None:
        """1 MiB, its buffer handed over without a copy."""
        send, dumps, message = self.socket.send_multipart, pickle.dumps, ARRAY
        for _ in range(count):
            buffers: list[pickle.PickleBuffer] = []
            head = dumps(message, 5, buffer_callback=buffers.append)
            send([head, *buffers], copy=False)

    def copied_array(self, count: int) -> None:
        """1 MiB, copied into the pickle and again into the message."""
        send, dumps, message = self.socket.send, pickle.dumps, ARRAY
        for _ in range(count):
            send(dumps(message, 5))

    def publish(self, count: int, topics: int) -> None:
        """A small dict, pickled, behind its topic."""
        send, dumps, message = self.socket.send_multipart, pickle.dumps, READING
        names = [name.encode() for name in TOPICS[:topics]]
        for topic in islice(cycle(names), count):
            send([topic, dumps(message, 5)])


class Receiver:
    """Connects and receives: each method gives the seconds from the first message to the last."""

    def __init__(self, kind: int, endpoint: str, topics: int) -> None:
        self.socket = zmq.Context.instance().socket(kind)
        if kind == zmq.SUB:
            self.socket.set_hwm(0)
        for topic in TOPICS[:topics]:
            self.socket.subscribe(topic)
        self.socket.connect(endpoint)

    def raw(self, count: int) -> float:
        """16 bytes."""
        recv = self.socket.recv
        recv()
        began = perf_counter()
        for _ in range(count - 1):
            recv()
        return perf_counter() - began

    def reading(self, count: int) -> float:
        """A pickle in one frame."""
        recv, loads = self.socket.recv, pickle.loads
        loads(recv())
        began = perf_counter()
        for _ in range(count - 1):
            loads(recv())
        return perf_counter() - began

    copied_array = reading

    def array(self, count: int) -> float:
        """A pickle and its buffers, none of them copied."""
        recv, loads = self.socket.recv_multipart, pickle.loads
        recv()
        began = perf_counter()
        for _ in range(count - 1):
            head, *buffers = recv(copy=False)
            loads(head.buffer, buffers=[frame.buffer for frame in buffers])
        return perf_counter() - began

    def publish(self, count: int) -> float:
        """A topic and a pickle."""
        recv, loads = self.socket.recv_multipart, pickle.loads
        recv()
        began = perf_counter()
        for _ in range(count - 1):
            _topic, data = recv()
            loads(data)
        return perf_counter() - began


class Requester:
    """Connects and asks: gives the seconds of so many round trips."""

    def __init__(self, endpoint: str) -> None:
        self.socket = zmq.Context.instance().socket(zmq.REQ)
        self.socket.connect(endpoint)

    def ask(self, count: int) -> float:
        """16 bytes there and back."""
        send, recv, message = self.socket.send, self.socket.recv, RAW
        began = perf_counter()
        for _ in range(count):
            send(message)
            recv()
        return perf_counter() - began


class Replier:
    """Binds and answers."""

    def __init__(self, endpoint: str) -> None:
        self.socket = zmq.Context.instance().socket(zmq.REP)
        self.socket.bind(endpoint)

    def answer(self, count: int) -> None:
        """Send back what came."""
        send, recv = self.socket.send, self.socket.recv
        for _ in range(count):
            send(recv())


def main() -> None:
    """Be a peer: role, endpoint, and for a subscriber how many topics."""
    role, endpoint, *more = sys.argv[1:]
    makers = {
        "push": lambda: Sender(zmq.PUSH, endpoint),
        "pull": lambda: Receiver(zmq.PULL, endpoint, 0),
        "pub": lambda: Sender(zmq.PUB, endpoint),
        "sub": lambda: Receiver(zmq.SUB, endpoint, int(more[0])),
        "req": lambda: Requester(endpoint),
        "rep": lambda: Replier(endpoint),
    }
    peer = makers[role]()
    serve(peer)
    zmq.Context.instance().destroy(linger=0)


if __name__ == "__main__":
    main()
