"""CA: PIN blocks change their key here, and the PIN never leaves."""

from typing import Final

from hsm import layouts, primitives, uses
from hsm.commands.bench import Bench, hex_of, performs
from hsm.errors import CommandError
from hsm.kinds import Values
from hsm.policy import PIN_FORMATS

_FORMATS: Final = frozenset(PIN_FORMATS)


@performs(layouts.CA)
def translate(values: Values, bench: Bench) -> Values:
    """From the terminal's PIN key to the bank's, in the same format, over the same account."""
    tpk = bench.key(uses.TPK_OPENS.under(bench.policy.tpk_type), values["tpk"], "tpk")
    zpk = bench.key(uses.ZPK_CLOSES, values["zpk"], "zpk", "11")
    formats = (values["source_format"], values["target_format"])
    if not _FORMATS.issuperset(formats):
        raise CommandError("23")
    if formats not in bench.policy.pin_translations:
        raise CommandError("69")
    longest = int(values["pin_length_max"])
    if not 4 <= longest <= 12:
        raise CommandError("24", "pin_length_max")
    account = values["account"]
    clear = primitives.ecb_decrypt(tpk, bytes.fromhex(values["pin_block"]))
    try:
        pin = primitives.pin_from_block_0(clear, account)
    except primitives.PinBlockError as error:
        raise CommandError("24" if error.what == "length" else "20") from None
    if len(pin) > longest:
        raise CommandError("24")
    block = primitives.ecb_encrypt(zpk, primitives.pin_block_0(pin, account))
    return {
        "pin_length": f"{len(pin):02d}",
        "translated": hex_of(block),
        "format": values["target_format"],
    }
