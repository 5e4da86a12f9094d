"""The switch's key service in host commands: what each question looks like and what comes back."""

from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Final

from hsm import codec, layouts
from hsm.codec import Command, Tail
from hsm.errors import TEXTS, CommandError
from hsm.keys import Cryptogram, parse_cryptogram, scheme_for
from hsm.kinds import Values
from switch.model.secret import Secret
from switch.ports import KeyServiceError

Exchange = Callable[[Command, bytes], Awaitable[bytes]]
"""Take a command (code and data) to a key service and bring its answer (code, error, data)."""

_TAK: Final = "003"
_DEK: Final = "00B"
_BLOCK: Final = 8
_TEXT_MAX: Final = 247
"""Bytes of text the vault takes at once: its length must fit the first byte."""

_FLAGS: Final = {16: "0", 32: "1", 48: "2"}

_parsed = lru_cache(maxsize=4096)(parse_cryptogram)


class HostCommandService:
    """:class:`switch.ports.KeyService` over anything that exchanges host commands."""

    def __init__(
        self, exchange: Exchange, dek: str, lmk_id: str, entropy: Callable[[int], bytes]
    ) -> None:
        """``dek``: the vault's key under the LMK. ``entropy(n)`` gives n random bytes (IVs)."""
        self._exchange = exchange
        self._dek = dek
        self._tail = Tail(lmk_id)
        self._entropy = entropy

    async def translate_pin(
        self, source_tpk: str, target_zpk: str, pin_block: Secret[str], account12: Secret[str]
    ) -> Secret[str]:
        """CA, format 01 to 01."""
        values = {
            "tpk": source_tpk,
            "zpk": target_zpk,
            "pin_length_max": "12",
            "pin_block": pin_block.reveal(),
            "source_format": "01",
            "target_format": "01",
            "account": account12.reveal(),
        }
        return Secret((await self._ask(layouts.CA, values))["translated"])

    async def make_mac(self, mak: str, text16: bytes) -> bytes:
        """M6 over the folded message: the 8 characters of field 64."""
        answer = await self._ask(layouts.M6, _mac_values(mak, text16))
        return bytes(answer["mac"], "ascii")

    async def check_mac(self, mak: str, text16: bytes, mac: bytes) -> bool:
        """M8. False: the MAC is wrong. One that is not 8 hex characters is wrong unasked."""
        values = _mac_values(mak, text16)
        values["mac"] = mac.decode("latin-1")
        if len(mac) != 8 or not set(mac) <= set(b"0123456789ABCDEF"):
            return False
        try:
            await self._ask(layouts.M8, values)
        except KeyServiceError as refused:
            if refused.code == "01":
                return False
            raise
        return True

    async def import_key(self, key_type: str, zmk: str, cryptogram: str) -> tuple[str, str]:
        """A6, stored under the variant scheme of the key's length."""
        received = _key(layouts.A6, cryptogram)
        if not received.scheme and len(received.hex) == 32:
            received = Cryptogram("X", received.hex)
        values = {
            "key_type": key_type,
            "zmk": zmk,
            "key_zmk": received,
            "scheme_lmk": scheme_for(len(received.hex) // 2),
        }
        answer = await self._ask(layouts.A6, values)
        return str(answer["key_lmk"]), str(answer["check_value"])

    async def check_value(self, key_type: str, key: str) -> str:
        """BU, 16 hex."""
        held = _key(layouts.BU, key)
        values = {"length_flag": _FLAGS[len(held.hex)], "key": held}
        if key_type.startswith("0"):
            values["pair_code"] = key_type[1:]
        else:
            values |= {"pair_code": "FF", "key_type": key_type}
        return str((await self._ask(layouts.BU, values))["check_value"])

    async def protect(self, clear: Secret[str]) -> str:
        """M0, CBC under a fresh IV: ``v1:`` + IV + ciphertext in hex.

        Inside: one byte of length, the text in UTF-8, zeros up to whole blocks.
        """
        text = clear.reveal().encode("utf-8")
        if len(text) > _TEXT_MAX:
            raise KeyServiceError("M0", "80", "the text is too long for the vault")
        iv = self._entropy(_BLOCK).hex().upper()
        plain = bytes((len(text),)) + text
        plain += bytes(-len(plain) % _BLOCK)
        answer = await self._ask(layouts.M0, _vault_values(self._dek, iv, plain))
        return f"v1:{iv}{answer['result'].hex().upper()}"

    async def reveal(self, protected: str) -> Secret[str]:
        """M2. KeyServiceError 15: not something this vault (with this DEK) made."""
        version, _, digits = protected.partition(":")
        iv, body = digits[: 2 * _BLOCK], digits[2 * _BLOCK :]
        try:
            data = bytes.fromhex(body)
        except ValueError:
            data = b""
        if version != "v1" or not data:
            raise KeyServiceError("M2", "15", "not a text of this vault")
        answer = await self._ask(layouts.M2, _vault_values(self._dek, iv, data))
        plain: bytes = answer["result"]
        end = 1 + plain[0]
        if len(plain) != end + -end % _BLOCK or any(plain[end:]):
            raise KeyServiceError("M2", "15", "not a text of this vault")
        try:
            return Secret(plain[1:end].decode("utf-8"))
        except UnicodeDecodeError:
            raise KeyServiceError("M2", "15", "not a text of this vault") from None

    async def _ask(self, command: Command, values: Values) -> Values:
        try:
            for name in ("key", "tpk", "zpk", "zmk"):
                if isinstance(values.get(name), str):
                    values[name] = _parsed(values[name])
            body = codec.build_request(command, values, self._tail)
        except (ValueError, KeyError):
            raise KeyServiceError(command.code, "15", "the request cannot be written") from None
        data = await self._exchange(command, body)
        try:
            error, answer, _ = codec.parse_response(command, data, values)
        except CommandError:
            raise KeyServiceError(command.code, "15", "the answer cannot be read") from None
        if error not in command.answered:
            raise KeyServiceError(command.code, error, TEXTS.get(error, "refused"))
        return answer


def _key(command: Command, text: str) -> Cryptogram:
    try:
        return _parsed(text)
    except ValueError:
        raise KeyServiceError(command.code, "26", "not a cryptogram") from None


def _mac_values(mak: str, text16: bytes) -> Values:
    """Algorithm 1 over 16 characters, padding 1 (which adds nothing), 8 hex digits back."""
    return {
        "mode": "0",
        "form": "2",
        "mac_size": "0",
        "algorithm": "1",
        "padding": "1",
        "key_type": _TAK,
        "key": mak,
        "message": text16,
    }


def _vault_values(dek: str, iv: str, data: bytes) -> Values:
    return {
        "mode": "01",
        "form": "1",
        "output_form": "1",
        "key_type": _DEK,
        "key": dek,
        "iv": iv,
        "data": data,
    }
