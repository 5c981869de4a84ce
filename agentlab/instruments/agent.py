"""The agent of one instrument: an engine with a driver, its readings published, its rules watched, its calls answered."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from agentlab.agent import local
from agentlab.agent.agent import Agent
from agentlab.agent.beside import Pending, wait_for
from agentlab.agent.loop import FAILURES
from agentlab.agent.pubsub import PubLink
from agentlab.errors import AgentLabError, DriverError, InstrumentError, RefusedError, SerializationError
from agentlab.instruments.engine.claims import Client
from agentlab.instruments.engine.instrument import Instrument
from agentlab.instruments.engine.interlocks import Rule
from agentlab.instruments.engine.latch_file import LatchFile
from agentlab.instruments.model.reading import Reading
from agentlab.instruments.model.spec import InstrumentSpec
from agentlab.instruments.serving.guard import INSTEAD_PERIOD, READINGS, Guard
from agentlab.instruments.serving.identity import driving
from agentlab.instruments.serving.operations import Operations
from agentlab.instruments.serving.results import told_reading, without_value

if TYPE_CHECKING:
    from agentlab.runs.history import HistoryWriter

CLOSE_TIMEOUT = 3.0
"""Seconds that the safe state and the driver have when the agent ends; an agent that is told to end has 5 in all."""
MOST_WAITING = 10_000
"""Readings that wait for a loop that stands still; older ones are lost, as their numbers tell."""
AGAIN = 1.0
"""Seconds after which an interlock rule that is still violated acts again."""


class InstrumentAgent(Agent):
    """An agent that holds one instrument. Started by :func:`agentlab.instruments.run_instrument`, or from a lab file.

    The driver runs in a thread of its own, so the loop is free: a class of yours that inherits from this one has sockets,
    timers and handlers as any agent, and calls the device by :meth:`read`, :meth:`write` and :meth:`act`. It overrides
    :meth:`on_init` and :meth:`on_stop` by calling these here too.

    Attributes:
        instrument: The description of the instrument, :meth:`agentlab.instruments.InstrumentSpec.to_dict`.
        device: The engine: queue, states, owner and safe state of the instrument.
    """

    _kind: ClassVar[str] = "instrument"
    instrument: ClassVar[dict[str, Any]] = {}

    device: Instrument

    def on_init(self) -> None:
        """Get ready; nothing is built and nothing sent before the agent has its name, for its bearer may use the device."""
        if not self.instrument:
            raise InstrumentError(f"agent {self.name!r} has no instrument; start it by run_instrument(), or in a lab file")
        spec = InstrumentSpec.from_dict({"name": self.name, **self.instrument})
        self._client = Client(secrets.token_hex(8), self.name)  # nobody else is to call as the agent
        self._last: dict[str, dict[str, Any]] = {}
        self._acted: dict[str, float] = {}
        self._history: HistoryWriter | None = None
        self._in_charge = self._let_go = False
        self._coming: deque[tuple[Reading, str]] = deque(maxlen=MOST_WAITING)
        self._told = False
        self._unpublished: set[str] = set()
        self._guard = Guard(self, spec.interlocks, self._enforce)
        if spec.history is not None:
            from agentlab.runs.history import HistoryWriter  # loads SQLAlchemy, which only those who keep a history need

            self._history = HistoryWriter(spec.history, keep=spec.history_days)
        self._bind_readings()
        self.device = Instrument(
            spec,
            on_reading=self._on_reading,
            busy=self._driving,
            log=self._reporter.logger,
            latch_file=None if spec.latch_file is None else LatchFile(Path(spec.latch_file)),
        )
        self._door = local.current()
        self._beside = Operations(self, self.device, self._door)

    def _in_office(self) -> None:
        """Begin to connect to the device; an agent whose device is away, or whose driver is wrong, starts all the same."""
        self.device.start()
        self._in_charge = True
        self._guard.begin(self._directory)
        if self._guard.rules:
            self._look_instead()

    def on_stop(self) -> None:
        """Bring the device into its safe state and let go of it."""
        self._let_device_go()

    def _let_device_go(self) -> None:
        self._let_go = True
        try:
            self.device.close(CLOSE_TIMEOUT)
        finally:
            if self._history is not None:
                self._history.close()

    def _close(self) -> None:
        try:
            if "device" in self.__dict__ and not self._let_go:
                self._let_device_go()  # an agent that never got as far as on_stop
        finally:
            super()._close()

    @contextlib.contextmanager
    def _driving(self) -> Iterator[None]:
        """Around the calls of the driver, in its thread."""
        driving.uri = "" if self._door is None else self._door.uri
        with self.busy():
            yield

    # --- for handlers and timers of inheriting classes --------------------------------------------------------------

    def read(self, parameter: str, timeout: float | None = None) -> Reading:
        """Ask the device for a parameter. Blocks until it has answered, behind the calls that wait. Any thread.

        Args:
            parameter: Its name.
            timeout: Seconds until its turn must have come; None: as long as it takes.

        Raises:
            UnknownParameterError, OfflineError, DeviceTimeoutError, BadReplyError, ExpiredError: as for a proxy's ``get``.
            InstrumentError: it is too early for it, in :meth:`on_init`.
        """
        return wait_for(self._begun().get(parameter, self._client, timeout))  # type: ignore[no-any-return]

    def write(self, parameter: str, value: Any, timeout: float | None = None) -> None:
        """Set a parameter, as the client of the agent's name: what somebody else has locked is refused. Blocks. Any thread.

        Args and Raises: as for :meth:`read`, and LimitError, UnitError, LockedError, LatchedError.
        """
        wait_for(self._begun().set(parameter, value, self._client, timeout))

    def act(self, action: str, *args: Any, **kwargs: Any) -> Any:
        """Call an action and give its result. Blocks. Any thread. Raises: as for :meth:`write`, and what the driver raises."""
        return wait_for(self._begun().call(action, args, kwargs, self._client, None))

    def _begun(self) -> Instrument:
        if not self._in_charge:  # nobody would ever answer
            raise InstrumentError(f"{self.name} has no device yet; ask it in before_loop, a handler or a timer, not in on_init")
        return self.device

    # --- readings ---------------------------------------------------------------------------------------------------

    def _on_reading(self, reading: Reading) -> None:
        """In the driver's thread."""
        if self._history is not None:
            self._history.append(reading, self.name)
        self._coming.append((reading, self.device.link))
        if not self._told:  # one post serves all that comes until the loop has its turn
            self._told = True
            self._loop.post(self._publish_all)

    def _publish_all(self) -> None:
        self._told = False
        while self._coming:
            try:
                self._publish(*self._coming.popleft())
            except FAILURES as error:  # a door: nobody waits for what was posted, and the next reading is not to be lost
                self._faults.failed(error, "a reading that came")

    def _bind_readings(self) -> None:
        """Publish as the agent says, or in msgpack where that could not carry a message or is refused."""
        try:
            self.bind("PUB", READINGS, serializer="msgpack" if self._serializer == "raw" else None)
        except RefusedError:  # pickles, where anybody may connect
            self.bind("PUB", READINGS, serializer="msgpack")
        link = self._links.get(READINGS)
        assert isinstance(link, PubLink)
        link.on_subscribe = self._tell_newcomer
        self._publisher = link

    def _publish(self, reading: Reading, link: str) -> None:
        try:
            message = told_reading(reading)
        except DriverError as error:
            message = self._unfit(reading, error)
        parameter = self.device.table.parameters.get(reading.name)
        message |= {"link": link, "poll": None if parameter is None else parameter.poll}
        if self._publisher.serializer.name != "pickle" and hasattr(message["value"], "tolist"):
            message["value"] = message["value"].tolist()  # an array
        try:
            self._send(message)
        except SerializationError as error:
            message |= self._unfit(reading, error)
            self._send(message)
        self._last[reading.name] = message  # newcomers get what has been sent before
        self._guard.take(self.name, message)

    def _send(self, message: dict[str, Any]) -> None:
        if not self._publisher.closed:
            self._publisher.publish(message["name"].encode(), message)

    def _unfit(self, reading: Reading, error: AgentLabError) -> dict[str, Any]:
        """Give the message of a reading whose value cannot be published, and log why the first time."""
        if reading.name not in self._unpublished:
            self._unpublished.add(reading.name)
            self._reporter.logger.warning("%s.%s is published without its value: %s", self.name, reading.name, error)
        return without_value(reading)

    def _tell_newcomer(self, topic: bytes) -> None:
        """Publish the last readings again, under their old numbers: those who have them know them by these."""
        for name, message in self._last.items():
            if name.encode().startswith(topic):
                self._send(message)

    # --- interlocks -------------------------------------------------------------------------------------------------

    def _look_instead(self) -> None:
        """Have the rules carried out while the loop stands still, or is stopped. In the engine's watching thread."""
        self.device.later(INSTEAD_PERIOD, self._look_instead)
        self._guard.look_instead()

    def _enforce(self, rule: Rule, why: str) -> None:
        """Do what a violated rule demands, unless it is done or being done."""
        now = time.monotonic()
        if rule.latches:  # at once again after a reset, as long as the rule is violated
            if self.device.latched:
                return
        elif now - self._acted.get(rule.text, -AGAIN) < AGAIN:
            return
        self._acted[rule.text] = now
        outcome = self.device.enforce(rule, why)
        if isinstance(outcome, Pending):
            outcome.start(lambda _, error: self._carried_out(rule, error), lambda: True)

    def _carried_out(self, rule: Rule, error: BaseException | None) -> None:
        """Where a rule could not be carried out, the safe state is what is left. In any thread."""
        if error is not None and not self.device.latched:
            self.device.make_safe(f"it could not be carried out: {error}", f"interlock {rule.text}")
