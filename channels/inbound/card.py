"""The card in a request: what a payment needs of it once, wrapped (I12)."""

from collections.abc import Mapping

from channels.inbound.capture import captured
from channels.iso8583.dialect import Dialect
from channels.iso8583.dialogue import Choice
from channels.iso8583.errors import RemoteError
from switch.model.chip import ChipError, parse
from switch.model.operation import Operation
from switch.model.secret import Secret
from switch.ports import CardSecrets

_TRACK_SEPARATOR = "D"


def pan_of(fields: Mapping[str, str]) -> str:
    """The card number, by itself or of the track; "" when there is neither."""
    return fields.get("2", "") or fields.get("35", "").partition(_TRACK_SEPARATOR)[0]


def card_secrets(fields: Mapping[str, str], pin_key: str) -> CardSecrets:
    """The card's data; ``pin_key`` is the terminal's key that field 52 is under.

    Raises RemoteError when there is no card number, or field 55 is none."""
    track2, pan = fields.get("35", ""), pan_of(fields)
    if not pan:
        raise RemoteError("2", "no card number, and no track that has one")
    chip = bytes.fromhex(fields.get("55", ""))
    try:
        parse(chip)
    except ChipError as error:
        raise RemoteError("55", str(error)) from None
    return CardSecrets(
        pan=Secret(pan),
        track2=Secret(track2.replace(_TRACK_SEPARATOR, "=")) if track2 else None,
        pin_block=Secret(fields["52"]) if "52" in fields else None,
        pin_key=pin_key if "52" in fields else "",
        expiry=fields.get("14", ""),
        card_sequence=fields.get("23", ""),
        entry_mode=fields.get("22", ""),
        chip=Secret(chip) if chip else None,
    )


def scanned_code(dialect: Dialect, fields: Mapping[str, str]) -> CardSecrets:
    """A payment code instead of a card, where the dialect's ``qr_sale`` puts it. Raises
    RemoteError."""
    for number, text in dialect.operations[Operation.QR_SALE].fields.items():
        if isinstance(text, Choice) or "qr_code" not in text:
            continue
        values = captured(text, fields.get(number, ""))
        if values and values["qr_code"]:
            return CardSecrets(
                pan=Secret(""),
                qr_code=Secret(values["qr_code"]),
                entry_mode=fields.get("22", ""),
            )
        raise RemoteError(number, "no payment code")
    raise RemoteError("mti", "the dialect has no place for a payment code")
