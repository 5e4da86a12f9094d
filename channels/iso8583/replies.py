"""From a bank's answer to the end of an exchange (I9): the dialect's tables, and nothing else."""

import re
from collections.abc import Mapping

from channels.iso8583.dialect import Action, Dialect
from channels.iso8583.message import Message
from channels.iso8583.rules import unproven
from channels.iso8583.subfields import pieces
from channels.iso8583.tlv import TlvError
from switch.model.chip import ChipError, for_chip
from switch.model.outcome import Outcome, Reply
from switch.model.secret import Secret
from switch.observe.logs import get_logger

_log = get_logger("iso8583")

ANSWER_FIELDS = ("12", "13", "15", "37", "38", "39")
"""What an answer adds to the leg's facts: times, settlement date, RRN, authorisation, code."""

_SCHEME_CHARACTERS = 3
NO_ANSWER = "98"
UNPROVEN = "A0"
UNCHECKED = "96"

_OUTCOMES: Mapping[Action, Outcome] = {
    Action.APPROVE: Outcome.DONE,
    Action.DECLINE: Outcome.REFUSED,
    Action.ALARM: Outcome.REFUSED,
    Action.CAPTURE: Outcome.REFUSED,
    Action.BUSY: Outcome.REFUSED,
    Action.SIGN_ON: Outcome.REFUSED,
    Action.AGAIN: Outcome.REFUSED,
    Action.UNKNOWN: Outcome.UNKNOWN,
}

_FOLLOW_UPS = frozenset({Action.SIGN_ON, Action.AGAIN})


def not_sent(text: str, code: str = "") -> Reply:
    """Nothing left us."""
    return Reply(outcome=Outcome.NOT_SENT, code=code, text=text)


def unanswered(*, suspect: bool, unchecked: bool, link: str = "") -> Reply:
    """A sale was sent and no proven answer came: Unknown, with the reason a reversal will give
    and the link it should prefer."""
    code = UNCHECKED if unchecked else UNPROVEN if suspect else NO_ANSWER
    text = "应答未通过校验,交易状态不明" if suspect or unchecked else "未收到银行应答,交易状态不明"
    facts = {"reason": code, "link": link}
    return Reply(outcome=Outcome.UNKNOWN, code=code, text=text, facts=facts)


def unacknowledged() -> Reply:
    """A reversal was sent and no proven answer came: it is sent again."""
    return Reply(outcome=Outcome.UNKNOWN, code=NO_ANSWER, text="冲正未收到应答")


def wants_sign_on(dialect: Dialect, message: Message) -> bool:
    """Whether the code says that our keys or our batch are not the bank's."""
    row = dialect.codes.get(message.code)
    return row is not None and row.action in _FOLLOW_UPS


def raises_alarm(dialect: Dialect, message: Message) -> bool:
    """Whether a person must look at our configuration or our program."""
    row = dialect.codes.get(message.code)
    return row is not None and row.action is Action.ALARM


def reply_to_sale(dialect: Dialect, message: Message, link: str = "") -> Reply:
    """A proven answer to a sale that went out on ``link``. A code that the table does not have is
    Unknown."""
    row = dialect.codes.get(message.code)
    action = row.action if row else Action.UNKNOWN
    text = row.text if row else dialect.unmapped_text.replace("{code}", message.code)
    return Reply(
        outcome=_OUTCOMES[action],
        code=message.code,
        text=text,
        facts=_facts(message) | slip_facts(dialect, message) | {"link": link},
        again=action is Action.AGAIN,
        doubtful=_OUTCOMES[action] is Outcome.REFUSED and unproven(dialect, message),
        issuer=_issuer(message) if action is Action.APPROVE else None,
    )


def reply_to_reversal(dialect: Dialect, message: Message) -> Reply:
    """A proven answer to a reversal. What neither ends nor refuses it is Unknown: sent again."""
    codes, code = dialect.reversal.codes, message.code
    row = dialect.codes.get(code)
    text = row.text if row else dialect.unmapped_text.replace("{code}", code)
    outcome = Outcome.UNKNOWN
    if code in codes.done:
        outcome = Outcome.DONE
    elif code in codes.refused:
        outcome = Outcome.REFUSED
    facts = {"undo_code": code}
    if "37" in message.fields:
        facts["undo_F37"] = message.fields["37"]
    return Reply(
        outcome=outcome, code=code, text=text, facts=facts, not_found=code in codes.not_found
    )


def _facts(message: Message) -> dict[str, str]:
    fields = message.fields
    return {f"F{number}": fields[number] for number in ANSWER_FIELDS if number in fields}


def slip_facts(dialect: Dialect, message: Message) -> dict[str, str]:
    """What a slip says of the card's organisation (63.1 of the answer), its issuer and the acquirer
    (44, in the parts that the dialect names)."""
    facts = {"scheme": message.fields.get("63", "")[:_SCHEME_CHARACTERS]}
    whole = message.fields.get("44", "")
    subfields = dialect.subfields.get("44")
    try:
        found = pieces(subfields, whole, binary=False) if subfields and whole else ()
        parts = [one.value for one in found] or [whole]
    except TlvError:
        parts = []
    facts |= dict(zip(("issuer", "acquirer"), parts, strict=False))
    return {name: value.strip() for name, value in facts.items() if value.strip()}


def _issuer(message: Message) -> Secret[bytes]:
    """What of field 55 is for the chip. What cannot be read is nothing: the approval stands, and
    the card decides without its issuer."""
    try:
        return Secret(for_chip(bytes.fromhex(message.fields.get("55", ""))))
    except ChipError as error:
        _log.warning("issuer_data_unreadable", why=str(error))
        return Secret(b"")


_BALANCE = re.compile(r"\d\d(\d\d)(\w{3})([CD])(\d{12})")
_AVAILABLE = "02"


def balance_fen(field: str) -> int | None:
    """The balance in field 54 (账户类型 2, 余额类型 2, 币种 3, 符号 1, 金额 12): the available one
    when several are there. None when there is none to read.

    >>> balance_fen("1002156C000000012345")
    12345
    """
    found: int | None = None
    for kind, _currency, sign, amount in _BALANCE.findall(field):
        if found is None or kind == _AVAILABLE:
            found = -int(amount) if sign == "D" else int(amount)
    return found
