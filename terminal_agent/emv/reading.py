"""GET PROCESSING OPTIONS and READ RECORD: what the application says of itself (EMV book 3, 10.1-2).

Only the card number is looked at here for its own sake; it leaves as an opaque value (I12).
"""

from collections.abc import Iterator
from typing import Final

from terminal_agent.emv import apdu, dol
from terminal_agent.emv.actions import Flow, Stop
from terminal_agent.emv.context import Context
from terminal_agent.emv.tags import fits
from terminal_agent.emv.tlv import TlvError, encode, find, parse, walk
from terminal_agent.protocol import Pan, Track2

_MANDATORY: Final = ("5A", "5F24", "8C", "8D")
_SINGLE: Final = ("5A", "57", "5F24", "5F34", "8C", "8D", "8E")
"""Standing twice, these would leave open which one counts."""
_FILE_MAX: Final = 30
_OWN_FILES: Final = 10
"""Files up to this one hold EMV records; those above are the issuer's own."""


def start_application(context: Context) -> Flow[bool]:
    """GET PROCESSING OPTIONS: AIP (82) and AFL (94) become card data. False: the card refuses
    this application under these conditions (6985), another may do. Raises Stop."""
    try:
        data = encode("83", dol.fill(context.get("9F38") or b"", context.get))
    except TlvError:
        raise Stop("wrong_9F38") from None
    answer = yield from context.say(apdu.get_processing_options(data))
    context.note("gpo", f"{answer.sw:04X}")
    if answer.sw == apdu.NOT_SATISFIED:
        return False
    if answer.sw != apdu.OK:
        raise Stop("gpo_refused")
    try:
        found = parse(answer.data)
    except TlvError:
        raise Stop("gpo_unreadable") from None
    plain = find(found, "80")
    if plain is not None:
        profile, locator = plain.value[:2], plain.value[2:]
    else:
        parts = find(found, "77", "82"), find(found, "77", "94")
        profile, locator = (part.value if part else b"" for part in parts)
    if len(profile) != 2 or not locator or len(locator) % 4:
        raise Stop("gpo_unreadable")
    context.card["82"], context.card["94"] = profile, locator
    return True


def read_records(context: Context) -> Flow[None]:
    """Every record of the AFL becomes card data. Raises Stop when one cannot be read, when what
    a payment needs is missing, twice or wrong, or when track 2 names another card."""
    records = list(_records(context))
    for file, record in records:
        answer = yield from context.say(apdu.read_record(file, record))
        if answer.sw != apdu.OK:
            context.note("read_records", f"{file}/{record} {answer.sw:04X}")
            raise Stop("record_unreadable")
        if file <= _OWN_FILES:
            _take(context, answer.data)
    context.note("read_records", str(len(records)))
    for tag in _MANDATORY:
        if tag not in context.card:
            raise Stop(f"missing_{tag}")
    _check_account(context)


def _records(context: Context) -> Iterator[tuple[int, int]]:
    """(file, record) in the order of the AFL. Raises Stop when it is wrong or too long."""
    locator = context.card["94"]
    left = context.profile.limits.records_max
    for at in range(0, len(locator), 4):
        file, first, last = locator[at] >> 3, locator[at + 1], locator[at + 2]
        if not 1 <= file <= _FILE_MAX or not 1 <= first <= last:
            raise Stop("wrong_94")
        left -= last - first + 1
        if left < 0:
            raise Stop("too_many_records")
        yield from ((file, record) for record in range(first, last + 1))


def _take(context: Context, data: bytes) -> None:
    try:
        record = find(parse(data), "70")
    except TlvError:
        record = None
    if record is None:
        raise Stop("record_unreadable")
    for item in walk((record,)):
        if item.tag in _SINGLE and item.tag in context.card:
            raise Stop(f"duplicate_{item.tag}")
        if not fits(item.tag, item.value):
            if item.tag in _SINGLE:
                raise Stop(f"wrong_{item.tag}")
            continue
        context.card.setdefault(item.tag, item.value)


def _check_account(context: Context) -> None:
    digits = context.card["5A"].hex().rstrip("f")
    try:
        Pan(digits)
    except ValueError:
        raise Stop("wrong_5A") from None
    month = context.card["5F24"].hex()[2:4]
    if not "01" <= month <= "12":
        raise Stop("wrong_5F24")
    if "57" in context.card:
        try:
            track2 = track2_of(context)
        except ValueError:
            raise Stop("wrong_57") from None
        if track2 is None or track2.reveal().split("=")[0] != digits:
            raise Stop("track2_of_another_card")


def pan_of(context: Context) -> Pan:
    """The card number, once the records are read."""
    return Pan(context.card["5A"].hex().rstrip("f"))


def track2_of(context: Context) -> Track2 | None:
    """Track 2 as field 35 carries it, or None. Raises ValueError when it is none."""
    data = context.card.get("57")
    return None if data is None else Track2(data.hex().rstrip("f").replace("d", "=", 1))


def masked(context: Context) -> str:
    """The card number with six digits in front and four behind, or nothing yet."""
    if "5A" not in context.card:
        return ""
    return mask(context.card["5A"].hex().rstrip("f"))


def mask(digits: str) -> str:
    """Six digits in front and four behind; a number too short for it shows none.

    >>> mask("6225880000000001")
    '622588******0001'
    """
    return digits[:6] + "*" * (len(digits) - 10) + digits[-4:] if len(digits) > 11 else "****"
