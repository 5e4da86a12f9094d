"""A device at a serial port: opened, greeted, watched, and opened again when it went away.

A driver derives from :class:`SerialDevice` and gives it two things: ``_greet``, the first exchange
with a port just opened (and later the sign of life), and ``_feed``, what to do with bytes. Nothing
that comes over the line closes the port by an exception; silence, an unplugged cable or nonsense
make the device ``noDevice`` until a greeting is answered again. Reopening waits twice as long
each time, up to a limit, with jitter.
"""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any, Protocol

from msgspec import Meta, Struct
from twisted.internet import protocol
from twisted.internet.defer import Deferred, DeferredLock
from twisted.python.failure import Failure
from twisted.python.runtime import platform

from terminal_agent.devices.interfaces import Completion, DeviceError, DeviceEvent, State, Watcher
from terminal_agent.devices.waiting import Waiting
from terminal_agent.logs import get_logger

_log = get_logger("devices")

TURNS_MAX = 8
"""Commands that may wait for their turn at one device; one more is refused."""


Count = Annotated[int, Meta(ge=1)]


class SerialOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to reach a serial device; each driver's options begin with these."""

    port: str
    """``/dev/ttyS1``, ``COM3``; with an emulator the link that it makes, or ``memory``: none."""
    baud: Count
    answer_timeout_ms: Count
    """Silence after a command for so long means that nobody is there."""
    reopen_min_ms: Count
    reopen_max_ms: Count
    poll_ms: Count
    """How often an idle device is asked whether it lives."""
    mode: Annotated[str, Meta(pattern="^[78][NEO][12]$")] = "8N1"
    """Data bits, parity (N, E, O), stop bits."""


class Port(Protocol):
    """An open line."""

    def write(self, data: bytes) -> None:
        """Send, in order."""
        ...

    def close(self) -> None:
        """At once, whatever is still unsent."""
        ...


Opener = Callable[[protocol.Protocol, SerialOptions, Any], Port]
"""(protocol, options, reactor) → Port. Raises OSError, ValueError."""


class _SerialPort:
    """Twisted's serial port as a Port: on POSIX."""

    def __init__(self, ear: protocol.Protocol, options: SerialOptions, reactor: Any) -> None:
        from twisted.internet.serialport import SerialPort

        self._transport: Any = SerialPort(
            ear,
            options.port,
            reactor,
            baudrate=options.baud,
            bytesize=int(options.mode[0]),
            parity=options.mode[1],
            stopbits=int(options.mode[2:]),
        )

    def write(self, data: bytes) -> None:
        """See Port."""
        self._transport.write(data)

    def close(self) -> None:
        """Not loseConnection: that waits for a peer that may never read."""
        from twisted.internet.error import ConnectionDone

        self._transport.connectionLost(Failure(ConnectionDone()))


def open_serial(ear: protocol.Protocol, options: SerialOptions, reactor: Any) -> Port:
    """The Opener of this system. Raises OSError, ValueError."""
    if platform.isWindows():
        from terminal_agent.devices.threaded_port import ThreadedPort

        return ThreadedPort(ear, options, reactor)
    return _SerialPort(ear, options, reactor)


class _Ear(protocol.Protocol):
    """Hears one opened port; deaf once the device has let go of it."""

    def __init__(self, device: "SerialDevice") -> None:
        self.device: SerialDevice | None = device

    def dataReceived(self, data: bytes) -> None:
        """Named boundary: an exception here would close the port, and its text might hold what
        was typed; so its kind alone is logged."""
        device = self.device
        if device is None:
            return
        try:
            device._feed(data)
        except Exception as error:
            device._garbled(type(error).__name__)

    def connectionLost(self, reason: Failure = protocol.connectionDone) -> None:
        device, self.device = self.device, None
        if device is not None:
            device._drop("unplugged")


class SerialDevice:
    """The life of a device at a port. ``reactor`` is the injected clock too."""

    role = "device"

    def __init__(
        self,
        options: SerialOptions,
        reactor: Any,
        *,
        open_port: Opener = open_serial,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._options = options
        self._reactor = reactor
        self._open_port = open_port
        self._chance = chance
        self._waiting = Waiting(reactor)
        self._turn = DeferredLock()
        self._watchers: list[Watcher] = []
        self._state: str = State.STARTING
        self._port: Port | None = None
        self._ear: _Ear | None = None
        self._answer: Deferred[Any] | None = None
        self._timer: Any = None
        self._tries = 0
        self._stopped = False

    # ---- what every device has -------------------------------------------------------------------

    def start(self) -> None:
        """Open the port, now and whenever it goes away, until :meth:`stop`."""
        self._later(0, self._open)

    def stop(self) -> None:
        """Let go of the port for good."""
        self._stopped = True
        self._close()
        self._fail("stopped")

    def status(self) -> str:
        """See Device."""
        return self._state

    def watch(self, watcher: Watcher) -> None:
        """See Device."""
        self._watchers.append(watcher)

    def cancel(self) -> None:
        """Nothing here waits for a person; drivers that do override this."""

    # ---- for drivers -----------------------------------------------------------------------------

    async def _greet(self) -> None:
        """The first exchange, and the sign of life. Raises DeviceError."""

    def _feed(self, data: bytes) -> None:
        """Bytes came. Answers are handed on by :meth:`_answered`."""
        raise NotImplementedError

    def _forget(self) -> None:
        """Drop what was half received."""

    def _unplugged(self, error: DeviceError) -> None:
        """The line is gone: end whatever waits for a person."""

    def _tell(self, name: str, detail: str = "") -> None:
        for watcher in self._watchers:
            watcher(DeviceEvent(name=name, detail=detail))

    def _is(self, state: str) -> None:
        if state != self._state:
            self._state = state
            _log.info("device_state", role=self.role, state=state, port=self._options.port)
            self._tell("Common.StatusChangedEvent", state)

    @asynccontextmanager
    async def _turn_of_mine(self) -> AsyncIterator[None]:
        """One command at a time. Raises DeviceError when the device is not there or overrun."""
        if len(self._turn.waiting) >= TURNS_MAX:
            raise DeviceError(Completion.DEVICE_NOT_READY, "too many commands wait")
        await self._turn.acquire()
        try:
            self._must_be_ready()
            yield
        finally:
            self._turn.release()

    def _must_be_ready(self) -> None:
        if self._state == State.FRAUD_ATTEMPT:
            raise DeviceError(Completion.FRAUD_ATTEMPT, self._state)
        if self._port is None or self._state in (State.NO_DEVICE, State.STARTING):
            raise DeviceError(Completion.DEVICE_NOT_READY, self._state)

    async def _ask(self, data: bytes, timeout_ms: int = 0) -> Any:
        """Send, and wait for what :meth:`_answered` brings. Silence drops the line. Raises
        DeviceError(deviceNotReady)."""
        self._forget()
        answer = self._hear(timeout_ms or self._options.answer_timeout_ms)
        self._send(data)
        try:
            return await answer
        except DeviceError as error:
            if error.completion is not Completion.TIME_OUT:
                raise
            self._drop("silent")
            raise DeviceError(Completion.DEVICE_NOT_READY, "no answer") from None

    def _hear(self, timeout_ms: int) -> "Deferred[Any]":
        """What :meth:`_answered` brings next. Fails with DeviceError, timeOut included: then the
        line stays open, for a person may have been slow."""
        if self._port is None:
            raise DeviceError(Completion.DEVICE_NOT_READY, self._state)
        assert self._answer is None, "one exchange at a time"

        def heard(result: Any) -> Any:
            self._answer = None
            return result

        self._answer = self._waiting.until(timeout_ms, "silent")
        return self._answer.addBoth(heard)

    def _send(self, data: bytes) -> None:
        """Send what nobody answers."""
        if self._port is not None:
            self._port.write(data)

    def _answered(self, answer: Any) -> bool:
        """Hand an answer to whoever asked; False when nobody did."""
        waiting, self._answer = self._answer, None
        if waiting is None:
            return False
        waiting.callback(answer)
        return True

    # ---- the line's life -------------------------------------------------------------------------

    def _open(self) -> None:
        self._ear = _Ear(self)
        try:
            self._port = self._open_port(self._ear, self._options, self._reactor)
        except (OSError, ValueError) as error:
            self._drop(type(error).__name__)
            return
        Deferred.fromCoroutine(self._come_up()).addErrback(self._broken)

    async def _come_up(self) -> None:
        """Greet; then greet again whenever the device was idle for ``poll_ms``."""
        if not self._turn.locked:
            try:
                async with self._turn:
                    await self._greet()
            except DeviceError as error:
                if error.completion is Completion.FRAUD_ATTEMPT:
                    self._is(State.FRAUD_ATTEMPT)
                else:
                    self._drop(str(error.completion))
                    return
            else:
                self._tries = 0
                self._is(self._healthy())
        if self._port is not None:
            self._later(self._options.poll_ms, self._poll)

    def _healthy(self) -> str:
        """What a device that has just answered is: ``online``, or its own word (``paperOut``)."""
        return State.ONLINE

    def _poll(self) -> None:
        Deferred.fromCoroutine(self._come_up()).addErrback(self._broken)

    def _drop(self, reason: str) -> None:
        if self._stopped:
            return
        if self._state not in (State.NO_DEVICE,):
            _log.warning("device_lost", role=self.role, port=self._options.port, reason=reason)
        self._close()
        self._is(State.NO_DEVICE)
        self._fail(reason)
        most = min(self._options.reopen_max_ms, self._options.reopen_min_ms << min(self._tries, 16))
        self._tries += 1
        self._later(int(most * (0.5 + self._chance() / 2)), self._open)

    def _close(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        if self._ear is not None:
            self._ear.device = None
        port, self._port, self._ear = self._port, None, None
        if port is not None:
            port.close()
        self._forget()

    def _fail(self, reason: str) -> None:
        self._give_up(Completion.DEVICE_NOT_READY, reason)
        self._unplugged(DeviceError(Completion.DEVICE_NOT_READY, reason))

    def _garbled(self, kind: str) -> None:
        _log.error("device_bytes_failed", role=self.role, port=self._options.port, kind=kind)
        self._forget()

    def _give_up(self, completion: Completion, text: str) -> None:
        """End what :meth:`_hear` waits for."""
        waiting, self._answer = self._answer, None
        if waiting is not None:
            waiting.errback(DeviceError(completion, text))

    def _later(self, wait_ms: int, do: Callable[[], None]) -> None:
        if self._stopped:
            return
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = self._reactor.callLater(wait_ms / 1000, do)

    def _broken(self, failure: Failure) -> None:
        """Named boundary: a defect in a greeting is a device that does not come up."""
        kind = type(failure.value).__name__
        _log.error("device_greeting_failed", role=self.role, kind=kind)
        self._drop("defect")
