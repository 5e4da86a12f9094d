"""One POS terminal, sans-IO: makes requests as bytes, takes answers as messages."""

from collections.abc import Mapping

from channels.bank_simulator.macs import keyed
from channels.iso8583.codec import Codec
from channels.iso8583.errors import RemoteError
from channels.iso8583.keyblock import cut_keys, same_kcv
from channels.iso8583.mac import MacMaker
from channels.iso8583.message import Message
from channels.iso8583.template import compiled, filled
from channels.pos_simulator.world import PosCard, PosKey, Sale
from hsm import primitives
from switch.model.operation import Operation

FIRST_BATCH = "000001"
_STANS = 999_999
_ENTRY_MODE = "021"


class PosTerminal:
    """See the module. ``stan`` is the number before its first one: a terminal that was here before
    in the same batch must go on where it stopped, or its requests are repeats."""

    def __init__(self, codec: Codec, key: PosKey, stan: int = 0) -> None:
        dialect = codec.dialect
        self.merchant = key.merchant
        self.terminal = key.terminal
        self.batch = FIRST_BATCH
        self._codec = codec
        self._dialect = dialect
        self._macs = MacMaker(dialect)
        self._tmk = bytes.fromhex(key.tmk)
        self._stan = stan
        self._pik = self._mak = b""
        self._sign_on = compiled(dialect.network["sign_on"])
        self._sale = compiled(dialect.operations[Operation.SALE])

    # ---- requests --------------------------------------------------------------------------------

    def sign_on(self) -> bytes:
        """签到: asks for working keys and the batch."""
        fields = filled(self._sign_on, self._values())
        return self._codec.encode(self._dialect.network["sign_on"].mti, fields)

    def sale(self, card: PosCard, amount_fen: int) -> Sale:
        """消费 with PIN and track, under the working keys of the last sign-on."""
        values = self._values() | {
            "amount": f"{amount_fen:012d}",
            "pan": card.pan,
            "track2": f"{card.pan}D{card.expiry}2010000000000",
            "expiry": card.expiry,
            "entry_mode": _ENTRY_MODE,
            "pin_block": self._pin_block(card),
            "currency": self._dialect.currency,
        }
        fields = filled(self._sale, values)
        frame = self._sealed(self._dialect.operations[Operation.SALE].mti, fields)
        return Sale(terminal=self.terminal, stan=values["stan"], amount_fen=amount_fen, frame=frame)

    # ---- answers ---------------------------------------------------------------------------------

    def take_keys(self, answer: Message) -> None:
        """The working keys and the batch of a sign-on's answer. Raises RemoteError: nothing of it
        is taken."""
        if answer.code != "00":
            raise RemoteError("39", f"sign-on answered {answer.code}")
        block = cut_keys(self._dialect, answer.fields)
        pik = self._clear(block.pik, block.pik_kcv)
        mak = self._clear(block.mak, block.mak_kcv)
        part = self._dialect.sign_on.batch
        if part is not None:
            self.batch = answer.fields[part.field][part.at : part.at + part.size]
        self._pik, self._mak = pik, mak

    def proves(self, answer: Message) -> bool:
        """Whether the answer's MAC is right."""
        mac = answer.fields.get(self._dialect.mac.field, "").encode()
        data = self._macs.input(answer.mti, answer.fields, answer.mab)
        return mac == keyed(self._mak, data, self._macs.form)

    # ---- small things ----------------------------------------------------------------------------

    def _values(self) -> dict[str, str]:
        self._stan = self._stan % _STANS + 1
        return {
            "stan": f"{self._stan:06d}",
            "batch": self.batch,
            "terminal": self.terminal,
            "merchant": self.merchant,
        }

    def _sealed(self, mti: str, fields: Mapping[str, str]) -> bytes:
        whole = {**fields, self._dialect.mac.field: self._macs.blank}
        encoded = self._codec.encode(mti, whole)
        data = self._macs.input(mti, whole, self._codec.mab(encoded))
        return self._macs.sealed(encoded, keyed(self._mak, data, self._macs.form))

    def _pin_block(self, card: PosCard) -> str:
        block = primitives.pin_block_0(card.pin, primitives.account12(card.pan))
        return primitives.ecb_encrypt(self._pik, block).hex().upper()

    def _clear(self, cryptogram: str, kcv: str) -> bytes:
        key = primitives.ecb_decrypt(self._tmk, bytes.fromhex(cryptogram.lstrip("X")))
        if not same_kcv(primitives.check_value(key).hex(), kcv):
            raise RemoteError("kcv", "a working key's check value is not its own")
        return key
