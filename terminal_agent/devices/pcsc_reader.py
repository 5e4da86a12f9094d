"""The card reader of a kiosk over PC/SC: driver ``pcsc``.

Threads. Everything here runs on the reactor's thread, but for the functions given to
:meth:`PcscReader._aside`: those run in a pool of exactly one thread, so that a connection is
opened, used and closed by one thread and never by two at once. ``_card`` is read and written in
that thread alone. The monitor has another thread and a context of its own: a waiting
SCardGetStatusChange would hold up every APDU on the same context.

What is bounded: one command at a time (another one meanwhile is refused as out of sequence), each
with a time limit. A call that hangs in the service cannot be broken off: its command ends with
timeOut, and until the call comes back every other one is refused as deviceNotReady.
"""

import re
import threading
from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from terminal_agent.config import ConfigError
from terminal_agent.devices.interfaces import (
    CARD_IN,
    CARD_OUT,
    CardData,
    Completion,
    DeviceError,
    DeviceEvent,
    State,
    Watcher,
)
from terminal_agent.devices.pcsc_card import PcscCard
from terminal_agent.devices.pcsc_monitor import (
    MonitorTimes,
    PcscMonitor,
    ReaderEvent,
    ReaderNews,
)
from terminal_agent.devices.pcsc_service import PcscService
from terminal_agent.devices.waiting import Waiting
from terminal_agent.emv.apdu import Style
from terminal_agent.emv.profile import Profile, load_profile
from terminal_agent.logs import get_logger

_log = get_logger("pcsc")

_WORDS: Final = {
    ReaderNews.CARD_INSERTED: CARD_IN,
    ReaderNews.CARD_REMOVED: CARD_OUT,
}
_STATUS_EVENT: Final = "Common.StatusChangedEvent"


class PcscOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``devices.ROLE.options`` of driver ``pcsc``."""

    reader: str
    """Regular expression, searched in the readers' names; of several the first by name."""
    look_again_ms: int
    retry_min_ms: int
    retry_max_ms: int
    """See :class:`MonitorTimes`."""
    connect_tries: int
    connect_pause_ms: int
    """A card just put in may not have its power yet."""
    apdu_timeout_ms: int
    profile: str = "cup"
    """EMV profile by which a card's data is read."""


def read_options(options: dict[str, str]) -> PcscOptions:
    """Check them. Raises ConfigError."""
    try:
        read = msgspec.convert(options, PcscOptions, strict=False)
        re.compile(read.reader)
    except (msgspec.ValidationError, re.error) as error:
        raise ConfigError(f"driver pcsc: {error}") from None
    numbers = (value for value in msgspec.structs.astuple(read) if isinstance(value, int))
    if min(numbers) < 1:
        raise ConfigError("driver pcsc: times and tries are at least 1")
    return read


class _Thread(threading.Thread):
    """A call that hangs in the service must not keep the process from ending."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.daemon = True


class _Pool(ThreadPool):
    threadFactory = _Thread


class PcscReader:
    """One reader. ``reactor`` is the real one: callFromThread, callLater, callWhenRunning."""

    def __init__(self, options: PcscOptions, reactor: Any, service: PcscService) -> None:
        self._options, self._reactor, self._service = options, reactor, service
        self.profile: Profile = load_profile(options.profile)
        self._waiting = Waiting(reactor)
        times = MonitorTimes(
            look_again_ms=options.look_again_ms,
            retry_min_ms=options.retry_min_ms,
            retry_max_ms=options.retry_max_ms,
        )
        self._monitor = PcscMonitor(
            service, re.compile(options.reader), times, self._noticed, reactor.callFromThread
        )
        self._pool = _Pool(minthreads=1, maxthreads=1, name="pcsc-reader")
        self._ended = threading.Event()
        self._reader = ""
        self._service_here: bool | None = None
        self._inserted: bytes | None = None
        """ATR of the card inside; empty: its chip is dumb; None: there is none."""
        self._given_back = False
        """The card inside was given back, and waits to be taken: it is not the next patient's."""
        self._wanted: Deferred[bytes] | None = None
        self._busy = False
        self._card: PcscCard | None = None
        self.style = Style.T1
        """How the powered card is spoken to."""
        self._watchers: list[Watcher] = []

    def start(self) -> None:
        """Begin to watch and to work."""
        self._pool.start()
        self._monitor.start()

    def stop(self) -> None:
        """Let go of card and threads."""
        if self._ended.is_set():
            return
        self._ended.set()
        self.cancel()
        self._monitor.stop()
        if not self._busy:
            self._pool.callInThread(self._let_go)
            self._pool.stop()
        # A call that hangs in the service keeps its thread; waiting for it would hang as well.

    # ---- CardReader ------------------------------------------------------------------------------

    async def read_raw_data(self, timeout_ms: int) -> CardData:
        """Wait for a card and read what its chip says of its holder's account. Nothing is paid by
        it: a payment plays the kernel over :meth:`chip_io`."""
        from terminal_agent.devices.pcsc_account import read_account

        await self.media_inserted(timeout_ms)
        await self.chip_power()
        return await read_account(self.chip_io, self.profile, self.style)

    async def media_inserted(self, timeout_ms: int) -> bytes:
        """The ATR of the card inside, or of the next one. Raises DeviceError: timeOut, canceled,
        hardwareError (a chip that does not answer: the stripe may be an answer)."""
        if self._inserted is None or self._given_back:
            if self._wanted is not None:
                raise DeviceError(Completion.SEQUENCE_ERROR, "somebody waits for a card already")
            self._wanted = self._waiting.until(timeout_ms, "no card")
            try:
                atr = await self._wanted
            finally:
                self._wanted = None
        else:
            atr = self._inserted
        if not atr:
            raise DeviceError(Completion.HARDWARE_ERROR, "the chip does not answer")
        return atr

    async def chip_power(self) -> bytes:
        """Reset the chip and open the connection: its ATR."""
        reader = self._reader
        if self._inserted is None:
            raise DeviceError(Completion.DEVICE_NOT_READY, "no card")
        options = self._options
        limit_ms = options.connect_tries * options.connect_pause_ms + options.apdu_timeout_ms
        card: PcscCard = await self._aside(lambda: self._power_up(reader), limit_ms)
        self.style = card.style
        return card.atr

    async def chip_io(self, command: bytes) -> bytes:
        """One APDU. Raises CardGoneError when the card was pulled, DeviceError otherwise."""
        answer: bytes = await self._aside(
            lambda: self._transmit(command), self._options.apdu_timeout_ms
        )
        return answer

    async def move(self) -> None:
        """Power down and give the card back: it stays in the slot until the patient takes it
        (MediaRemovedEvent), and is nobody's card until then. Waits for nothing."""
        if self._inserted is None:
            return
        if not self._given_back:
            self._given_back = True
            self._pool.callInThread(self._let_go)

    def status(self) -> str:
        """``online``, ``noDevice`` (no such reader), ``offline`` (no smart-card service)."""
        if self._service_here is None:
            return State.STARTING
        if not self._service_here:
            return "offline"
        return State.ONLINE if self._reader else State.NO_DEVICE

    @property
    def busy(self) -> bool:
        """Whether a call is under way in the reader's thread, perhaps one that hangs."""
        return self._busy

    def watch(self, watcher: Watcher) -> None:
        """See Device."""
        self._watchers.append(watcher)

    def cancel(self) -> None:
        """Nobody waits for a card any more. A chip command is short, and ends by itself."""
        wanted, self._wanted = self._wanted, None
        if wanted is not None and not wanted.called:
            wanted.errback(DeviceError(Completion.CANCELED, "canceled"))

    # ---- on the reactor's thread -----------------------------------------------------------------

    def _noticed(self, event: ReaderEvent) -> None:
        self._service_here = event.news is not ReaderNews.SERVICE_LOST
        match event.news:
            case ReaderNews.CARD_INSERTED:
                self._inserted, self._given_back = event.atr, False
            case ReaderNews.CARD_REMOVED:
                self._inserted, self._given_back = None, False
            case ReaderNews.READER_FOUND:
                self._reader = event.reader
            case ReaderNews.READER_LOST:
                self._reader = ""
        _log.info("reader", news=event.news.value, reader=event.reader)
        told = DeviceEvent(name=_WORDS.get(event.news, _STATUS_EVENT), detail=event.news.value)
        for watcher in tuple(self._watchers):
            watcher(told)
        wanted = self._wanted
        if self._inserted is not None and wanted is not None and not wanted.called:
            wanted.callback(self._inserted)

    async def _aside(self, work: Callable[[], Any], timeout_ms: int) -> Any:
        """Do ``work`` in the reader's thread, within the time."""
        if self._busy or self._ended.is_set():
            raise DeviceError(Completion.DEVICE_NOT_READY, "the reader is at work, or closed")
        self._busy = True
        ended = self._waiting.until(timeout_ms, "the reader does not answer")

        def done(result: Any) -> None:
            self._busy = False
            if not ended.called:
                ended.errback(result) if isinstance(result, Failure) else ended.callback(result)

        deferToThreadPool(self._reactor, self._pool, work).addBoth(done)
        return await ended

    # ---- in the reader's own thread --------------------------------------------------------------

    def _power_up(self, reader: str) -> PcscCard:
        self._let_go()
        options = self._options
        self._card = PcscCard.connect(
            self._service,
            reader,
            options.connect_tries,
            lambda: self._ended.wait(options.connect_pause_ms / 1000),
        )
        return self._card

    def _transmit(self, command: bytes) -> bytes:
        if self._card is None:
            raise DeviceError(Completion.SEQUENCE_ERROR, "the chip has no power")
        # A connection to a card that has gone is kept until the next one is opened: powering down
        # a slot just emptied hides the next card from pcscd when that one comes at once.
        return self._card.transmit(command)

    def _let_go(self) -> None:
        card, self._card = self._card, None
        if card is not None:
            card.close()
