"""A PBOC card without plastic: it answers commands, makes real cryptograms with test keys, checks
its issuer, counts its payments, and misbehaves on demand. For demonstrations and tests.
"""

from collections.abc import Callable
from typing import Final

from msgspec import Struct

from hsm.primitives import CardKeys
from terminal_agent.emv.actions import CardGone
from terminal_agent.emv.tlv import encode

TEST_KEYS: Final = CardKeys(
    bytes.fromhex("0123456789ABCDEFFEDCBA9876543210"),
    bytes.fromhex("89ABCDEF0123456776543210FEDCBA98"),
)
"""The virtual issuer's master keys: published, so worth nothing."""

_CDOL1: Final = "9F02069F03069F1A0295055F2A029A039C019F3704"
_CDOL2: Final = "8A02" + _CDOL1
_PDOL: Final = "9F7A019F02065F2A02"
_CDOL1_BYTES: Final = 29
_PSE: Final = b"1PAY.SYS.DDF01"
_SW_OK: Final = b"\x90\x00"
_FIRST, _SECOND, _OVER = 1, 2, 3


class Print(Struct, frozen=True, kw_only=True):
    """What is personalised on a card. Dates YYMMDD; hex where bytes are meant."""

    pan: str
    aid: str = "A000000333010101"
    label: str = "PBOC DEBIT"
    priority: str = "01"
    expiry: str = "401231"
    effective: str = "200101"
    sequence: str = "01"
    profile: str = "7C00"
    """AIP: issuer authentication, terminal risk, holder verification."""
    methods: str = "000000000000000042031F03"
    pdol: str = _PDOL
    country: str = "0156"
    pin: str = "123456"
    """What its holder types; checked by the issuer, never by the card."""
    directory: bool = True
    format_77: bool = True
    t0: bool = False
    """Answers as over T=0: 61xx and 6Cxx."""
    common_keys: bool = False

    def __repr__(self) -> str:
        return f"<print {self.aid}>"


PRESETS: Final = {
    "debit": Print(pan="6200000000000000005"),
    "credit": Print(
        pan="6200000000000013", aid="A000000333010102", label="PBOC CREDIT", directory=False
    ),
    "plain": Print(pan="6200000000000021", format_77=False),
    "t0": Print(pan="6200000000000039", t0=True, country="56"),
    "expired": Print(pan="6200000000000047", expiry="191231"),
    "visa": Print(
        pan="4000000000000002", aid="A0000000031010", label="VISA CREDIT", common_keys=True
    ),
}
"""Cards by name, all with invented numbers."""


class Habits(Struct, frozen=True, kw_only=True):
    """How a card misbehaves. Commands are counted from 1, GET RESPONSE included."""

    pulled_at: int = 0
    """This command is not answered any more; 0: stays in."""
    word_at: tuple[int, int] = (0, 0)
    """(command, status word it is answered with instead)."""
    blocked: bool = False
    first: int | None = None
    """Kind of cryptogram given first whatever is asked: 00 AAC, 40 TC."""
    second_declined: bool = False
    slow_ms: int = 0
    """Every answer takes this long."""


class VirtualCard:
    """One card. ``wait`` is called with milliseconds when it is slow."""

    def __init__(
        self,
        printed: Print,
        habits: Habits | None = None,
        wait: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.atr = bytes.fromhex("3B6800000073C84012009000")
        self.printed, self._habits, self._wait = printed, habits or Habits(), wait
        issuer = CardKeys(TEST_KEYS.cryptogram, TEST_KEYS.script, common=printed.common_keys)
        self._keys = issuer.derived(printed.pan, printed.sequence)
        self._counter = 0
        self._application_blocked = False
        self._heard = 0
        self.reset()

    def reset(self) -> bytes:
        """Power up: the ATR. Counters and blocks stay, the payment under way does not."""
        self._selected = b""
        self._stage = 0
        self._arqc = self._issuer_answer = b""
        self._issuer_wrong = False
        self._waiting = b""
        return self.atr

    def transmit(self, command: bytes) -> bytes:
        """Answer a command. Raises CardGone once it was pulled."""
        self._heard += 1
        if self._habits.pulled_at and self._heard >= self._habits.pulled_at:
            raise CardGone
        if self._habits.slow_ms:
            self._wait(self._habits.slow_ms)
        if self._heard == self._habits.word_at[0]:
            return self._habits.word_at[1].to_bytes(2, "big")
        if command[1] == 0xC0:
            return self._fetched(command[4])
        answer = self._answer(command)
        return self._as_t0(command, answer) if self.printed.t0 else answer

    def _as_t0(self, command: bytes, answer: bytes) -> bytes:
        data = answer[:-2]
        if not data:
            return answer
        if len(command) > 5:
            self._waiting = data
            return bytes([0x61, len(data) & 0xFF])
        if command[4] != len(data) & 0xFF:
            return bytes([0x6C, len(data) & 0xFF])
        return answer

    def _fetched(self, length: int) -> bytes:
        data, self._waiting = self._waiting, b""
        if not data:
            return b"\x69\x85"
        if length != len(data) & 0xFF:
            self._waiting = data
            return bytes([0x6C, len(data) & 0xFF])
        return data + _SW_OK

    def _answer(self, command: bytes) -> bytes:
        known = {
            (0x00, 0xA4): self._select,
            (0x00, 0xB2): self._record,
            (0x80, 0xA8): self._options,
            (0x80, 0xAE): self._generate,
            (0x00, 0x82): self._authenticate,
            (0x80, 0xCA): self._data,
        }
        if self._habits.blocked:
            return b"\x6a\x81"
        if command[0] == 0x84:
            return self._script(command)
        perform = known.get((command[0], command[1]))
        return perform(command) if perform else b"\x6d\x00"

    def _select(self, command: bytes) -> bytes:
        name = command[5 : 5 + command[4]]
        own = bytes.fromhex(self.printed.aid)
        if name == _PSE and self.printed.directory:
            self._selected = _PSE
            return encode("6F", encode("84", _PSE) + encode("A5", bytes.fromhex("880101"))) + _SW_OK
        if not own.startswith(name) or command[3] == 0x02:
            return b"\x6a\x82"
        self._selected, self._stage = own, 0
        about = self._label() + encode("9F38", bytes.fromhex(self.printed.pdol))
        word = b"\x62\x83" if self._application_blocked else _SW_OK
        return encode("6F", encode("84", own) + encode("A5", about)) + word

    def _label(self) -> bytes:
        text = self.printed.label.encode("ascii")
        return encode("50", text) + encode("87", bytes.fromhex(self.printed.priority))

    def _record(self, command: bytes) -> bytes:
        records = self._directory() if self._selected == _PSE else self._records()
        found = records.get((command[3] >> 3, command[2]))
        return b"\x6a\x83" if found is None else encode("70", found) + _SW_OK

    def _directory(self) -> dict[tuple[int, int], bytes]:
        entry = encode("4F", bytes.fromhex(self.printed.aid)) + self._label()
        return {(1, 1): encode("61", entry)}

    def _records(self) -> dict[tuple[int, int], bytes]:
        printed = self.printed
        number = bytes.fromhex(printed.pan + "F" * (len(printed.pan) % 2))
        track = f"{printed.pan}D{printed.expiry[:4]}2010000000000"
        track2 = bytes.fromhex(track + "F" * (len(track) % 2))

        def values(**objects: str) -> bytes:
            return b"".join(encode(tag[1:], bytes.fromhex(text)) for tag, text in objects.items())

        return {
            (2, 1): encode("57", track2) + encode("5F20", b"TEST CARD"),
            (2, 2): encode("5A", number)
            + values(_5F34=printed.sequence, _5F24=printed.expiry, _5F25=printed.effective)
            + values(_5F28=printed.country, _9F07="FF00", _9F08="0030", _8E=printed.methods),
            (3, 1): values(_8C=_CDOL1, _8D=_CDOL2, _9F14="03", _9F23="05", _9F42="0156"),
        }

    def _options(self, command: bytes) -> bytes:
        if self._selected in (b"", _PSE) or self._application_blocked:
            return b"\x69\x85"
        self._counter += 1
        self._stage = _FIRST
        profile, locator = bytes.fromhex(self.printed.profile), bytes.fromhex("1001020018010100")
        if self.printed.format_77:
            return encode("77", encode("82", profile) + encode("94", locator)) + _SW_OK
        return encode("80", profile + locator) + _SW_OK

    @property
    def _atc(self) -> bytes:
        return self._counter.to_bytes(2, "big")

    def _generate(self, command: bytes) -> bytes:
        data = command[5 : 5 + command[4]]
        asked = command[2] & 0xC0
        if self._stage == _FIRST and len(data) == _CDOL1_BYTES:
            kind = asked if self._habits.first is None else self._habits.first
            self._stage = _SECOND if kind == 0x80 else _OVER
        elif self._stage == _SECOND and len(data) == 2 + _CDOL1_BYTES:
            data = data[2:]
            refused = self._issuer_wrong or self._habits.second_declined or asked != 0x40
            kind, self._stage = (0x00 if refused else 0x40), _OVER
        else:
            return b"\x69\x85"
        verification = self._verification(kind)
        profile = bytes.fromhex(self.printed.profile)
        made = self._keys.made(self._atc, data + profile + self._atc + verification)
        if kind == 0x80:
            self._arqc = made
        issuer_data = bytes.fromhex("070101") + verification + b"\x01"
        if not self.printed.format_77:
            return encode("80", bytes([kind]) + self._atc + made + issuer_data) + _SW_OK
        parts = (("9F27", bytes([kind])), ("9F36", self._atc), ("9F26", made))
        body = b"".join(encode(tag, value) for tag, value in (*parts, ("9F10", issuer_data)))
        return encode("77", body) + _SW_OK

    def _verification(self, kind: int) -> bytes:
        """CVR: which cryptograms were given, and whether the issuer was wrong."""
        given = kind >> 2 | 0x80 if not self._arqc else kind | 0x20
        return bytes([0x03, given | (0x08 if self._issuer_wrong else 0), 0x00, 0x00])

    def _authenticate(self, command: bytes) -> bytes:
        if self._stage != _SECOND or self._issuer_answer:
            return b"\x69\x85"
        self._issuer_answer = command[5 : 5 + command[4]]
        answer, code = self._issuer_answer[:8], self._issuer_answer[8:10]
        self._issuer_wrong = answer != self._keys.issuer_answer(self._atc, self._arqc, code)
        return b"\x63\x00" if self._issuer_wrong else _SW_OK

    def _script(self, command: bytes) -> bytes:
        """APPLICATION BLOCK (1E) and UNBLOCK (18), PIN CHANGE (24), each with its MAC."""
        if not self._arqc or len(command) < 9 or len(command) != 5 + command[4]:
            return b"\x69\x85"
        if command[-4:] != self._keys.script_mac(self._atc, self._arqc, command[:-4]):
            return b"\x69\x88"
        if command[1] not in (0x1E, 0x18, 0x24):
            return b"\x6d\x00"
        if command[1] != 0x24:
            self._application_blocked = command[1] == 0x1E
        return _SW_OK

    def _data(self, command: bytes) -> bytes:
        tag = command[2:4].hex().upper()
        known = {"9F36": self._atc, "9F13": b"\0\0", "9F17": b"\x03"}
        return encode(tag, known[tag]) + _SW_OK if tag in known else b"\x6a\x88"
