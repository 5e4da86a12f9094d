"""The semantic validator: what a message that decoded must still satisfy.

Pure: a message (and the request it answers) in, RemoteError or nothing out.
"""

from collections.abc import Mapping

from channels.iso8583.dialect import Action, Dialect
from channels.iso8583.errors import RemoteError
from channels.iso8583.message import Message


def approves(dialect: Dialect, code: str) -> bool:
    """Whether field 39 says that it happened."""
    row = dialect.codes.get(code)
    return row is not None and row.action is Action.APPROVE


def unproven(dialect: Dialect, message: Message) -> bool:
    """Whether a message of a kind that carries a MAC came without one."""
    return dialect.mtis[message.mti].maced and dialect.mac.field not in message.fields


def check_complete(dialect: Dialect, message: Message) -> None:
    """Every mandatory field is there, and no centre sent it back unread. Raises RemoteError naming
    the first that is not."""
    if message.lead.rejected:
        raise RemoteError("header", f"the centre refused it unread: {message.lead.rejected}")
    rule = dialect.mtis[message.mti]
    for number in rule.mandatory:
        if number not in message.fields:
            raise RemoteError(number, f"mandatory in {message.mti}")
    if approves(dialect, message.code):
        for number in rule.approved:
            if number not in message.fields:
                raise RemoteError(number, f"mandatory in an approving {message.mti}")


def check_echo(
    dialect: Dialect, request: Mapping[str, str], answer: Message, *, partial: bool = False
) -> None:
    """The answer speaks of our request: amount, trace and terminal are ours.

    A refusal may leave echoes out; an approval may not. ``partial``: of the request only these
    fields are known, the others are not compared. Raises RemoteError.
    """
    approved = approves(dialect, answer.code)
    for number in dialect.mtis[answer.mti].echoes:
        if partial and number not in request:
            continue
        sent = request.get(number, "")
        came = answer.fields.get(number, "")
        if came != sent and (came or approved):
            raise RemoteError(number, "is not what the request said")


def said_time(dialect: Dialect, message: Message) -> str:
    """The bank's clock as a sign-on's answer or a key reset says it: MMDDhhmmss; empty: not."""
    clocks = dialect.sign_on
    return "".join(message.fields.get(n, "") for n in (clocks.date_field, clocks.time_field))


def named_batch(dialect: Dialect, message: Message) -> str:
    """The batch that a sign-on's answer names; empty when it names none."""
    part = dialect.sign_on.batch
    if part is None:
        return ""
    batch = message.fields.get(part.field, "")[part.at : part.at + part.size]
    return batch if len(batch) == part.size else ""


def remembered(dialect: Dialect) -> frozenset[str]:
    """Fields of a request by which its answer is found and judged."""
    numbers: set[str] = set()
    for rule in dialect.mtis.values():
        numbers |= {*rule.match, *rule.echoes}
    return frozenset(numbers)
