"""What the flow asks of a device. Names and completion codes follow XFS4IoT; conformance is not
claimed.

A driver implements one of these and is chosen by role in the configuration. Every waiting method
ends: with its result, or with a DeviceError. Events go to the callback given to ``watch``, on the
reactor's thread.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Final, Protocol

from msgspec import Struct

from terminal_agent.protocol import Chip, Opaque, Pan, PinBlock, Track2


class Completion(StrEnum):
    """How a command ended (XFS4IoT completion codes)."""

    SUCCESS = "success"
    CANCELED = "canceled"
    DEVICE_NOT_READY = "deviceNotReady"
    HARDWARE_ERROR = "hardwareError"
    TIME_OUT = "timeOut"
    USER_ERROR = "userError"
    FRAUD_ATTEMPT = "fraudAttempt"
    SEQUENCE_ERROR = "sequenceError"
    INVALID_DATA = "invalidData"
    AUTHORISATION_REQUIRED = "authorisationRequired"
    UNSUPPORTED_COMMAND = "unsupportedCommand"


class State(StrEnum):
    """What ``Common.Status`` says of a device as a whole; printers add words of their own."""

    ONLINE = "online"
    STARTING = "starting"
    NO_DEVICE = "noDevice"
    """Nobody answers at its port: unplugged, silent, or never there."""
    HARDWARE_ERROR = "hardwareError"
    FRAUD_ATTEMPT = "fraudAttempt"
    """Opened or taken off: a custodian has to look at it."""


class PrinterState(StrEnum):
    """What a printer says besides."""

    PAPER_LOW = "paperLow"
    PAPER_OUT = "paperOut"
    PAPER_JAM = "paperJam"
    COVER_OPEN = "coverOpen"
    TONER_LOW = "tonerLow"
    TONER_OUT = "tonerOut"
    PAUSED = "paused"
    """It answers, but takes no documents: paused, or shutting down."""


class DeviceError(Exception):
    """A command that did not succeed. The text is for the attendant and holds no card data."""

    def __init__(self, completion: Completion, text: str) -> None:
        super().__init__(f"{completion}: {text}")
        self.completion = completion
        self.code = str(completion)
        """What the page says it by."""


class DeviceEvent(Struct, frozen=True, kw_only=True):
    """Something happened at a device: ``CardReader.MediaInsertedEvent``, ``Keyboard.KeyEvent``,
    ``Common.StatusChangedEvent`` …"""

    name: str
    detail: str = ""
    """Never a digit of a PIN: a key event shows ``*``, ``enter``, ``clear``, ``backspace`` or
    ``cancel``."""


CARD_IN: Final = "CardReader.MediaInsertedEvent"
CARD_OUT: Final = "CardReader.MediaRemovedEvent"
KEYBOARD_OPEN: Final = "Keyboard.EnterDataEvent"
"""The pad takes keys from now on: the moment to ask the patient for the PIN."""
Watcher = Callable[[DeviceEvent], None]


class CardData(Struct, frozen=True, kw_only=True):
    """What was read of a card."""

    pan: Pan
    expiry: str
    track2: Track2 | None = None
    chip: Chip | None = None
    """Field 55, once the chip has made its first cryptogram."""
    card_sequence: str = ""
    entry_mode: str = "021"

    def __repr__(self) -> str:
        return "<card>"


class Device(Protocol):
    """What every device has."""

    def status(self) -> str:
        """``online``, or what is wrong with it (``paperOut``, ``noDevice`` …)."""
        ...

    def watch(self, watcher: Watcher) -> None:
        """Call ``watcher`` on every event from now on."""
        ...

    def cancel(self) -> None:
        """End a waiting command with ``canceled``."""
        ...


class CardReader(Device, Protocol):
    """CardReader: stripe and chip."""

    async def read_raw_data(self, timeout_ms: int) -> CardData:
        """Wait for a card and read what it says of itself. Raises DeviceError."""
        ...

    async def chip_power(self) -> bytes:
        """Reset the chip: its ATR. Raises DeviceError."""
        ...

    async def chip_io(self, command: bytes) -> bytes:
        """One APDU. Raises DeviceError."""
        ...

    async def move(self) -> None:
        """Give the card back. Raises DeviceError when it was not taken."""
        ...


class PinPad(Device, Protocol):
    """Keyboard, PinPad and KeyManagement. No method returns a clear PIN or key."""

    async def pin_entry(
        self, minimum: int, maximum: int, timeout_ms: int, pan: Pan | None = None
    ) -> int:
        """Let the patient type: the number of digits, 0 when the pad does not tell. ``pan`` is for
        pads that encrypt as soon as the PIN is confirmed; they take no other afterwards. Raises
        DeviceError."""
        ...

    async def get_pin_block(self, pan: Pan) -> PinBlock:
        """The typed PIN as ISO format 0 under the pad's key; the pad then forgets it.
        Raises DeviceError (sequenceError: nothing was typed)."""
        ...


class KeyUse(StrEnum):
    """What a key in the pad is for."""

    MASTER = "master"
    PIN = "pin"
    MAC = "mac"
    DATA = "data"


class SlottedPinPad(PinPad, Protocol):
    """KeyManagement of a pad with slots for banks' own PIN keys. Clear keys never come here: a
    master key is loaded at the pad by custodians, everything else arrives as a cryptogram under
    it. The pad's own slot is ""."""

    async def pin_entry(
        self, minimum: int, maximum: int, timeout_ms: int, pan: Pan | None = None, slot: str = ""
    ) -> int:
        """See PinPad; the block will be made under the PIN key of this slot."""
        ...

    async def import_key(
        self, use: KeyUse, cryptogram: str, check_value: str, slot: str = ""
    ) -> None:
        """Load a working key: hex under the slot's master key, and its check value (6 to 16 hex),
        which the pad's own must equal where it tells one. Slots beside the pad's own have PIN keys
        alone. Raises DeviceError (invalidData: it does not; the key is then not used)."""
        ...


class KeyedPinPad(SlottedPinPad, Protocol):
    """Crypto of a real pad."""

    async def generate_authentication(self, data: bytes) -> bytes:
        """The MAC of ``data`` under the pad's MAC key, 8 bytes. Raises DeviceError."""
        ...


class IdentityCard(Struct, frozen=True, kw_only=True):
    """What a resident's ID card says (GA 450): personal data, shown by no ``repr``."""

    name: Opaque
    number: Opaque
    sex: str
    nation: str
    birth: str
    """YYYYMMDD"""
    address: Opaque
    issuer: str
    valid_from: str
    valid_to: str
    """YYYYMMDD or 长期"""
    photo: bytes
    """The encoded picture, 1024 bytes; only the maker's library can draw it."""

    def __repr__(self) -> str:
        return "<identity card>"


class IdReader(Device, Protocol):
    """CardReader for ID cards (二代证)."""

    async def read_identity(self, timeout_ms: int) -> IdentityCard:
        """Wait for a card and read it. Raises DeviceError."""
        ...


class VisitCardReading(Device, Protocol):
    """CardReader for the hospital's visit cards (就诊卡)."""

    async def read_number(self, timeout_ms: int) -> str:
        """Wait for a card and read its number. Raises DeviceError."""
        ...


class Scanner(Device, Protocol):
    """BarcodeReader."""

    async def read(self, timeout_ms: int) -> Opaque:
        """The next code: a payment code is as good as money, hence hidden. Raises DeviceError."""
        ...


class CashAcceptor(Device, Protocol):
    """CashAcceptor: notes in, each journaled at every step."""

    async def cash_in_start(self, session: str, maximum_fen: int) -> None:
        """Take notes for ``session`` until its total would pass the maximum. Raises DeviceError."""
        ...

    async def cash_in_end(self) -> int:
        """Take no more: what the session brought, in fen. Raises DeviceError (sequenceError: a
        note is still moving; ask again)."""
        ...


class Printer(Device, Protocol):
    """Printer."""

    async def print_raw(self, name: str, text: str) -> None:
        """Print a slip; ``name`` is for the spool. Raises DeviceError."""
        ...


class ReportPrinter(Device, Protocol):
    """Printer for whole pages: reports of laboratory and examinations (A4)."""

    async def print_document(self, name: str, pdf: bytes) -> None:
        """Print a document and return once the printer says that its pages are out; until then it
        is not printed. ``name`` stands in the printer's own list: no patient's name. Raises
        DeviceError: deviceNotReady (the text is the state: ``paperOut``, ``paused`` …),
        hardwareError, invalidData (no PDF, a broken one, or larger than the driver's limit),
        timeOut, canceled, authorisationRequired, unsupportedCommand (it prints no PDF). Pages may
        lie in its tray all the same, never a promise of them."""
        ...
