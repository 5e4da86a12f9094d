"""A chip card reader without hardware or PC/SC: what a hand puts in is played in this process.

Drivers ``card_reader: emulator`` (bank cards of a test file, with chips) and ``visit_card:
emulator``. The same cards in a real reader's stead, over real PC/SC: :mod:`vpcd_card`.
"""

from pathlib import Path
from typing import Final, Protocol

from msgspec import Struct
from twisted.internet.defer import Deferred

from terminal_agent.devices.card_simulator import load_cards
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
from terminal_agent.devices.pcsc_account import read_account
from terminal_agent.devices.virtual_card import Print, VirtualCard
from terminal_agent.devices.virtual_visit_card import VirtualCpuCard
from terminal_agent.devices.visit_card import CardKind, VisitCardOptions, VisitCardReader
from terminal_agent.devices.waiting import Waiting
from terminal_agent.emv.actions import CardGone
from terminal_agent.emv.apdu import Style
from terminal_agent.emv.profile import load_profile

_NAME: Final = b"YYTCARD"
"""Application of the made-up visit cards."""


class Playable(Protocol):
    """A card that can be played."""

    atr: bytes

    def reset(self) -> bytes:
        """Power up: the ATR."""
        ...

    def transmit(self, command: bytes) -> bytes:
        """The answer with its status word. Raises CardGone."""
        ...


class VirtualReader:
    """One slot."""

    style = Style.T1

    def __init__(self, waiting: Waiting, profile: str = "cup") -> None:
        self._waiting = waiting
        self._profile = load_profile(profile)
        self._inside: Playable | None = None
        self._given_back = False
        self._powered = False
        self._wanted: Deferred[bytes] | None = None
        self._watchers: list[Watcher] = []

    # ---- hands -----------------------------------------------------------------------------------

    def insert(self, card: Playable) -> None:
        """Put a card in. Raises DeviceError when there is one."""
        if self._inside is not None:
            raise DeviceError(Completion.USER_ERROR, "there is a card inside")
        self._inside, self._given_back, self._powered = card, False, False
        self._tell(CARD_IN)
        wanted, self._wanted = self._wanted, None
        if wanted is not None:
            wanted.callback(card.atr)

    def pull(self) -> None:
        """Take it out, whatever it is doing. Out already is no error."""
        if self._inside is not None:
            self._inside, self._powered = None, False
            self._tell(CARD_OUT)

    @property
    def occupied(self) -> bool:
        """Whether a card is inside."""
        return self._inside is not None

    # ---- CardReader ------------------------------------------------------------------------------

    def start(self) -> None:
        """Nothing to open."""

    def stop(self) -> None:
        """Nobody waits any more."""
        self.cancel()

    async def read_raw_data(self, timeout_ms: int) -> CardData:
        """Wait for a card and read what its chip says of its holder's account."""
        await self.media_inserted(timeout_ms)
        await self.chip_power()
        return await read_account(self.chip_io, self._profile, self.style)

    async def media_inserted(self, timeout_ms: int) -> bytes:
        """See ChipReader. A card that was given back is nobody's."""
        if self._inside is not None and not self._given_back:
            return self._inside.atr
        if self._wanted is not None:
            raise DeviceError(Completion.SEQUENCE_ERROR, "somebody waits for a card already")
        self._wanted = self._waiting.until(timeout_ms, "no card")
        try:
            return await self._wanted
        finally:
            self._wanted = None

    async def chip_power(self) -> bytes:
        """Reset the chip: its ATR."""
        if self._inside is None or self._given_back:
            raise DeviceError(Completion.USER_ERROR, "no card")
        self._powered = True
        return self._inside.reset()

    async def chip_io(self, command: bytes) -> bytes:
        """One APDU. A card that pulls itself out is gone there and then."""
        if self._inside is None or not self._powered:
            raise DeviceError(Completion.SEQUENCE_ERROR, "the chip has no power")
        try:
            return self._inside.transmit(command)
        except CardGone:
            self.pull()
            raise DeviceError(Completion.USER_ERROR, "the card was pulled") from None

    async def move(self) -> None:
        """Give the card back: it stays in the slot until a hand takes it."""
        self._given_back, self._powered = self._inside is not None, False

    def status(self) -> str:
        """Never breaks."""
        return State.ONLINE

    def watch(self, watcher: Watcher) -> None:
        """See Device."""
        self._watchers.append(watcher)

    def cancel(self) -> None:
        """Nobody waits for a card any more."""
        wanted, self._wanted = self._wanted, None
        if wanted is not None:
            wanted.errback(DeviceError(Completion.CANCELED, "canceled"))

    def _tell(self, name: str) -> None:
        for watcher in tuple(self._watchers):
            watcher(DeviceEvent(name=name))


class EmulatedReader(VirtualReader):
    """Driver ``card_reader: emulator``: the bank cards of a test file as chip cards, each the same
    piece of plastic every time."""

    def __init__(self, cards: Path, waiting: Waiting) -> None:
        """Raises ConfigError, FileNotFoundError."""
        super().__init__(waiting)
        self._known = load_cards(cards)
        self._made: dict[str, VirtualCard] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The cards there are, in the file's order."""
        return tuple(self._known)

    @property
    def pin(self) -> str:
        """What the holder of the first card types: a test card's."""
        return next((card.pin for card in self._known.values()), "")

    def card(self, name: str) -> VirtualCard:
        """One of them. Raises KeyError."""
        if name not in self._made:
            known = self._known[name]
            sequence = known.card_sequence[-2:] or "01"
            printed = Print(pan=known.pan, expiry=f"{known.expiry}28", sequence=sequence)
            self._made[name] = VirtualCard(printed)
        return self._made[name]


class VisitCardNumbers(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``devices.visit_card.options`` of driver ``emulator``."""

    numbers: str
    """Made-up cards by their number, with spaces between."""


class EmulatedVisitCards(VisitCardReader):
    """Driver ``visit_card: emulator``: CPU cards that are laid on and taken up again."""

    def __init__(self, numbers: tuple[str, ...], waiting: Waiting) -> None:
        self.slot = VirtualReader(waiting)
        self.numbers = numbers
        commands = f"00A4040007{_NAME.hex()} 00B0810000"
        options = VisitCardOptions(kind=CardKind.CPU, commands=commands)
        super().__init__(self.slot, options)

    def wave(self, number: str) -> None:
        """Hold a card to the reader and take it away; one that nobody waits for is not read."""
        self.slot.insert(VirtualCpuCard(_NAME, {1: number.encode("ascii")}))
        self.slot.pull()
