"""One message explained field by field, masked: for people and as JSON. Pure."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct, to_builtins

from channels.iso8583.credible import credible
from channels.iso8583.dialect import Content, Dialect
from channels.iso8583.errors import RemoteError
from channels.iso8583.field_names import field_name
from channels.iso8583.headers import CupsHeader, PosHeader
from channels.iso8583.masking import Mask, Masks
from channels.iso8583.message import Message
from channels.iso8583.recognise import Recogniser
from channels.iso8583.rule_texts import problem_text, rule_text
from channels.iso8583.rules import check_complete
from channels.iso8583.subfields import Parts, Piece, pieces
from channels.iso8583.tlv import TlvError


class Shown(Struct, frozen=True):
    """A field as it is shown."""

    number: str
    name: str
    value: str
    pieces: tuple[Piece, ...] = ()
    note: str = ""
    """What a response code means; why the parts could not be told apart."""


class Description(Struct, frozen=True, kw_only=True):
    """A message as it is shown."""

    dialect: str
    kind: str
    """The recogniser's word for it; empty: no template of the dialect fits."""
    header: dict[str, str]
    mti: str
    fields: tuple[Shown, ...]
    problem: str = ""
    """What the message lacks by the dialect's rules, or why its fields end where they do."""

    def as_json(self) -> dict[str, Any]:
        """Built-ins: ``header``, ``mti``, ``fields`` (number → value), and what else is known."""
        return {
            "dialect": self.dialect,
            "kind": self.kind,
            "header": self.header,
            "mti": self.mti,
            "fields": {one.number: one.value for one in self.fields},
            "subfields": {
                one.number: [to_builtins(piece) for piece in one.pieces]
                for one in self.fields
                if one.pieces
            },
            "problem": self.problem,
        }


class Explainer:
    """Explains messages of one dialect; compiled once."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._recogniser = Recogniser(dialect)
        self._masks = Masks(dialect)

    def described(
        self,
        message: Message,
        errors: Sequence[RemoteError] = (),
        *,
        unmasked: bool = False,
        english: bool = False,
    ) -> Description:
        """Everything a person may know of a message; with ``unmasked`` (tests) all of it. Names of
        fields are the dialect's, or ISO's in English. ``errors``: why a broken one ends where it
        does."""
        dialect = self._dialect
        kind = self._recogniser.kind(message)
        # What broke off may have been anything: it is masked as a message of no known kind.
        mask = None if unmasked else Mask(self._masks, message, "" if errors else kind)
        fields = []
        misread = False
        for number, value in message.fields.items():
            if misread:
                fields.append(_hidden(dialect, number, value, english=english))
                continue
            fields.append(_shown(dialect, number, value, mask, english=english))
            misread = bool(errors) and mask is not None and not credible(number, value)
        return Description(
            dialect=dialect.name,
            kind=kind,
            header=header_facts(message),
            mti=message.mti,
            fields=tuple(fields),
            problem=problem_text(errors or _lacking(dialect, message), dialect, english=english),
        )


def described(
    dialect: Dialect, message: Message, *, unmasked: bool = False, english: bool = False
) -> Description:
    """One message, see :meth:`Explainer.described`."""
    return Explainer(dialect).described(message, unmasked=unmasked, english=english)


def header_facts(message: Message) -> dict[str, str]:
    """TPDU and header, flat; empty when there is neither."""
    facts: dict[str, str] = {}
    tpdu, header = message.tpdu, message.header
    if tpdu is not None:
        facts["tpdu"] = tpdu.protocol + tpdu.destination + tpdu.source
    if isinstance(header, PosHeader | CupsHeader):
        facts |= to_builtins(header)
    return facts


def _shown(dialect: Dialect, number: str, value: str, mask: Mask | None, *, english: bool) -> Shown:
    found: list[Piece] = []
    note = ""
    shown = value if mask is None else mask.field(number, value)
    subfields = dialect.subfields.get(number)
    if isinstance(subfields, Parts):
        found = pieces(subfields, shown, binary=False)  # as masked as the whole
    elif subfields is not None:
        binary = dialect.encodings[dialect.fields[number].like].content is Content.BINARY
        try:
            found = pieces(subfields, value, binary=binary)
        except TlvError as error:
            note = rule_text(str(error), english=english)
        if mask is not None:
            found = [
                Piece(one.label, one.name, mask.piece(number, value, one.label, one.value))
                for one in found
            ]
    if number == "39":
        row = dialect.codes.get(value)
        note = f"{row.text} · {row.action}" if row else "?"
    return Shown(number, field_name(dialect, number, english=english), shown, tuple(found), note)


def _hidden(dialect: Dialect, number: str, value: str, *, english: bool) -> Shown:
    """A field behind a card's that was misread: it may be the rest of it (I12)."""
    return Shown(number, field_name(dialect, number, english=english), "*" * len(value))


def _lacking(dialect: Dialect, message: Message) -> list[RemoteError]:
    try:
        check_complete(dialect, message)
    except RemoteError as error:
        return [error]
    return []
