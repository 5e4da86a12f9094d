"""A counter POS as it is on the wire: its own packer and keys, nothing of the product's codec."""

from functools import reduce
from operator import xor

from hsm import primitives

TPDU = bytes.fromhex("6000030000")
HEADER = bytes.fromhex("603100310000")

_BCD = {3: 6, 4: 12, 11: 6, 12: 6, 13: 4, 14: 4, 15: 4, 25: 2, 26: 2, 53: 16}
_LEFT, _RIGHT = {22: 3}, {23: 3}
_TEXT = {37: 12, 38: 6, 39: 2, 41: 8, 42: 15, 49: 3, 64: 8}
_LL_BCD, _LLL_BCD = {2, 32, 35}, {36, 48, 60, 61}
_LLL_TEXT, _LLL_BYTES = {59, 63}, {55, 62}
_LL_TEXT, _LLL_ASCII = {44}, {54}


def _bcd(digits):
    return bytes.fromhex(digits + "0" * (len(digits) % 2))


def _packed(number, value):
    if number in _BCD or number in _LEFT:
        return _bcd(value)
    if number in _RIGHT:
        return bytes.fromhex("0" + value)
    if number in _TEXT:
        return value.encode()
    if number in _LL_BCD:
        return bytes.fromhex(f"{len(value):02d}") + _bcd(value)
    if number in _LLL_BCD:
        return bytes.fromhex(f"{len(value):04d}") + _bcd(value)
    if number in _LLL_TEXT | _LLL_ASCII:
        coded = value.encode("gbk")
        return bytes.fromhex(f"{len(coded):04d}") + coded
    if number == 52:
        return bytes.fromhex(value)
    return bytes.fromhex(f"{len(value) // 2:04d}") + bytes.fromhex(value)


def pack(mti, fields):
    """Message type, bitmap and fields; values are text, binary ones in hex."""
    bitmap = 0
    for number in fields:
        bitmap |= 1 << (64 - number)
    body = b"".join(_packed(number, fields[number]) for number in sorted(fields))
    return bytes.fromhex(mti) + bitmap.to_bytes(8, "big") + body


def unpack(frame):
    """(mti, fields) of a frame without its length prefix."""
    body = frame[len(TPDU) + len(HEADER) :]
    mti, bitmap, at = body[:2].hex(), int.from_bytes(body[2:10], "big"), 10
    fields = {}
    for number in range(2, 65):
        if not bitmap >> (64 - number) & 1:
            continue
        value, at = _unpacked(number, body, at)
        fields[number] = value
    assert at == len(body), "left over bytes"
    return mti, fields


def _unpacked(number, body, at):
    if number in _BCD or number in _LEFT or number in _RIGHT:
        digits = {**_BCD, **_LEFT, **_RIGHT}[number]
        size = (digits + 1) // 2
        text = body[at : at + size].hex()
        return (text[-digits:] if number in _RIGHT else text[:digits]), at + size
    if number in _TEXT:
        return body[at : at + _TEXT[number]].decode(), at + _TEXT[number]
    if number == 52:
        return body[at : at + 8].hex().upper(), at + 8
    width = 1 if number in _LL_BCD | _LL_TEXT else 2
    length, at = int(body[at : at + width].hex()), at + width
    if number in _LL_BCD | _LLL_BCD:
        size = (length + 1) // 2
        return body[at : at + size].hex().upper()[:length], at + size
    part = body[at : at + length]
    return (part.hex().upper() if number in _LLL_BYTES else part.decode("gbk")), at + length


def mac(mak, body):
    """Field 64 over everything from the message type to the byte before it."""
    padded = body + bytes(-len(body) % 8)
    blocks = (padded[at : at + 8] for at in range(0, len(padded), 8))
    folded = reduce(lambda one, two: bytes(map(xor, one, two)), blocks).hex().upper()
    return primitives.cbc_mac(mak, folded.encode()).hex().upper()[:8]


class Pos:
    """One POS: its numbers and keys. ``send(frame)`` puts a frame on its connection; what comes
    back is in ``answers`` as (mti, fields, MAC is right)."""

    def __init__(self, merchant, terminal, tmk, send):
        self.merchant, self.terminal, self._tmk = merchant, terminal, bytes.fromhex(tmk)
        self.tpk = self.mak = b""
        self.batch, self.stan = "000001", 0
        self.answers = []
        self._send, self._buffer = send, b""

    # ---- bytes -----------------------------------------------------------------------------------

    def data(self, data):
        """Bytes from the switch."""
        self._buffer += data
        while len(self._buffer) >= 2 and len(self._buffer) >= 2 + int.from_bytes(
            self._buffer[:2], "big"
        ):
            size = int.from_bytes(self._buffer[:2], "big")
            frame, self._buffer = self._buffer[2 : 2 + size], self._buffer[2 + size :]
            mti, fields = unpack(frame)
            body = frame[len(TPDU) + len(HEADER) :]
            right = 64 in fields and fields[64] == mac(self.mak, body[:-8])
            self.answers.append((mti, fields, right))

    def send(self, mti, fields, *, maced=True, wrong=False):
        """Send a request; its frame, for a repeat."""
        fields = {41: self.terminal, 42: self.merchant, **fields}
        body = pack(mti, {**fields, 64: "0" * 8} if maced else fields)
        if maced:
            body = body[:-8] + mac(self.mak or bytes(16), body[:-8]).encode()
        if wrong:
            body = body[:-1] + (b"0" if body[-1:] != b"0" else b"1")
        frame = TPDU + HEADER + body
        self.raw(frame)
        return frame

    def raw(self, frame):
        """A frame as it is, behind its length."""
        self._send(len(frame).to_bytes(2, "big") + frame)

    # ---- messages --------------------------------------------------------------------------------

    def next_stan(self):
        self.stan += 1
        return f"{self.stan:06d}"

    def sign_on(self):
        self.send("0800", {11: self.next_stan(), 60: f"00{self.batch}003", 63: "01 "}, maced=False)

    def take_keys(self):
        """From the answer to a sign-on; check values proven as a POS does."""
        _, fields, _ = self.answers[-1]
        assert fields[39] == "00", fields[39]
        block = bytes.fromhex(fields[62])
        keys = []
        for at in (0, 20):
            key = primitives.ecb_decrypt(self._tmk, block[at : at + 16])
            assert primitives.check_value(key)[:4] == block[at + 16 : at + 20], "check value"
            keys.append(key)
        self.tpk, self.mak = keys
        self.batch = fields[60][2:8]

    def card(self, pan, pin="", chip=""):
        """Fields of a card that was read, PIN and chip data with it."""
        fields = {2: pan, 22: "021" if pin else "022", 35: f"{pan}D49121010000012300000"[:37]}
        if pin:
            block = primitives.pin_block_0(pin, primitives.account12(pan))
            fields |= {26: "12", 52: primitives.ecb_encrypt(self.tpk, block).hex().upper()}
        if chip:
            fields |= {22: "051", 23: "001", 55: chip}
        return fields | {53: "2600000000000000" if pin else "0600000000000000"}

    def sale(self, card, amount_fen, stan=None, **more):
        """0200 of a sale; ``more`` are fields by number (``F60``) that replace others."""
        stan = stan or self.next_stan()
        fields = {3: "000000", 4: f"{amount_fen:012d}", 11: stan, 25: "00", 49: "156"}
        fields |= {60: f"22{self.batch}00050", **card}
        return self.send("0200", fields | {int(n[1:]): v for n, v in more.items()})

    def refer(self, mti, kind, card, amount_fen, original, code="200000", condition="00", **more):
        """A void, refund or completion of the STAN ``original`` of this batch."""
        fields = {3: code, 4: f"{amount_fen:012d}", 11: self.next_stan(), 25: condition}
        fields |= {49: "156", 60: f"{kind}{self.batch}00050", 61: f"{self.batch}{original}0704"}
        return self.send(mti, {**fields, **card, **{int(n[1:]): v for n, v in more.items()}})

    def reverse(self, pan, amount_fen, stan, reason="98", kind="22", code="000000", **more):
        """The POS's own 0400 of the STAN ``stan`` of this batch."""
        fields = {2: pan, 3: code, 4: f"{amount_fen:012d}", 11: stan, 22: "021", 25: "00"}
        fields |= {39: reason, 49: "156", 60: f"{kind}{self.batch}00050"}
        fields |= {61: f"{self.batch}{stan}0704"}
        return self.send("0400", fields | {int(n[1:]): v for n, v in more.items()})

    def settle(self, debits, credits_=(), batch=None):
        """0500: amounts in fen."""
        totals = "".join(f"{sum(side):012d}{len(side):03d}" for side in (debits, credits_))
        fields = {11: self.next_stan(), 48: totals + "0" * 32, 49: "156"}
        fields |= {60: f"00{batch or self.batch}201", 63: "01 "}
        return self.send("0500", fields, maced=False)

    @property
    def last(self):
        """The fields of the newest answer."""
        return self.answers[-1][1]

    @property
    def code(self):
        """Field 39 of the newest answer; "" while there is none."""
        return self.last[39] if self.answers else ""
