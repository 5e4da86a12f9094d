"""What a message is: the name of the template whose message type and literal parts fit it best.

For whoever receives requests (a host, a door, ``yyt describe``). Pure; compiled once per dialect.
"""

import re
from collections.abc import Mapping

from msgspec import Struct

from channels.iso8583.dialect import Dialect
from channels.iso8583.dialogue import Choice, Template
from channels.iso8583.message import Message
from channels.iso8583.template import literals

REVERSAL = "reversal"
SETTLEMENT = "settlement"
UPLOAD = "upload"
UPLOAD_END = "upload_end"
SCRIPT_NOTICE = "script_notice"
ORIGIN_QUERY = "origin_query"
ORIGIN_PAY = "origin_pay"

_TELLING = frozenset({"3", "22", "25", "59", "60", "70"})
"""Fields that tell businesses apart: processing code, entry mode, condition, private data, network
management code. Identities and currencies do not."""


class _Candidate(Struct, frozen=True):
    kind: str
    literal: dict[str, str]
    """Fields that are written out in the template."""
    composed: dict[str, tuple[re.Pattern[str], str]]
    """Fields written out in part: the whole shape, and how they must begin."""
    strict: bool
    """The whole shape must fit: management messages differ by their last digits only."""
    telling: frozenset[str]
    """Fields that contradict when they say something else; the others only speak for it."""


class Recogniser:
    """See the module."""

    def __init__(self, dialect: Dialect) -> None:
        self._request_of = {rule.answer: mti for mti, rule in dialect.mtis.items() if rule.answer}
        self._by_mti: dict[str, list[_Candidate]] = {}
        found = kinds(dialect)
        for kind, template in found:
            shared = _shared([one for _, one in found if one.mti == template.mti])
            candidate = _candidate(
                kind, template, strict=kind in dialect.network, telling=_TELLING - shared
            )
            self._by_mti.setdefault(template.mti, []).append(candidate)
        if dialect.reversal.repeat_mti:
            repeat = self._by_mti[dialect.reversal.template.mti]
            self._by_mti.setdefault(dialect.reversal.repeat_mti, []).extend(repeat)

    def kind(self, message: Message) -> str:
        """An operation, a message of ``network``, ``reversal``, ``settlement``, ``upload``,
        ``upload_end``, ``script_notice``, ``origin_query`` or ``origin_pay``; "" when none fits.

        An answer is what its request was. A field that is left out speaks neither for nor
        against."""
        request = self._request_of.get(message.mti)
        found, best = "", -1
        for candidate in self._by_mti.get(request or message.mti, ()):
            score = _score(candidate, message.fields)
            if score > best:
                found, best = candidate.kind, score
        return found


def kinds(dialect: Dialect) -> list[tuple[str, Template]]:
    """Every message of a dialect, by the name that :meth:`Recogniser.kind` gives it."""
    found: list[tuple[str, Template]] = [*dialect.operations.items(), *dialect.network.items()]
    found.append((REVERSAL, dialect.reversal.template))
    if dialect.script_notice is not None:
        found.append((SCRIPT_NOTICE, dialect.script_notice))
    if dialect.origin is not None:
        found += [(ORIGIN_QUERY, dialect.origin.query), (ORIGIN_PAY, dialect.origin.pay)]
    settlement = dialect.settlement
    if settlement is not None:
        found.append((SETTLEMENT, settlement.request))
        if settlement.upload is not None:
            found.append((UPLOAD, settlement.upload))
        if settlement.upload_end is not None:
            found.append((UPLOAD_END, settlement.upload_end))
    return found


def _shared(templates: list[Template]) -> set[str]:
    """Fields that say the same in all of several messages of one type: nothing is told by them."""
    return {
        number
        for number, text in templates[0].fields.items()
        if len(templates) > 1 and all(one.fields.get(number) == text for one in templates)
    }


def _candidate(
    kind: str, template: Template, *, strict: bool, telling: frozenset[str]
) -> _Candidate:
    literal, composed = {}, {}
    for number, text in template.fields.items():
        if isinstance(text, Choice):
            continue
        parts = literals(text)
        if len(parts) == 1:
            literal[number] = text
        elif any(parts):
            composed[number] = (re.compile(".+".join(map(re.escape, parts))), parts[0])
    return _Candidate(kind, literal, composed, strict, telling)


def _score(candidate: _Candidate, fields: Mapping[str, str]) -> int:
    """How many literal parts are there; -1 when one contradicts, or none of them is there."""
    score = 0
    for number, text in candidate.literal.items():
        value = fields.get(number)
        if value == text:
            score += 2
        elif value is not None and number in candidate.telling:
            return -1
    for number, (shape, beginning) in candidate.composed.items():
        value = fields.get(number)
        if value is None:
            continue
        if shape.fullmatch(value):
            score += 2
        elif number not in candidate.telling:
            continue
        elif candidate.strict or not value.startswith(beginning):
            return -1
        else:
            score += 1
    return score if score or not (candidate.literal or candidate.composed) else -1
