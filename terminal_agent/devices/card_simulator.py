"""A card reader without hardware: test cards from a YAML file, inserted by name.

cards:
  - id: good
    pan: "6225880000000001"
    expiry: "3012"
    track2: "6225880000000001=30122010000000000"
    chip: "9F2608…"          # optional: field 55 as the chip would give it
    pin: "123456"            # what its holder types when nobody says otherwise
"""

from pathlib import Path

import msgspec
from msgspec import Struct
from twisted.internet.defer import Deferred

from terminal_agent.config import ConfigError, load_yaml
from terminal_agent.devices.interfaces import (
    CARD_IN,
    CARD_OUT,
    CardData,
    Completion,
    DeviceError,
    DeviceEvent,
    Watcher,
)
from terminal_agent.devices.waiting import Waiting
from terminal_agent.emv.actions import End, EndKind, HostAnswer, Verdict
from terminal_agent.protocol import Chip, Opaque, Pan, Track2


class TestCard(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One card of the file."""

    __test__ = False

    id: str
    pan: str
    expiry: str
    track2: str = ""
    chip: str = ""
    card_sequence: str = ""
    pin: str = ""

    def data(self) -> CardData:
        """As a reader gives it: a chip read (051) when the card has one, else the stripe (021)."""
        return CardData(
            pan=Pan(self.pan),
            expiry=self.expiry,
            track2=Track2(self.track2) if self.track2 else None,
            chip=Chip(self.chip) if self.chip else None,
            card_sequence=self.card_sequence,
            entry_mode="051" if self.chip else "021",
        )

    def __repr__(self) -> str:
        return f"<test card {self.id}>"


class TestCards(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file."""

    __test__ = False

    cards: tuple[TestCard, ...]


def load_cards(path: Path) -> dict[str, TestCard]:
    """The cards by id. Raises ConfigError, FileNotFoundError."""
    try:
        wallet = msgspec.convert(load_yaml(path), TestCards)
        for card in wallet.cards:
            card.data()
        return {card.id: card for card in wallet.cards}
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None


class SimulatedCardReader:
    """One slot. A card inserted before anyone waits stays in until it is moved out."""

    def __init__(self, cards: Path, waiting: Waiting) -> None:
        self._cards = cards
        self._waiting = waiting
        self._inside: CardData | None = None
        self._wanted: Deferred[CardData] | None = None
        self._watchers: list[Watcher] = []

    def insert(self, card: str) -> Opaque:
        """What the patient's hand does; returns the PIN its holder knows. Raises DeviceError for
        a card that is not in the file."""
        known = load_cards(self._cards)
        if card not in known:
            raise DeviceError(Completion.USER_ERROR, "no such test card")
        self._inside = known[card].data()
        self._tell(CARD_IN)
        if self._wanted is not None:
            wanted, self._wanted = self._wanted, None
            wanted.callback(self._inside)
        return Opaque(known[card].pin)

    async def read_raw_data(self, timeout_ms: int) -> CardData:
        """The inserted card, or the next one."""
        if self._inside is not None:
            return self._inside
        self._wanted = self._waiting.until(timeout_ms, "no card")
        return await self._wanted

    async def chip_power(self) -> bytes:
        """The simulated chip answers with field 55 only."""
        raise DeviceError(Completion.UNSUPPORTED_COMMAND, "the simulated chip has no contacts")

    async def chip_io(self, command: bytes) -> bytes:
        """As :meth:`chip_power`."""
        raise DeviceError(Completion.UNSUPPORTED_COMMAND, "the simulated chip has no contacts")

    async def finish(self, answer: HostAnswer) -> End:
        """The simulated chip's last word: what its bank says. (A chip that decides for itself is
        the emulated one, with contacts.)"""
        approved = answer.verdict is Verdict.APPROVED
        kind = EndKind.APPROVED if approved else EndKind.DECLINED
        return End(kind=kind, reasons=(), tvr="", tsi="", aid="", label="", pan_masked="")

    async def move(self) -> None:
        """The patient takes the card at once."""
        if self._inside is not None:
            self._inside = None
            self._tell(CARD_OUT)

    def status(self) -> str:
        """Never breaks."""
        return "online"

    def watch(self, watcher: Watcher) -> None:
        """See Device."""
        self._watchers.append(watcher)

    def cancel(self) -> None:
        """Nobody waits for a card any more."""
        wanted, self._wanted = self._wanted, None
        if wanted is not None:
            wanted.errback(DeviceError(Completion.CANCELED, "canceled"))

    def _tell(self, name: str) -> None:
        for watcher in self._watchers:
            watcher(DeviceEvent(name=name))
