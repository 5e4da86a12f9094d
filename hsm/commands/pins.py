"""PIN blocks change their key and their form here; no PIN leaves."""

from typing import Final

from hsm import pin_codes, primitives, uses
from hsm.commands.bench import Bench, hex_of, performs
from hsm.errors import CommandError
from hsm.keys import Cryptogram
from hsm.kinds import Values
from hsm.layouts import pins as tables
from hsm.lmk import HeldKey
from hsm.pin_codes import fit, form_of, forms_of
from hsm.pin_under_lmk import WIDTHS, open_pin, seal_pin
from hsm.policy import Policy
from hsm.primitives import PIN_LENGTH_MAX, PIN_LENGTH_MIN, PinAccount, PinBlockError, PinForm

TPK_OPENS: Final = {kind: uses.TPK_OPENS.under(kind) for kind in ("002", "70D")}
_ISO_0: Final = primitives.PIN_FORMS["iso-0"]
_CODES: Final = {"block": "20", "length": "24"}
"""What is wrong with a PIN block → error code."""
_DUKPT: Final = "T"
"""The algorithm of a key that DUKPT derives here."""


def opened(form: PinForm, key: bytes, block: bytes, account: PinAccount) -> str:
    """The PIN of an encrypted block. CommandError 20, 24."""
    try:
        return form.open(key, block, account)
    except PinBlockError as error:
        raise CommandError(_CODES[error.what]) from None


def block_pin(
    values: Values, bench: Bench, key: HeldKey, where: str, field: str = "pin_block"
) -> str:
    """The PIN in the request's block under this key. CommandError 20, 22, 23, 24, 69, A7."""
    form = form_of(bench.policy, values["format"])
    fit(form, key, where)
    account = pin_codes.account_of(values["account"], values["format"])
    return opened(form, key.clear, bytes.fromhex(values[field]), account)


def derived_pin_key(bench: Bench, bdk: Cryptogram, ksn: str, where: str, parity: str) -> HeldKey:
    """The PIN key of a KSN. CommandError 10 or 11, 27: the BDK is not double length."""
    clear = bench.key(uses.BDK_DERIVES, bdk, where, parity)
    if len(clear) != 2 * primitives.BLOCK:
        raise CommandError("27", where)
    return HeldKey(primitives.dukpt_pin_key(clear, bytes.fromhex(ksn)), _DUKPT)


@performs(tables.CA)
def translate_tpk(values: Values, bench: Bench) -> Values:
    """From the terminal's PIN key to the bank's, over the same account."""
    source = bench.held(TPK_OPENS[bench.policy.tpk_type], values["tpk"], "tpk")
    return _translate(values, bench, source, _target(values, bench))


@performs(tables.CC)
def translate_zpk(values: Values, bench: Bench) -> Values:
    """From one bank's PIN key to another's, over the same account."""
    source = bench.held(uses.ZPK_OPENS, values["source_zpk"], "source_zpk")
    return _translate(values, bench, source, _target(values, bench))


@performs(tables.G0)
def translate_dukpt(values: Values, bench: Bench) -> Values:
    """From the key of this payment to the bank's, over the same account."""
    source = derived_pin_key(bench, values["bdk"], values["ksn"], "bdk", "10")
    target = _target(values, bench)
    other = values.get("target_account")
    if other is not None and other != pin_codes.account_of(values["account"]).rightmost:
        raise CommandError("22", "target_account")
    return _translate(values, bench, source, target)


def _target(values: Values, bench: Bench) -> HeldKey:
    if "target_ksn" in values:
        return derived_pin_key(bench, values["zpk"], values["target_ksn"][3:], "zpk", "11")
    return bench.held(uses.ZPK_CLOSES, values["zpk"], "zpk", "11")


def _translate(values: Values, bench: Bench, source: HeldKey, target: HeldKey) -> Values:
    formats = values["source_format"], values["target_format"]
    reading, writing = forms_of(bench.policy, *formats)
    longest = int(values.get("pin_length_max", PIN_LENGTH_MAX))
    if not PIN_LENGTH_MIN <= longest <= PIN_LENGTH_MAX:
        raise CommandError("24", "pin_length_max")
    fit(reading, source, "source key")
    fit(writing, target, "target key")
    block = bytes.fromhex(values["pin_block"])
    if reading is writing is _ISO_0:
        return _rewrapped(values, block, source.clear, target.clear, longest)
    account = pin_codes.account_of(values["account"], *formats)
    pin = opened(reading, source.clear, block, account)
    if len(pin) > longest:
        raise CommandError("24")
    translated = sealed(bench, writing, target.clear, pin, account)
    return {"pin_length": f"{len(pin):02d}", "translated": translated, "format": formats[1]}


def _rewrapped(values: Values, block: bytes, source: bytes, target: bytes, longest: int) -> Values:
    """ISO 0 to ISO 0, what nearly every translation is: the clear block stays as it is, once it
    has been looked at to its last digit."""
    clear = primitives.ecb_decrypt(source, block)
    try:
        length = len(primitives.pin_from_block_0(clear, values["account"]))
    except PinBlockError as error:
        raise CommandError(_CODES[error.what]) from None
    if length > longest:
        raise CommandError("24")
    return {
        "pin_length": f"{length:02d}",
        "translated": hex_of(primitives.ecb_encrypt(target, clear)),
        "format": values["target_format"],
    }


def sealed(bench: Bench, form: PinForm, key: bytes, pin: str, account: PinAccount) -> str:
    """The encrypted block. CommandError 24: this form has no room for the PIN."""
    try:
        return hex_of(form.seal(key, pin, account, bench.entropy))
    except PinBlockError:
        raise CommandError("24") from None


@performs(tables.JC)
def tpk_to_lmk(values: Values, bench: Bench) -> Values:
    """Keep the PIN of a terminal's block."""
    tpk = bench.held(TPK_OPENS[bench.policy.tpk_type], values["tpk"], "tpk")
    return _keep(values, bench, block_pin(values, bench, tpk, "tpk"), values["format"])


@performs(tables.JE)
def zpk_to_lmk(values: Values, bench: Bench) -> Values:
    """Keep the PIN of a bank's block."""
    zpk = bench.held(uses.ZPK_OPENS, values["zpk"], "zpk")
    return _keep(values, bench, block_pin(values, bench, zpk, "zpk"), values["format"])


def _keep(values: Values, bench: Bench, pin: str, *formats: str) -> Values:
    account = pin_codes.account_of(values["account"], *formats).rightmost
    return {"pin": seal_pin(bench.lmk.pin_key, pin, account)}


def _require_open_to_all(policy: Policy, target: str) -> None:
    """A kept PIN does not say which format it came in, so every format that is taken must be free
    to become this one; otherwise JE and JG would go round the rules of CC. CommandError 69."""
    if any((source, target) not in policy.pin_translations for source in policy.pin_formats):
        raise CommandError("69", "format")


@performs(tables.JG)
def lmk_to_zpk(values: Values, bench: Bench) -> Values:
    """The kept PIN in a block for a bank, over the account it was kept with."""
    zpk = bench.held(uses.ZPK_CLOSES, values["zpk"], "zpk", "11")
    form = form_of(bench.policy, values["format"])
    _require_open_to_all(bench.policy, values["format"])
    fit(form, zpk, "zpk")
    account = pin_codes.account_of(values["account"], values["format"])
    pin = open_pin(bench.lmk.pin_key, values["pin"], account.rightmost)
    return {"pin_block": sealed(bench, form, zpk.clear, pin, account)}


@performs(tables.JA)
def random_pin(values: Values, bench: Bench) -> Values:
    """A PIN nobody chose; every one as likely as any other."""
    length = int(values.get("pin_length", PIN_LENGTH_MIN))
    if not PIN_LENGTH_MIN <= length <= PIN_LENGTH_MAX:
        raise CommandError("24", "pin_length")
    # 16 bytes are so many more than 10 ** 12 that the remainder favours no digit measurably.
    number = int.from_bytes(bench.entropy(16), "big") % 10**length
    return _keep(values, bench, f"{number:0{length}d}")


@performs(tables.BA)
def encrypt_clear_pin(values: Values, bench: Bench) -> Values:
    """A clear PIN under the LMK, for test houses: filled with F, or led by 0, to one more."""
    field = values["clear_pin"]
    pin = field.rstrip("F") if "F" in field else field[1:]
    led = "F" in field or field[0] == "0"
    if not led or not PIN_LENGTH_MIN <= len(pin) <= PIN_LENGTH_MAX or len(field) not in WIDTHS:
        raise CommandError("24", "clear_pin")
    return {"pin": seal_pin(bench.lmk.pin_key, pin, values["account"], len(field))}


@performs(tables.NG)
def decrypt_pin(values: Values, bench: Bench) -> Values:
    """The clear PIN, for test houses: filled with F to the length of the encrypted one."""
    pin = open_pin(bench.lmk.pin_key, values["pin"], values["account"])
    return {"clear_pin": pin.ljust(len(values["pin"]), "F")}
