"""A device of our own for sinstruments: a bench supply whose every trick is armed from beside, and that keeps what it heard."""

from __future__ import annotations

import gevent.event
from sinstruments.simulator import BaseDevice

IDENTITY = "ACME,Bench,{name},1.0"
LATE = 0.6  # seconds
DEFAULTS = {"VOLT": 1.25, "CURR": 0.5, "OUTP": 0, "MODE": "CV"}


class Bench(BaseDevice):
    """One newline-terminated SCPI-like device; every connection is served beside the others.

    ``SLOW? s`` answers after s seconds, or as soon as another connection says ``ABOR``. ``ECHO? x`` answers x.
    A fault is armed for the next question that begins with its text: silent, late (seconds), much, garbage, latin, half.
    """

    def __init__(self, name, **opts):
        super().__init__(name, **{key: opts.pop(key) for key in ("newline",) if key in opts})
        self.heard: list[str] = []
        self.faults: list[tuple[str, str, float]] = []
        self.aborted = gevent.event.Event()
        self.identity = IDENTITY.format(name=name)
        self.reset()

    def reset(self) -> None:
        self.values = dict(DEFAULTS)
        self.heard.clear()
        self.faults.clear()

    def arm(self, question: str, kind: str, seconds: float) -> None:
        self.faults.append((question, kind, seconds))

    def handle_message(self, message):
        text = message.decode("latin-1").strip()
        self.heard.append(text)
        reply = self.answer(text)
        for fault in self.faults:
            if text.startswith(fault[0]):
                self.faults.remove(fault)
                return self.spoilt(fault[1], fault[2], reply)
        return None if reply is None else reply.encode() + b"\n"

    def answer(self, text: str) -> str | None:
        command, _, argument = text.partition(" ")
        if command == "*IDN?":
            return self.identity
        if command == "*RST":
            self.values = dict(DEFAULTS)
        elif command == "ECHO?":
            return argument
        elif command == "SLOW?":
            self.aborted.clear()
            self.aborted.wait(float(argument))
            return argument
        elif command == "LATE?":  # always later than the drivers under test wait, and it would pass for a voltage
            gevent.sleep(LATE)
            return "99.25"
        elif command == "ABOR":
            self.aborted.set()
        elif command == "SYST:ERR?":
            return '0,"No error"'
        elif command.endswith("?"):
            return str(self.values.get(command[:-1], "ERROR"))
        elif command in self.values:
            kind = type(DEFAULTS[command])
            self.values[command] = kind(float(argument)) if kind is not str else argument
        return None

    def spoilt(self, kind: str, seconds: float, reply: str | None) -> bytes | None:
        right = (reply or "").encode()
        if kind == "silent":
            return None
        if kind == "late":
            gevent.sleep(seconds)
            return right + b"\n"
        return {
            "much": right + b"\n" + b"99.5\n",
            "garbage": b"HEWLETT-PACKARD,0,0\n",
            "latin": b"\xb5\xff\xfe\n",
            "half": right[:2],
            "long": b"7.5," * 100_000 + b"\n",
        }[kind]
