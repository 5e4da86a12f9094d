"""The reference page of a dialect, generated from its file, one of docs/dialects."""

from collections.abc import Iterable, Iterator, Mapping

from channels.iso8583.check import templates
from channels.iso8583.dialect import Dialect, Encoding, KeyLayout, Span
from channels.iso8583.dialogue import Choice, NetworkTemplate, OperationTemplate
from channels.iso8583.headers import CupsHeader
from channels.iso8583.subfields import Ber, FixedTlv, Subfields


def reference_page(dialect: Dialect) -> str:
    """The whole page, Markdown."""
    parts = (
        _head(dialect),
        _fields(dialect),
        _subfields(dialect),
        _types(dialect),
        _messages(dialect),
        _keys(dialect),
        _reversal(dialect),
        _codes(dialect),
    )
    return "\n".join(line for part in parts for line in part)


def _head(dialect: Dialect) -> Iterator[str]:
    yield f"# Dialect {dialect.name}"
    yield ""
    yield f"<!-- generated: yyt dialect show {dialect.name} -->"
    yield f"{dialect.title}. Generated from `channels/iso8583/dialects/{dialect.name}.yaml`, which"
    yield "also says what to ask the bank (与银行确认). How to read and change it:"
    yield "[dialect-guide.md](../dialect-guide.md)."
    yield ""
    mac = dialect.mac
    bits = "always 128 bits" if dialect.bitmap_always_double else "64 or 128 bits, as needed"
    facts = {
        "length prefix": dialect.length_prefix,
        "TPDU": " ".join((dialect.tpdu.protocol, dialect.tpdu.destination, dialect.tpdu.source))
        if dialect.tpdu
        else "none",
        "header": _header(dialect),
        "message type": "BCD, 2 bytes" if dialect.mti_encoding == "b" else "ASCII, 4 characters",
        "bitmap": ("binary, " if dialect.bitmap_encoding == "b" else "hexadecimal, ") + bits,
        "MAC": f"field {mac.field}, `{mac.rule}`, padding {mac.padding}",
        "refusals believed without a MAC": ", ".join(sorted(mac.unmaced)),
        "currency": dialect.currency,
        "F11 is counted by": dialect.stan_scope,
        "balance in": f"field {dialect.balance_field}",
    }
    facts |= {f"MAC fields, {mti}": _joined(numbers) for mti, numbers in mac.fields.items()}
    yield from _table(("", ""), facts.items())


def _header(dialect: Dialect) -> str:
    if dialect.header is None:
        return "none"
    return "46 bytes" if isinstance(dialect.header, CupsHeader) else "6 bytes"


def _fields(dialect: Dialect) -> Iterator[str]:
    yield "## Fields"
    yield ""
    rows = []
    for number, field in dialect.fields.items():
        encoding = dialect.encodings[field.like]
        data = "BCD" if encoding.len_count == "nibbles" else encoding.data_enc
        length = f"{_prefix(encoding)} … {field.max}" if encoding.len_type else str(field.max)
        kind = str(encoding.content)
        written = "bytes" if data == "b" else data
        rows.append((number, field.name, kind, written, length, "yes" if field.secret else ""))
    yield from _table(("field", "name", "content", "written as", "length", "secret"), rows)


def _prefix(encoding: Encoding) -> str:
    """LL or LLL; two bytes of BCD write three digits."""
    if encoding.len_enc == "b":
        return f"{encoding.len_type} bytes"
    return "L" * (encoding.len_type + (encoding.len_enc == "bcd"))


def _subfields(dialect: Dialect) -> Iterator[str]:
    yield "## Inside the fields"
    yield ""
    rows = [(number, _inside(one)) for number, one in dialect.subfields.items()]
    yield from _table(("field", "parts"), rows)


def _inside(subfields: Subfields) -> str:
    if isinstance(subfields, Ber | FixedTlv):
        kind = (
            "BER-TLV"
            if isinstance(subfields, Ber)
            else (f"TLV, tag {subfields.tag}, length {subfields.length}")
        )
        names = ", ".join(f"{tag} {name}" for tag, name in subfields.names.items())
        return f"{kind}: {names}" if names else kind
    parts = " · ".join(f"{part.name} {part.size or '…'}" for part in subfields.parts)
    return parts + (" · (again)" if subfields.repeats else "")


def _types(dialect: Dialect) -> Iterator[str]:
    yield "## Message types"
    yield ""
    rows = [
        (
            mti,
            rule.answer,
            _joined(rule.match),
            "yes" if rule.maced else "",
            _joined(rule.mandatory),
            _joined(rule.approved),
            _joined(rule.echoes),
        )
        for mti, rule in dialect.mtis.items()
    ]
    head = ("type", "answer", "matched by", "MAC", "mandatory", "when approved also", "echoed")
    yield from _table(head, rows)


def _messages(dialect: Dialect) -> Iterator[str]:
    yield "## Messages"
    yield ""
    for path, template in sorted(templates(dialect).items()):
        said = ""
        if isinstance(template, OperationTemplate):
            said = ", reversible" if template.reversible else ", never reversed"
        yield f"### `{path}`: {template.mti}{said}"
        yield ""
        yield from _table(("field", "value"), _texts(template.fields))
        if isinstance(template, NetworkTemplate) and template.answer:
            yield "Its answer besides:"
            yield ""
            yield from _table(("field", "value"), _texts(template.answer))


def _texts(fields: Mapping[str, str | Choice]) -> Iterator[tuple[str, str]]:
    for number, text in fields.items():
        if isinstance(text, Choice):
            otherwise = f", else `{text.otherwise}`" if text.otherwise else ""
            yield number, f"`{text.then}` with {{{text.when}}}{otherwise}"
        else:
            yield number, f"`{text}`"


def _keys(dialect: Dialect) -> Iterator[str]:
    yield "## Working keys"
    yield ""
    yield (
        "The answer to a sign-on brings them."
        if dialect.sign_on.brings_keys
        else "The bank brings them by key resets."
    )
    yield ""
    rows = []
    for one in dialect.keys:
        where = " ".join(filter(None, [one.tag and f"tag {one.tag}", one.marker]))
        which = ""
        if one.which is not None:
            said = ", ".join(f"{text} {name}" for text, name in one.names.items())
            which = f"field {one.which.field} at {one.which.at}: {said}"
        for layout in one.layouts:
            rows.append((one.field, where, which, str(layout.length), _spans(layout)))
    yield from _table(("field", "behind", "which", "bytes", "at … size"), rows)


def _spans(layout: KeyLayout) -> str:
    spans: dict[str, Span | None] = {
        "PIK": layout.pik,
        "its KCV": layout.pik_kcv,
        "MAK": layout.mak,
        "KCV of MAK": layout.mak_kcv,
        "key": layout.key,
        "KCV": layout.key_kcv,
    }
    return ", ".join(f"{name} {one.at} … {one.size}" for name, one in spans.items() if one)


def _reversal(dialect: Dialect) -> Iterator[str]:
    yield "## Answers to a reversal"
    yield ""
    codes = dialect.reversal.codes
    rows = [
        ("done", _joined(sorted(codes.done))),
        ("no original: unproven, sent again", _joined(sorted(codes.not_found))),
        ("refused: an exception case", _joined(sorted(codes.refused))),
        ("every other code", "sent again"),
        ("repeat's message type", dialect.reversal.repeat_mti or "the same"),
        ("tags of field 55", _joined(dialect.reversal.chip)),
        (
            "reasons: no answer, wrong MAC, business failed, card declined",
            _joined(
                (codes.reason_timeout, codes.reason_mac, codes.reason_cancel, codes.reason_card)
            ),
        ),
    ]
    yield from _table(("", ""), rows)


def _codes(dialect: Dialect) -> Iterator[str]:
    yield "## Response codes"
    yield ""
    asked = dialect.codes_to_confirm
    rows = [
        (code, str(row.action), row.text, "与银行确认" if asked == "all" or code in asked else "")
        for code, row in dialect.codes.items()
    ]
    rows.append(("other", "unknown", dialect.unmapped_text, ""))
    yield from _table(("code", "action", "text", "ask the bank"), rows)


def _joined(values: Iterable[str]) -> str:
    return ", ".join(values)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(row) + " |"
    yield ""
