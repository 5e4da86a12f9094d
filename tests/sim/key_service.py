"""A key service with the meaning of an HSM and none of its mathematics.

A MAC depends on the key and on the text, a check value on the key, and keys are told apart by
name: that is all the switch can notice. The bank's side is the pure functions here.
"""

from random import Random
from zlib import crc32

from twisted.internet.defer import Deferred

from switch.model.mac_form import CUP, MacForm
from switch.model.secret import Secret
from switch.ports import IssuedKey, KeyServiceError
from tests.sim.mix import Mix
from tests.sim.process import Mortal


def mac_of(mak: str, data: bytes, form: MacForm = CUP) -> bytes:
    """As many upper-case hex digits as the form says."""
    kind = "" if form == CUP else f"{form.algorithm}{form.padding}"
    return b"%08X" % crc32(kind.encode() + mak.encode() + data) * (form.characters // 8)


def kcv_of(key_hex: str) -> str:
    """16 hex digits."""
    return f"{crc32(key_hex.encode()):08X}" * 2


def under_lmk(cryptogram: str) -> str:
    """What an import makes of a double-length key under the TMK."""
    return "U" + cryptogram[1:]


class SimKeyService:
    """ports.KeyService for one process; may be away, and takes its time."""

    def __init__(self, process: Mortal, random: Random, mix: Mix) -> None:
        self._process = process
        self._random = random
        self._mix = mix

    async def translate_pin(
        self, source_tpk: str, target_zpk: str, pin_block: Secret[str], account12: Secret[str]
    ) -> Secret[str]:
        await self._turn("CA")
        return Secret(kcv_of(target_zpk))

    async def make_mac(self, mak: str, data: bytes, form: MacForm = CUP) -> bytes:
        await self._turn("M6")
        return mac_of(mak, data, form)

    async def check_mac(self, mak: str, data: bytes, mac: bytes, form: MacForm = CUP) -> bool:
        await self._turn("M8")
        return mac_of(mak, data, form) == mac

    async def import_key(self, key_type: str, zmk: str, cryptogram: str) -> tuple[str, str]:
        await self._turn("A6")
        return under_lmk(cryptogram), kcv_of(cryptogram[1:])[:6]

    async def issue_key(self, key_type: str, zmk: str) -> IssuedKey:
        await self._turn("A0")
        digits = f"{self._random.getrandbits(128):032X}"
        return IssuedKey(
            key=under_lmk("X" + digits), cryptogram="X" + digits, check_value=kcv_of(digits)
        )

    async def check_value(self, key_type: str, key: str) -> str:
        await self._turn("BU")
        return kcv_of(key[1:])

    async def protect(self, clear: Secret[str]) -> str:
        await self._turn("M0")
        return "v1:" + clear.reveal()[::-1]

    async def reveal(self, protected: str) -> Secret[str]:
        await self._turn("M2")
        return Secret(protected[3:][::-1])

    async def _turn(self, command: str) -> None:
        draw = self._random.random()
        if draw < self._mix.hsm_down:
            raise KeyServiceError(command, "down", "the HSM does not answer")
        if draw > 0.9:
            waited: Deferred[None] = Deferred()
            self._process.callLater(self._random.uniform(0.001, 0.05), waited.callback, None)
            await waited
        await self._process.breath("hsm")
