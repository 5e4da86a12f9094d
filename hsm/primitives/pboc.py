"""A PBOC card's cryptograms, for emulated cards and for who plays their issuer.

No real key ever comes here: an issuer's keys are in the issuer's HSM, a card's in the card.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from hsm.primitives.des import ecb_encrypt, pad, xor
from hsm.primitives.emv import arpc_1, card_key_a, common_session_key
from hsm.primitives.macs import retail_mac

AC_INPUT = ("9F02", "9F03", "9F1A", "95", "5F2A", "9A", "9C", "9F37")
"""What a cryptogram is made over, before AIP, ATC and CVR."""
_CVR_AT = slice(3, 7)
"""In 9F10: behind its length, the key index and the cryptogram's version."""


@dataclass(frozen=True, slots=True)
class CardKeys:
    """16 bytes each: for cryptograms (AC), and for script MACs. ``common``: EMV's common session
    key instead of PBOC's."""

    cryptogram: bytes = field(repr=False)
    script: bytes = field(repr=False)
    common: bool = False

    def derived(self, pan: str, sequence: str) -> "CardKeys":
        """The card's own keys from the issuer's, by PAN and sequence number (option A)."""
        account = bytes.fromhex((pan + sequence)[-16:].rjust(16, "0"))
        cryptogram, script = (card_key_a(key, account) for key in (self.cryptogram, self.script))
        return CardKeys(cryptogram, script, self.common)

    def session(self, key: bytes, counter: bytes) -> bytes:
        """The session key of one payment, from the card's counter (ATC, 2 bytes)."""
        if self.common:
            return common_session_key(key, counter)
        inverse = xor(counter, b"\xff\xff")
        return ecb_encrypt(key, bytes(6) + counter) + ecb_encrypt(key, bytes(6) + inverse)

    def made(self, counter: bytes, data: bytes) -> bytes:
        """The application cryptogram over ``data`` (AC input, AIP, ATC, CVR)."""
        return retail_mac(self.session(self.cryptogram, counter), pad(data, 2))

    def is_genuine(self, objects: Mapping[str, bytes]) -> bool:
        """Whether the cryptogram of a field 55 (tag → value) is the one that this card makes over
        its data. Raises KeyError for a tag that is missing."""
        data = b"".join(objects[tag] for tag in AC_INPUT)
        counter, verification = objects["9F36"], objects["9F10"][_CVR_AT]
        return self.made(counter, data + objects["82"] + counter + verification) == objects["9F26"]

    def issuer_answer(self, counter: bytes, arqc: bytes, code: bytes) -> bytes:
        """ARPC by method 1, from the ARQC and the response code (8A)."""
        return arpc_1(self.session(self.cryptogram, counter), arqc, code)

    def script_mac(self, counter: bytes, arqc: bytes, command: bytes) -> bytes:
        """Four bytes over the command as it will be sent (CLA INS P1 P2 Lc data), without them."""
        head, data = command[:5], command[5:]
        whole = pad(head + counter + arqc + data, 2)
        return retail_mac(self.session(self.script, counter), whole)[:4]
