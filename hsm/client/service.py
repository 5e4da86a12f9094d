"""The switch's key service in host commands: what each question looks like and what comes back.

Keys come as texts: ``key:NAME`` and texts of before a change of LMK are resolved by the key ring,
all of one command at once; ``%NN`` behind a cryptogram becomes the command's LMK.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import lru_cache
from typing import Final, NamedTuple

from hsm import codec, layouts
from hsm.client import key_words
from hsm.codec import Command, Tail
from hsm.errors import TEXTS, CommandError
from hsm.keys import BLOCK_TYPE, Cryptogram, parse_cryptogram
from hsm.kinds import Values
from switch.model.held_key import LMK_ID, join_held, split_held
from switch.model.mac_form import CUP, MacForm
from switch.model.secret import Secret
from switch.ports import IssuedKey, KeyRing, KeyServiceError

Exchange = Callable[[Command, bytes], Awaitable[bytes]]
"""Take a command (code and data) to a key service and bring its answer (code, error, data)."""

_TAK: Final = "003"
_DEK: Final = "00B"
_BLOCK: Final = 8
_TEXT_MAX: Final = 247
"""Bytes of text the vault takes at once: its length must fit the first byte."""


class _Held(NamedTuple):
    key: Cryptogram
    lmk_id: str
    """Empty: the default LMK."""


@lru_cache(maxsize=4096)
def _parsed(text: str) -> _Held:
    cryptogram, lmk_id = split_held(text)
    if lmk_id and not LMK_ID.fullmatch(lmk_id):
        raise ValueError("behind % stand two digits, the LMK")
    return _Held(parse_cryptogram(cryptogram), lmk_id)


class NoKeyRing:
    """The ring of whoever has no key store: every text is a cryptogram and means itself."""

    def resolve(self, text: str) -> str:
        """The text."""
        return text

    def require_valid(self, text: str) -> None:
        """A literal has no limits."""


class HostCommandService:
    """:class:`switch.ports.KeyService`, and :class:`switch.keys.tools.KeyTools`, over anything that
    exchanges host commands."""

    def __init__(
        self,
        exchange: Exchange,
        dek: str,
        lmk_id: str,
        entropy: Callable[[int], bytes],
        ring: KeyRing | None = None,
    ) -> None:
        """``dek``: the vault's key. ``lmk_id`` is sent with keys that name no LMK; empty: none is
        sent, and the device takes 00. ``entropy(n)`` gives n random bytes (IVs)."""
        self._exchange = exchange
        self._dek = dek
        self._lmk_id = lmk_id
        self.default_lmk = lmk_id or "00"
        self._entropy = entropy
        self._ring: KeyRing = ring or NoKeyRing()

    @property
    def lmk_in_use(self) -> str:
        """The LMK that the vault's key is under now: another than the configured one, as soon as
        all keys were moved; empty: the default one."""
        try:
            return self._hold("NC", self._dek).lmk_id or self._lmk_id
        except KeyServiceError:  # the key store is not read yet, or names no vault
            return self._lmk_id

    async def translate_pin(
        self, source_tpk: str, target_zpk: str, pin_block: Secret[str], account12: Secret[str]
    ) -> Secret[str]:
        """CA, format 01 to 01."""
        self._ring.require_valid(source_tpk)
        values: Values = {
            "tpk": source_tpk,
            "zpk": target_zpk,
            "pin_length_max": "12",
            "pin_block": pin_block.reveal(),
            "source_format": "01",
            "target_format": "01",
            "account": account12.reveal(),
        }
        return Secret((await self._ask(layouts.CA, values))["translated"])

    async def make_mac(self, mak: str, data: bytes, form: MacForm = CUP) -> bytes:
        """M6; as the form says."""
        answer = await self._ask(layouts.M6, self._mac(mak, data, form))
        return bytes(answer["mac"], "ascii")

    async def check_mac(self, mak: str, data: bytes, mac: bytes, form: MacForm = CUP) -> bool:
        """M8. False: the MAC is wrong. One that is not the form's hex characters is wrong
        unasked."""
        values = self._mac(mak, data, form)
        values["mac"] = mac.decode("latin-1")
        if len(mac) != form.characters or not set(mac) <= set(b"0123456789ABCDEF"):
            return False
        try:
            await self._ask(layouts.M8, values)
        except KeyServiceError as refused:
            if refused.code == "01":
                return False
            raise
        return True

    async def import_key(self, key_type: str, zmk: str, cryptogram: str) -> tuple[str, str]:
        """A6, stored under the ZMK's LMK in the variant scheme of the key's length, or as a key
        block where the ZMK is one: it may do what its type says, or, if it came in a TR-31 block,
        what that block says."""
        self._ring.require_valid(zmk)
        wrapping = self._hold("A6", zmk)
        received = self._hold("A6", cryptogram).key
        if not received.scheme and len(received.body) == 32:
            received = Cryptogram("X", received.body)
        blocks = wrapping.key.in_block
        values: Values = {
            "key_type": BLOCK_TYPE if blocks else key_type,
            "zmk": zmk,
            "key_zmk": received,
            "scheme_lmk": "S" if blocks else key_words.variant_scheme(received),
        }
        tail = None
        if blocks and not received.in_block:
            algorithm = key_words.algorithm_for(wrapping.key, len(received.body) // 2)
            tail = Tail(wrapping.lmk_id, attributes=key_words.attributes("A6", key_type, algorithm))
        answer = await self._ask(layouts.A6, values, tail)
        return join_held(str(answer["key_lmk"]), wrapping.lmk_id), str(answer["check_value"])

    async def issue_key(self, key_type: str, zmk: str) -> IssuedKey:
        """A0, mode 1, then BU: A0 shows 6 digits of the check value, a sign-on carries 8."""
        self._ring.require_valid(zmk)
        wrapping = self._hold("A0", zmk)
        blocks = wrapping.key.in_block
        values: Values = {
            "mode": "1",
            "key_type": BLOCK_TYPE if blocks else key_type,
            "scheme_lmk": "S" if blocks else "U",
            "zmk_flag": "0",
            "zmk": zmk,
            "scheme_zmk": "X",
        }
        tail = None
        if blocks:
            algorithm = key_words.algorithm_for(wrapping.key, 16)
            # A terminal takes plain ECB: such a key must be allowed to leave its block.
            attributes = replace(key_words.attributes("A0", key_type, algorithm), export="S")
            tail = Tail(wrapping.lmk_id, attributes=attributes)
        answer = await self._ask(layouts.A0, values, tail)
        key = join_held(str(answer["key_lmk"]), wrapping.lmk_id)
        return IssuedKey(
            key=key,
            cryptogram=str(answer["key_zmk"]),
            check_value=await self.check_value(key_type, key),
        )

    async def generate_key(self, key_type: str, scheme: str, lmk_id: str) -> tuple[str, str]:
        """A0, mode 0. Scheme S is a key block of a double-length key; under an LMK that keeps
        blocks only (it answers 26) schemes U and T become blocks of their length."""
        try:
            return await self._generate(key_type, scheme, lmk_id, "T2")
        except KeyServiceError as refused:
            if refused.code != _WRONG_SCHEME or scheme not in key_words.LENGTHS:
                raise
        return await self._generate(key_type, "S", lmk_id, key_words.LENGTHS[scheme])

    async def _generate(
        self, key_type: str, scheme: str, lmk_id: str, algorithm: str
    ) -> tuple[str, str]:
        blocks = scheme == "S"
        values: Values = {
            "mode": "0",
            "key_type": BLOCK_TYPE if blocks else key_type,
            "scheme_lmk": scheme,
        }
        attributes = key_words.attributes("A0", key_type, algorithm) if blocks else None
        tail = Tail(lmk_id or self._lmk_id, attributes=attributes)
        answer = await self._ask(layouts.A0, values, tail)
        return join_held(str(answer["key_lmk"]), lmk_id), str(answer["check_value"])

    async def export_key(self, key_type: str, zmk: str, key: str, scheme: str) -> tuple[str, str]:
        """A8. The device refuses a ZMK weaker than the key (27)."""
        self._ring.require_valid(zmk)
        values: Values = {
            "key_type": self._type("A8", key, key_type),
            "zmk": zmk,
            "key": key,
            "scheme_zmk": scheme,
        }
        answer = await self._ask(layouts.keys.A8, values)
        return str(answer["key_zmk"]), str(answer["check_value"])

    async def translate_lmk(self, key_type: str, key: str, to_lmk: str) -> str:
        """BW under ``%to_lmk``: the device knows which older LMK this one replaces. Where that one
        keeps blocks only, a variant key becomes one of its type."""
        held = self._hold("BW", key).key
        values = key_words.typed(held, key_type)
        values["key"] = held
        try:
            answer = await self._ask(layouts.keys.BW, values, Tail(to_lmk))
        except KeyServiceError as refused:
            if held.in_block or refused.code not in _WANTS_BLOCK:
                raise
            algorithm = key_words.algorithm_for(held, len(held.body) // 2)
            attributes = key_words.attributes("BW", key_type, algorithm)
            answer = await self._ask(layouts.keys.BW, values, Tail(to_lmk, attributes=attributes))
        return join_held(str(answer["key"]), to_lmk)

    async def check_value(self, key_type: str, key: str) -> str:
        """BU, 16 hex."""
        held = self._hold("BU", key)
        values = key_words.typed(held.key, key_type)
        values["key"] = key
        return str((await self._ask(layouts.BU, values))["check_value"])

    async def protect(self, clear: Secret[str]) -> str:
        """M0, CBC under a fresh IV: ``v1:`` + IV + ciphertext in hex.

        Inside: one byte of length, the text in UTF-8, zeros up to whole blocks.
        """
        self._ring.require_valid(self._dek)
        text = clear.reveal().encode("utf-8")
        if len(text) > _TEXT_MAX:
            raise KeyServiceError("M0", "80", "the text is too long for the vault")
        iv = self._entropy(_BLOCK).hex().upper()
        plain = bytes((len(text),)) + text
        plain += bytes(-len(plain) % _BLOCK)
        answer = await self._ask(layouts.M0, self._vault(iv, plain))
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
        answer = await self._ask(layouts.M2, self._vault(iv, data))
        plain: bytes = answer["result"]
        end = 1 + plain[0]
        if len(plain) != end + -end % _BLOCK or any(plain[end:]):
            raise KeyServiceError("M2", "15", "not a text of this vault")
        try:
            return Secret(plain[1:end].decode("utf-8"))
        except UnicodeDecodeError:
            raise KeyServiceError("M2", "15", "not a text of this vault") from None

    # ---- keys of a command -----------------------------------------------------------------------

    def _hold(self, command: str, text: str) -> _Held:
        try:
            return _parsed(self._ring.resolve(text))
        except ValueError:
            raise KeyServiceError(command, "26", "not a cryptogram") from None

    def _type(self, command: str, key: str, key_type: str) -> str:
        return BLOCK_TYPE if self._hold(command, key).key.in_block else key_type

    def _take_keys(self, command: str, values: Values) -> Tail:
        """Put cryptograms in the place of texts; the LMK they are all under is the tail."""
        lmk_id: str | None = None
        for name in _KEY_FIELDS:
            text = values.get(name)
            if not isinstance(text, str):
                continue
            values[name], its_lmk = self._hold(command, text)
            its_lmk = its_lmk or self._lmk_id
            if lmk_id is not None and (its_lmk or "00") != (lmk_id or "00"):
                # Half of them were written under another LMK and are not moved yet.
                raise KeyServiceError(command, "13", "its keys are under different LMKs")
            lmk_id = lmk_id or its_lmk
        return Tail(self._lmk_id if lmk_id is None else lmk_id)

    async def _ask(self, command: Command, values: Values, tail: Tail | None = None) -> Values:
        """Send a command; without ``tail`` under the LMK that its keys name."""
        found = self._take_keys(command.code, values)
        try:
            body = codec.build_request(command, values, tail or found)
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

    def _mac(self, mak: str, data: bytes, form: MacForm) -> Values:
        if form is CUP:  # once for every money message: the others are worked out
            codes = key_words.CUP_CODES
        else:
            codes = key_words.mac_codes(form, self._hold("M6", mak).key)
        data_form, size, algorithm, padding = codes
        return {
            "mode": "0",
            "form": data_form,
            "mac_size": size,
            "algorithm": algorithm,
            "padding": padding,
            "key_type": self._type("M6", mak, _TAK),
            "key": mak,
            "message": data,
        }

    def _vault(self, iv: str, data: bytes) -> Values:
        return {
            "mode": "01",
            "form": "1",
            "output_form": "1",
            "key_type": self._type("M0", self._dek, _DEK),
            "key": self._dek,
            "iv": iv,
            "data": data,
        }


_KEY_FIELDS: Final = ("key", "tpk", "zpk", "zmk")
_WRONG_SCHEME: Final = "26"
_WANTS_BLOCK: Final = ("26", "A1", "A6")
"""Scheme, LMK style, or usage: what a device that keeps blocks may miss in a variant key."""
