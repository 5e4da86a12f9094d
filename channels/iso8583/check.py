"""What a dialect must still satisfy after the schema: every name it uses exists."""

from collections.abc import Iterator

from channels.iso8583.check_hosting import hosting_problems
from channels.iso8583.dialect import Content, Dialect, MacRule
from channels.iso8583.dialogue import Choice, NetworkTemplate, Template
from channels.iso8583.field_codec import prefix_fits
from channels.iso8583.headers import Lead, header_problem
from channels.iso8583.subfields import Ber, Parts
from channels.iso8583.template import SHAPES, names_in, shapes_in
from switch.model.chip import JOURNALED
from switch.model.operation import Operation

_OF_BANKS = frozenset(Operation) - {Operation.DEPOSIT}
CARD_VALUES = frozenset(["pan", "track2", "track3", "pin_block", "chip", "qr_code"])
"""Values that come from the card, the pad or the patient's phone, never journaled (I12)."""
VALUES = CARD_VALUES | {
    *("amount", "currency", "stan", "batch", "terminal", "merchant", "reason"),
    *("sent_date", "sent_time", "mti", "terminal_block", "key_kind", "key_block"),
    *("expiry", "entry_mode", "card_sequence"),
    *("original_batch", "original_sent_date", "original_sent_time", "original_mti"),
    *("debit_count", "debit_amount", "credit_count", "credit_amount"),
    *("upload_count", "close_code"),
}
"""Names a template may use; also ``F…`` (a reversal's, of what it reverses) and ``original_F…``
(of the payment that a void, a refund, a completion or an upload refers to), as journaled."""


def problems(dialect: Dialect) -> Iterator[tuple[str, str]]:
    """Everything the schema cannot say as (path, sentence), first mistake first."""
    if problem := header_problem(Lead(dialect.tpdu, dialect.header)):
        yield "header", problem
    yield from _fields(dialect)
    yield from _mtis(dialect)
    for name, template in templates(dialect).items():
        for path, text in _template(template, dialect):
            yield f"{name}.{path}", text
    for name in dialect.operations.keys() - _OF_BANKS:
        yield f"operations.{name}", "not an operation: " + ", ".join(sorted(_OF_BANKS))
    if Operation.SALE not in dialect.operations:
        yield "operations", "sale is missing"
    for name in {"sign_on", "echo"} - dialect.network.keys():
        yield "network", f"{name} is missing"
    for tag in dialect.reversal.chip:
        if tag not in JOURNALED:
            yield "reversal.chip", f"{tag} is not in rule 18: the journal does not hold it"
    yield from _mac(dialect)
    for number in dialect.answers.echo:
        if number not in dialect.fields:
            yield "answers.echo", f"field {number} is not in fields"
    if unknown := names_in(dialect.terminal_block) - {"serial"}:
        yield "terminal_block", f"no value is called {min(unknown)}"
    if dialect.stan_scope == "bank" and (dialect.sign_on.batch or dialect.settlement):
        yield "stan_scope", "bank: batches are a terminal's, and so are their numbers"
    yield from _codes(dialect)
    yield from _keys(dialect)
    yield from _subfields(dialect)
    yield from hosting_problems(dialect)


def _codes(dialect: Dialect) -> Iterator[tuple[str, str]]:
    if dialect.codes_to_confirm != "all":
        for code in sorted(dialect.codes_to_confirm - dialect.codes.keys()):
            yield "codes_to_confirm", f"{code} is not in codes"


def templates(dialect: Dialect) -> dict[str, Template]:
    """Every message template by its path in the file."""
    found: dict[str, Template] = {"reversal.template": dialect.reversal.template}
    found |= {f"operations.{name}": one for name, one in dialect.operations.items()}
    found |= {f"network.{name}": one for name, one in dialect.network.items()}
    if dialect.script_notice is not None:
        found["script_notice"] = dialect.script_notice
    if dialect.origin is not None:
        found |= {"origin.query": dialect.origin.query, "origin.pay": dialect.origin.pay}
    settlement = dialect.settlement
    if settlement is not None:
        found["settlement.request"] = settlement.request
        if settlement.upload is not None:
            found["settlement.upload"] = settlement.upload
        if settlement.upload_end is not None:
            found["settlement.upload_end"] = settlement.upload_end
    return found


def _fields(dialect: Dialect) -> Iterator[tuple[str, str]]:
    for number, field in dialect.fields.items():
        if not (number.isdecimal() and 2 <= int(number) <= 128):
            yield f"fields.{number}", "not a field number from 2 to 128"
        encoding = dialect.encodings.get(field.like)
        if encoding is None:
            yield f"fields.{number}.like", f"no encoding {field.like}"
        elif not prefix_fits(encoding, field.max):
            yield f"fields.{number}.max", "its length prefix cannot say so much"


def _mtis(dialect: Dialect) -> Iterator[tuple[str, str]]:
    for mti, rule in dialect.mtis.items():
        used = {*rule.match, *rule.mandatory, *rule.approved, *rule.echoes}
        for number in sorted(used - dialect.fields.keys()):
            yield f"mtis.{mti}", f"field {number} is not in fields"
        if rule.answer and rule.answer not in dialect.mtis:
            yield f"mtis.{mti}.answer", f"no message type {rule.answer}"
    repeat = dialect.reversal.repeat_mti
    if repeat and repeat not in dialect.mtis:
        yield "reversal.repeat_mti", f"no message type {repeat}"


def _template(template: Template, dialect: Dialect) -> Iterator[tuple[str, str]]:
    mti = dialect.mtis.get(template.mti)
    if mti is None or not mti.answer:
        yield "mti", f"{template.mti} is not a request of mtis"
    answer = template.answer if isinstance(template, NetworkTemplate) else {}
    for path, texts in (("fields", template.fields), ("answer", answer)):
        for number, text in texts.items():
            if number not in dialect.fields:
                yield f"{path}.{number}", "not in fields"
            for name in sorted(_names(text)):
                if not _is_value(name, dialect):
                    yield f"{path}.{number}", f"no value is called {name}"
            if not isinstance(text, Choice):
                for shape in sorted(shapes_in(text) - SHAPES.keys()):
                    yield f"{path}.{number}", f"no shape is called {shape}"


def _names(text: str | Choice) -> set[str]:
    return {text.when} if isinstance(text, Choice) else names_in(text)


def _is_value(name: str, dialect: Dialect) -> bool:
    return name in VALUES or name.removeprefix("original_").removeprefix("F") in dialect.fields


def _mac(dialect: Dialect) -> Iterator[tuple[str, str]]:
    mac = dialect.mac
    field = dialect.fields.get(mac.field)
    if field is None or field.like not in dialect.encodings:
        yield "mac.field", "not in fields"
        return
    encoding = dialect.encodings[field.like]
    characters = field.max * (2 if encoding.content is Content.BINARY else 1)
    if encoding.len_type or characters not in {8, 16}:
        yield "mac.field", "not 8 or 16 hexadecimal characters, as text or as bytes"
    if mac.field != max(dialect.fields, key=int):
        yield "mac.field", "not the last field"
    if (mac.rule is MacRule.CUP_CBC) != ("default" in mac.fields):
        yield "mac.fields", "cup_cbc, and no other rule, is made over fields: default is missing"
    for mti, numbers in mac.fields.items():
        for number in numbers:
            if number not in dialect.fields:
                yield f"mac.fields.{mti}", f"field {number} is not in fields"


def _subfields(dialect: Dialect) -> Iterator[tuple[str, str]]:
    for number, subfields in dialect.subfields.items():
        field = dialect.fields.get(number)
        if field is None:
            yield f"subfields.{number}", "not in fields"
            continue
        binary = dialect.encodings[field.like].content is Content.BINARY
        if isinstance(subfields, Ber) and not binary:
            yield f"subfields.{number}", "BER-TLV in a field that is not binary"


def _keys(dialect: Dialect) -> Iterator[tuple[str, str]]:
    if not dialect.keys:
        yield "keys", "no field brings working keys"
    for key_field in dialect.keys:
        path = f"keys.{key_field.field}"
        if key_field.field not in dialect.fields:
            yield path, "not in fields"
        if key_field.tag and isinstance(dialect.subfields.get(key_field.field), Parts | None):
            yield f"{path}.tag", "subfields do not say that the field is TLV"
        for layout in key_field.layouts:
            spans = (layout.pik, layout.pik_kcv, layout.mak, layout.mak_kcv)
            for span in (*spans, layout.key, layout.key_kcv):
                if span is not None and (span.at < 0 or span.at + span.size > layout.length):
                    yield f"{path}.layouts.{layout.length}", "a part lies outside the block"
            if layout.key is not None and not (key_field.which and key_field.names):
                yield f"{path}.layouts.{layout.length}", "which key it is must be said"
