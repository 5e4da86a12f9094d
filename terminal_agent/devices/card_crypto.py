"""A PBOC card's cryptograms, for the virtual card and its issuer. No real key ever comes here."""

from msgspec import Struct

from hsm.primitives import arpc_1, card_key_a, common_session_key, ecb_encrypt, pad, retail_mac, xor

AC_INPUT = ("9F02", "9F03", "9F1A", "95", "5F2A", "9A", "9C", "9F37")
"""What a cryptogram is made over, before AIP, ATC and CVR."""


class CardKeys(Struct, frozen=True):
    """16 bytes each: for cryptograms (AC), and for script MACs. ``common``: EMV's common session
    key instead of PBOC's."""

    cryptogram: bytes
    script: bytes
    common: bool = False

    def __repr__(self) -> str:
        return "<card keys>"

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

    def issuer_answer(self, counter: bytes, arqc: bytes, code: bytes) -> bytes:
        """ARPC by method 1, from the ARQC and the response code (8A)."""
        return arpc_1(self.session(self.cryptogram, counter), arqc, code)

    def script_mac(self, counter: bytes, arqc: bytes, command: bytes) -> bytes:
        """Four bytes over the command as it will be sent (CLA INS P1 P2 Lc data), without them."""
        head, data = command[:5], command[5:]
        whole = pad(head + counter + arqc + data, 2)
        return retail_mac(self.session(self.script, counter), whole)[:4]
