"""What one run of the kernel knows: data objects of terminal and card, flags, steps so far."""

from typing import Final

from terminal_agent.emv import apdu
from terminal_agent.emv.actions import EmvPayment, Flow, Send, Step, Stop
from terminal_agent.emv.profile import Profile, Terminal
from terminal_agent.emv.tags import fits
from terminal_agent.emv.tlv import encode
from terminal_agent.protocol import Chip

FIELD55_BYTES_MAX: Final = 255


class Tvr:
    """Bits of the terminal verification results: (byte, mask)."""

    NO_DATA_AUTHENTICATION = (1, 0x80)
    DATA_MISSING = (1, 0x20)
    OTHER_VERSION = (2, 0x80)
    EXPIRED = (2, 0x40)
    NOT_YET_EFFECTIVE = (2, 0x20)
    SERVICE_NOT_ALLOWED = (2, 0x10)
    NEW_CARD = (2, 0x08)
    HOLDER_NOT_VERIFIED = (3, 0x80)
    UNKNOWN_CVM = (3, 0x40)
    NO_PIN_PAD = (3, 0x10)
    PIN_NOT_ENTERED = (3, 0x08)
    ONLINE_PIN = (3, 0x04)
    FLOOR_LIMIT = (4, 0x80)
    LOWER_OFFLINE_LIMIT = (4, 0x40)
    UPPER_OFFLINE_LIMIT = (4, 0x20)
    ISSUER_NOT_AUTHENTICATED = (5, 0x40)
    SCRIPT_FAILED_BEFORE = (5, 0x20)
    SCRIPT_FAILED_AFTER = (5, 0x10)


class Tsi:
    """Bits of the status information: (byte, mask)."""

    HOLDER_VERIFICATION = (1, 0x40)
    CARD_RISK = (1, 0x20)
    ISSUER_AUTHENTICATION = (1, 0x10)
    TERMINAL_RISK = (1, 0x08)
    SCRIPTS = (1, 0x04)


class Context:
    """One card, one payment. Card data never overrides the terminal's."""

    def __init__(
        self, profile: Profile, terminal: Terminal, payment: EmvPayment, style: apdu.Style
    ) -> None:
        self.profile, self.payment, self.style = profile, payment, style
        self.own = _own(profile, terminal, payment)
        self.card: dict[str, bytes] = {}
        self.steps: list[Step] = []
        self._tvr, self._tsi = bytearray(5), bytearray(2)

    def get(self, tag: str) -> bytes | None:
        """The value of a data object, or None."""
        if tag == "95":
            return bytes(self._tvr)
        if tag == "9B":
            return bytes(self._tsi)
        return self.own.get(tag, self.card.get(tag))

    def found(self, flag: tuple[int, int]) -> None:
        """Set a bit of the TVR."""
        self._tvr[flag[0] - 1] |= flag[1]

    def done(self, flag: tuple[int, int]) -> None:
        """Set a bit of the TSI."""
        self._tsi[flag[0] - 1] |= flag[1]

    def note(self, name: str, detail: str = "") -> None:
        """Write a step down."""
        self.steps.append(Step(name, detail))

    def forget_application(self) -> None:
        """Another application is tried: nothing of the last one counts."""
        self.card.clear()

    def say(self, command: apdu.Command) -> Flow[apdu.Answer]:
        """One command and its whole answer."""
        running = apdu.exchange(command, self.style, self.profile.limits.responses_max)
        try:
            raw = next(running)
            while True:
                raw = running.send((yield Send(raw)))
        except StopIteration as end:
            answer: apdu.Answer = end.value
            return answer

    def field55(self, order: tuple[str, ...]) -> Chip:
        """The data objects that are known, in this order. Raises Stop above 255 bytes."""
        known = ((tag, self.get(tag)) for tag in order)
        made = b"".join(encode(tag, value) for tag, value in known if value)
        if len(made) > FIELD55_BYTES_MAX:
            raise Stop("field55_too_long")
        return Chip(made.hex().upper())


def _own(profile: Profile, terminal: Terminal, payment: EmvPayment) -> dict[str, bytes]:
    """The terminal's data objects. Raises ValueError for one that does not fit its format."""
    own = {tag: bytes.fromhex(value) for tag, value in profile.objects.items()}
    own.update(
        {
            "9F02": _bcd(payment.amount_fen, 12),
            "9A": bytes.fromhex(payment.date),
            "9F03": bytes(6),
            "9F04": bytes(4),
            "9F16": terminal.merchant_number.encode("ascii"),
            "9F1C": terminal.terminal_number.encode("ascii"),
            "9F1E": terminal.interface_serial.encode("ascii"),
            "9F21": bytes.fromhex(payment.time),
            "9F37": payment.unpredictable,
            "9F41": _bcd(payment.counter, 8),
            "9F4E": terminal.merchant_name.encode("gb18030"),
        }
    )
    if payment.amount_fen < 1 << 32:
        own["81"] = payment.amount_fen.to_bytes(4, "big")
    for tag, value in own.items():
        if not fits(tag, value):
            raise ValueError(f"{tag} does not fit its format")
    return own


def _bcd(number: int, digits: int) -> bytes:
    """Raises ValueError for a number that has more digits, or is negative."""
    if not 0 <= number < 10**digits:
        raise ValueError(f"must be a number of at most {digits} digits")
    return bytes.fromhex(f"{number:0{digits}d}")
