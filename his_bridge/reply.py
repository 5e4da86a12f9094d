"""What an answer means: the profile's tables turned into a verdict (the three-valued rule).

Only a listed refusal is a *no*, and success is believed only for our own key, bill and amount.
Everything else (a missing flag, an unmapped code, an echo that is not ours) is Unknown (I9).
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from msgspec import Struct
from msgspec.structs import fields

from his_bridge.errors import ReplyError
from his_bridge.profile import Field, Flag, FunctionName, Profile, Unit
from his_bridge.soap import Fault, HisAnswer, integer, read_answer
from his_bridge.xml import Element, elements_at, text_at
from switch.model.hospital import Bill, Patient
from switch.model.money import AmountError, amount_fen, fen_from_yuan

CODE_CHARS_MAX = 32
TEXT_CHARS_MAX = 200
RAW_CHARS_MAX = 400
VALUE_CHARS_MAX = 1_000

RESULTS: dict[FunctionName, type[Struct]] = {
    FunctionName.PATIENT_QUERY: Patient,
    FunctionName.BILL_QUERY: Bill,
}

_FEN = re.compile(r"0|[1-9][0-9]{0,17}")
_LONG_NUMBER = re.compile(r"[0-9]{13,19}")


class Verdict(StrEnum):
    """What the HIS said, before it is asked what that means for a leg."""

    SUCCESS = "success"
    BOOKED = "booked"
    CANCELLED = "cancelled"
    PENDING = "pending"
    ABSENT = "absent"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Mapped(Struct, frozen=True, kw_only=True):
    """``body``: typed values of a query. ``readable``: the HIS is there and talks to us."""

    verdict: Verdict
    code: str = ""
    text: str = ""
    facts: dict[str, str] = {}
    body: Any = None
    readable: bool = True


class ReplyMap:
    """Reads one function's answers."""

    def __init__(self, profile: Profile, name: FunctionName) -> None:
        self._profile = profile
        self._reply = profile.functions[name].reply
        self._result = RESULTS.get(name)
        self._required = required_fields(self._result) if self._result else ()

    def read(self, status: int, body: bytes, expected: Mapping[str, str | int]) -> Mapped:
        """Map one HTTP response. ``expected`` holds what an echo must show. Never raises."""
        try:
            answer = read_answer(self._profile, status, body)
            if isinstance(answer, Fault):
                return Mapped(
                    verdict=Verdict.REFUSED, code=answer.code[:CODE_CHARS_MAX], text="医院系统拒绝"
                )
            return self._judge(answer, expected)
        except ReplyError as error:
            return Mapped(
                verdict=Verdict.UNKNOWN,
                code=error.code,
                text="医院系统应答无法识别",
                facts={"his_raw": evidence(body)},
                readable=False,
            )

    def _judge(self, answer: HisAnswer, expected: Mapping[str, str | int]) -> Mapped:
        if answer.root.name != self._reply.root:
            raise ReplyError("other_root", f"not a {self._reply.root}")
        envelope = self._profile.reply
        succeeded = [_succeeded(flag, answer) for flag in envelope.flags]
        code = _masked(answer.at(envelope.code) or "")[:CODE_CHARS_MAX]
        text = _masked((answer.at(envelope.text) or "")[:TEXT_CHARS_MAX]) if envelope.text else ""
        if all(succeeded):
            return self._success(answer.root, code, text, expected)
        if any(succeeded):
            raise ReplyError("contradiction", "one flag tells success and another failure")
        if code in self._reply.refused:
            shown = self._reply.refused[code] or text
            return Mapped(verdict=Verdict.REFUSED, code=code, text=shown)
        if code in self._reply.absent:
            return Mapped(verdict=Verdict.ABSENT, code=code, text=text)
        if code in self._reply.already:
            self._check_echo(answer.root, expected, needed=set(self._reply.echo))
            return Mapped(
                verdict=Verdict.SUCCESS, code=code, text=text, facts=self._facts(answer.root)
            )
        return Mapped(verdict=Verdict.UNKNOWN, code=code, text=text)

    def _success(
        self, root: Element, code: str, text: str, expected: Mapping[str, str | int]
    ) -> Mapped:
        verdict, needed = Verdict.SUCCESS, set(self._reply.echo)
        if self._reply.state is not None:
            verdict = self._order_state(root)
            if verdict is not Verdict.BOOKED:
                needed &= {"idem"}
        self._check_echo(root, expected, needed)
        return Mapped(
            verdict=verdict,
            code=code,
            text=text,
            facts=self._facts(root),
            body=self._body(root) if self._result is not None else None,
        )

    def _order_state(self, root: Element) -> Verdict:
        states = self._reply.state
        value = text_at(root, states.at) if states is not None else None
        if states is None or not value:
            raise ReplyError("no_state", "the order's state is missing")
        if value in states.booked:
            return Verdict.BOOKED
        if value in states.cancelled:
            return Verdict.CANCELLED
        if value in states.pending:
            return Verdict.PENDING
        raise ReplyError("unmapped_state", "the profile does not know this state of an order")

    def _check_echo(
        self, root: Element, expected: Mapping[str, str | int], needed: set[str]
    ) -> None:
        """Success for another key, bill or amount is not ours (I2, I9)."""
        for name, field in self._reply.echo.items():
            value = _value(root, field)
            if value is None and name not in needed:
                continue
            ours = str(expected.get(name, ""))
            if value != ours:
                raise ReplyError("not_ours", f"the answer's {name} is not what we asked for")

    def _facts(self, root: Element) -> dict[str, str]:
        facts: dict[str, str] = {}
        for name, field in self._reply.facts.items():
            value = _value(root, field)
            if value:
                facts[name] = value[:TEXT_CHARS_MAX]
            elif field.required:
                raise ReplyError("no_fact", f"the answer lacks {name}")
        return facts

    def _body(self, root: Element) -> Any:
        if not self._reply.rows:
            return self._typed(root)
        rows = elements_at(root, self._reply.rows)
        if len(rows) > self._reply.rows_limit:
            raise ReplyError("too_many_rows", f"more than {self._reply.rows_limit}")
        return [self._typed(row) for row in rows]

    def _typed(self, element: Element) -> Struct:
        assert self._result is not None
        values: dict[str, Any] = {}
        for name, field in self._reply.fields.items():
            value = _value(element, field)
            if value:
                values[name] = value if field.unit is Unit.TEXT else _amount(value)
        for name in self._required:
            if name not in values:
                raise ReplyError("no_field", f"the answer lacks {name}")
        return self._result(**values)


def required_fields(struct: type[Struct]) -> tuple[str, ...]:
    """Names of the fields without a default."""
    return tuple(field.name for field in fields(struct) if field.required)


def evidence(body: bytes) -> str:
    """The beginning of an unreadable answer, for the person who will settle the case.

    Long numbers are cut to first six and last four digits: some HIS echo card numbers (I12).
    """
    return _masked(ascii(body[:RAW_CHARS_MAX])[2:-1])


def _masked(text: str) -> str:
    return _LONG_NUMBER.sub(lambda match: f"{match[0][:6]}******{match[0][-4:]}", text)


def _succeeded(flag: Flag, answer: HisAnswer) -> bool:
    value = answer.at(flag.at)
    if not value:
        raise ReplyError("no_flag", f"the success flag {flag.at} is missing")
    if flag.at_least is None:
        return value in flag.values
    number = integer(value)
    if number is None:
        raise ReplyError("no_flag", f"the success flag {flag.at} is not a number")
    return number >= flag.at_least


def _value(element: Element, field: Field) -> str | None:
    """The value as text; amounts as 分."""
    value = text_at(element, field.at)
    if value is None:
        return None
    if len(value) > VALUE_CHARS_MAX:
        raise ReplyError("too_long", f"{field.at} has more than {VALUE_CHARS_MAX} characters")
    if field.unit is Unit.YUAN:
        try:
            return str(fen_from_yuan(value))
        except AmountError as error:
            raise ReplyError("bad_amount", str(error)) from None
    return field.values.get(value, value)


def _amount(text: str) -> int:
    try:
        return amount_fen(int(text) if _FEN.fullmatch(text) else None)
    except AmountError as error:
        raise ReplyError("bad_amount", str(error)) from None
