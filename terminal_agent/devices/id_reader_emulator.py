"""An ID card reader without hardware, and the cards that lie on it."""

from typing import Any, Final

from terminal_agent.devices.emulator import Emulator
from terminal_agent.devices.id_reader import IdReaderOptions, SamIdReader
from terminal_agent.devices.interfaces import IdentityCard
from terminal_agent.devices.memory_port import cable
from terminal_agent.devices.sam_frames import (
    FIND,
    FOUND,
    GOOD,
    NO_CARD,
    NUMBER,
    READ,
    READ_FAILED,
    SELECT,
    STATUS,
    Decoder,
    data_of,
    encode,
)
from terminal_agent.protocol import Opaque

SAMPLE: Final = IdentityCard(
    name=Opaque("张三"),
    number=Opaque("11010519491231002X"),
    sex="女",
    nation="汉",
    birth="19491231",
    address=Opaque("北京市朝阳区示范路1号"),
    issuer="北京市公安局朝阳分局",
    valid_from="20200101",
    valid_to="长期",
    photo=bytes(range(256)) * 4,
)
"""The specimen of the standard: nobody's card."""


class IdReaderEmulator(Emulator):
    """One module."""

    def __init__(self) -> None:
        super().__init__()
        self._decoder = Decoder()
        self._card: bytes | None = None
        self._was_read = False
        self._selected = False
        self.lift_before = b""
        """The command during which the card is lifted, once."""

    def put(self, card: IdentityCard = SAMPLE) -> None:
        """Lay a card on the reader."""
        self._card, self._was_read, self._selected = data_of(card), False, False

    def put_raw(self, data: bytes) -> None:
        """A card with any content."""
        self._card, self._was_read, self._selected = data, False, False

    def lift(self) -> None:
        """Take it away."""
        self._card = None

    def detach(self) -> None:
        """Without power nothing is selected."""
        super().detach()
        self._selected = False
        self._decoder.forget()

    def received(self, data: bytes) -> None:
        """Commands."""
        for body in self._decoder.feed(data):
            if body[:2] == self.lift_before:
                self.lift()
                self.lift_before = b""
            status, answer = self._perform(body[:2])
            self.answer(encode(bytes([0, 0, status]) + answer))

    def _perform(self, command: bytes) -> tuple[int, bytes]:
        there = self._card is not None and not self._was_read
        match command:
            case _ if command in (STATUS, NUMBER):
                return GOOD, b"" if command == STATUS else bytes(16)
            case _ if command == FIND:
                return (FOUND, bytes(4)) if there else (NO_CARD, b"")
            case _ if command == SELECT:
                self._selected = there
                return (GOOD, bytes(8)) if there else (NO_CARD, b"")
            case _ if command == READ and self._selected and self._card is not None:
                self._was_read, self._selected = True, False
                return GOOD, self._card
        return READ_FAILED, b""


class EmulatedIdReader(SamIdReader):
    """Driver and emulated module in one process; ``port`` is the link to make."""

    def __init__(self, options: IdReaderOptions, reactor: Any, **world: Any) -> None:
        self.emulator = IdReaderEmulator()
        self._cable, line = cable(reactor, options.port, self.emulator)
        super().__init__(options, reactor, **line, **world)

    def start(self) -> None:
        """Plug the module in, then see SerialDevice."""
        self._cable.plug()
        super().start()
